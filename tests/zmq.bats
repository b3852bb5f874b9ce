#!/usr/bin/env bats
# monitor-zmq: proxy, pub and sub, and what all verbs do alike. With CURVE: zmq-curve.bats; push and
# pull: zmq-link.bats.
# shellcheck disable=SC2086 # endpoints are words

load helper
load zmq

LOCAL="tcp://127.0.0.1:0 tcp://127.0.0.1:0"

# ---- records ----

@test "a published record comes to every subscriber once, in order, over tcp and ipc" {
	for ends in "$LOCAL" "ipc://front ipc://back"; do
		broker $ends
		subscribe one --kind log
		subscribe two
		series 1 500 | publish
		until_true has_lines one.out 500
		until_true has_lines two.out 500
		series 1 500 >want
		cmp want one.out
		cmp want two.out
		kill "$broker"
		wait "$broker"
	done
}

@test "a subscriber gets what it asked for: a kind, watchdogs, and none whose code only begins alike" {
	broker $LOCAL
	subscribe w1 --watchdog w1
	subscribe both -k notification -W w2 -W w10
	subscribe logs --kind log
	{
		record 1 w1; record 2 w10; record 3 w2 notification; record 4 w1 notification
		record 5 w10 notification; record 6 w2; record 7 w
		echo '{"level":1,"time":8,"sender":"s","message":"no kind, no watchdog"}'
	} >in
	publish <in
	until_true has_lines w1.out 2
	until_true has_lines both.out 2
	until_true has_lines logs.out 5
	sed -n '1p;4p' in | cmp - w1.out
	sed -n '3p;5p' in | cmp - both.out
	sed -n '1p;2p;6p;7p;8p' in | cmp - logs.out
}

@test "without a broker, a subscriber connects to a publisher, or a publisher to a subscriber" {
	feed pub monitor-zmq pub --wait 10s --bind tcp://127.0.0.1:0
	until_true endpoint_is_there pub.err
	beside one monitor-zmq sub --connect "$(endpoint pub.err)"
	record 1 >&"$to"
	until_true has_lines one.out 1
	beside two monitor-zmq sub --bind ipc://s
	until_true endpoint_is_there two.err
	record 2 | monitor-zmq pub ipc://s
	until_true has_lines two.out 1
	record 2 | cmp - two.out
}

@test "each record is written at once" {
	broker $LOCAL
	exec {from}< <(exec monitor-zmq sub "$back" 3>&-)
	STARTED+=("$!")
	until_true figure_exceeds broker.err frontend_sent_total 0
	publisher pub
	for i in 1 2 3; do
		record "$i" >&"$to"
		read -rt 10 -u "$from" line
		[ "$line" = "$(record "$i")" ]
	done
}

@test "who publishes a record and ends has sent it" {
	broker $LOCAL
	subscribe sub
	for i in {1..10}; do record "$i" | publish; done
	until_true has_lines sub.out 10
	series 1 10 | cmp - <(sort -t : -k 5n sub.out)
}

@test "nobody has to be there for a publisher to go on" {
	series 1 5000 >in
	run -0 monitor-zmq pub --wait 0 --linger 0 tcp://127.0.0.1:1 <in
	[[ $output == *"nobody has subscribed yet"*"5000 records (0 refused)"* ]]
}

@test "lines that are no records are told and counted, and do not stop the others" {
	broker $LOCAL
	subscribe sub
	{ record 1; echo 'no JSON'; echo; record 2; echo '{"level":1}'; record 3 | tr -d '\n'; } >in
	run -3 monitor-zmq pub "$front" <in
	[[ $output == *"standard input:2: not JSON"*"standard input:5: time: missing"* ]]
	[[ $output == *"3 records (2 refused)"* ]]
	until_true has_lines sub.out 3
	series 1 3 | cmp - sub.out
}

@test "a line that is too long is refused, others are not" {
	broker $LOCAL
	subscribe sub
	head -c 4300000 /dev/zero | tr '\0' x >text
	{ record 1; cat text; echo; record 2; } >in
	run -3 monitor-zmq pub "$front" <in
	[[ $output == *"standard input:2: the line is too long"*"2 records (1 refused)"* ]]
	until_true has_lines sub.out 2
	head -c 4000000 text | sed 's/.*/{"level":1,"time":1,"sender":"s","message":"&"}/' >long
	publish <long
	until_true has_lines sub.out 3
	cmp <(series 1 2; cat long; echo) sub.out
}

