load helper
load wsd

# Limits, and bad input: each has its answer, and the next client is served.

url() { echo "ws://127.0.0.1:$port/ws"; }

# served: is the next one?
served() {
	run -0 as w9 -T 10 <<<'{"action":"ping"}'
	[ "$output" = '{"success":true,"action":"ping"}' ]
}

@test "what is no request is answered and closes the connection with 1000" {
	stored
	for text in 'nonsense' '[]' '7' '"x"' '{}' '{"action":7}' '{"action":"ping"' '{"action":"ping"} x'; do
		run -0 as w1 -C <<<"$text"
		[[ ${lines[0]} == '{"success":false,"action":"","comment":"'* ]] || { echo "$text: $output"; return 1; }
		[[ ${lines[1]} == "close 1000"* ]]
	done
	served
}

@test "deep nesting and huge numbers take nothing down" {
	stored
	deep=$(printf '%100000s' '' | tr ' ' '[')
	run -0 as w1 -C <<<"{\"action\":\"ping\",\"x\":$deep"
	[[ ${lines[0]} == '{"success":false'* ]]
	run -0 as w1 <<<"{\"action\":\"ping\",\"x\":1e999999999,\"y\":$(printf '%1000s' '' | tr ' ' 9)}"
	[ "$output" = '{"success":true,"action":"ping"}' ]
	served
}

@test "text that is not UTF-8 closes with 1007" {
	stored
	run -0 as w1 -C <<<$'{"action":"ping","x":"\xff"}'
	[ "$output" = "close 1007 not UTF-8" ]
	served
}

@test "a binary message is answered and closes" {
	stored
	run -0 as w1 -C <<<'!binary {"action":"ping"}'
	[[ ${lines[0]} == '{"success":false'* ]]
	[[ ${lines[1]} == close* ]]
	served
}

