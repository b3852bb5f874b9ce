load helper
load wsd

# The protocol, action by action, as watchdogs and apps speak it.

@test "logs that are uploaded are answered when they are in the store" {
	stored
	run -0 as w1 <<<"$(logs one two)"
	[ "$output" = '{"success":true,"action":"uploadLogs","comment":"Inserted 2 log(s) into db."}' ]
	run -0 monitor-query -d m.db -W w1
	diff - <(echo "$output") <<-'END'
		{"kind":"log","watchdog":"w1","level":30,"time":1732280000.5,"sender":"test","message":"one"}
		{"kind":"log","watchdog":"w1","level":30,"time":1732280000.5,"sender":"test","message":"two"}
	END
	stop_wsd
}

@test "an empty list of logs is a success" {
	stored
	run -0 as w1 <<<'{"action":"uploadLogs","logs":[]}'
	[ "$output" = '{"success":true,"action":"uploadLogs","comment":"Inserted 0 log(s) into db."}' ]
}

@test "logs that are no list are refused, and the connection stays" {
	stored
	run -0 as w1 <<-'END'
		{"action":"uploadLogs","logs":{"level":1}}
		{"action":"ping"}
	END
	diff - <(sort <<<"$output") <<-'END'
		{"success":false,"action":"uploadLogs","comment":"Please submit logs as list of length >= 1"}
		{"success":true,"action":"ping"}
	END
}

@test "a single record's members beside the action are a list of one" {
	stored
	run -0 as w1 <<<'{"action":"uploadLogs","level":5.0,"time":0.1,"sender":"a","message":"b","more":{"x":[1]}}'
	[[ $output == *"Inserted 1 log(s)"* ]]
	run -0 monitor-query -d m.db
	[ "$output" = '{"kind":"log","watchdog":"w1","level":5,"time":0.1,"sender":"a","message":"b","more":{"x":[1]}}' ]
}

@test "one record that is not valid fails the request, names place and member, and nothing is stored" {
	stored
	run -0 as w1 <<-'END'
		{"action":"uploadLogs","logs":[{"level":1,"time":1,"sender":"a","message":"b"},{"level":"1","time":1,"sender":"a","message":"b"}]}
		{"action":"uploadLogs","logs":[{"level":1,"time":2,"sender":"a","message":"good"}]}
	END
	[[ ${lines[0]} == '{"success":false,"action":"uploadLogs","comment":"'*1*level* ]]
	[[ ${lines[1]} == *"Inserted 1 log(s)"* ]]
	run -0 monitor-query -d m.db -o cat
	[ "$output" = good ]
}

@test "a client can label no record with another watchdog, kind, source or number" {
	stored
	run -0 as w1 <<<'{"action":"uploadLogs","logs":[{"watchdog":"w2","kind":"notification","source":"x","seq":"y","origin":"z","level":1,"time":1,"sender":"a","message":"b"}]}'
	[[ $output == *"Inserted 1 log(s)"* ]]
	run -0 monitor-query -d m.db
	[ "$output" = '{"kind":"log","watchdog":"w1","level":1,"time":1.0,"sender":"a","message":"b","origin":"z"}' ]
}