@test "--pass copies standard input, whatever is in it, and a slow reader loses nothing" {
	{ record 1; echo 'no JSON'; echo; series 2 20000; printf 'the end'; } >in
	monitor-zmq pub -q --pass --wait 0 --linger 0 tcp://127.0.0.1:1 <in 2>err |
		{ until_true says err 'not JSON'; cat; } >passed || [ "${PIPESTATUS[*]}" = "3 0" ]
	cmp in passed
}

# ---- what is lost ----

@test "a broker that is killed and comes back: the gap is seen, told and counted, and all goes on" {
	broker $LOCAL
	subscribe sub
	publisher pub
	series 1 100 >&"$to"
	until_true has_lines sub.out 100
	kill -KILL "$broker"
	wait "$broker" || true
	series 101 9000 >&"$to"
	until_true figure_is pub.err records_total 9000
	broker "$front" "$back"
	until_true figure_is broker.err frontend_connections_total 1
	until_true figure_exceeds broker.err frontend_sent_total 0
	# The gap is seen by what comes after it.
	n=9000
	while figure_is sub.err gaps_total 0; do record $((++n)) >&"$to"; done
	record $((++n)) >&"$to"
	until_true says sub.out "number $n\""
	until_true figure_is sub.err records_total "$(wc -l <sub.out)"
	missed=$(figure sub.err missed_total)
	[ "$missed" -gt 0 ]
	[ $(($(wc -l <sub.out) + missed)) = "$n" ]
	grep -q 'log\.w1\. of [a-z2-7]*: [0-9]* missed before number' sub.err
	# In order, and once.
	[ "$(figure sub.err repeated_total)" = 0 ]
	jq .time sub.out | sort -nuc
}

@test "gaps are a matter of each publisher and topic; a publisher that starts again is another" {
	broker $LOCAL
	subscribe sub
	{ record 1 w1; record 2 w2; record 3 w1; record 4 w1 notification; } | publish
	until_true has_lines sub.out 4
	record 5 | publish
	record 6 | publish
	until_true has_lines sub.out 6
	[ "$(figure sub.err missed_total) $(figure sub.err repeated_total)" = "0 0" ]
}

# last_came: has it? If not, it may be lost, too, and there is another one.
last_came() {
	says got "number $n\"" || { record $((++n)) >&"$to"; return 1; }
}

@test "what a subscriber's reader does not take in time is lost, told and counted, in bounded memory" {
	broker --high-water 100 $LOCAL
	: >sub.err
	exec {from}< <(exec monitor-zmq sub --high-water 100 --metrics 127.0.0.1:0 "$back" 2>sub.err 3>&-)
	sub=$!
	STARTED+=("$sub")
	until_true figure_exceeds broker.err frontend_sent_total 0
	publisher pub
	series 1 60000 >&"$to"
	until_true figure_is pub.err records_total 60000
	most=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$sub/status")
	case $BUILD in *address* | *thread*) ;; *) [ "$most" -le 65536 ] ;; esac
	start bash -c "exec cat <&$from >got"
	# What was missed is seen by what comes after it.
	n=60000
	while figure_is sub.err missed_total 0; do record $((++n)) >&"$to"; done
	until_true last_came
	until_true figure_is sub.err records_total "$(wc -l <got)"
	[ $(($(figure sub.err records_total) + $(figure sub.err missed_total))) = "$n" ]
	grep -q 'missed before number' sub.err
}

# ---- those at the other end ----

