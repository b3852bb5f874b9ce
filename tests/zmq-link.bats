#!/usr/bin/env bats
# monitor-zmq push and pull: the sink contract from host to host. When the network itself fails:
# zmq-partition.bats.

load helper
load zmq

# number N [SOURCE]: a numbered record.
number() {
	printf '{"source":"%s","seq":%d,"kind":"log","watchdog":"w1","level":30,"time":%d.5,"sender":"%s","message":"number %d"}\n' \
		"${2:-s}" "$1" $((1700000000 + $1)) "${2:-s}" "$1"
}

numbers() {
	local i
	for ((i = $1; i <= $2; i++)); do number "$i" "${@:3}"; done
}

# pull [OPTION]... [-- SINK...]: a puller, by default to the store m.db; its messages are in pull.err,
# it listens at $there. Once more: at the same place.
pull() {
	[ $# -gt 0 ] && [[ " $* " == *" -- "* || " $* " == *" --sink"* ]] ||
		set -- "$@" -- monitor-ingest --quiet --ack --reject refused -d m.db
	beside pull monitor-zmq pull --metrics 127.0.0.1:0 --bind "${there:-tcp://127.0.0.1:0}" "$@"
	pull=$pid
	until_true endpoint_is_there pull.err
	there=$(endpoint pull.err)
}

# push NAME [OPTION]...: a pusher that reads from the descriptor $to and acknowledges in NAME.out.
push() {
	feed "$1" monitor-zmq push --ack --metrics 127.0.0.1:0 --retry 20ms..100ms "${@:2}" "$there"
	push=$pid
}

acked() {
	[ "$(tail -n 1 "$1" | jq .ack.seq)" = "$2" ]
}

count() {
	sqlite3 -readonly -cmd '.timeout 20000' m.db "SELECT count(*) FROM records ${1-}"
}

stored() {
	[ -e m.db ] && [ "$(count)" = "$1" ]
}

# ---- lines there, answers back ----

@test "records from standard input are in the far store when push ends" {
	pull
	run -0 monitor-zmq push "$there" <"$PROJECT/share/sample.ndjson"
	[[ $output == *"868 lines settled (0 refused, 0 sent again)"* ]]
	[ "$(count)" = 868 ]
	cmp <(monitor-query -q -d m.db -o ndjson | sort) <(sort "$PROJECT/share/sample.ndjson")
}

@test "who takes no long messages is sent none" {
	pull --max-message 100k
	seq 30000 | sed 's/.*/{"level":30,"time":&,"sender":"s","message":"number &"}/' >lines
	run -0 timeout 20 monitor-zmq push "$there" <lines
	[[ $output == *"30000 lines settled (0 refused, 0 sent again)"* ]]
	[ "$(count)" = 30000 ]
}

@test "with --ack it is a sink, and says only what the far sink has said" {
	mkfifo answers
	exec {say}<>answers
	pull -- sh -c 'cat answers & exec cat >got'
	push p
	numbers 1 3 >lines
	cat lines >&"$to"   # at once: a batch is acknowledged as a whole
	until_true has_lines got 3
	[ ! -s p.out ]
	echo '{"reject":{"source":"tcp:127.0.0.1/s","seq":2,"reason":"not today"}}' >&"$say"
	until_true has_lines p.out 1
	[ "$(cat p.out)" = '{"reject":{"source":"s","seq":2,"reason":"not today"}}' ]
	echo '{"ack":{"source":"tcp:127.0.0.1/s","seq":2}}' >&"$say"
	echo '{"ack":{"source":"tcp:127.0.0.1/s","seq":3}}' >&"$say"
	until_true acked p.out 3
	[ "$(wc -l <p.out)" = 2 ]
	exec {to}>&-
	status=0
	wait "$push" || status=$?
	[ "$status" = 3 ]
}

@test "each source counts under its peer's name, and is answered under its own" {
	pull -- sh -c 'tee got | jq -c --unbuffered "{ack: {source, seq}}"'
	long=$(printf 'x%.0s' {1..255})
	push p
	{ number 1 a; number 7 'tcp:127.0.0.1/a'; number 9 "$long"; } >&"$to"
	until_true has_lines p.out 3
	jq -r .source got | cut -c 1-29 >sources
	diff sources - <<-'END'
		tcp:127.0.0.1/a
		tcp:127.0.0.1/tcp:127.0.0.1/a
		tcp:127.0.0.1/sha256-d22609da
	END
}

@test "lines without a number are stored once, too, and not acknowledged" {
	pull
	push p
	{
		echo '{"level":1,"time":1,"sender":"s","message":"bare"}'
		number 1
		echo '{"seq":1,"level":1,"time":1,"sender":"s","message":"half a number"}'
		echo 'no JSON'
		printf '\n \r\n'
	} >&"$to"
	until_true stored 2
	kill -KILL "$pull"
	wait "$pull" || true
	pull
	number 2 >&"$to"
	until_true acked p.out 2
	exec {to}>&-
	status=0
	wait "$push" || status=$?
	[ "$status" = 3 ]
	[ "$(count)" = 3 ]
	jq -e 'select(.ack.source != "s")' p.out && return 1
	grep -q 'standard input:3: source: missing beside seq' p.err
	grep -q 'standard input:4: not JSON' p.err
}

@test "without --ack numbers mean nothing: lines that have them are all stored" {
	pull
	{ number 5; number 5; number 3; } | monitor-zmq push -q "$there" >out
	[ "$(count)" = 3 ]
	[ ! -s out ]
}

@test "a refused line is told with its number, before the acknowledgement that covers it" {
	pull -- monitor-ingest --quiet --ack -d m.db --max-future 1h
	push p
	{
		number 1
		echo '{"source":"s","seq":2,"level":"high"}'
		number 3 | sed 's/17000/97000/'
		echo '{"seq":4,"level":1,"source":"s"'
		number 5
	} >lines
	cat lines >&"$to"   # at once, or the first may be acknowledged before the others are read
	until_true acked p.out 5
	jq -r 'select(.reject) | "\(.reject.seq) \(.reject.reason)"' p.out | sort >rejects
	diff rejects - <<-'END'
		2 time: missing
		3 time: more than 1h ahead of now
		4 not JSON: the line ends too early
	END
	[ "$(jq -s 'map(select(.ack)) | .[0].ack.seq' p.out)" -ge 5 ]
	[ "$(count)" = 2 ]
	# As at monitor-ingest, whoever refused it.
	echo '{"source":"t","seq":1,"level":"high"}' >in
	run -3 monitor-zmq push --ack "$there" <in
	[[ $output == *"1 line settled (1 refused,"* ]]
	printf '{"source":"t","seq":2,"message":"%0200d"}\n' 0 >in
	run -3 monitor-zmq push --ack --max-line 100 "$there" <in
	[[ $output == *"1 line settled (1 refused,"* ]]
}

@test "a line that is too long is refused with its number, and the next is taken" {
	pull
	push p --max-line 10k
	{
		number 1
		printf '{"source":"s","seq":2,"message":"%020000d"}\n' 0
		printf '{"message":"%020000d"}\n' 0
		number 3
		printf '{"source":"s","seq":4,"message":"%020000d"}\n' 0
	} >&"$to"
	until_true acked p.out 4
	[ "$(count)" = 2 ]
	[ "$(jq -r 'select(.reject) | "\(.reject.seq) \(.reject.reason)"' p.out | grep longer)" = \
		"$(printf '%s\n' '2 the line is longer than 10240 bytes' '4 the line is longer than 10240 bytes')" ]
	# Below that, and longer than any batch:
	push q --max-line 4M
	printf '{"source":"q","seq":1,"level":1,"time":1,"sender":"q","message":"%0300000d"}\n' 0 >&"$to"
	until_true acked q.out 1
	[ "$(count 'WHERE length(message) = 300000')" = 1 ]
}

@test "a last line that is cut off is taken without --ack, and left to its producer with it" {
	pull
	{ number 1; number 2 | tr -d '\n'; } | monitor-zmq push -q "$there"
	[ "$(count)" = 2 ]
	{ number 1; number 2 | tr -d '\n'; } | monitor-zmq push -q --ack "$there" >out
	[ "$(tail -n 1 out | jq .ack.seq)" = 1 ]
	[ "$(count)" = 3 ]
}

@test "lines that lack a kind or a watchdog get those that push was told, or pull" {
	pull -k notification -W far -- monitor-ingest --quiet --ack -d m.db -W last
	bare='{"level":1,"time":1,"sender":"s","message":"m"'
	echo "$bare}" | monitor-zmq push -q -W near "$there"
	echo "$bare,\"source\":\"s\",\"seq\":1}" | monitor-zmq push -q --ack -W near "$there" >out
	run -0 monitor-query -q -d m.db -o ndjson
	[[ $output == *'"kind":"log","watchdog":"near"'*'"kind":"notification","watchdog":"far"'* ]] ||
		[[ $output == *'"kind":"notification","watchdog":"far"'*'"kind":"log","watchdog":"near"'* ]]
}

@test "a device's upload to a daemon at the edge is acknowledged when it is on the disk elsewhere" {
	pull
	kill -STOP "$pull"
	beside wsd monitor-wsd --no-auth --listen 127.0.0.1:0 -- monitor-zmq push --ack --metrics 127.0.0.1:0 \
		--retry 20ms..100ms "$there"
	until_true says wsd.err 'figures are at'
	until_true says wsd.err 'listening on'
	url=ws://$(sed -n 's/.*wsd: listening on \([^ ]*\).*/\1/p' wsd.err)/ws
	record='{"level":20,"time":1700000001.5,"sender":"me","message":"hello"}'
	ws -t w1 "$url" <<<"{\"action\":\"uploadLogs\",\"logs\":[$record,$record]}" >answer &
	STARTED+=($!)
	device=$!
	until_true figure_is wsd.err push_unsettled_lines 2
	[ ! -s answer ]
	kill -KILL "$pull"
	wait "$pull" || true
	pull
	wait "$device"
	grep -q 'Inserted 2 log(s) into db.' answer
	[ "$(count "WHERE watchdog = 'w1'")" = 2 ]
}

# ---- whatever is killed ----

# exactly_once SOURCE LAST BAD: all numbers that were not refused are there once.
exactly_once() {
	[ "$(count "WHERE sender = '$1'")" = $(($2 - $2 / $3)) ]
	[ "$(sqlite3 -readonly m.db "SELECT count(DISTINCT time) FROM records WHERE sender = '$1'")" = $(($2 - $2 / $3)) ]
}

@test "killed pullers, pushers and sinks: every record exactly once, none acknowledged before" {
	pull
	for source in a b; do
		start producer -s "$source" -n 3000 -b 17 -l 300 -r 1500 -a "acked.$source" -- \
			monitor-zmq push --ack -q --retry 20ms..100ms "$there"
		eval "$source=$pid"
	done
	for i in {1..4}; do
		until_true has_lines acked.a $((i * 30))
		kill -KILL "$pull"
		wait "$pull" || true
		pull
		until_true has_lines acked.b $((i * 30 + 15))
		case $i in
		1 | 3) kill -KILL "$(pgrep -P "$a")" ;;
		2) kill -KILL "$(pgrep -P "$pull")" ;;
		esac
	done
	wait "$a"
	wait "$b"
	exactly_once a 3000 17
	exactly_once b 3000 17
	[ "$(tail -n 1 acked.a) $(tail -n 1 acked.b)" = "3000 3000" ]
}