@test "every text comes back as it was: quotes, braces, controls, U+0000, any script" {
	stored
	message='{"action":"uploadLogs","logs":[{"level":-3,"time":1e-7,"sender":"{\"}","message":"a\u0000b\n\"c\\ \u00e9\ud83d\ude00 日本"}]}'
	run -0 as w1 <<<"$message
!expect 1
{\"action\":\"getLogs\",\"since\":0}"
	[ "$(jq -c '.logs' <<<"${lines[1]}")" = "$(jq -c '[.logs[] | [.sender, .message, .level]]' <<<"$message")" ]
}

@test "getLogs gives this watchdog's logs of the window, newest first" {
	now=$(date +%s)
	monitor-ingest -q -d m.db <<-END
		{"watchdog":"w1","level":10,"time":$((now - 30)).5,"sender":"a","message":"second"}
		{"watchdog":"w1","level":20,"time":$((now - 40)),"sender":"b","message":"first"}
		{"watchdog":"w1","level":30,"time":$((now - 4000)),"sender":"a","message":"too old"}
		{"watchdog":"w2","level":10,"time":$((now - 10)),"sender":"a","message":"another's"}
		{"watchdog":"w1","level":40,"time":$((now - 30)).5,"sender":"a","message":"as late"}
		{"watchdog":"w1","kind":"notification","level":10,"time":$((now - 10)),"sender":"a","message":"a notification"}
	END
	stored
	run -0 as w1 <<-'END'
		{"action":"getLogs","timewindow":3600}
		{"action":"getLogs","timewindow":3600,"sender":"b"}
		{"action":"getLogs","timewindow":3600,"sender":null,"level":20}
		{"action":"getLogs","timewindow":0}
		{"action":"getLogs","timewindow":3600,"sender":"nobody"}
	END
	diff - <(echo "$output") <<-'END'
		{"success":true,"action":"getLogs","logs":[["a","as late",40],["a","second",10],["b","first",20]]}
		{"success":true,"action":"getLogs","logs":[["b","first",20]]}
		{"success":true,"action":"getLogs","logs":[["a","second",10],["b","first",20]]}
		{"success":true,"action":"getLogs","logs":[]}
		{"success":true,"action":"getLogs","logs":[]}
	END
}

@test "a window that is missing or no number is an error, never data" {
	records 3 "$(date +%s)" | monitor-ingest -q -d m.db
	stored
	run -0 as w1 <<-'END'
		{"action":"getLogs"}
		{"action":"getLogs","timewindow":"60"}
		{"action":"getNotifications","timewindow":null}
	END
	[ "$(grep -c '"success":false' <<<"$output")" = 3 ]
	[[ $output != *number\ 1* ]]
}

@test "getNotifications gives notifications with their times" {
	stored
	run -0 as w1 <<-END
		$(notifications fire)
		!expect 1
		{"action":"getNotifications","since":0}
	END
	[ "${lines[1]}" = '{"success":true,"action":"getNotifications","notifications":[["test","fire",30,1732280000.5]]}' ]
}

@test "an upload that is acknowledged is seen by the next read" {
	stored
	for i in {1..20}; do
		printf '%s\n!expect %d\n{"action":"getLogs","since":0,"limit":1}\n!expect %d\n' \
			"$(logs "number $i")" $((2 * i - 1)) $((2 * i))
	done >talk
	run -0 as w1 <talk
	for i in {1..20}; do
		[[ ${lines[2 * i - 1]} == *"number $i\""* ]]
	done
}

@test "limit, text, since, until and records choose and shape an answer" {
	records 9 | monitor-ingest -q -d m.db
	stored
	run -0 as w1 <<-'END'
		{"action":"getLogs","since":1700000002.5,"until":1700000005.5}
		{"action":"getLogs","since":0,"limit":2}
		{"action":"getLogs","since":0,"text":"er 7"}
		{"action":"getLogs","since":0,"text":"er 7","records":true}
	END
	[ "$(jq -c '[.logs[][1]]' <<<"${lines[0]}")" = '["number 4","number 3","number 2"]' ]
	[ "$(jq -c '[.logs[][1]]' <<<"${lines[1]}")" = '["number 9","number 8"]' ]
	[ "$(jq -c '[.logs[][1]]' <<<"${lines[2]}")" = '["number 7"]' ]
	[ "$(jq -c '.logs' <<<"${lines[3]}")" = "[$(monitor-query -d m.db -g 'er 7')]" ]
}

@test "a cursor goes on where the last answer ended" {
	records 9 | monitor-ingest -q -d m.db
	stored
	run -0 as w1 <<<'{"action":"getLogs","since":0,"records":true,"limit":4}'
	cursor=$(jq -r .cursor <<<"$output")
	run -0 as w1 <<<"{\"action\":\"getLogs\",\"since\":0,\"records\":true,\"cursor\":\"$cursor\",\"limit\":4}"
	[ "$(jq -c '[.logs[].message]' <<<"$output")" = '["number 5","number 4","number 3","number 2"]' ]
}

@test "getRecords gives all kinds, forward or backward, by time or by arrival" {
	monitor-ingest -q -d m.db <<-'END'
		{"watchdog":"w1","level":10,"time":3,"sender":"a","message":"three"}
		{"watchdog":"w1","level":20,"time":1,"sender":"b","message":"one","kind":"notification"}
		{"watchdog":"w1","level":30,"time":2,"sender":"c","message":"two"}
	END
	stored
	run -0 as w1 <<-'END'
		{"action":"getRecords"}
		{"action":"getRecords","order":"arrival"}
		{"action":"getRecords","reverse":true,"kind":"log"}
		{"action":"getRecords","sender":["a","b"]}
	END
	[ "$(jq -c '[.records[].message]' <<<"${lines[0]}")" = '["one","two","three"]' ]
	[ "$(jq -c '[.records[].message]' <<<"${lines[1]}")" = '["three","one","two"]' ]
	[ "$(jq -c '[.records[].message]' <<<"${lines[2]}")" = '["three","two"]' ]
	[ "$(jq -c '[.records[].message]' <<<"${lines[3]}")" = '["one","three"]' ]
}

@test "without a store yet answers are empty, and uploads make it" {
	stored
	run -0 as w1 <<-END
		{"action":"getLogs","timewindow":60}
		{"action":"getNotifications","timewindow":60}
	END
	[ "${lines[0]}" = '{"success":true,"action":"getLogs","logs":[]}' ]
	[ "${lines[1]}" = '{"success":true,"action":"getNotifications","notifications":[]}' ]
}

@test "without -d reads fail with a comment and uploads work" {
	wsd --no-auth -- monitor-ingest --quiet --ack -d m.db
	run -0 as w1 <<-END
		{"action":"getLogs","timewindow":60}
		$(logs one)
	END
	diff - <(sort <<<"$output") <<-'END'
		{"success":false,"action":"getLogs","comment":"No store to read from"}
		{"success":true,"action":"uploadLogs","comment":"Inserted 1 log(s) into db."}
	END
}

@test "a damaged store fails reads with a comment that tells nothing, and is looked at again" {
	records 3 | monitor-ingest -q -d m.db
	mv m.db good.db
	head -c 100000 /dev/urandom >m.db
	wsd -d m.db --no-auth -- monitor-ingest --quiet --ack -d other.db
	run -0 as w1 <<<'{"action":"getLogs","since":0}'
	[[ $output == '{"success":false,"action":"getLogs","comment":"'* ]]
	[[ $output != *m.db* && $output != *SQL* && $output != *sql* ]]
	run -22 curl -sSf "http://127.0.0.1:$port/readyz"
	mv -f good.db m.db
	run -0 as w1 <<<'{"action":"getLogs","since":0,"limit":1}'
	[[ $output == *"number 3"* ]]
	curl -sSf "http://127.0.0.1:$port/readyz"
}

@test "the log says why the store can't be read, once, and when it can again" {
	records 1 | monitor-ingest -q -d m.db
	mv m.db good.db
	mkdir m.db
	wsd -d m.db --no-auth
	until_true grep -q "the store can't be read: m.db: " wsd.err
	rmdir m.db && mv good.db m.db
	until_true grep -q 'the store can be read again' wsd.err
	[ "$(grep -c 'the store' wsd.err)" -eq 2 ]
}

@test "a store that is replaced is opened again" {
	records 1 | monitor-ingest -q -d m.db
	wsd -d m.db --no-auth -- monitor-ingest --quiet --ack -d other.db
	run -0 as w1 <<<'{"action":"getLogs","since":0}'
	[[ $output == *"number 1"* ]]
	rm m.db*
	records 2 | monitor-ingest -q -d m.db
	run -0 as w1 <<<'{"action":"getLogs","since":0}'
	[[ $output == *"number 2"* ]]
}

@test "ping, keepalive and disconnect are answered, and disconnect closes with 1000" {
	stored
	run -0 as w1 -C <<-'END'
		{"action":"ping"}
		{"action":"keepalive"}
		{"action":"disconnect"}
	END
	diff - <(sed 's/ $//' <<<"$output") <<-'END'
		{"success":true,"action":"ping"}
		{"success":true,"action":"keepalive"}
		{"success":true,"action":"disconnect"}
		close 1000
	END
}

@test "an id of any type is echoed in the reply, whatever becomes of the request" {
	stored
	run -0 as w1 <<-'END'
		{"action":"ping","id":{"a":[1,"x"]}}
		{"action":"getLogs","timewindow":1,"id":null}
		{"action":"getLogs","id":1e3}
		{"action":"nonsense","id":"\u0041"}
		{"action":"uploadLogs","logs":7,"id":[]}
		{"action":"uploadLogs","logs":[],"id":false}
	END
	for id in '{"a":[1,"x"]}' null 1e3 '[]' false; do
		grep -F "\"id\":$id" <<<"$output"
	done
	grep -E '"id":"(A|\\u0041)"' <<<"$output"
}

@test "an unknown action is answered, and the connection stays" {
	stored
	run -0 as w1 <<-'END'
		{"action":"makeCoffee"}
		{"action":"ping"}
	END
	diff - <(echo "$output") <<-'END'
		{"success":false,"action":"makeCoffee","comment":"Unknown Action"}
		{"success":true,"action":"ping"}
	END
}

@test "pipelined requests of one action are answered in their order" {
	stored
	for i in {1..50}; do
		printf '{"action":"uploadLogs","id":%d,"logs":%s}\n' "$i" "$([ $((i % 3)) = 0 ] && echo null ||
			echo "[{\"level\":1,\"time\":$i,\"sender\":\"a\",\"message\":\"b\"}]")"
		printf '{"action":"getLogs","id":%d,"timewindow":%s}\n' "$i" "$([ $((i % 4)) = 0 ] && echo '"x"' || echo 9)"
	done >talk
	run -0 as w1 <talk
	[ "$(jq -r 'select(.action == "uploadLogs").id' <<<"$output" | xargs)" = "$(echo {1..50})" ]
	[ "$(jq -r 'select(.action == "getLogs").id' <<<"$output" | xargs)" = "$(echo {1..50})" ]
}

