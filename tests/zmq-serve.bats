#!/usr/bin/env bats
# monitor-zmq serve: the protocol's requests from other backends, here in Python.

load helper
load zmq

RECORD='{"level":20,"time":1700000001.5,"sender":"me","message":"hello"}'

# serve [OPTION]... [-- SINK...]: a server of the store m.db, by default with a sink to it; it listens at
# $there.
serve() {
	[[ " $* " == *" -- "* || " $* " == *" --sink"* ]] || set -- "$@" -- monitor-ingest --quiet --ack -d m.db
	beside serve monitor-zmq serve -d m.db --metrics 127.0.0.1:0 --bind "${there:-tcp://127.0.0.1:0}" "$@"
	serve=$pid
	until_true endpoint_is_there serve.err
	there=$(endpoint serve.err)
}

# ask KIND REQUEST...: send each as one message, and print the answer to each before the next. A REQUEST
# that is a number: print what comes, so many. With the keys in the file $key, if it is set.
ask() {
	"$PYTHON" - "$there" "${key-}" "${central-}" "$@" <<-'END'
		import sys, zmq
		endpoint, key, server, kind = sys.argv[1:5]
		context = zmq.Context()
		socket = context.socket(getattr(zmq, kind))
		if key:
		    secret = open(key).read().split()[-1].encode()
		    socket.curve_secretkey = secret
		    socket.curve_publickey = zmq.curve_public(secret)
		    socket.curve_serverkey = server.encode()
		socket.connect(endpoint)
		def hear():
		    if not socket.poll(20000):
		        sys.exit("no answer")
		    print(socket.recv().decode(), flush=True)
		for request in sys.argv[5:]:
		    if request.isdigit():
		        for i in range(int(request)):
		            hear()
		    else:
		        socket.send(request.encode())
		        if kind == "REQ":
		            hear()
		socket.close(linger=1000)
		context.term()
	END
}

# req ACTION [MEMBERS]: ask for that, for the watchdog w1.
req() {
	ask REQ "{\"action\":\"$1\",\"watchdog\":\"${watchdog:-w1}\"${2+,$2}}"
}

@test "a REQ client uploads, is answered when it is stored, and reads it back" {
	serve
	run -0 req uploadLogs "\"id\":7,\"logs\":[$RECORD,$RECORD]"
	[ "$output" = '{"success":true,"action":"uploadLogs","id":7,"comment":"Inserted 2 log(s) into db."}' ]
	[ "$(sqlite3 -readonly m.db 'SELECT count(*) FROM records')" = 2 ]
	run -0 req getLogs '"since":0'
	[ "$output" = '{"success":true,"action":"getLogs","logs":[["me","hello",20],["me","hello",20]]}' ]
	run -0 req uploadNotifications "\"notifications\":[$RECORD]"
	run -0 req getNotifications '"since":0'
	[ "$output" = '{"success":true,"action":"getNotifications","notifications":[["me","hello",20,1700000001.5]]}' ]
	run -0 req ping '"id":null'
	[ "$output" = '{"success":true,"action":"ping","id":null}' ]
	watchdog=w2 run -0 req getLogs '"since":0'
	[ "$output" = '{"success":true,"action":"getLogs","logs":[]}' ]
}

@test "a DEALER may ask for much at once, and for several watchdogs; each answer is whole" {
	monitor-ingest -q -d m.db "$PROJECT/share/sample.ndjson"
	serve
	requests=()
	for i in {1..30}; do
		requests+=("{\"action\":\"getLogs\",\"watchdog\":\"freezer000000004\",\"since\":0,\"id\":$i}")
		requests+=("{\"action\":\"getNotifications\",\"watchdog\":\"cellar0000000001\",\"since\":0,\"id\":$((i + 100))}")
	done
	ask DEALER "${requests[@]}" 60 >out
	[ "$(jq .success out | sort -u)" = true ]
	diff <(jq 'select(.action == "getLogs") | .id' out) <(seq 30)
	diff <(jq 'select(.action == "getNotifications") | .id' out) <(seq 101 130)
	[ "$(jq -c 'select(.logs) | .logs' out | sort -u | wc -l)" = 1 ]
	[ "$(jq 'select(.id == 1) | .logs | length' out)" = \
		"$(monitor-query -q -d m.db -k log -W freezer000000004 -o ndjson | wc -l)" ]
	[ "$(figure serve.err sessions_total)" = 2 ]
}

