#!/usr/bin/env bats
# monitor-ingest as a sink: --ack, --listen. The contract: monitor-record(5).

load helper

prepare() {
	export MONITOR_STORE=$PWD/m.db
}

sql() {
	sqlite3 -readonly m.db "$1"
}

rows() {
	[ "$(sql 'SELECT count(*) FROM records' 2>/dev/null)" = "$1" ]
}

# numbered SOURCE FIRST [LAST]: such lines.
numbered() {
	local seq
	for ((seq = $2; seq <= ${3:-$2}; seq++)); do
		printf '{"source":"%s","seq":%d,"level":30,"time":%d,"sender":"%s","message":"m"}\n' \
			"$1" "$seq" "$seq" "$1"
	done
}

# bad SOURCE SEQ: a line that is no record.
bad() {
	printf '{"source":"%s","seq":%d,"level":"high","time":1,"sender":"s","message":"m"}\n' "$1" "$2"
}

ack() {
	printf '{"ack":{"source":"%s","seq":%d}}\n' "$1" "$2"
}

# serve [OPTION]...: an ingester on the socket s; it is $pid, its messages in err.
serve() {
	: >err
	start monitor-ingest --ack --listen unix:s "$@" 2>err
	until_true grep -q 'listening on unix:s' err
}

# call: a connection in the background: write to $to, read from $from.
call() {
	coproc CALL { exec sock dial s 3>&-; }
	STARTED+=("$CALL_PID")
	exec {to}>&"${CALL[1]}" {from}<&"${CALL[0]}"
}

# hear LINE: is that the next answer?
hear() {
	local answer
	read -rt 20 -u "$from" answer
	[ "$answer" = "$1" ] || { echo "heard $answer, not $1" >&2; return 1; }
}

gone() {
	[ ! -e "$1" ]
}

# ---- answers ----

@test "a numbered record is acknowledged when it is in the store, not before" {
	serve
	call
	for seq in 1 2 3 4 5; do
		numbered a "$seq" >&"$to"
		hear "$(ack a "$seq")"
		rows "$seq"
	done
}

@test "one acknowledgement covers a batch, one a source" {
	{ numbered a 1 100; numbered b 5 50; numbered a 101 200; } >in
	run -0 --separate-stderr monitor-ingest --ack in
	[ "$output" = "$(ack a 200; ack b 50)" ]
	rows 246
}

@test "a line that was settled before is dropped and acknowledged, gaps are legal" {
	{ numbered a 0; numbered a 10 20; } | monitor-ingest --ack
	{ numbered a 5; numbered a 15 25; numbered a 1000000000000; } >in
	run -0 monitor-ingest --ack in
	[ "$output" = "$(ack a 1000000000000; echo 'monitor-ingest: 6 records (0 refused, 7 duplicates)')" ]
	[ "$(sql 'SELECT count(*), count(DISTINCT time) FROM records')" = "18|18" ]
}

@test "a refused line is rejected before the acknowledgement that covers it" {
	{ numbered a 1; bad a 2; numbered a 3; bad a 4; } >in
	run -3 --separate-stderr monitor-ingest --ack in
	[ "$(jq -c 'keys_unsorted + [.[].seq]' <<<"$output" | tr -d '\n')" = '["reject",2]["reject",4]["ack",4]' ]
	[ "$(jq -r '.reject.reason // empty' <<<"$output" | sort -u)" = "level: must be an integer" ]
	rows 2
}

@test "a refused line that is sent again is rejected again, and nothing is stored twice" {
	{ numbered a 1; bad a 2; numbered a 3; } >in
	for i in 1 2 3; do
		run -3 --separate-stderr monitor-ingest --ack in
		[ "$(jq -c keys_unsorted[0] <<<"$output" | tr -d '\n')" = '"reject""ack"' ]
	done
	rows 2
}