@test "an upload numbered by its client is stored once however often it is sent" {
	stored
	message='{"action":"uploadLogs","source":"s","seq":5,"logs":[{"level":1,"time":1,"sender":"a","message":"b"},{"level":1,"time":2,"sender":"a","message":"c"}]}'
	for again in 1 2 3; do
		run -0 as w1 <<<"$message"
		[[ $output == *"Inserted 2 log(s)"* ]]
	done
	run -0 as w2 <<<"$message"
	[ "$(monitor-query -d m.db -W w1 --count)" = 2 ]
	[ "$(monitor-query -d m.db -W w2 --count)" = 2 ]
}

@test "a source without seq, and numbers out of range, are refused" {
	stored
	run -0 as w1 <<-'END'
		{"action":"uploadLogs","source":"s","logs":[]}
		{"action":"uploadLogs","source":"s","seq":-1,"logs":[]}
		{"action":"uploadLogs","source":"","seq":1,"logs":[]}
		{"action":"uploadLogs","source":"s","seq":9223372036854775807,"logs":[{"level":1,"time":1,"sender":"a","message":"b"},{"level":1,"time":1,"sender":"a","message":"b"}]}
	END
	[ "$(grep -c '"success":false' <<<"$output")" = 4 ]
}

# ---- notifications, live ----

