# The daemon: uploads, beside ingest from a file and beside a bare server of the same library;
# ten thousand connections; reads while it is busy; a slow reader; forwarding; the start.
# shellcheck shell=sh disable=SC3045 # ulimit -n: dash has it

ONE=0000000000000000   # the code of the watchdog with many records
WSD_HOLDERS=2          # processes that hold idle ones: one alone takes longer for TLS than the daemon

# wsd_start STORE [OPTION]...: a daemon with its sink; its URL is then in $url, its process
# id in $daemon.
wsd_start() {
	wsd_store=$1
	shift
	daemon_start monitor-wsd --no-auth --listen 127.0.0.1:0 -d "$wsd_store" "$@" \
		-- monitor-ingest --ack --quiet -d "$wsd_store"
	url=ws://$(daemon_place)/ws
}

# beside_first VERB [OPTION]... URL: a load that runs until end_first; what it prints goes to
# first.out. And a second one.
beside_first() {
	rm -f "$DIR/first.fifo" "$DIR/first.out"
	mkfifo "$DIR/first.fifo"
	load "$@" 0 <"$DIR/first.fifo" >"$DIR/first.out" &
	first=$!
	exec 8>"$DIR/first.fifo"
}

beside_second() {
	rm -f "$DIR/second.fifo" "$DIR/second.out"
	mkfifo "$DIR/second.fifo"
	load "$@" 0 <"$DIR/second.fifo" >"$DIR/second.out" 8>&- &
	second=$!
	exec 9>"$DIR/second.fifo"
}

end_first() {
	exec 8>&-
	wait "$first" || fail "a load beside the measured one failed"
	first=
}

end_second() {
	exec 9>&-
	wait "$second" || fail "a load beside the measured one failed"
	second=
}

# said FILE PID: wait until a load has printed something.
said() {
	until [ -s "$1" ]; do
		kill -0 "$2" 2>/dev/null || fail "a load ended before it had begun"
		sleep 0.02
	done
}

# memory_kb FIELD: of the daemon, VmRSS or VmHWM.
memory_kb() { awk -v field="$1:" '$1 == field { print $2 }' "/proc/$daemon/status"; }

wsd_row() {
	awk -v text="$1" -v rate="$(median "$2")" -v p50="$(median "$2" "$3")" \
		-v p99="$(median "$2" $(($3 + 1)))" -v max="$(largest "$2" $(($3 + 2)))" 'BEGIN {
		printf "  %-38s %9.0f/s %8.2f ms %8.2f ms %8.2f ms\n", text, rate, p50 * 1e3, p99 * 1e3, max * 1e3
	}'
}

# ---- uploads ----

wsd_uploads_round() {
	sample fdatasync fdatasync "$DIR/fdatasync"
	remove_store "$db"
	sample wsd-file measure -i "$ndjson" monitor-ingest --quiet -d "$db"
	remove_store "$db"
	wsd_start "$db"
	sample wsd-hundred load uploads -c 50 -R 100 -w 4 -f "$CORPUS" "$url" "$WSD_SECONDS"
	sample wsd-one load uploads -c 100 -f "$CORPUS" "$url" "$WSD_SECONDS"
	sample wsd-single load uploads -f "$CORPUS" "$url" "$WSD_SECONDS"
	daemon_stop
	remove_store "$db"
	wsd_echoed wsd-echo 100 "$WSD_SECONDS"
	wsd_echoed wsd-echo-1 1 "$WSD_SECONDS"
	sample wsd-writer writers 1 "$WSD_SECONDS" "$db"
	remove_store "$db"
}

# wsd_echoed NAME CONNECTIONS SECONDS: the same from a server that does nothing else.
wsd_echoed() {
	: >"$DIR/echod.port"
	echod >"$DIR/echod.port" 8>&- 9>&- &
	echod=$!
	until grep -q . "$DIR/echod.port"; do sleep 0.02; done
	sample "$1" load uploads -e -c "$2" -f "$CORPUS" "ws://127.0.0.1:$(cat "$DIR/echod.port")" "$3"
	kill "$echod"
	wait "$echod" || fail "echod ended with status $?"
	echod=
}