@test "who writes like REQ, with an empty frame in front, is answered like that" {
	serve
	"$PYTHON" - "$there" <<-'END' >out
		import sys, zmq
		socket = zmq.Context().socket(zmq.DEALER)
		socket.connect(sys.argv[1])
		socket.send_multipart([b"", b'{"action":"ping","watchdog":"w1"}'])
		print(socket.recv_multipart())
		socket.send(b'{"action":"ping","watchdog":"w1","id":2}')
		print(socket.recv_multipart())
		socket.close()
	END
	diff out - <<-'END'
		[b'', b'{"success":true,"action":"ping"}']
		[b'{"success":true,"action":"ping","id":2}']
	END
}

@test "a DEALER can subscribe; others are sent nothing that they have not asked for" {
	serve
	ask DEALER '{"action":"subscribe","watchdog":"w1","kind":"all","id":1}' 2 >heard &
	STARTED+=($!)
	subscriber=$!
	until_true has_lines heard 1
	ask DEALER '{"action":"ping","watchdog":"w1"}' 1 "{\"action\":\"uploadNotifications\",\"watchdog\":\"w1\",\"notifications\":[$RECORD]}" \
		1 '{"action":"ping","watchdog":"w1","id":3}' 1 >others
	wait "$subscriber"
	jq -r '.action' heard | diff - <(printf 'subscribe\nrecords\n')
	[ "$(jq -r 'select(.records) | .records[0].kind' heard)" = notification ]
	jq -r '.action' others | diff - <(printf 'ping\nuploadNotifications\nping\n')
	run -0 req subscribe
	[ "$output" = '{"success":false,"action":"subscribe","comment":"Only a DEALER can subscribe"}' ]
}

@test "what is no request is answered, counted, and does no harm" {
	serve --max-message 100k
	run -0 ask REQ nonsense '[]' '{"watchdog":"w1"}' '{"action":"ping"}' '{"action":7,"watchdog":"w1"}' \
		'{"action":"ping","watchdog":"w.1"}' '{"action":"nothing","watchdog":"w1","id":1}' \
		'{"action":"getLogs","watchdog":"w1"}' '{"action":"auth","watchdog":"w1","token":"w2"}'
	diff <(echo "$output") - <<-'END'
		{"success":false,"action":"","comment":"The request is no JSON object"}
		{"success":false,"action":"","comment":"The request is no JSON object"}
		{"success":false,"action":"","comment":"action: missing, or no string"}
		{"success":false,"action":"ping","comment":"watchdog: missing, or not a watchdog code"}
		{"success":false,"action":"","comment":"action: missing, or no string"}
		{"success":false,"action":"ping","comment":"watchdog: missing, or not a watchdog code"}
		{"success":false,"action":"nothing","id":1,"comment":"Unknown Action"}
		{"success":false,"action":"getLogs","comment":"timewindow: missing"}
		{"success":false,"action":"auth","comment":"Already authenticated"}
	END
	"$PYTHON" - "$there" <<-'END' >out
		import sys, zmq
		socket = zmq.Context().socket(zmq.DEALER)
		socket.connect(sys.argv[1])
		for message in [b"", b"", b""], [b"a", b"b"], [b"", b"", b"{}"], [b"\xff" * 1000], [b"[" * 50000]:
		    socket.send_multipart(message)
		    print(socket.recv_multipart()[-1].decode())
		socket.close()
	END
	[ "$(grep -c '"success":false' out)" = 5 ]
	[ "$(figure serve.err odd_total)" = 11 ]
	start ask DEALER "$(printf 'x%0120000d' 0)" 1   # and waits for an answer
	until_true figure_exceeds serve.err connections_ended_total 2
	run -0 req ping
	[[ $output == *true* ]]
}

@test "an answer that would be too long fails, and says so; with a limit it does not" {
	monitor-ingest -q -d m.db "$PROJECT/share/sample.ndjson"
	serve --max-answer 5k
	watchdog=freezer000000004
	run -0 req getLogs '"since":0,"id":1'
	[ "$output" = '{"success":false,"action":"getLogs","id":1,"comment":"The answer is longer than 5120 bytes, ask for less"}' ]
	run -0 req getLogs '"since":0,"limit":50'
	[ "$(jq '.logs | length' <<<"$output")" = 50 ]
}

@test "without a sink nothing can be uploaded; what is in the store can be read" {
	monitor-ingest -q -d m.db "$PROJECT/share/sample.ndjson"
	beside serve monitor-zmq serve -d m.db tcp://127.0.0.1:0
	until_true endpoint_is_there serve.err
	there=$(endpoint serve.err)
	run -0 req uploadLogs "\"logs\":[$RECORD]"
	[ "$output" = '{"success":false,"action":"uploadLogs","comment":"No sink to upload to"}' ]
	watchdog=freezer000000004 run -0 req getLogs '"since":0,"limit":1'
	[[ $output == *'"success":true'* ]]
}