# heard NAME PORT: is who listens as got_NAME at PORT there?
heard() {
	port=$2 as w1 <<<"$(notifications "hello $1")" >/dev/null
	grep -q "hello $1" "got_$1"
}

@test "a notification reaches every other connection of its watchdog, and nobody else" {
	stored
	for who in a b; do
		converse $who as w1 -n 1 -T 20
		tell $who '!say ready'
	done
	begin as w2 -w -T 20 >other
	until_true grep -q ready a
	until_true grep -q ready b
	run -0 as w1 <<<'{"action":"uploadNotifications","id":3,"source":"s","seq":1,"success":"x","notifications":[{"level":0,"time":1.5,"sender":"{","message":"}\"fire\"","extra":1}]}'
	[ "$output" = '{"success":true,"action":"uploadNotifications","id":3,"comment":"Inserted 1 notification(s) into db."}' ]
	until_true grep -q fire a
	until_true grep -q fire b
	[ "$(tail -n 1 a)" = '{"action":"uploadNotifications","notifications":[{"level":0,"time":1.5,"sender":"{","message":"}\"fire\"","extra":1}],"success":true}' ]
	cmp <(tail -n 1 a) <(tail -n 1 b)
	[ ! -s other ]
}

@test "two that upload at the same moment get each other's" {
	stored
	converse one as w1 -n 2
	converse two as w1 -n 2
	tell one '!say ready'
	tell two '!say ready'
	until_true grep -q ready one
	until_true grep -q ready two
	tell one "$(notifications first)"
	tell two "$(notifications second)"
	until_true grep -q first two
	until_true grep -q second one
	until_true grep -q Inserted one
	until_true grep -q Inserted two
	[ "$(cat one two | wc -l)" = 6 ]
}