@test "with --sink unix:PATH lines go to an ingester that others use, too; when it comes back it is connected to again" {
	beside ingest monitor-ingest --quiet --ack --listen unix:sink -d m.db
	ingest=$pid
	pull --sink unix:sink --retry 20ms..100ms
	push p
	numbers 1 3 >&"$to"
	until_true acked p.out 3
	kill -KILL "$ingest"
	wait "$ingest" || true
	numbers 4 6 >&"$to"
	until_true says pull.err "trying again"
	numbers 7 9 other | monitor-ingest --quiet -d m.db
	beside ingest monitor-ingest --quiet --ack --listen unix:sink -d m.db
	until_true acked p.out 6
	[ "$(count)" = 9 ]
}

@test "a puller that is not there yet is waited for, and one that came back is told of" {
	there=ipc://link
	push p
	numbers 1 100 >&"$to"
	until_true figure_exceeds p.err push_unsettled_lines 99
	pull
	until_true acked p.out 100
	kill "$pull"
	wait "$pull"
	numbers 101 200 >&"$to"
	pull
	until_true acked p.out 200
	[ "$(figure p.err push_puller_restarts_total)" = 1 ]
	[ "$(count)" = 200 ]
}

@test "SIGTERM: push settles what it has read, pull what it has taken" {
	pull
	push p
	numbers 1 5000 >&"$to"
	until_true acked p.out 5000
	kill "$push"
	wait "$push"
	grep -q '5000 lines settled' p.err
	kill "$pull"
	wait "$pull"
	[ "$(count)" = 5000 ]
	push q --stop-timeout 100ms
	number 1 q >&"$to"
	until_true figure_is q.err push_unsettled_lines 1
	kill "$push"
	status=0
	wait "$push" || status=$?
	[ "$status" = 1 ]
	grep -q '1 line is not settled' q.err
}