@test "with --sink unix:PATH uploads go to an ingester that others use, too" {
	start monitor-ingest --quiet --ack --listen unix:sink -d m.db
	serve --sink unix:sink
	run -0 req uploadLogs "\"logs\":[$RECORD]"
	[[ $output == *"Inserted 1 log(s)"* ]]
	[ "$(sqlite3 -readonly m.db 'SELECT count(*) FROM records')" = 1 ]
}

@test "an upload is answered when the sink has settled it, or with what the sink says" {
	mkfifo answers
	exec {say}<>answers
	serve -- sh -c 'cat answers & exec cat >got'
	req uploadLogs "\"logs\":[$RECORD]" >one &
	STARTED+=($!)
	until_true has_lines got 1
	[ ! -s one ]
	source=$(jq -r .source got)
	echo "{\"reject\":{\"source\":\"$source\",\"seq\":1,\"reason\":\"not today\"}}" >&"$say"
	echo "{\"ack\":{\"source\":\"$source\",\"seq\":1}}" >&"$say"
	until_true has_lines one 1
	[ "$(cat one)" = '{"success":false,"action":"uploadLogs","comment":"not today"}' ]
	req uploadLogs "\"source\":\"mine\",\"seq\":5,\"logs\":[$RECORD]" >two &
	STARTED+=($!)
	until_true has_lines got 2
	[ "$(tail -n 1 got | jq -c '[.source, .seq, .watchdog]')" = '["w1/mine",5,"w1"]' ]
	echo '{"ack":{"source":"w1/mine","seq":5}}' >&"$say"
	until_true has_lines two 1
}

@test "uploads are acknowledged and stored once, whoever is killed" {
	serve
	run -0 req uploadLogs "\"source\":\"me\",\"seq\":1,\"logs\":[$RECORD]"
	kill -KILL "$(pgrep -P "$serve")"
	run -0 req uploadLogs "\"source\":\"me\",\"seq\":2,\"logs\":[$RECORD]"
	[[ $output == *true* ]]
	kill -KILL "$serve"
	wait "$serve" || true
	serve
	for i in 1 2 3; do
		run -0 req uploadLogs "\"source\":\"me\",\"seq\":$i,\"logs\":[$RECORD]"
		[[ $output == *true* ]]
	done
	[ "$(sqlite3 -readonly m.db 'SELECT count(*) FROM records')" = 3 ]
}

@test "notifications that are stored go to standard output with --pass, for monitor-zmq pub" {
	serve --pass
	req uploadLogs "\"logs\":[$RECORD]" >out
	req uploadNotifications "\"notifications\":[$RECORD]" >out
	until_true has_lines serve.out 1
	[ "$(jq -c '[.kind, .watchdog, .message]' serve.out)" = '["notification","w1","hello"]' ]
	jq -e '.origin | length > 0' serve.out
}

@test "what a peer may ask for is said by its key, and can be taken back" {
	for name in central reader writer boss; do keys $name; done
	monitor-zmq keygen stranger >/dev/null
	cat >allowed <<-END
		$reader reader watchdog=w1 watchdog=w2 action=getLogs action=subscribe
		$writer writer watchdog=w1 action=uploadLogs
		$boss boss watchdog=* action=*
	END
	serve --curve-key central.key --curve-allow allowed
	denied='{"success":false,"action":"%s","comment":"Not allowed"}'
	key=reader.key run -0 req getLogs '"since":0'
	[[ $output == *true* ]]
	# shellcheck disable=SC2059
	key=reader.key run -0 req uploadLogs "\"logs\":[$RECORD]"
	[ "$output" = "$(printf "$denied" uploadLogs)" ]
	key=writer.key run -0 req uploadLogs "\"logs\":[$RECORD]"
	[[ $output == *Inserted* ]]
	key=writer.key run -0 req getLogs '"since":0'
	[ "$output" = "$(printf "$denied" getLogs)" ]
	key=writer.key watchdog=w2 run -0 req uploadLogs "\"logs\":[$RECORD]"
	[ "$output" = "$(printf "$denied" uploadLogs)" ]
	key=boss.key watchdog=w3 run -0 req getNotifications '"since":0'
	[[ $output == *true* ]]
	[ "$(figure serve.err denied_total)" = 3 ]
	grep -q 'not allowed for w2: uploadLogs' serve.err
	key=stranger.key run -1 req ping
	[[ $output == *"no answer"* ]]
	# A subscription ends with the right to it.
	key=reader.key ask DEALER '{"action":"subscribe","watchdog":"w1"}' 2 >heard 2>/dev/null &
	STARTED+=($!)
	until_true has_lines heard 1
	until_true figure_is serve.err subscriptions 1
	sed -i 's/action=subscribe//' allowed
	kill -HUP "$serve"
	until_true figure_is serve.err subscriptions 0
}

