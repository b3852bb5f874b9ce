# As many connections as the machine allows: a daemon holds as many as it may have open
# files, several share a port.
# shellcheck shell=sh disable=SC3045 # ulimit -n: dash has it

# Start one more daemon, on the port of the first.
connections_daemon() {
	daemon_start monitor-wsd --no-auth --reuse-port --listen "127.0.0.1:${port:-0}" --max-connections "$each" \
		--max-connections-per-address 0 -d "$db" -- monitor-ingest --ack --quiet -d "$db"
	daemons="$daemons $daemon"
	port=$(daemon_place)
	port=${port##*:}
}

connections_memory() {
	total=0
	for pid in $daemons; do
		total=$((total + $(awk '$1 == "VmRSS:" { print $2 }' "/proc/$pid/status")))
	done
	echo "$total"
}

section_connections() {
	ulimit -n "$(ulimit -Hn)"
	each=$(($(ulimit -n) - 300))
	# The kernel deals connections out to daemons by chance: leave it room.
	processes=$(calc "int($(number "$CONNECTIONS") * 1.05 / $each) + 1")
	share=$(($(number "$CONNECTIONS") / processes))
	title "Connections: $CONNECTIONS, $processes daemons on one port"
	db=$DIR/connections.db
	port=''
	remove_store "$db"
	for _ in $(seq "$processes"); do
		connections_daemon
	done
	before=$(connections_memory)
	hold "$processes" "$share" "ws://127.0.0.1:$port"
	after=$(connections_memory)
	sample connections load uploads -c 100 -f "$CORPUS" "ws://127.0.0.1:$port" "$WSD_READ_SECONDS"
	printf '  %-38s in %.1f s, %.1f kB each\n' "$((share * processes)) connected" "$held" \
		"$(calc "($after - $before) / ($share * $processes)")"
	printf '  %-38s %9.0f messages/s, p99 %.2f ms\n' "100 more, 1 record" "$(median connections)" \
		"$(calc "$(median connections 4) * 1000")"
	let_go
	for pid in $daemons; do
		kill "$pid"
		wait "$pid" || fail "a daemon ended with status $?"
	done
	daemons='' daemon=''
	goal "memory of a connection" "$(calc "($after - $before) / ($share * $processes)")" at-most 8 " kB"
	remove_store "$db"
}
