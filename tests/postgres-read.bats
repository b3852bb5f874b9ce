#!/usr/bin/env bats
# Asking a store in PostgreSQL: the same answers as from a file, whatever becomes of the server.

load helper
load postgres
load wsd
load zmq

NOW=$(date +%s)

prepare() {
	server resume
	new_store
}

# both OPTION...: the same answer from the file m.db and from the server.
both() {
	monitor-query -d m.db "$@" >file 2>&1 || echo "status $?" >>file
	monitor-query -d "$URL" "$@" >server 2>&1 || echo "status $?" >>server
	diff file server
}

# daemon: as stored(), with the store in PostgreSQL.
daemon() {
	wsd -d "$URL" --no-auth "$@" -- monitor-ingest --quiet --ack -d "$URL"
}

ready() { [ "$(curl -s -o body -w '%{http_code}' "http://127.0.0.1:$port/readyz")" = "$1" ]; }

# session NAME: psql, which does what `tell NAME SQL` says.
session() {
	converse "$1" psql -XAtq -v ON_ERROR_STOP=1 -d "$URL"
}

# said NAME TEXT: the session has come to this.
said() {
	tell "$1" "\\echo $2"
	until_true grep -qx "$2" "$1"
}

# put NAME NUMBER: a batch of two, in the transaction of that session.
put() {
	tell "$1" "BEGIN; SELECT monitor.reserve() AS first \\gset"
	tell "$1" "INSERT INTO monitor.log SELECT :first + i, extract(epoch FROM now()), 0, 'w1', 's', '$2 ' || i FROM generate_series(0, 1) AS i;"
	said "$1" "put$2"
}

commit() {
	tell "$1" "SELECT monitor.settle(:first, :first + 1, 2); COMMIT;"
	said "$1" committed
}

@test "every question gets the answer that a file gives" {
	{ cat "$PROJECT/share/sample.ndjson"; records 3000 $((NOW - 2000)); records 3000 $((NOW - 2000)) | sed 's/"w1"/"w2"/; s/log/notification/'; } >in
	monitor-ingest -q -d m.db in
	monitor-ingest -q -d "$URL" in
	both
	both -r
	both -n 7
	both -n 1500
	both -r -n 1500 -o csv
	both -l warning -o text
	both -W w1 -W cellar0000000001 -s test -s Pump -n 40
	both -k notification -S @$((NOW - 100))
	both -S 2024-11-22 -U 2024-11-23 -W w1
	both -U 2024-11-22 -o cat
	both -g 'door|9$'
	both --count
	both --senders -o text
	both --top 3 --watchdogs
	both --histogram=1h -o ndjson
	both --histogram=1m -S @$((NOW - 500)) -g 7
	run -1 monitor-query -d "$URL" -W nobody
	run -1 monitor-query -d "$URL" -S 2100-01-01
}

@test "more records of one moment than a slice holds, of several watchdogs" {
	records 300 | sed "s/\"time\":[0-9.]*/\"time\":$((NOW - 80000))/; 2~2s/w1/w2/" >in
	monitor-ingest -q -d "$URL" in
	timeout 10 monitor-query -d "$URL" -W w1 -W w2 -S @$((NOW - 80000)) -o cat >out
	seq 300 | sed 's/^/number /' | cmp - out
	timeout 10 monitor-query -d "$URL" -W w1 -W w2 -U @$((NOW - 79999)) -r -o cat | tac | cmp - out
}

@test "texts of any length, and U+0000, come back as they were" {
	python3 - <<-'END' >in
		import json, time
		for i, n in enumerate([0, 1, 2047, 2048, 2049, 9000, 300000]):
		    for at in (time.time(), 5):
		        for nul in ("", "\0", "\x10", "\x100"):
		            r = {"watchdog": "w1", "level": i, "time": at + i, "sender": "s", "message": nul + "m" * n}
		            print(json.dumps(r))
		            print(json.dumps({**r, "sender": nul + "é" * (n // 2), "more": [nul]}))
		            print(json.dumps({**r, "more": nul + "x" * n}))
	END
	monitor-ingest -q -d m.db in
	monitor-ingest -q -d "$URL" in
	both
	both -r
	both -n 20
	both -g 'mmmm$'
	both -g 'mmmm$' -n 5
	both --senders -o ndjson
	both -s "$(printf 's')" --count
}

@test "a follower misses nothing and repeats nothing of transactions that overlap" {
	records 1 | monitor-ingest -q -d "$URL"   # there are partitions
	start monitor-query -d "$URL" -f --lines=0 -o cat >followed
	for name in a b c; do session "$name"; done
	put a 1
	put b 2
	put c 3
	commit b
	until_true grep -qx '2 1' followed
	monitor-query -q -d "$URL" --cursor-file seen -o cat | tail -n +2 >first
	put b 4
	commit c
	commit b
	until_true grep -qx '4 1' followed
	commit a
	until_true grep -qx '1 1' followed
	diff followed <(printf '%s\n' '2 0' '2 1' '3 0' '3 1' '4 0' '4 1' '1 0' '1 1')
	monitor-query -q -d "$URL" --cursor-file seen -o cat >rest
	cat first rest | diff followed -
	run -1 monitor-query -q -d "$URL" --cursor-file seen -o cat
	# In the order of time as ever, also from a place in the other order, and the other way round.
	[ "$(monitor-query -d "$URL" -n 8 -o cat | head -n 2 | tr '\n' ' ')" = '1 0 1 1 ' ]
	cursor=$(monitor-query -d "$URL" -n 1 -o cat --show-cursor 2>&1 >/dev/null | sed 's/.*: //')
	[ -n "$cursor" ]
	run -1 monitor-query -d "$URL" --after-cursor "$cursor"
}

@test "-f goes on by itself when the server comes back" {
	records 3 | monitor-ingest -q -d "$URL"
	start monitor-query -d "$URL" -f -o cat >followed 2>err
	follower=$pid
	until_true grep -qx 'number 3' followed
	server halt immediate
	until_true grep -q 'trying again' err
	server resume
	records 5 | monitor-ingest -q -d "$URL"
	until_true grep -qx 'number 5' followed
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name LIKE 'monitor%'" >ended
	records 6 | tail -n 1 | monitor-ingest -q -d "$URL"
	until_true grep -qx 'number 6' followed
	[ "$(wc -l <followed)" = 9 ]
	kill -TERM "$follower"
	wait "$follower"
}

@test "a query of a server that is down fails, and tells no password" {
	server halt
	run -3 monitor-query -d "${URL/monitor@/monitor:secret@}"
	[[ $output == monitor-query:\ postgresql://* ]]
	[[ $output != *secret* ]]
	server resume
	run -1 monitor-query -d "${URL/\/store/\/nowhere}"   # no database is no store
}

@test "an answer goes on where it was when its connection breaks in the middle" {
	records 40000 $((NOW - 50000)) | monitor-ingest -q -d "$URL"
	for order in '' -r; do
		monitor-query -d "$URL" $order -o cat 2>err | {
			read -r line && echo "$line"
			server restart >&2
			read -r line && echo "$line"
			sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'monitor reader'" >&2
			cat
		} >out
		cat err
		if [ -z "$order" ]; then seq 40000; else seq 40000 -1 1; fi | sed 's/^/number /' | cmp - out
	done
}

# many: more records than one connection is used for; long OPTION...: they are asked for, and
# 60000 are read; rest: the others.
MANY=150000
many() { records $MANY $((NOW - 2 * MANY)) | monitor-ingest -q -d "$URL"; }
long() {
	rm -f rest
	mkfifo rest
	start sh -c 'exec monitor-query -o cat "$@" >rest 2>err' sh -d "$URL" "$@"
	reader=$pid
	exec {rest}<rest
	sed -u 60000q <&"$rest" >out
}
rest() {
	cat <&"$rest" >>out
	exec {rest}<&-
	wait "$reader" || { cat err; return 1; }
}

# readers ORDER [N]: the server processes that are asked, N of them at most.
readers() {
	sql "SELECT pid FROM pg_stat_activity WHERE application_name = 'monitor reader' AND datname = current_database() ORDER BY backend_start $1 LIMIT ${2-9}"
}

@test "a long answer comes over two connections, and goes on when either breaks, or both" {
	many
	seq $MANY | sed 's/^/number /' >all
	for broken in 'ASC 1' 'DESC 1' 'ASC 2'; do
		# shellcheck disable=SC2086 # two arguments
		for order in '' -r; do
			long $order
			[ "$(readers ASC | wc -l)" = 2 ]
			for process in $(readers $broken); do sql "SELECT pg_terminate_backend($process)" >&2; done
			rest
			if [ -z "$order" ]; then cmp all out; else tac all | cmp - out; fi
		done
	done
}

@test "a long answer that is not wanted any more leaves no connection" {
	many
	[ "$(monitor-query -d "$URL" -o cat | sed -u 60000q | wc -l)" = 60000 ]
	none() { [ -z "$(readers ASC)" ]; }
	until_true none
	[ "$(monitor-query -d "$URL" -o cat -n 120000 | wc -l)" = 120000 ]
}

@test "a long answer comes over one connection where there is no second, and where a pooler has one only" {
	many
	seq $MANY | sed 's/^/number /' >all
	sql "CREATE ROLE alone LOGIN CONNECTION LIMIT 1 IN ROLE monitor_reader"
	monitor-query -d "${URL/monitor@/alone@}" -o cat | cmp all
	grep -q 'too many connections for role "alone"' "$CLUSTER/log"
	server pool 1
	monitor-query -d "$URL&port=6432" -o cat | cmp all
	kill "$(cat "$CLUSTER/pooler.pid")"
}

@test "a statement that was cancelled is asked again" {
	records 3 | monitor-ingest -q -d "$URL"
	waiting() { [ -n "$(sql "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")" ]; }
	session a
	tell a "BEGIN; LOCK monitor.log;"
	said a locked
	start monitor-query -d "$URL" -o cat >out
	reader=$pid
	until_true waiting
	sql "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
	until_true grep -q 'canceling statement' "$CLUSTER/log"
	until_true waiting
	tell a "COMMIT;"
	wait "$reader"
	[ "$(wc -l <out)" = 3 ]
}

@test "who only reads asks MONITOR_READ_STORE, if there is one, and else MONITOR_STORE" {
	records 3 | monitor-ingest -q -d "$URL"
	records 2 | monitor-ingest -q -d m.db
	export MONITOR_READ_STORE=$URL MONITOR_STORE=m.db
	[ "$(monitor-query --count)" = 3 ]
	[ "$(monitor-query -d m.db --count)" = 2 ]
	wsd --no-auth -- monitor-ingest --quiet --ack
	run -0 as w1 <<<'{"action":"getLogs","since":0}'
	[[ $output == *"number 3"* ]]
	run -0 as w1 <<<"$(logs one)"
	[ "$(monitor-query -d m.db --count)" = 3 ]
	unset MONITOR_READ_STORE
	[ "$(monitor-query --count)" = 3 ]
}

@test "the daemon reads what was just uploaded, and forwards what comes" {
	daemon
	run -0 as w1 <<<"$(logs one two)"
	[ "$output" = '{"success":true,"action":"uploadLogs","comment":"Inserted 2 log(s) into db."}' ]
	run -0 as w1 <<<'{"action":"getLogs","since":0}'
	[ "$output" = '{"success":true,"action":"getLogs","logs":[["test","two",30],["test","one",30]]}' ]
	run -0 as w1 <<<"$(notifications three)"
	run -0 as w1 <<<'{"action":"getNotifications","since":0}'
	[ "$output" = '{"success":true,"action":"getNotifications","notifications":[["test","three",30,1732280000.5]]}' ]
	converse app as w1
	tell app '{"action":"subscribe"}'
	until_true grep -q '"action":"subscribe"' app
	records 4 "$NOW" | monitor-ingest -q -d "$URL"
	until_true grep -q 'number 4' app
	[ "$(grep -o 'number [0-9]' app | sort -u | wc -l)" = 4 ]
	# From a place in the order of time on.
	cursor=$(as w1 <<<'{"action":"getRecords","order":"time","limit":2,"cursors":true}' | grep -o 'c1;[^"]*' | head -n 1)
	[ -n "$cursor" ]
	as w1 <<<"{\"action\":\"getRecords\",\"order\":\"arrival\",\"cursor\":\"$cursor\"}" >rest
	[ "$(grep -o 'number [0-9]' rest)" = 'number 4' ]
	stop_wsd
}

@test "a daemon without a store gives empty answers, until there is one" {
	URL="${URL%%store*}empty$$$RANDOM?${URL#*\?}"
	psql -XAtq -d "${URL/\/empty*\?//postgres?}" -c "CREATE DATABASE $(grep -o 'empty[0-9]*' <<<"$URL")"
	run -1 monitor-query -d "$URL"
	daemon
	run -0 as w1 <<<'{"action":"getLogs","since":0}'
	[ "$output" = '{"success":true,"action":"getLogs","logs":[]}' ]
	monitor-ingest -q --create-schema -d "$URL"
	run -0 as w1 <<<"$(logs one)"
	run -0 as w1 <<<'{"action":"getLogs","since":0}'
	[ "$output" = '{"success":true,"action":"getLogs","logs":[["test","one",30]]}' ]
}

@test "while the server is down reads fail, and the daemon says so; then they come back" {
	records 2 | monitor-ingest -q -d "$URL"
	daemon
	converse app as w1
	tell app '{"action":"subscribe"}'
	until_true grep -q '"action":"subscribe"' app
	ready 200
	server halt immediate
	run -0 as w1 <<<'{"action":"getLogs","since":0}'
	[ "$output" = '{"success":false,"action":"getLogs","comment":"The store is busy, try again"}' ]
	ready 503
	grep -q '^store: ' body
	server resume
	until_true ready 200
	run -0 as w1 <<<'{"action":"getLogs","since":0}'
	[[ $output == *"number 2"* ]]
	records 3 | tail -n 1 | monitor-ingest -q -d "$URL"
	until_true grep -q 'number 3' app
}

@test "monitor-zmq serve answers from it" {
	beside serve monitor-zmq serve -d "$URL" --bind tcp://127.0.0.1:0 -- monitor-ingest --quiet --ack -d "$URL"
	until_true endpoint_is_there serve.err
	there=$(endpoint serve.err)
	"$PYTHON" - "$there" >answers <<-'END'
		import sys, zmq
		socket = zmq.Context().socket(zmq.REQ)
		socket.connect(sys.argv[1])
		for request in ('"uploadLogs","logs":[{"level":1,"time":2,"sender":"me","message":"hello"}]', '"getLogs","since":0'):
		    socket.send(b'{"watchdog":"w1","action":%s}' % request.encode())
		    if not socket.poll(20000):
		        sys.exit("no answer")
		    print(socket.recv().decode())
	END
	[ "$(tail -n 1 answers)" = '{"success":true,"action":"getLogs","logs":[["me","hello",1]]}' ]
}

@test "a follower goes on in a dump that was restored, and misses nothing" {
	records 3 | monitor-ingest -q -d "$URL"
	server run pg_dump -h "$CLUSTER" -U monitor --format=custom "$(sql 'SELECT current_database()')" >dump
	for i in 1 2 3; do records 1 180000000$i | monitor-ingest -q -d "$URL"; done
	monitor-query -d "$URL" --cursor-file c >/dev/null
	server run createdb -h "$CLUSTER" -U monitor --template=template0 restored
	server run pg_restore -h "$CLUSTER" -U monitor --dbname=restored <dump
	URL=$(sed "s/$(sql 'SELECT current_database()')/restored/" <<<"$URL")
	run -3 monitor-query -d "$URL" --cursor-file c
	[[ $output == *"has not come to this position"* ]]
	for i in 1 2 3 4; do records 1 190000000$i | monitor-ingest -q -d "$URL"; done
	[ "$(monitor-query -d "$URL" --cursor-file c -o ndjson | jq .time | tr '\n' ' ')" = \
		"1900000002.5 1900000003.5 1900000004.5 1900000005.5 " ]
}

@test "what a server has its own tools for is refused, with status 2" {
	run -2 monitor-query -d "$URL" --backup copy
	[[ $output == "monitor-query: postgresql://"*": pg_dump and pg_basebackup make backups of PostgreSQL" ]]
	[ ! -e copy ]
	run -2 monitor-ingest -d "$URL" --salvage old.db
	[[ $output == "monitor-ingest: postgresql://"*": salvage into a file, then pipe that here" ]]
}

@test "texts are of UTF-8, whatever encoding the connection is said to have" {
	echo '{"level":30,"time":1,"sender":"s","message":"-13.5 °C"}' | monitor-ingest -q -d "$URL&client_encoding=LATIN1"
	run -0 monitor-query -d "$URL&client_encoding=LATIN1" -o cat
	[ "$output" = '-13.5 °C' ]
	[ "$(sql 'SELECT message FROM monitor.records')" = '-13.5 °C' ]
}

waits() { sql "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'relation'" | grep -q 1; }

# ends PID: soon, and well.
ends() {
	local end=$((SECONDS + 5))
	kill -TERM "$1"
	wait "$1"
	[ "$SECONDS" -le "$end" ]
}

@test "a signal ends the daemon in time, though what it reads is locked" {
	daemon --stop-timeout 1s
	session holder
	tell holder 'BEGIN; LOCK TABLE monitor.log;'
	said holder locked
	converse app as w1
	tell app '{"action":"getLogs","since":0}'
	until_true waits
	ends "$wsd"
	tell holder 'ROLLBACK; BEGIN; LOCK TABLE monitor.store;'
	said holder again
	daemon --stop-timeout 1s
	until_true waits
	ends "$wsd"
}

@test "a signal ends monitor-zmq serve in time, though what it reads is locked" {
	session holder
	tell holder 'BEGIN; LOCK TABLE monitor.log;'
	said holder locked
	beside serve monitor-zmq serve -d "$URL" --stop-timeout 1s --bind tcp://127.0.0.1:0
	serve=$pid
	until_true endpoint_is_there serve.err
	start "$PYTHON" -c 'import sys, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect(sys.argv[1])
socket.send(b"{\"watchdog\":\"w1\",\"action\":\"getLogs\",\"since\":0}")
socket.recv()' "$(endpoint serve.err)"
	until_true waits
	ends "$serve"
}

@test "a standby answers, is followed, and where it is waited for has what was acknowledged" {
	records 10 | monitor-ingest -q -d "$URL"
	standby=$CLUSTER.reader
	"$PROJECT/tests/postgres.sh" standby "$standby" "$CLUSTER" fsync=off 3>&- >/dev/null
	export MONITOR_READ_STORE=${URL%%host=*}host=${standby//\//%2F} MONITOR_STORE=$URL
	[ "$(monitor-query --count)" = 10 ]
	start monitor-query -f --no-tail -o cat >followed
	records 11 | tail -n 1 | monitor-ingest -q
	until_true grep -q 'number 11' followed
	sql "ALTER SYSTEM SET synchronous_standby_names = '*'"
	sql "ALTER SYSTEM SET synchronous_commit = 'remote_apply'"
	sql "SELECT pg_reload_conf()"
	until_true eval '[ "$(sql "SELECT sync_state FROM pg_stat_replication")" = sync ]'
	wsd --no-auth -- monitor-ingest --quiet --ack
	for i in {1..5}; do
		as w2 >answers <<<"$(logs "text $i")"
		[ "$(as w2 <<<'{"action":"getLogs","since":0}' | grep -o text | wc -l)" = "$i" ]
	done
	sql "ALTER SYSTEM RESET ALL"
	sql "SELECT pg_reload_conf()"
	"$PROJECT/tests/postgres.sh" stop "$standby"
}