@test "of a line over the limit, source and seq are read at its head" {
	{
		numbered a 1
		printf '{"source":"a","seq":2,"level":30,"time":1,"sender":"s","message":"%05000d"}\n' 0
		numbered a 3
	} >in
	run -3 --separate-stderr monitor-ingest --ack --max-line 1000 --reject refused in
	[ "$output" = '{"reject":{"source":"a","seq":2,"reason":"the line is longer than 1000 bytes"}}'"
$(ack a 3)" ]
	sed -n 2p in | cmp - refused
}

@test "a line too far in the future is rejected, and its number settled" {
	{ numbered a 1; echo '{"source":"a","seq":2,"level":1,"time":1e12,"sender":"s","message":"m"}'; } >in
	run -3 --separate-stderr monitor-ingest --ack --max-future 1d in
	[ "$output" = '{"reject":{"source":"a","seq":2,"reason":"time: more than 1d ahead of now"}}'"
$(ack a 2)" ]
}

@test "what has no number is stored and not answered" {
	{
		echo '{"level":30,"time":1,"sender":"s","message":"m"}'
		echo 'no JSON at all'
		echo '{"source":"a","level":30,"time":1,"sender":"s","message":"m"}'
		echo '{"seq":1,"level":30,"time":1,"sender":"s","message":"m"}'
	} >in
	run -3 --separate-stderr monitor-ingest --ack in
	[ -z "$output" ]
	rows 1
}

@test "a line cut off by the end of input is not settled: sent again it is stored" {
	{ numbered a 1; numbered a 2 | head -c 60; } >in
	run -3 --separate-stderr monitor-ingest --ack in
	[ "$output" = "$(ack a 1)" ]
	numbered a 2 >in
	run -0 --separate-stderr monitor-ingest --ack in
	[ "$output" = "$(ack a 2)" ]
	rows 2
}

@test "a whole record that only lacks its newline is settled" {
	run -0 --separate-stderr monitor-ingest --ack < <(numbered a 1 | tr -d '\n')
	[ "$output" = "$(ack a 1)" ]
	rows 1
}

@test "source names may hold any character, and come back as they were" {
	printf '{"source":"\\"\\\\\\u0000\\u001bü","seq":1,"level":1,"time":1,"sender":"s","message":"m"}\n' >in
	run -0 --separate-stderr monitor-ingest --ack in
	[ "$(jq -c .ack.source <<<"$output")" = '"\"\\\u0000\u001bü"' ]
	run -0 monitor-ingest --ack in
	rows 1
}

@test "answers to a full disk are an error" {
	[ -c /dev/full ] || skip "no /dev/full"
	numbered a 1 10 >in
	run -1 bash -c 'monitor-ingest --ack in >/dev/full'
	[[ $output == *"No space left on device"* ]]
	rows 10
}

@test "when nobody reads the answers any more, standard input is not read further" {
	mkfifo pipe
	coproc SINK { exec monitor-ingest --ack pipe 3>&- 2>err; }
	STARTED+=("$SINK_PID")
	exec {to}>pipe {from}<&"${SINK[0]}"
	numbered a 1 >&"$to"
	hear "$(ack a 1)"
	pid=$SINK_PID
	exec {from}<&- {SINK[0]}<&-
	numbered a 2 >&"$to"
	status=0
	wait "$pid" || status=$?
	[ "$status" = 1 ]
	grep -q 'nobody reads the answers' err
	rows 2
}

@test "answers that nobody reads at the end of input are no error" {
	mkfifo pipe
	numbered a 1 10 >in
	status=0
	exec {both}<>pipe
	exec {out}>pipe
	exec {both}<&-
	monitor-ingest --ack in >&"$out" || status=$?
	[ "$status" = 0 ]
	rows 10
}

# ---- producers of both forms ----

@test "a producer that has a sink as its child gets everything stored once" {
	producer -n 5000 -b 13 -l 500 -s a -a acked -- monitor-ingest --ack 2>err
	[ "$(tail -n 1 acked)" = 5000 ]
	[ "$(sql 'SELECT count(*), count(DISTINCT time) FROM records')" = "4616|4616" ]
}

@test "many producers on one socket get everything stored once" {
	serve
	local pids=()
	for i in {1..20}; do
		start producer -n 500 -b 7 -l 50 -s "p$i" unix:s
		pids+=("$pid")
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	[ "$(sql 'SELECT count(*), sum(n), min(n), max(n) FROM
		(SELECT sender, count(DISTINCT time) AS n FROM records GROUP BY sender)')" = "20|8580|429|429" ]
	rows 8580
}

@test "on a socket a source belongs to the user at the other end" {
	numbered a 1 9 | monitor-ingest --ack
	serve
	call
	numbered a 1 >&"$to"
	hear "$(ack a 1)"
	rows 10
	[ "$(sql 'SELECT source, seq FROM mark ORDER BY 1' | tr '\n' ' ')" = "a|9 uid:$(id -u)/a|1 " ]
}

@test "without --ack lines from a socket are stored, and not answered" {
	start monitor-ingest --listen unix:s 2>err
	until_true grep -q 'listening on' err
	{ numbered a 1 5; numbered a 1 5; } | sock dial s >out
	until_true rows 10
	[ ! -s out ]
}

@test "lines of a producer that has gone are stored" {
	serve
	numbered a 1 1000 | sock deaf s
	until_true rows 1000
}

@test "a line cut off by a producer's end is left for it to send again" {
	serve
	{ numbered a 1; numbered a 2 | head -c 60; } | sock deaf s
	until_true grep -q ':2: ' err
	call
	numbered a 2 >&"$to"
	hear "$(ack a 2)"
	rows 2
}

@test "bad lines of a connection are reported with who sent them" {
	serve --reject refused
	call
	bad a 7 >&"$to"
	read -rt 20 -u "$from" answer
	[[ $answer == '{"reject":{"source":"a","seq":7,'* ]]
	hear "$(ack a 7)"
	grep -q "monitor-ingest: process $CALL_PID of user $(id -u):1: level: must be" err
	bad a 7 | cmp - refused
}

@test "a producer that reads no answers does not hold up others, nor grow the memory" {
	serve
	# Every line is another source: an answer each, some 100 MB of them.
	seq 1 1000000 | sed 's/.*/{"source":"a source with a name that is a little long &","seq":1}/' >in
	start sh -c 'exec sock deaf s <in'
	deaf=$pid
	until_true grep -q 'level: missing' err
	numbered a 1 1000 >some
	for i in {1..20}; do
		sock dial s <some >out
		[ "$(tail -n 1 out)" = "$(ack a 1000)" ]
	done
	most=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/${STARTED[0]}/status")
	case $BUILD in *address* | *thread*) ;; *) [ "$most" -le 131072 ] ;; esac
	kill -0 "$deaf"
	rows 1000
}

@test "more long lines at a time than memory allows take turns" {
	serve --max-line 8M
	head -c 1000000 /dev/zero | tr '\0' x >text
	local pids=()
	for i in {1..12}; do
		{ numbered "p$i" 1 | tr -d '\n' | sed 's/m"}$//' && cat text && printf '"}\n'; } >"in$i"
	done
	for i in {1..12}; do
		start sh -c "exec sock dial s <in$i >out$i"
		pids+=("$pid")
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	for i in {1..12}; do ack "p$i" 1 | cmp - "out$i"; done
}

@test "a producer that stalls in a long line does not hold up short ones" {
	serve --max-line 16M
	call
	{ numbered a 1 | tr -d '}\n' && head -c 1000000 /dev/zero | tr '\0' ' '; } >&"$to"
	for i in 1 2 3; do
		numbered b "$i" | sock dial s >out
		ack b "$i" | cmp - out
	done
	echo '}' >&"$to"
	hear "$(ack a 1)"
}

@test "out of descriptors, it serves those who are there, and the others later" {
	: >err
	start bash -c 'ulimit -n 24 && exec monitor-ingest --ack --listen unix:s' 2>err
	until_true grep -q 'listening on' err
	server=$pid
	coproc HOLD { exec sock hold s 30 3>&-; }
	STARTED+=("$HOLD_PID")
	read -rt 20 -u "${HOLD[0]}"
	until_true grep -q 'Too many open files' err
	kill -0 "$server"
	exec {HOLD[1]}>&-
	numbered a 1 | sock dial s >out
	ack a 1 | cmp - out
}

# ---- the socket ----

@test "the socket has mode 0660, and is removed at the end" {
	serve
	[ "$(stat -c %a s)" = 660 ]
	call
	numbered a 1 >&"$to"
	hear "$(ack a 1)"
	kill "$pid"
	wait "$pid"
	gone s
	rows 1
}

@test "a socket that nobody answers on is replaced" {
	serve
	kill -KILL "$pid"
	wait "$pid" || true
	[ -S s ]
	serve
	numbered a 1 | sock dial s >out
	ack a 1 | cmp - out
}

@test "a socket that somebody answers on is left alone, as is what is no socket" {
	serve
	run -1 monitor-ingest --ack --listen unix:s
	[[ $output == *"unix:s: another process answers there"* ]]
	numbered a 1 | sock dial s >out
	ack a 1 | cmp - out
	echo text >file
	run -2 monitor-ingest --listen unix:file
	[[ $output == *"unix:file: "*"no socket"* ]]
	[ "$(cat file)" = text ]
	run -1 monitor-ingest --listen unix:missing/s
	[[ $output == *"unix:missing/s: No such file or directory"* ]]
}

@test "at its end it does not remove a socket that is not its own" {
	serve
	first=$pid
	mv s old
	serve
	kill "$first"
	wait "$first"
	numbered a 1 | sock dial s >out
	ack a 1 | cmp - out
}

@test "it listens on several sockets" {
	start monitor-ingest --ack --listen unix:s --listen unix:t 2>err
	until_true grep -q 'listening on unix:t' err
	numbered a 1 | sock dial s >out
	numbered a 2 | sock dial t >>out
	{ ack a 1; ack a 2; } | cmp - out
	kill "$pid"
	wait "$pid"
	gone s
	gone t
}

@test "it takes over the socket that a service manager passes, and leaves it there" {
	start sock activate s monitor-ingest --ack --listen systemd: 2>err
	until_true grep -q 'listening on systemd:' err
	numbered a 1 | sock dial s >out
	ack a 1 | cmp - out
	kill "$pid"
	wait "$pid"
	[ -S s ]
}

@test "without a passed socket --listen systemd: is an error" {
	run -2 monitor-ingest --listen systemd:
	[[ $output == *"no sockets were passed"* ]]
	LISTEN_PID=1 LISTEN_FDS=1 run -2 monitor-ingest --listen systemd:
}

@test "the service manager is told when it is ready and when it stops" {
	start sock notified "$PWD/notify" >told
	until_true test -S notify
	start env NOTIFY_SOCKET="$PWD/notify" monitor-ingest --quiet --ack --listen unix:s
	until_true grep -qx READY=1 told
	numbered a 1 | sock dial s >out
	ack a 1 | cmp - out
	kill "$pid"
	wait "$pid"
	until_true grep -qx STOPPING=1 told
}

@test "a signal: what was read whole is stored and acknowledged, and connections end" {
	serve
	call
	{ numbered a 1; numbered a 2 | head -c 50; } >&"$to"
	hear "$(ack a 1)"
	kill "$pid"
	wait "$pid"
	status=0
	read -rt 20 -u "$from" answer || status=$?
	[ "$status" = 1 ]
	rows 1
}

@test "a signal does not wait for long for a producer that reads no answers" {
	serve
	seq 1 100000 | sed 's/.*/{"source":"a source with a name that is a little long &","seq":1}/' >in
	server=$pid
	start sh -c 'exec sock deaf s <in'
	until_true grep -q 'more refused' err
	before=$SECONDS
	kill "$server"
	wait "$server"
	[ $((SECONDS - before)) -lt 20 ]
}