@test "with a sink, acknowledged notifications come out on standard output with their origin" {
	stored
	run -0 as w1 <<-END
		$(notifications one two)
		$(logs three)
	END
	until_true grep -q two wsd.out
	[ "$(jq -c 'del(.origin)' wsd.out)" = "$(monitor-query -d m.db -k notification)" ]
	[[ $(jq -r .origin wsd.out | sort -u) == wsd-* ]]
}

@test "notifications on standard input reach the connections of their watchdog, our own do not come back" {
	converse daemon monitor-wsd --listen 127.0.0.1:0 -d m.db --no-auth -- monitor-ingest --quiet --ack -d m.db 2>err
	the_port err
	converse got as w1 -n 1
	tell got '!say ready'
	until_true grep -q ready got
	as w2 <<<"$(notifications mine)"
	until_true grep -q mine daemon
	tell daemon "$(sed 's/"w2"/"w1"/' daemon)"
	tell daemon 'no record'
	tell daemon '{"kind":"log","watchdog":"w1","level":1,"time":1,"sender":"a","message":"a log"}'
	tell daemon '{"kind":"notification","watchdog":"w3","level":1,"time":1,"sender":"a","message":"not theirs"}'
	tell daemon '{"kind":"notification","watchdog":"w1","level":1,"time":1,"sender":"a","message":"theirs","origin":"wsd-else"}'
	until_true grep -q theirs got
	[ "$(tail -n +2 got)" = '{"action":"uploadNotifications","notifications":[{"level":1,"time":1.0,"sender":"a","message":"theirs"}],"success":true}' ]
	[ "$(monitor-query -d m.db --count)" = 1 ]
	# The end of that input is no end.
	hush daemon
	as w2 <<<'{"action":"ping"}'
}

@test "two instances joined by pipes forward to each other, and nothing goes round twice" {
	mkfifo ab ba
	exec 8<>ab 9<>ba
	for i in a b; do
		[ $i = a ] && exec <&9 7>&8 || exec <&8 7>&9
		begin monitor-wsd --listen 127.0.0.1:0 --no-auth -d m.db -- monitor-ingest -q --ack -d m.db 2>err.$i >&7 8>&- 9>&-
		the_port err.$i
		declare "port_$i=$port"
		converse "got_$i" as w1 -w -T 60
	done
	# Both are there when each has heard of something of its own.
	for i in a b; do
		port=port_$i
		port=${!port}
		until_true sh -c "curl -s http://127.0.0.1:$port/readyz | grep -q ok"
		until_true heard "$i" "$port"
	done
	for i in 1 2 3; do
		port=$port_a as w1 <<<"$(notifications "a$i")"
		port=$port_b as w1 <<<"$(notifications "b$i")"
	done
	for i in a b; do
		for n in a1 a2 a3 b1 b2 b3; do until_true grep -q "\"$n\"" got_$i; done
		[ "$(grep -cE '"[ab][1-3]"' got_$i)" = 6 ]
	done
}