@test "when nobody reads the acknowledgements, push settles what it has, and ends" {
	pull
	mkfifo p.out
	push p
	exec {from}<p.out
	numbers 1 10 >&"$to"
	read -ru "$from" line
	exec {from}<&-
	status=0
	wait "$push" || status=$?
	[ "$status" = 1 ]
	grep -q 'standard output: nobody reads the answers' p.err
	stored 10
}

# ---- limits ----

# A file's position that somebody has read to.
position() {
	awk '$1 == "pos:" { print $2 }' "/proc/$1/fdinfo/0"
}

peak() {
	awk '$1 == "VmHWM:" { print $2 }' "/proc/$1/status"
}

@test "a sink that takes nothing: pull grants no more, push reads no more, in bounded memory" {
	numbers 1 2000 >some
	for i in {1..150}; do cat some; done >much.in
	pull --room 2M -- sleep 1000
	beside much monitor-zmq push --ack --metrics 127.0.0.1:0 --max-unsettled 8M "$there"
	push=$pid
	until_true figure_exceeds much.err push_unsettled_bytes 5000000
	until_true figure_exceeds pull.err sink_unsettled_bytes 2000000
	figure_exceeds much.err push_welcome 0
	# Some more time to take too much, if they would: pull sends a word every three seconds.
	sent=$(figure pull.err sent_total)
	until_true figure_exceeds pull.err sent_total "$sent"
	[ "$(position "$push")" -lt 12000000 ]
	[ "$(figure pull.err sink_unsettled_bytes)" -lt 6000000 ]
	case $BUILD in *address* | *thread*) skip "memory is not ours to measure" ;; esac
	[ "$(peak "$push")" -lt 32768 ]
	[ "$(peak "$pull")" -lt 32768 ]
}