wsd_uploads() {
	ndjson=$(data ndjson "$RECORDS" "$WATCHDOGS") || exit
	round=1
	while [ "$round" -le "$RUNS" ]; do
		note "round $round of $RUNS: uploads"
		wsd_uploads_round
		round=$((round + 1))
	done
	printf '  %-38s %11s %11s %11s %11s\n' "" messages p50 p99 max
	awk -v p50="$(median fdatasync)" -v p99="$(median fdatasync 2)" -v max="$(largest fdatasync 3)" 'BEGIN {
		printf "  %-38s %9.0f/s %8.2f ms %8.2f ms %8.2f ms\n", "fdatasync of one page, here",
			1 / p50, p50 * 1e3, p99 * 1e3, max * 1e3
	}'
	wsd_row "1 record, 100 connections, echoed" wsd-echo 3
	wsd_row "1 record, 100 connections" wsd-one 3
	wsd_row "1 record, 1 connection, echoed" wsd-echo-1 3
	wsd_row "1 row, 1 SQLite writer, committed" wsd-writer 2
	wsd_row "1 record, 1 connection" wsd-single 3
	wsd_row "100 records, 50 connections, 4 each" wsd-hundred 3
	file=$(calc "$(number "$RECORDS") / $(median wsd-file)")
	printf '  %-38s %9.0f records/s; from a file %.0f\n' "" "$(median wsd-hundred 2)" "$file"
	goal "of the rate from a file, 100 records a message" \
		"$(calc "$(median wsd-hundred 2) / $file")" at-least 0.5 " x"
	goal "of a bare echo server's messages/s, 100 connections" \
		"$(calc "$(median wsd-one) / $(median wsd-echo)")" at-least 0.5 " x"
	goal "fdatasyncs until answered, median, 1 connection" \
		"$(calc "$(median wsd-single 3) / $(median fdatasync)")" at-most 3
	printf '  %-54s %12.3g\n' "  of these, an echo and a bare SQLite commit" \
		"$(calc "($(median wsd-echo-1 3) + $(median wsd-writer 2)) / $(median fdatasync)")"
}

# ---- many connections ----

# wsd_idle NAME [OPTION]...: hold idle connections, and measure beside them.
wsd_idle() {
	name=$1
	shift
	remove_store "$db"
	wsd_start "$db" --max-connections "$(($(number "$WSD_CONNECTIONS") + 1000))" "$@"
	[ "$name" = plain ] || url=wss${url#ws}
	before=$(memory_kb VmRSS)
	computed=$(computed_ms "$daemon")
	note "$WSD_CONNECTIONS connections, $name"
	hold "$WSD_HOLDERS" "$(calc "$(number "$WSD_CONNECTIONS") / $WSD_HOLDERS")" "$url"
	after=$(memory_kb VmRSS)
	echo "$(calc "($(computed_ms "$daemon") - $computed) / $(number "$WSD_CONNECTIONS")")" \
		"$(calc "$held_ms / $(number "$WSD_CONNECTIONS")")" >"$DIR/result-wsd-computed-$name"
	calc "($after - $before) / $(number "$WSD_CONNECTIONS")" >"$DIR/result-wsd-idle-$name"
	echo "$held" >"$DIR/result-wsd-connect-$name"
	sample "wsd-many-$name" load uploads -c 100 -f "$CORPUS" "$url" "$WSD_SECONDS"
	let_go
	sample "wsd-few-$name" load uploads -c 100 -f "$CORPUS" "$url" "$WSD_SECONDS"
	daemon_stop
}

wsd_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
		-keyout "$DIR/wsd.key" -out "$DIR/wsd.pem" 2>/dev/null || fail "openssl: status $?"
}

wsd_connections() {
	wsd_certificate
	wsd_idle plain
	wsd_idle tls --cert "$DIR/wsd.pem" --key "$DIR/wsd.key"
	for name in plain tls; do
		awk -v text="$WSD_CONNECTIONS connections, $name" -v took="$(median "wsd-connect-$name")" \
			-v ms="$(median "wsd-computed-$name")" -v load="$(median "wsd-computed-$name" 2)" -v kb="$(median "wsd-idle-$name")" \
			-v many="$(median "wsd-many-$name")" -v few="$(median "wsd-few-$name")" 'BEGIN {
			printf "  %-38s connected in %.1f s, %.1f kB each; computed for each: daemon %.2f ms, load %.2f\n",
				text, took, kb, ms, load
			printf "  %-38s 100 more: %.0f messages/s, alone %.0f\n", "", many, few
		}'
	done
	goal "memory of an idle connection" "$(median wsd-idle-plain)" at-most 8 " kB"
	goal "memory of an idle connection, TLS" "$(median wsd-idle-tls)" at-most 24 " kB"
	goal "until $WSD_CONNECTIONS are connected and authenticated" "$(median wsd-connect-plain)" at-most 5 " s"
	goal "until they are, TLS" "$(median wsd-connect-tls)" at-most 5 " s"
	goal "of the messages/s with 100, with $WSD_CONNECTIONS more" \
		"$(calc "$(median wsd-many-plain) / $(median wsd-few-plain)")" at-least 0.5 " x"
}

# ---- reads ----

# A store with many records of one watchdog.
wsd_one_store() {
	one=$(data ndjson "$WSD_ONE" 1) || exit
	remove_store "$db"
	note "ingesting $WSD_ONE records of one watchdog"
	monitor-ingest --quiet -d "$db" <"$one" || fail "ingest: status $?"
}