# ---- subscriptions ----

@test "a subscription sends what arrives, in the order of arrival, and its cursor goes on" {
	stored
	converse got as w1 -n 3
	tell got '{"action":"subscribe","kind":"log"}'
	until_true grep -q '"action":"subscribe"' got
	as w1 <<<"$(logs one)"
	until_true grep -q one got
	as w2 <<<"$(logs "not for them")"
	as w1 <<<"$(logs two)"
	until_true grep -q two got
	[ "$(head -n 1 got)" = '{"success":true,"action":"subscribe"}' ]
	[ "$(tail -n +2 got | jq -c '.action, [.records[].message]' | xargs)" = 'records [one] records [two]' ]
	cursor=$(sed -n 2p got | jq -r .cursor)
	run -0 as w1 -n 2 <<<"{\"action\":\"subscribe\",\"cursor\":\"$cursor\"}"
	[ "$(jq -c '[.records[].message]' <<<"${lines[1]}")" = '["two"]' ]
}

@test "a subscription with a window begins with what is in it" {
	records 3 "$(date +%s)" | monitor-ingest -q -d m.db
	stored
	run -0 as w1 -n 2 <<<'{"action":"subscribe","timewindow":3600,"level":30,"sender":"test"}'
	[ "$(jq -c '[.records[].message]' <<<"${lines[1]}")" = '["number 1","number 2","number 3"]' ]
}

@test "unsubscribe ends it" {
	stored
	run -0 as w1 <<-END
		{"action":"subscribe"}
		!expect 1
		{"action":"unsubscribe"}
		!expect 2
		$(logs one)
		!expect 3
		{"action":"getLogs","since":0}
	END
	[ "${lines[1]}" = '{"success":true,"action":"unsubscribe"}' ]
	[ "${#lines[@]}" = 4 ]
}

# ---- records on standard output ----

@test "without a sink records go to standard output, plain, and are answered when they are there" {
	wsd --no-auth
	run -0 as w1 <<<"$(logs one)"
	[[ $output == *"Inserted 1 log(s)"* ]]
	[ "$(cat wsd.out)" = '{"kind":"log","watchdog":"w1","level":30,"time":1732280000.5,"sender":"test","message":"one"}' ]
}

@test "a pipe into monitor-ingest stores what is uploaded" {
	start bash -c 'monitor-wsd --no-auth --listen 127.0.0.1:0 -d m.db 2>wsd.err | monitor-ingest -q -d m.db'
	both=$pid
	the_port wsd.err
	as w1 <<<"$(logs one two)"
	pkill -TERM -P "$both" -x monitor-wsd
	wait "$both"
	[ "$(monitor-query -d m.db -o cat | xargs)" = "one two" ]
}

@test "what goes to a standard output that is closed is not acknowledged" {
	start bash -c 'exec monitor-wsd --no-auth --listen 127.0.0.1:0 2>wsd.err >&-'
	wsd=$pid
	the_port wsd.err
	run -1 as w1 <<<"$(logs one)"
	run -1 wait "$wsd"
	grep 'standard output: Bad file descriptor' wsd.err
}

@test "when nobody reads the records any more the daemon says so and ends" {
	start bash -c 'set -o pipefail; monitor-wsd --no-auth --listen 127.0.0.1:0 2>wsd.err | head -n 1'
	both=$pid
	the_port wsd.err
	# Whether one is answered before the end is seen is a matter of chance.
	as w1 <<<"$(logs one)" || true
	as w1 <<<"$(logs two)" || true
	run -1 wait "$both"
	grep -i 'standard output' wsd.err
}