@test "a pusher that sends without end does not keep another from being heard" {
	pull --room 1M -- jq -c --unbuffered '{ack: {source, seq}}'
	mkfifo many.in
	beside many monitor-zmq push --metrics 127.0.0.1:0 "$there"
	start bash -c "exec yes '{\"level\":1,\"time\":1,\"sender\":\"s\",\"message\":\"again\"}' >many.in"
	until_true figure_exceeds many.err push_settled_lines_total 1000
	push p
	for i in {1..20}; do
		number "$i" >&"$to"
		until_true acked p.out "$i"
	done
	figure_exceeds many.err push_unsettled_lines 1000
}

# ---- who is at the other end ----

# speak KIND MESSAGE...: a peer of another make: sends each message, a Python list of bytes, and
# prints what comes back, as many answers as it sent messages or what comes in a second.
speak() {
	"$PYTHON" - "$there" "$@" <<-'END'
		import sys, zmq
		endpoint, kind = sys.argv[1:3]
		context = zmq.Context()
		socket = context.socket(getattr(zmq, kind))
		socket.connect(endpoint)
		for message in sys.argv[3:]:
		    socket.send_multipart(eval(message))
		for message in sys.argv[3:]:
		    if not socket.poll(1000):
		        break
		    print(socket.recv_multipart())
		socket.close(linger=5000)
		context.term()
	END
}

HEAD='b"mzr1\1\0\0\0" + bytes(16)'

@test "garbage, surprises of several frames, and wrong verbs are counted and dropped" {
	pull --max-message 1M
	push p
	number 1 >&"$to"
	until_true acked p.out 1
	speak DEALER '[b""]' '[b"", b"hello"]' '[b"hello"]' '[b"a", b"b", b"c"]' '[b"mzr9" + bytes(40)]' \
		'[b"mzr1\4\0\0\0" + bytes(40)]' '[b"mzr1\0\0\0\0" + bytes(100)]' '[b"\0" * 100000]' >answers
	until_true figure_is pull.err pull_odd_messages_total 8
	[ ! -s answers ]
	# Lines of somebody who has not greeted: he is asked to, and no more.
	speak DEALER "[$HEAD + b'no JSON\n']" >answers
	grep -q '^.b.mzr1.x05' answers
	[ "$(figure pull.err pull_ungreeted_total)" = 1 ]
	ended=$(figure pull.err connections_ended_total)
	start speak DEALER '[b"x" * 2000000]'
	until_true figure_exceeds pull.err connections_ended_total "$ended"
	start monitor-zmq sub --retry 20ms "$there" 2>wrong.err
	until_true says wrong.err "the other end is not as expected"
	number 2 >&"$to"
	until_true acked p.out 2
	[ "$(figure p.err connections_ended_total)" = 0 ]
}

@test "a pusher at a server of requests is answered nonsense, and does not mind; nor does the server" {
	number 1 | monitor-ingest -q -d m.db
	beside serve monitor-zmq serve --metrics 127.0.0.1:0 -d m.db tcp://127.0.0.1:0
	until_true endpoint_is_there serve.err
	there=$(endpoint serve.err)
	push p
	number 1 >&"$to"
	until_true figure_exceeds p.err push_odd_messages_total 0
	until_true figure_exceeds serve.err odd_total 0
	[ ! -s p.out ]
	speak REQ '[b"""{"action":"ping","watchdog":"w1"}"""]' | grep -q success
	kill -0 "$push"
}