@test "what is no record of ours is dropped and counted, whoever sent it" {
	broker $LOCAL
	subscribe sub
	good='(b"log.w1.\nrun 1\n" + b"""{"level":1,"time":1,"sender":"s","message":"m","watchdog":"w1"}""")'
	peer XPUB "$front" '[b"log.w1."]' '[b"log.w1.\nrun\n{}"]' '[b"log.w1.\nrun 1\n"]' \
		'[b"log.w1.\nrun 1\n{}"]' '[b"log.w1.\nrun 1\n{}\n"]' '[b"log.w1.\nrun 1\n\xff"]' \
		'[b"log.\0\nrun 1\nx"]' '[b"log." + b"x" * 100000]' "[$good.replace(b'log.w1', b'log.w2')]" \
		"[$good.replace(b'log', b'notification')]" "[$good]" "[$good]" \
		"[$good.replace(b'n 1', b'n 18446744073709551615')]"
	until_true has_lines sub.out 2
	[ "$(figure sub.err records_total) $(figure sub.err refused_total)" = "2 10" ]
	[ "$(figure sub.err repeated_total) $(figure sub.err missed_total)" = "1 18446744073709551613" ]
	says sub.err 'a message is dropped: its record is of another kind or watchdog than its topic'
}

@test "messages of more than one frame, and what is no subscription, are dropped at the broker" {
	broker $LOCAL
	subscribe sub
	peer XPUB "$front" '[b"log.w1.\nrun 1\n{}", b"more"]' '[b"log.", b"", b""]'
	peer XSUB "$back" '[b"\1log."]' '[b"hello"]' '[b"\1log.", b"more"]' '[b""]'
	until_true figure_is broker.err messages_refused_total 5
	record 1 | publish
	until_true has_lines sub.out 1
	says broker.err 'a publisher: a message is dropped: it has more than one frame'
	says broker.err 'a subscriber: a message is dropped: it is no subscription'
}

@test "a frame that is too large ends the connection it came on, and nothing else" {
	broker $LOCAL
	subscribe sub
	start peer XPUB "$front" '[b"log.w1.\n" + b"x" * 5000000]'
	until_true figure_is broker.err frontend_connections_ended_total 1
	start peer XSUB "$back" '[b"\1" + b"x" * 5000]'
	until_true figure_is broker.err backend_connections_ended_total 1
	record 1 | publish
	until_true has_lines sub.out 1
	[ "$(figure sub.err connections_ended_total)" = 0 ]
}

@test "wrong verbs at each other: they are told and counted, and nothing falls over" {
	broker $LOCAL
	subscribe sub
	beside wrong monitor-zmq sub --retry 20ms "$front"
	until_true says wrong.err "$front: the other end is not as expected"
	beside worse monitor-zmq pub --retry 20ms --wait 1m "$back"
	until_true says worse.err "$back: the other end is not as expected"
	start peer DEALER "$front" '[b"hello"]'
	until_true figure_exceeds broker.err frontend_connections_ended_total 2
	[ "$(figure broker.err frontend_connections_total) $(figure broker.err backend_connections_total)" = "0 1" ]
	record 1 | publish
	until_true has_lines sub.out 1
}

@test "what is no ZeroMQ at all is counted, and in nobody's way" {
	broker tcp://127.0.0.1:0 ipc://back
	subscribe sub
	exec {web}<>"/dev/tcp/127.0.0.1/${front##*:}"
	printf 'GET / HTTP/1.0\r\n\r\n' >&"$web"
	until_true figure_is broker.err frontend_connections_begun_total 1
	exec {web}<&-
	until_true figure_is broker.err frontend_connections_ended_total 1
	{ printf '\377\0\0\0\0\0\0\0\0\177\3'; yes | head -c 100000; } | sock dial back >answer || true
	until_true figure_is broker.err backend_connections_ended_total 1
	[ "$(figure broker.err frontend_connections_total)" = 0 ]
	record 1 | publish
	until_true has_lines sub.out 1
}

@test "a peer that is dead, and does not say so, is dropped" {
	broker --heartbeat 100ms $LOCAL
	subscribe sub --heartbeat 100ms
	sub=$pid
	kill -STOP "$sub"
	until_true figure_is broker.err backend_connections_ended_total 1
	kill -CONT "$sub"
	until_true figure_is broker.err backend_connections_total 2
	until_true figure_is sub.err connections_total 2
	record 1 | publish
	until_true has_lines sub.out 1
}

# ---- the ends of it ----