@test "who has asked nothing for a while is forgotten, and welcome again" {
	serve --timeout 1s
	ask DEALER '{"action":"ping","watchdog":"w1"}' '{"action":"ping","watchdog":"w2"}' 2 >out
	[ "$(figure serve.err sessions_total)" = 2 ]
	until_true figure_is serve.err sessions 0
	run -0 req ping
	[[ $output == *true* ]]
}

@test "where there are too many at once, who is idle for longest is forgotten; a subscriber is not" {
	serve
	"$PYTHON" - "$there" >out <<-'END'
		import sys, zmq
		socket = zmq.Context().socket(zmq.DEALER)
		socket.connect(sys.argv[1])
		def ask(action, n):
		    socket.send_json({"action": action, "watchdog": "w%d" % n, "since": 2000000000})
		    return socket.recv_json()["success"]
		print(ask("subscribe", 0), all([ask("ping", n) for n in range(1, 10100)]), ask("ping", 1))
	END
	[ "$(cat out)" = "True True True" ]
	[ "$(figure serve.err subscriptions)" = 1 ]
	[ "$(figure serve.err sessions)" = 10000 ]
}

@test "while the sink takes nothing, requests wait in bounded memory, and are refused beyond that" {
	mkfifo never
	serve --room 1 -- sh -c 'exec cat <never'
	"$PYTHON" - "$there" >out <<-'END'
		import sys, zmq
		socket = zmq.Context().socket(zmq.DEALER)
		socket.connect(sys.argv[1])
		record = {"level": 1, "time": 1, "sender": "s", "message": "x" * 900000}
		for n in range(100):
		    socket.send_json({"action": "uploadLogs", "watchdog": "w%d" % (n % 50), "logs": [record]})
		for n in range(10):
		    print(socket.recv_json()["comment"])
	END
	[ "$(sort -u out)" = "Too many requests at once, try again" ]
	# Which keeps nobody from asking for something else.
	run -0 req getLogs '"since":0'
	[[ $output == *'"logs":[]'* ]]
}

@test "who takes nothing of what they have asked for is cut off" {
	serve --heartbeat 1s
	seq 20000 | sed 's/.*/{"watchdog":"w1","level":1,"time":&,"sender":"s","message":"some more text"}/' |
		monitor-ingest -q -d m.db
	beside hung "$PYTHON" -c 'import sys, time, zmq
socket = zmq.Context().socket(zmq.DEALER)
socket.rcvhwm = 1
socket.rcvbuf = 4096
socket.connect(sys.argv[1])
for n in range(20):
    socket.send_json({"action": "getLogs", "watchdog": "w1", "since": 0})
time.sleep(1000)' "$there"
	until_true figure_exceeds serve.err connections_ended_total 0
	run -0 req ping
	[[ $output == *true* ]]
}

goes_away() {
	req ping | grep -q 'Going away'
}

@test "SIGTERM: what is under way is answered, then it ends" {
	mkfifo answers
	exec {say}<>answers
	serve -- sh -c 'cat answers & exec cat >got'
	req uploadLogs "\"logs\":[$RECORD]" >out &
	STARTED+=($!)
	asker=$!
	until_true has_lines got 1
	kill "$serve"
	until_true goes_away
	echo "{\"ack\":{\"source\":\"$(jq -r .source got)\",\"seq\":1}}" >&"$say"
	wait "$asker"
	[[ $(cat out) == *Inserted* ]]
	wait "$serve"
}

@test "serve: what makes no sense is refused" {
	run -2 monitor-zmq serve
	monitor-zmq keygen k >/dev/null
	run -2 monitor-zmq serve --curve-key k.key tcp://127.0.0.1:0
	[[ $output == *"--curve-allow"* ]]
	for option in --max-answer=0 --max-message=x --max-message=257M --timeout=0 --readers=0 --readers=x --stop-timeout=x --room=0; do
		run -2 monitor-zmq serve "$option" ipc://a
		[[ $output == *"${option%%=*}"* ]]
	done
}