@test "without CURVE all of one host are one peer" {
	pull -- sh -c 'tee got | jq -c --unbuffered "{ack: {source, seq}}"'
	number 1 | monitor-zmq push -q --ack "$there"
	number 2 | monitor-zmq push -q --ack "$there"
	[ "$(jq -r .source got | sort -u)" = tcp:127.0.0.1/s ]
	there=ipc://link
	pull -- sh -c 'tee got | jq -c --unbuffered "{ack: {source, seq}}"'
	number 3 | monitor-zmq push -q --ack "$there"
	[ "$(jq -r .source got)" = "uid:$(id -u)/s" ]
}

@test "with CURVE each key is a peer, and none can spend another's numbers" {
	for name in central a b; do keys $name; done
	monitor-zmq keygen stranger >/dev/null
	printf '%s a\n%s b\n' "$a" "$b" >allowed
	pull --curve-key central.key --curve-allow allowed
	number 5 | monitor-zmq push -q --ack --curve-key a.key --curve-server-key "$central" "$there" >a.out
	{ number 1; number 2; number 4 "curve:$a/s"; } |
		monitor-zmq push -q --ack --curve-key b.key --curve-server-key "$central" "$there" >b.out
	number 4 | monitor-zmq push -q --ack --curve-key a.key --curve-server-key "$central" "$there" >a2.out
	[ "$(jq .ack.seq a.out) $(jq .ack.seq a2.out)" = "5 4" ]
	# Number 4 of a was settled with number 5; nothing that b sent was.
	[ "$(count)" = 4 ]
	[ "$(sqlite3 -readonly m.db 'SELECT count(*) FROM mark')" = 3 ]
	# Who is not allowed gets nothing.
	number 9 x >x.in
	beside x monitor-zmq push --ack --curve-key stranger.key --curve-server-key "$central" "$there"
	until_true says x.err 'our key is not allowed there'
	until_true says pull.err 'is not allowed'
	figure_exceeds pull.err handshakes_failed_total 0
	[ ! -s x.out ]
}

@test "a pusher whose key is taken off the list is cut off, the others go on" {
	for name in central a b; do keys $name; done
	printf '%s a\n%s b\n' "$a" "$b" >allowed
	pull --curve-key central.key --curve-allow allowed
	push pa --curve-key a.key --curve-server-key "$central"
	exec {to_a}>&"$to"
	push pb --curve-key b.key --curve-server-key "$central"
	exec {to_b}>&"$to" {to}>&-
	number 1 >&"$to_a"
	number 1 >&"$to_b"
	until_true acked pa.out 1
	until_true acked pb.out 1
	printf '%s b\n' "$b" >allowed
	kill -HUP "$pull"
	until_true says pa.err 'our key is not allowed there'
	number 2 >&"$to_a"
	number 2 >&"$to_b"
	until_true acked pb.out 2
	[ "$(wc -l <pa.out)" = 1 ]
	[ "$(count)" = 3 ]
}

# ---- options ----

@test "push and pull: what makes no sense is refused" {
	run -2 monitor-zmq push
	run -2 monitor-zmq push ipc://a ipc://b
	[[ $output == *"push connects to one endpoint"* ]]
	run -2 monitor-zmq push --bind ipc://a
	run -2 monitor-zmq pull ipc://a
	[[ $output == *"a sink is needed"* ]]
	run -2 monitor-zmq pull --connect ipc://a -- cat
	[[ $output == *"pull listens"* ]]
	run -2 monitor-zmq pull ipc://a --sink unix:s -- cat
	run -2 monitor-zmq pull ipc://a --
	run -2 monitor-zmq pull ipc://a --sink s
	for option in --room=0 --max-message=x --stop-timeout=-1 --kind=x --watchdog=w.1; do
		run -2 monitor-zmq pull "$option" ipc://a -- cat
		[[ $output == *"${option%%=*}"* ]]
	done
	for option in --max-line=0 --max-line=257M --max-unsettled=x --patience=0 --stop-timeout=x --kind=x --watchdog=w.1; do
		run -2 monitor-zmq push "$option" ipc://a
		[[ $output == *"${option%%=*}"* ]]
	done
	run -1 monitor-zmq pull ipc://a -- ./no-such-sink
	[[ $output == *"./no-such-sink"* ]]
}