@test "a subscriber whose reader has gone ends quietly, with or without a record to write" {
	broker $LOCAL
	: >err
	exec {from}< <(exec monitor-zmq sub -q "$back" 2>err 3>&-)
	sub=$!
	STARTED+=("$sub")
	until_true figure_exceeds broker.err frontend_sent_total 0
	exec {from}<&-
	wait "$sub"
	[ ! -s err ]
	# shellcheck disable=SC2016
	beside both bash -c 'monitor-zmq sub -q "$1" | head -n 1; exit "${PIPESTATUS[0]}"' bash "$back"
	sub=$pid
	publisher pub
	i=0
	while kill -0 "$sub" 2>/dev/null; do record $((++i)) >&"$to"; done
	wait "$sub"
	[ ! -s both.err ]
	[ "$(wc -l <both.out)" = 1 ]
}

@test "a publisher that passes on ends quietly with its reader" {
	broker $LOCAL
	# shellcheck disable=SC2016
	run -0 bash -c 'yes "$1" | monitor-zmq pub -q --pass "$2" | head -n 1; exit "${PIPESTATUS[1]}"' \
		bash "$(record 1)" "$front"
	[ "$output" = "$(record 1)" ]
}

@test "a full disk is an error" {
	[ -c /dev/full ] || skip "no /dev/full"
	broker $LOCAL
	ln -s /dev/full sub.out
	subscribe sub
	sub=$pid
	record 1 | publish
	status=0
	wait "$sub" || status=$?
	[ "$status" = 1 ]
	says sub.err 'standard output: No space left on device'
}

@test "SIGTERM ends every verb with status 0, SIGHUP none" {
	broker $LOCAL
	subscribe sub
	sub=$pid
	publisher pub
	pub=$pid
	kill -HUP "$sub" "$pub" "$broker"
	record 1 >&"$to"
	until_true has_lines sub.out 1
	for process in "$sub" "$pub" "$broker"; do
		kill "$process"
		wait "$process"
	done
	says sub.err "1 record (0 missed, 0 refused, 0 repeated)"
	says pub.err "1 record (0 refused)"
}

@test "so does SIGINT" {
	beside sub env --default-signal=INT monitor-zmq sub --bind ipc://s
	until_true endpoint_is_there sub.err
	kill -INT "$pid"
	wait "$pid"
}

@test "the service manager is told when it is ready and when it stops" {
	start sock notified "$PWD/notify" >told
	until_true test -S notify
	start env NOTIFY_SOCKET="$PWD/notify" monitor-zmq proxy -q $LOCAL
	until_true grep -qx READY=1 told
	kill "$pid"
	wait "$pid"
	until_true grep -qx STOPPING=1 told
}

# ---- figures ----

@test "--metrics shows figures over HTTP, and nothing else" {
	broker $LOCAL
	url=$(sed -n 's/.*figures are at //p' broker.err)
	subscribe sub
	record 1 | publish
	until_true has_lines sub.out 1
	curl -sfi "$url" >page
	grep -q '^HTTP/1.0 200 OK' page
	grep -q '^Content-Type: text/plain; version=0.0.4' page
	grep -qx 'monitor_zmq_frontend_received_total 1' page
	grep -qx 'monitor_zmq_backend_sent_total 1' page
	grep -qx '# TYPE monitor_zmq_backend_sent_total counter' page
	[ "$(curl -s -o page -w '%{http_code}' "${url%metrics}")" = 404 ]
	[ "$(curl -s -o page -w '%{http_code}' -X POST -d x "$url")" = 404 ]
}

