# ZeroMQ: push and pull beside bare PUSH and PULL of the same lines, and beside local ingest; the way
# through the broker; requests beside a bare echo; what CURVE costs.
# shellcheck shell=sh

# zmq_lines N: a file of so many numbered records of 200 bytes.
zmq_lines() {
	zmq_path=$DIR/numbered-$1
	[ -e "$zmq_path" ] || awk -v n="$(number "$1")" 'BEGIN {
		text = "The temperature in the living room is 21.5 degrees and rising slowly, window closed"
		while (length(text) < 200) text = text "."
		for (i = 1; i <= n; i++) {
			s = sprintf("{\"source\":\"bench-1\",\"seq\":%d,\"kind\":\"log\",\"watchdog\":\"%016d\",\"level\":30," \
				"\"time\":%d.%06d,\"sender\":\"Thermometer\",\"message\":\"", i, i % 1000,
				1700000000 + i / 1000, i % 1000000)
			print s substr(text, 1, 197 - length(s)) "\"}"
		}
	}' >"$zmq_path" || fail "could not make $zmq_path"
	echo "$zmq_path"
}

# zmq_start VERB [OPTION]... [-- SINK...]: in the background; it listens at $there.
zmq_start() {
	daemon_start monitor-zmq "$@"
	there=$(daemon_place)
}

# What all that has ended took of the processors, in seconds.
zmq_cpu() { awk -v hz="$(getconf CLK_TCK)" '{ print ($16 + $17) / hz }' "/proc/$$/stat"; }

# zmq_busy NAME BEFORE: how many processors it took since then, beside its other figures.
zmq_busy() { tail -n 1 "$DIR/result-$1" | awk -v cpu="$(calc "$(zmq_cpu) - $2")" '{ print cpu / $1 }' >>"$DIR/result-$1.busy"; }

# zmq_push NAME [PULL OPTION]... -- SINK...: how long push takes to have all acknowledged.
zmq_push() {
	push_name=$1
	shift
	before=$(zmq_cpu)
	zmq_start pull --bind tcp://127.0.0.1:0 "$@"
	# shellcheck disable=SC2086 # options
	sample "$push_name" measure -i "$lines" -o "$DIR/acks" monitor-zmq push -q --ack ${push_options-} "$there"
	daemon_stop
	zmq_busy "$push_name" "$before"
	[ "$(tail -n 1 "$DIR/acks")" = "{\"ack\":{\"source\":\"bench-1\",\"seq\":$n}}" ] ||
		fail "not everything was acknowledged"
}

zmq_bare() {
	zmqbare pull tcp://127.0.0.1:19871 "$n" >"$DIR/bare" &
	daemon=$!
	zmqbare push tcp://127.0.0.1:19871 "$lines" || fail "zmqbare push"
	wait "$daemon" || fail "zmqbare pull"
	daemon=
	cat "$DIR/bare" >>"$DIR/result-zmq-bare"
}

zmq_rate_row() {
	awk -v text="$1" -v s="$(median "$2")" -v n="$n" 'BEGIN { printf "  %-52s %8.2f s %10.0f/s\n", text, s, n / s }'
}

zmq_keys() {
	(cd "$DIR" && rm -f central.key edge.key && monitor-zmq keygen central | cut -d ' ' -f 1 >central.public &&
		monitor-zmq keygen edge >allowed) || fail "keygen"
}

