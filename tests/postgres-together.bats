#!/usr/bin/env bats
# PostgreSQL, with everything at once; and records on their way from one engine to the other.

load helper
load wsd
load postgres

# daemon NAME: with a sink of its own; its port is in ${ports[NAME]}.
declare -A ports
daemon() {
	start monitor-wsd --no-auth --listen 127.0.0.1:0 -d "$URL" -- \
		monitor-ingest --quiet --ack -d "$URL" 2>"err.$1" >/dev/null
	the_port "err.$1"
	ports[$1]=$port
}

# client NAME PORT TIME: numbered records from TIME on, which NAME uploads; sent again until they are
# settled.
COUNT=3000
client() {
	printf %s "w-$1" >"token.$1"
	start producer -s "$1" -n $COUNT -r 1000 -a "acked.$1" -t "$3" -- monitor-ingest --quiet --ack \
		--url "ws://127.0.0.1:$2" --token-file "token.$1" 2>"err.$1"
}

acked_beyond() { [ "$(tail -n 1 acked.c1)" -gt "$1" ]; }

# Whoever asks, and purges, is turned away now and then while the server restarts.
ask() {
	while :; do
		monitor-query -q -d "$URL" -W w-c1 -n 50 >/dev/null || true
		monitor-query -q -d "$URL" --senders >/dev/null || true
	done
} 2>>err.ask
purge() {
	while :; do
		monitor-purge -q -d "$URL" --logs-timewindow 2d --notifications-timewindow 2d || true
	done
} 2>>err.purge

# each_once: lines 'SENDER TIME'; says how many of c1, c2, c3 there are, if none is there twice.
each_once() {
	awk '$1 ~ /^c/ { if (seen[$1, $2]++) twice++; n[$1]++ } END { print n["c1"], n["c2"], n["c3"], twice + 0 }'
}
followed() { jq -r '"\(.sender) \(.time)"' followed | each_once; }
all_followed() { [ "$(followed)" = "$COUNT $COUNT $COUNT 0" ]; }

@test "three daemons' ingesters, a follower, queries and a purge, and the server restarted, and a backend killed: every record once" {
	now=$(date +%s)
	for i in 1 2 3; do daemon $i; done
	start monitor-query -d "$URL" -f --no-tail -o ndjson >followed 2>err.follow
	follower=$pid
	start ask
	start purge
	clients=()
	for i in 1 2 3; do
		client "c$i" "${ports[$i]}" "$now"
		clients+=("$pid")
	done
	client old "${ports[2]}" $((now - 864000))
	clients+=("$pid")

	until_true acked_beyond 500
	server restart fast
	until_true acked_beyond 1000
	server restart immediate
	until_true acked_beyond 1500
	victim=$(sql "SELECT pid FROM pg_stat_activity WHERE application_name = 'monitor writer' LIMIT 1")
	[ -n "$victim" ]
	kill -KILL "$victim"
	for pid in "${clients[@]}"; do wait "$pid"; done

	until_true all_followed
	kill -TERM "$follower"
	wait "$follower"
	[ "$(sql "SELECT sender, time FROM monitor.records" | tr '|' ' ' | each_once)" = "$COUNT $COUNT $COUNT 0" ]
	monitor-purge -q -d "$URL" --logs-timewindow 2d --notifications-timewindow 2d
	[ "$(monitor-query -d "$URL" -W w-old --count)" = 0 ]
	[ "$(monitor-query -d "$URL" -W w-c1 --count)" = "$COUNT" ]
	monitor-query -d "$URL" --verify
}

# odd_records: such as hold what could get lost on the way.
odd_records() {
	cat <<-'END'
		{"kind":"log","watchdog":"w1","level":30,"time":0.1,"sender":"","message":""}
		{"kind":"notification","watchdog":"w1","level":-9223372036854775808,"time":1e300,"sender":"s","message":"far"}
		{"kind":"notification","watchdog":"w1","level":9223372036854775807,"time":-1e300,"sender":"s","message":"far"}
		{"kind":"log","watchdog":"w1","level":30,"time":5e-324,"sender":"s","message":"small"}
		{"kind":"log","watchdog":"w1","level":30,"time":-0.0,"sender":"s","message":"minus nothing"}
		{"kind":"log","watchdog":"w1","level":30,"time":1732280000.1234567,"sender":"a\u0000b","message":"\u0000 \u0010 \u00100 \u0010\u0010 \u0000"}
		{"kind":"log","watchdog":"w_1-X","level":30,"time":1732280000.1234569,"sender":"Grüße","message":"😀 \\ \" \t\r\n \u007f"}
		{"kind":"log","watchdog":"w1","level":30,"time":1732280000.123457,"sender":"s","message":"m","pid":7,"nested":{"a":[1,"\u0000",null,1.0e2]},"big":12345678901234567890}
		{"kind":"log","watchdog":"w1","level":30,"time":1732280000.123457,"sender":"s","message":"same time, later"}
	END
	printf '{"kind":"log","watchdog":"w1","level":30,"time":1732280001,"sender":"s","message":"%0200000d"}\n' 7
	records 3000 "$(($(date +%s) - 5000))"
	cat "$PROJECT/share/sample.ndjson"
}

@test "records that are piped from SQLite to PostgreSQL and back are the same, each bit of them" {
	odd_records | monitor-ingest -q -d one.db
	monitor-query -d one.db -o ndjson >one
	[ "$(wc -l <one)" -ge 3010 ]
	monitor-query -d one.db -o ndjson | monitor-ingest -q -d "$URL"
	monitor-query -d "$URL" -o ndjson >there
	cmp one there
	monitor-query -d "$URL" -o ndjson | monitor-ingest -q -d two.db
	monitor-query -d two.db -o ndjson >two
	cmp one two
	monitor-query -d "$URL" --verify
}

@test "through a pooler that gives each transaction another connection: ingest, query, follow, purge" {
	server pool
	pooled=$URL'&port=6432'
	records 5000 "$(date +%s)" >in
	start monitor-query -d "$pooled" -f --no-tail -o ndjson >followed
	follower=$pid
	split -n l/3 in part.
	ingesters=()
	for part in part.*; do
		start monitor-ingest -q -d "$pooled" "$part"
		ingesters+=("$pid")
	done
	for pid in "${ingesters[@]}"; do wait "$pid"; done
	[ "$(monitor-query -d "$pooled" --count)" = 5000 ]
	monitor-query -d "$pooled" -o ndjson | cmp in
	until_true eval '[ "$(wc -l <followed)" = 5000 ]'
	records 1 | monitor-ingest -q -d "$pooled"
	until_true eval '[ "$(wc -l <followed)" = 5001 ]'
	[ "$(sort -u followed | wc -l)" = 5001 ]
	kill -TERM "$follower"
	wait "$follower"
	monitor-purge -q -d "$pooled" --logs-timewindow 1d
	[ "$(monitor-query -d "$pooled" --count)" = 5000 ]
}