@test "who asks for figures and says nothing, or never ends, is in nobody's way" {
	broker $LOCAL
	url=$(sed -n 's/.*figures are at //p' broker.err)
	port=${url##*:} port=${port%/*}
	for i in {1..20}; do
		exec {idle}<>"/dev/tcp/127.0.0.1/$port"
		printf 'GET /metrics HTTP/1.1\r\n' >&"$idle"
	done
	curl -sf "$url" | grep -q '^monitor_zmq_backend_sent_total 0'
	exec {endless}<>"/dev/tcp/127.0.0.1/$port"
	head -c 5000 /dev/zero >&"$endless"
	status=0
	read -rt 10 -u "$endless" line || status=$?
	[ "$status" = 1 ]
	curl -sf "$url" | grep -q '^monitor_zmq_backend_sent_total 0'
}

# ---- options ----

@test "without a verb, or with one that there is none of, it says so" {
	run -2 monitor-zmq
	[[ $output == *"a verb is needed"* ]]
	run -2 monitor-zmq publish
	[[ $output == *"publish: there is no such verb"* ]]
	run -0 monitor-zmq --help
	help=$output
	for verb in proxy pub sub keygen; do
		[[ $help == *$'\n'"  $verb "* ]]
		run -0 monitor-zmq "$verb" --help
		[[ $output == "usage: monitor-zmq $verb "* ]]
	done
	run -0 monitor-zmq --version
	[ "$output" = "$(monitor-zmq sub --version)" ]
	run -2 monitor-zmq sub --nonsense
	[[ $output == *"monitor-zmq sub: "*"nonsense"*"Try 'monitor-zmq sub --help' or 'man monitor-zmq'." ]]
}

@test "endpoints and numbers that make no sense are refused" {
	run -2 monitor-zmq sub
	[[ $output == *"no endpoint"* ]]
	for endpoint in 127.0.0.1:9000 udp://127.0.0.1:9000 inproc://x '' tcp://127.0.0.1 tcp://host: \
		tcp://127.0.0.1:65536 tcp://127.0.0.1:1*2 ipc:// ipc://@abstract; do
		run -2 monitor-zmq sub "$endpoint"
		[[ $output == *"neither tcp://HOST:PORT nor ipc://PATH"* ]]
	done
	for endpoint in tcp://127.0.0.1:0 'tcp://127.0.0.1:*'; do
		run -2 monitor-zmq sub --connect "$endpoint"
		[[ $output == *"$endpoint: a port is needed"* ]]
	done
	run -2 monitor-zmq sub --bind tcp://localhost:0
	[[ $output == *"no such address, nor such an interface"* ]]
	run -2 monitor-zmq proxy tcp://127.0.0.1:0
	[[ $output == *"two endpoints"* ]]
	run -2 monitor-zmq sub --bind ipc://a --connect ipc://b
	[[ $output == *"either listens or connects"* ]]
	for option in --high-water={0,-1,x,1x,99999999999} --linger={x,-1} --retry={0,2s..1s,..,1..} \
		--heartbeat=x --kind=x --watchdog=w.1; do
		run -2 monitor-zmq sub "$option" ipc://x
		[[ $output == *"${option%%=*}"* ]]
	done
	run -2 monitor-zmq pub --wait=x ipc://x
	run -2 monitor-zmq sub --metrics nowhere ipc://x
	[[ $output == *"--metrics: nowhere"* ]]
}

@test "what leaves this machine without CURVE is refused, unless it is meant" {
	for endpoint in 'tcp://*:0' tcp://0.0.0.0:0 tcp://192.0.2.1:9000 tcp://example.org:9000 \
		tcp://127.0.0.1.example.org:9000 tcp://127.example.org:9000 'tcp://[::]:0' \
		'tcp://127.0.0.1:0;192.0.2.1:9000' tcp://localhost.example.org:1 'tcp://lo:0;192.0.2.1:1'; do
		run -2 monitor-zmq sub --connect "$endpoint"
		[[ $output == *"$endpoint: not without CURVE"* ]]
		run -2 monitor-zmq pub --bind "$endpoint" </dev/null
		[[ $output == *"$endpoint: not without CURVE"* ]]
	done
	for endpoint in tcp://127.0.0.1:0 tcp://127.1.2.3:0 'tcp://[::1]:0' tcp://lo:0 ipc://x; do
		run -0 monitor-zmq pub --wait 0 --bind "$endpoint" </dev/null
	done
	run -0 monitor-zmq pub --wait 0 --insecure --bind 'tcp://*:0' </dev/null
}

@test "an endpoint that somebody has is left to him, and a file is left where it is" {
	broker tcp://127.0.0.1:0 ipc://back
	run -1 monitor-zmq sub --bind "$front"
	[[ $output == *"$front: somebody else listens there"* ]]
	run -1 monitor-zmq sub --bind ipc://back
	[[ $output == *"ipc://back: somebody else listens there"* ]]
	echo text >file
	run -2 monitor-zmq sub --bind ipc://file
	[ "$(cat file)" = text ]
	subscribe sub
	kill -KILL "$broker"
	wait "$broker" || true
	[ -S back ]
	broker "$front" ipc://back
	until_true figure_exceeds broker.err frontend_sent_total 0
	record 1 | publish
	until_true has_lines sub.out 1
}