wsd_reads() {
	note "getLogs under full load"
	beside_first uploads -c 50 -R 100 -w 4 -f "$CORPUS" "$url"
	beside_second uploads -r 1 -W "$ONE" -f "$CORPUS" "$url"
	sleep "$WSD_READ_AFTER"
	sample wsd-ask load ask -W "$ONE" "$url" "$WSD_READ_SECONDS"
	wsd_echoed wsd-ask-echo 1 "$WSD_SECONDS"
	end_second
	end_first
	wsd_row "getLogs of 60 s, under full load" wsd-ask 3
	wsd_row "  1 record echoed, beside the same load" wsd-ask-echo 3
	printf '  %-38s %9.0f records/s\n' "  uploaded meanwhile" "$(awk '{ print $2 }' "$DIR/first.out")"
	goal "getLogs of the last 60 s, $WSD_ONE records of it, p99" \
		"$(calc "$(median wsd-ask 4) * 1000")" at-most 10 " ms"
}

# The whole answer, as fast as it can be had: "BYTES SECONDS".
wsd_whole() { load slow -B 2e8 -W "$ONE" -q "$everything" "$url" 120 | tail -n 1; }

# Everything that there is of one watchdog: 100 MB, read at 1 MB/s, while others upload.
wsd_slow() {
	everything='{"action":"getLogs","timewindow":1e10,"records":true}'
	note "a slow reader"
	sample wsd-whole wsd_whole
	sample wsd-alone load uploads -c 100 -f "$CORPUS" "$url" "$WSD_SECONDS"
	echo 5 >"/proc/$daemon/clear_refs"
	before=$(memory_kb VmRSS)
	beside_first slow -B 1e6 -W "$ONE" -q "$everything" "$url"
	said "$DIR/first.out" "$first"
	sample wsd-beside load uploads -c 100 -f "$CORPUS" "$url" "$WSD_READ_SECONDS"
	after=$(memory_kb VmHWM)
	end_first
	wsd_row "1 record, 100 connections, alone" wsd-alone 3
	wsd_row "1 record, 100, beside a slow reader" wsd-beside 3
	printf '  %-38s %.0f MB, in %.1f s when read at once\n' "the answer it asked for" \
		"$(calc "$(median wsd-whole) / 1e6")" "$(median wsd-whole 2)"
	goal "more memory with a slow reader" "$(calc "($after - $before) / 1024")" at-most 4 " MB"
	goal "p99 of the others, beside a slow reader" \
		"$(calc "$(median wsd-beside 4) / $(median wsd-alone 4)")" at-most 2 " x"
}

# ---- forwarding, and the start ----

wsd_forward() {
	note "forwarding"
	sample wsd-forward load forward -c 1000 -r 10 "-W$ONE" "$url" "$WSD_READ_SECONDS"
	awk '{
		printf "  %-38s %9d   %8.2f ms %8.2f ms %8.2f ms\n", "a notification sent, answered after",
			$1 / 1000, $5 * 1e3, $6 * 1e3, $7 * 1e3
		printf "  %-38s %9d   %8.2f ms %8.2f ms %8.2f ms\n", "  copied to 1000 others after",
			$1, $2 * 1e3, $3 * 1e3, $4 * 1e3
		printf "  %-38s %9s   %8.2f ms %8.2f ms %8.2f ms\n", "  so, behind its answer (-: before it)",
			"", $8 * 1e3, $9 * 1e3, $10 * 1e3
	}' "$DIR/result-wsd-forward"
	goal "after the answer until 1000 others have it, p99" \
		"$(calc "$(median wsd-forward 9) * 1000")" at-most 20 " ms"
}

wsd_ready() {
	rows=$(data ndjson "$WSD_ROWS" "$WATCHDOGS") || exit
	remove_store "$db"
	note "ingesting $WSD_ROWS records"
	monitor-ingest --quiet -d "$db" <"$rows" || fail "ingest: status $?"
	[ "${KEEP:-}" = 1 ] || rm "$rows"
	round=1
	while [ "$round" -le "$QUICK_RUNS" ]; do
		sample wsd-ready ready monitor-wsd --no-auth --listen 127.0.0.1:0 -d "$db" \
			-- monitor-ingest --ack --quiet -d "$db"
		round=$((round + 1))
	done
	printf '  %-38s listening after %.1f ms, ready after %.1f ms\n' "start, $WSD_ROWS records" \
		"$(calc "$(median wsd-ready) * 1000")" "$(calc "$(median wsd-ready 2) * 1000")"
	goal "from start to ready, $WSD_ROWS records" "$(calc "$(median wsd-ready 2) * 1000")" at-most 50 " ms"
}

section_wsd() {
	title "Daemon: uploads are answered once stored; medians of $RUNS alternating runs of $WSD_SECONDS s"
	ulimit -n "$(ulimit -Hn)"
	db=$DIR/wsd.db
	wsd_uploads
	wsd_connections
	wsd_one_store
	wsd_start "$db" --max-connections 2000
	wsd_reads
	wsd_slow
	wsd_forward
	daemon_stop
	wsd_ready
	remove_store "$db"
}