zmq_throughput() {
	lines=$(zmq_lines "$ZMQ_RECORDS") || exit
	n=$(number "$ZMQ_RECORDS")
	zmq_keys
	round=1
	while [ "$round" -le "$RUNS" ]; do
		note "round $round of $RUNS: bare, push and pull, with CURVE, into a store, local ingest"
		zmq_bare
		zmq_push zmq-null -- nullsink
		push_options="--curve-key $DIR/edge.key --curve-server-key $DIR/central.public"
		zmq_push zmq-curve --curve-key "$DIR/central.key" --curve-allow "$DIR/allowed" -- nullsink
		push_options=
		remove_store "$DIR/zmq.db"
		zmq_push zmq-store -- monitor-ingest --quiet --ack -d "$DIR/zmq.db"
		[ "$(sqlite3 "$DIR/zmq.db" 'SELECT count(*) FROM log')" = "$n" ] || fail "the store does not hold what went in"
		remove_store "$DIR/zmq.db"
		before=$(zmq_cpu)
		sample zmq-local measure -i "$lines" -o "$DIR/acks" monitor-ingest --quiet --ack -d "$DIR/zmq.db"
		zmq_busy zmq-local "$before"
		remove_store "$DIR/zmq.db"
		round=$((round + 1))
	done
	zmq_rate_row "bare PUSH/PULL, joined 100 a message" zmq-bare
	zmq_rate_row "push, pull, a sink that keeps nothing" zmq-null
	zmq_rate_row "the same with CURVE" zmq-curve
	zmq_rate_row "push, pull, a store" zmq-store
	zmq_rate_row "monitor-ingest --ack alone" zmq-local
	goal "push to pull, acknowledged: of bare PUSH/PULL's rate" \
		"$(calc "$(median zmq-bare) / $(median zmq-null)")" at-least 0.5 " x"
	goal "into a store: of local monitor-ingest's rate" \
		"$(calc "$(median zmq-local) / $(median zmq-store)")" at-least 0.9 " x"
	printf '  processors busy with it, of %d: %.2f local, %.2f with push and pull\n' "$(nproc)" \
		"$(median zmq-local.busy)" "$(median zmq-store.busy)"
	echo "  with CURVE: $(calc "$(median zmq-null) / $(median zmq-curve)") of the rate without"
}

zmq_lag() {
	daemon_start monitor-zmq proxy tcp://127.0.0.1:0 tcp://127.0.0.1:0
	until [ -n "$(daemon_place 2)" ]; do sleep 0.02; done
	front=$(daemon_place) back=$(daemon_place 2)
	round=1
	while [ "$round" -le "$RUNS" ]; do
		rm -f "$DIR/lag" "$DIR/sub.fifo"
		mkfifo "$DIR/sub.fifo"
		monitor-zmq sub -q "$back" >"$DIR/sub.fifo" &
		first=$!
		zmqlag 10000 5 "$DIR/lag" <"$DIR/sub.fifo" | monitor-zmq pub -q "$front" || fail "pub"
		wait "$first" || true   # nobody reads it any more
		first=
		cat "$DIR/lag" >>"$DIR/result-zmq-lag"
		round=$((round + 1))
	done
	daemon_stop
	awk -v p50="$(median zmq-lag)" -v p99="$(median zmq-lag 2)" -v max="$(largest zmq-lag 3)" -v lost="$(largest zmq-lag 4)" 'BEGIN {
		printf "  pub, proxy, sub at 10k records/s: %.2f ms median, %.2f ms p99, %.2f ms at most; %d lost\n",
			p50 * 1e3, p99 * 1e3, max * 1e3, lost }'
	goal "pub to sub through the broker at 10k/s, p99" "$(calc "$(median zmq-lag 2) * 1000")" at-most 5 " ms"
}

zmq_requests() {
	# Three seconds of one watchdog: three records.
	ask='{"action":"getLogs","watchdog":"0000000000000007","since":1700000100,"until":1700000103}'
	lines=$(zmq_lines "$ZMQ_RECORDS"); head -n 200000 "$lines" | monitor-ingest --quiet -d "$DIR/zmq.db" || fail "ingest"
	round=1
	while [ "$round" -le "$RUNS" ]; do
		zmqbare echo tcp://127.0.0.1:19872 &
		daemon=$!
		sample zmq-echo zmqbare ask tcp://127.0.0.1:19872 3 1 "$ask"
		kill "$daemon"
		{ wait "$daemon" || true; } 2>"$DIR/terminated"   # the shell tells of it
		zmq_start serve -d "$DIR/zmq.db" --bind tcp://127.0.0.1:0
		sample zmq-serve zmqbare ask "$there" 3 1 "$ask"
		sample zmq-serve-many zmqbare ask "$there" 3 16 "$ask"
		daemon_stop
		round=$((round + 1))
	done
	remove_store "$DIR/zmq.db"
	printf '  %-52s %18.0f/s\n' "a bare echo, one after another" "$(median zmq-echo)" \
		"small getLogs, one after another" "$(median zmq-serve)" \
		"small getLogs, 16 at a time" "$(median zmq-serve-many)"
	goal "a small getLogs: of a bare echo's rate" "$(calc "$(median zmq-serve) / $(median zmq-echo)")" at-least 0.5 " x"
}

section_zmq() {
	title "ZeroMQ: $ZMQ_RECORDS records of 200 bytes; medians of $RUNS alternating runs"
	zmq_throughput
	zmq_lag
	zmq_requests
}