@test "a message in fragments, with pings between them, is one message" {
	stored
	run -0 as w1 <<-'END'
		!part {"action":
		!ping x
		!more "ping","i
		!end d":1}
	END
	[ "$output" = '{"success":true,"action":"ping","id":1}' ]
}

@test "a message of the largest size is taken, one beyond it closes with 1009" {
	stored --max-message 1M
	filler=$(head -c $((1048576 - 140)) /dev/zero | tr '\0' x)
	run -0 as w1 -T 60 <<<"{\"action\":\"uploadLogs\",\"logs\":[{\"level\":1,\"time\":1,\"sender\":\"a\",\"message\":\"$filler\"}]}"
	[[ $output == *"Inserted 1"* ]]
	[ "$(monitor-query -d m.db -o cat | wc -c)" = $((1048576 - 140 + 1)) ]
	run -0 as w1 -C -T 60 <<<'!big 1048577'
	[ "$output" = "close 1009 message too big" ]
	served
}

@test "more records than a message may have are refused" {
	stored --max-records 10
	run -0 as w1 <<-'END'
		!upload 11
		!upload 10
	END
	[[ ${lines[0]} == '{"success":false,"action":"uploadLogs"'* ]]
	[[ ${lines[1]} == *"Inserted 10 log(s)"* ]]
}

@test "frames that break WebSocket's rules end the connection and nothing else" {
	stored
	for bad in '!hex c1 80 00 00 00 00' '!hex 83 80 00 00 00 00' '!more x'; do
		run -0 as w1 -C -T 10 <<<"$bad"
		[[ $output == close* ]]
	done
	served
}

@test "who is silent for the timeout is closed, who sends messages is not" {
	stored --timeout 2
	begin as w2 -w -T 20 -C >silent
	converse talker as w3 -T 20 -C
	# For as long as the other one's time takes, and a little more.
	for ((i = 1, more = 3; more > 0; i++)); do
		tell talker "{\"action\":\"keepalive\",\"id\":$i}"
		until_true grep -q "\"id\":$i}" talker
		! grep -q close silent || more=$((more - 1))
	done
	grep -q 'close 1000' silent
	! grep -q close talker
}

@test "a daemon that was stopped for longer than the timeout takes nobody for silent" {
	stored --timeout 2 --ping-interval 1
	stopped=$wsd
	converse talker as w1 -T 20 -C
	tell talker '{"action":"keepalive","id":1}'
	until_true grep -q '"id":1}' talker
	kill -STOP "$stopped"
	tell talker '{"action":"keepalive","id":2}'
	# For as long as a client of another one takes to be closed.
	stored --timeout 3
	run -0 as w2 -w -C -T 20
	kill -CONT "$stopped"
	until_true grep -q '"id":2}' talker
	tell talker '{"action":"keepalive","id":3}'
	until_true grep -q '"id":3}' talker
	! grep -q close talker
}

@test "at the end who does not answer the close is not waited for, and no record is said to be lost" {
	stored --stop-timeout 0.5
	begin as w1 -T 20 <<<$'{"action":"ping"}\n!expect 1\n!stall\n!expect 9' >stalled
	until_true grep -q success stalled
	stop_wsd
	grep 'not all clients took their leave in time' wsd.err
	! grep settled wsd.err
}

@test "a peer that answers no pings is dropped, one that does is not" {
	stored --ping-interval 1 --timeout 60
	begin as w1 -w -C -T 30 >alive
	begin as w2 -w -C -m -T 30 >dead
	until_true grep -q close dead
	! grep -q close alive
}

@test "who never reads is dropped when too much waits for it, the others go on" {
	stored --max-queue 100k
	begin as w1 -T 60 <<<$'!say ready\n!stall\n!expect 9' >stalled
	until_true grep -q ready stalled
	for i in {1..80}; do
		big 200000
		echo "!expect $i"
	done >talk
	run -0 as w1 -T 60 <talk
	[ "$(grep -c Inserted <<<"$output")" = 80 ]
	until_true grep -q 'too slow' wsd.err
	served
}

@test "a big answer goes to a slow reader in pieces while the others are served" {
	awk 'BEGIN { for (i = 0; i < 200000; i++) printf "{\"watchdog\":\"w1\",\"level\":1,\"time\":%d,\"sender\":\"a\",\"message\":\"number %d %0100d\"}\n", i, i, i }' |
		monitor-ingest -q -d m.db
	stored
	before=$(resident)
	begin as w1 -T 60 <<<$'{"action":"getLogs","since":0}\n!stall\n!say stalled' >big
	until_true grep -q stalled big
	for i in 1 2 3 4 5; do served; done
	grown_by_less "$before" 30000
	run -0 as w1 -T 100 <<<'{"action":"getLogs","since":0}'
	[ "$(jq '.logs | length' <<<"$output")" = 200000 ]
}

@test "reads of one watchdog wait for each other beyond the limit, all are answered, and others' do not wait" {
	awk 'BEGIN { for (i = 0; i < 50000; i++) printf "{\"watchdog\":\"w1\",\"level\":1,\"time\":%d,\"sender\":\"a\",\"message\":\"number %d\"}\n", i, i }' |
		monitor-ingest -q -d m.db
	stored --max-reads 1 --readers 2
	for i in 1 2 3 4 5; do
		begin as w1 -T 60 <<<'{"action":"getLogs","since":0}' >out.$i
		readers+=("$pid")
	done
	run -0 as w2 <<<'{"action":"getLogs","since":0}'
	[ "$output" = '{"success":true,"action":"getLogs","logs":[]}' ]
	wait "${readers[@]}"
	for i in 1 2 3 4 5; do [ "$(jq '.logs | length' out.$i)" = 50000 ]; done
}

@test "connections beyond the limit are refused, those there stay" {
	stored --max-connections 3
	for i in 1 2 3; do
		begin as w$i -T 20 <<<$'{"action":"ping"}\n!expect 9' >out.$i
		until_true grep -q ping out.$i
	done
	run -1 as w4 -T 10 <<<'{"action":"ping"}'
	kill "$pid"
	until_true as w4 -T 10 <<<'{"action":"ping"}'
}

@test "connections of one address are bounded, behind a trusted proxy those of the client's" {
	stored --max-connections-per-address 1 --trusted-proxy 127.0.0.2
	begin as w1 -T 20 <<<$'{"action":"ping"}\n!expect 9' >out
	until_true grep -q ping out
	run -1 as w2 -T 10 <<<'{"action":"ping"}'
	run -0 as w3 -T 10 -B 127.0.0.3 <<<'{"action":"ping"}'
	begin as w4 -T 20 -B 127.0.0.2 -H 'X-Forwarded-For: 192.0.2.7' <<<$'{"action":"ping"}\n!expect 9' >proxied
	until_true grep -q ping proxied
	run -1 as w5 -T 10 -B 127.0.0.2 -H 'X-Forwarded-For: 192.0.2.7' <<<'{"action":"ping"}'
	run -0 as w6 -T 10 -B 127.0.0.2 -H 'X-Forwarded-For: 192.0.2.8' <<<'{"action":"ping"}'
}

@test "an upload rate slows a watchdog down and refuses nothing" {
	stored --rate 50 --burst 50
	yes '!upload 10' | head -n 15 >talk
	SECONDS=0
	run -0 as w1 -T 60 <talk
	[ "$(grep -c 'Inserted 10 ' <<<"$output")" = 15 ]
	# 150 records at 50 a second, the first 50 at once.
	[ "$SECONDS" -ge 1 ]
}

@test "a handshake that does not come to its end is ended, and holds up nobody" {
	stored --auth-timeout 1
	begin ws -r -T 20 "ws://127.0.0.1:$port" < <(printf 'GET /ws HTTP/1.1\nHost: x\n'; read -rt 15 <> <(:)) >half
	begin ws -r -T 20 "ws://127.0.0.1:$port" < <(read -rt 15 <> <(:)) >silent
	served
	until_true grep -qE 'eof|reset' half
	until_true grep -qE 'eof|reset' silent
}

@test "connections that are reset in the midst of anything leave nothing behind" {
	stored
	for bad in '!part {"action"' '!upload 100 1000' '{"action":"subscribe"}' '{"action":"getLogs","since":0}'; do
		for i in 1 2 3; do as w1 <<<"$bad"$'\n!reset' || true; done
	done
	served
	until_true sh -c "curl -s http://127.0.0.1:$port/healthz | grep -q ok"
	stop_wsd
}
