#!/usr/bin/env bats
# What can be the matter with a PostgreSQL server: who writes waits, says so, and goes on, and
# every record is stored once.

load helper
# The server's disk is full for as long as there is the file $FULL (tests/preload/full.c), and its
# clock is ahead by as many seconds as $CLOCK says (clock.c).
FULL=${TMPDIR:-/tmp}/monitor-full.${BATS_RUN_TMPDIR##*/}
CLOCK=${TMPDIR:-/tmp}/monitor-clock.${BATS_RUN_TMPDIR##*/}
export SERVER_ENV="LD_PRELOAD=$BUILD/tests/full.so:$BUILD/tests/clock.so FULL=$FULL CLOCK=$CLOCK"
load postgres

SECRET=open-sesame

# An address of its own for this run, so that the port may be the usual one.
ADDRESS=$(cksum <<<"$BATS_RUN_TMPDIR" | awk '{ printf "127.%d.%d.%d", $1 % 254 + 1, $1 / 256 % 256, $1 / 65536 % 254 + 1 }')
CLUSTER_SETTINGS=(listen_addresses="$ADDRESS")

# A writer has to show its password.
prepare() {
	local rules=$CLUSTER/data/pg_hba.conf before
	server resume
	new_store
	before=$(cat "$rules")
	[[ $before == local*+monitor_writer* ]] || printf 'local all +monitor_writer scram-sha-256\n%s\n' "$before" >"$rules"
	sql 'SELECT pg_reload_conf()'
}

teardown_file() {
	server stop
	[ ! -e "$CLUSTER.standby" ] || CLUSTER=$CLUSTER.standby server stop
	rm -f "$CLOCK"
}

# as_role: $URL is of another role, which has a password.
as_role() {
	sql "CREATE ROLE writer$BATS_TEST_NUMBER LOGIN PASSWORD '$SECRET' IN ROLE monitor_writer"
	ADMIN=$URL
	URL=${URL/monitor@/writer$BATS_TEST_NUMBER:$SECRET@}
}
admin() { URL=$ADMIN sql "$1"; }

# produce N [RATE]: N records from a producer that sends again what is not acknowledged.
produce() {
	start producer -s p -n "$1" -r "${2-0}" -a acked -t "$(date +%s)" -- \
		monitor-ingest --ack -d "$URL" 2>err
	producer=$pid
	touch acked
}
acked_beyond() { [ "$(tail -n 1 acked)" -gt "$1" ]; }

# all_once N: it is done, and N records are stored once.
all_once() {
	wait "$producer"
	[ "$(admin "SELECT count(*), count(DISTINCT time) FROM monitor.records")" = "$1|$1" ]
}

no_secret() {
	! grep -r "$SECRET" .
}

@test "too many connections: an ingester says so, waits, and goes on" {
	as_role
	admin "ALTER ROLE writer$BATS_TEST_NUMBER CONNECTION LIMIT 0"
	records 100 >lines
	start monitor-ingest -d "$URL" lines 2>err
	producer=$pid
	until_true grep -q 'too many connections.*; trying again' err
	admin "ALTER ROLE writer$BATS_TEST_NUMBER CONNECTION LIMIT -1"
	all_once 100
	no_secret
}

@test "who may not connect is told so, and does not wait" {
	as_role
	run -1 monitor-ingest -d "${URL/$SECRET/wrong}" </dev/null
	[[ $output == *": password authentication failed for user "* ]]
	admin "REVOKE CONNECT ON DATABASE $(admin 'SELECT current_database()') FROM PUBLIC"
	run -1 monitor-ingest -d "$URL" </dev/null
	[[ $output == *": permission denied for database "* ]]
	no_secret
}

@test "a host that says nothing is passed over for the next" {
	mkdir silent
	start monitor-ingest --listen unix:silent/.s.PGSQL.5432 -d other.db 2>err
	until_true test -S silent/.s.PGSQL.5432
	records 3 | monitor-ingest -q -d "$URL"
	run -0 monitor-query --count -d "${URL/host=/host=${PWD//\//%2F}%2Fsilent,}&connect_timeout=1"
	[ "$output" = 3 ]
	# Ten that refuse before it, and one behind it, take no time.
	none=$(printf "$PWD/none,%.0s" {1..10})
	SECONDS=0
	run -0 timeout 60 monitor-query --count -d "host=$none$PWD/silent,$PWD/none,$CLUSTER connect_timeout=2 user=monitor dbname=$(sql 'SELECT current_database()')"
	[ "$output" = 3 ]
	[ "$SECONDS" -lt 10 ]
	run -3 monitor-query --count -d "host=$PWD/silent connect_timeout=1"
	[[ $output == *": no answer" ]]
}

# certify NAME: NAME.crt and NAME.key.
certify() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \
		-days 2 -keyout "$1.key" -out "$1.crt" 2>openssl.err
}

# serve_file FILE NAME: it becomes the server's own.
serve_file() {
	sql "COPY (SELECT unnest(string_to_array(\$\$$(cat "$1")\$\$, E'\\n'))) TO PROGRAM 'umask 077; cat >$CLUSTER/data/$2'"
}

@test "over TLS a server is known by its certificate, and who shows another one is not spoken to" {
	local to
	certify db.test
	certify other.test
	serve_file db.test.key server.key
	serve_file db.test.crt server.crt
	sql 'ALTER SYSTEM SET ssl = on'
	sql 'SELECT pg_reload_conf()'
	to="host=db.test hostaddr=$ADDRESS user=monitor dbname=$(sql 'SELECT current_database()') sslmode=verify-full sslrootcert"
	until_true monitor-query -q -d "$to=db.test.crt" --stats >stats
	records 3 | monitor-ingest -q -d "$to=db.test.crt"
	[ "$(monitor-query -d "$to=db.test.crt" --count)" = 3 ]
	while read -r url; do
		read -r why
		run -1 monitor-ingest -d "$url" < <(records 1)
		[[ $output == "monitor-ingest: postgresql://"*": $why" ]]
		run -3 monitor-query -d "$url"
		[[ $output == "monitor-query: postgresql://"*": $why" ]]
	done <<-END
		$to=other.test.crt
		SSL error: certificate verify failed
		${to/db.test/elsewhere.test}=db.test.crt
		server certificate for "db.test" does not match host name "elsewhere.test"
		$to=nowhere.crt
		root certificate file "nowhere.crt" does not exist
	END
	sql 'ALTER SYSTEM SET ssl = off'
	sql 'SELECT pg_reload_conf()'
	until_true eval '! monitor-query -q -d "$to=db.test.crt" --stats 2>err'
	grep -q 'server does not support SSL, but SSL was required' err
	sql 'ALTER SYSTEM RESET ssl'
}

@test "a server that is not there yet is waited for, and one that stops is waited for again" {
	as_role
	server halt
	produce 3000 1500
	until_true grep -q 'monitor-ingest: ' err
	server resume
	until_true acked_beyond 1000
	server restart immediate
	all_once 3000
	no_secret
}

@test "statements that are cancelled are run again" {
	as_role
	produce 3000 1000
	until_true acked_beyond 0
	while kill -0 "$producer" 2>/dev/null; do
		admin "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE application_name = 'monitor writer'" >/dev/null
	done
	all_once 3000
	no_secret
}

@test "connections that are ended by the server are made again" {
	as_role
	produce 3000 1500
	for i in 1 2 3 4 5; do
		until_true acked_beyond $((i * 400))
		admin "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'monitor writer'" >/dev/null
	done
	all_once 3000
	no_secret
}

@test "a full disk: nothing is acknowledged that is not stored, and with more room the rest goes in" {
	as_role
	produce 40000
	until_true acked_beyond 5000
	touch "$FULL"
	until_true grep -q 'No space left on device' err
	rm "$FULL"
	all_once 40000
	no_secret
}

@test "a standby is read from, and not written to before it is promoted" {
	as_role
	records 10 | monitor-ingest -q -d "$URL"
	standby=$CLUSTER.standby
	CLUSTER=$standby server standby "$CLUSTER" fsync=off
	primary=$URL
	URL=${URL%%host=*}host=${standby//\//%2F}
	reader=${ADMIN%%host=*}host=${standby//\//%2F}
	[ "$(monitor-query -d "$reader" --count)" = 10 ]
	start monitor-query -d "$reader" -f --no-tail -o ndjson >followed
	follower=$pid
	produce 100
	until_true grep -q 'monitor-ingest: ' err
	[ ! -s acked ]
	records 10 1800000000 | monitor-ingest -q -d "$primary"
	until_true eval '[ "$(wc -l <followed)" = 20 ]'
	CLUSTER=$standby server promote
	ADMIN=$reader
	all_once 120
	until_true eval '[ "$(wc -l <followed)" = 120 ]'
	# Whatever the primary had still shown to followers: no number of a batch is given twice.
	numbers=$(psql -XAtq -d "$reader" -c "SELECT DISTINCT number > 268435456 FROM monitor.batch WHERE number > 2 ORDER BY 1")
	[ "$numbers" = t ]
	kill -TERM "$follower"
	wait "$follower"
	no_secret
}

@test "a server whose clock is not set yet is waited for, and one that was set back is written to" {
	records 3 | monitor-ingest -q -d "$URL"
	echo "-$(date +%s)" >"$CLOCK"
	start monitor-ingest -d "$URL" <(records 6 | tail -n 3) 2>err
	until_true grep -q 'the clock of the server says 1970-01-01 .*; trying again' err
	echo -86400 >"$CLOCK"
	wait "$pid"
	rm "$CLOCK"
	records 9 | tail -n 3 | monitor-ingest -q -d "$URL"
	monitor-query -q -d "$URL" -o cat | diff - <(seq 9 | sed 's/^/number /')
	monitor-query -q -d "$URL" --cursor-file seen -o cat | diff - <(seq 9 | sed 's/^/number /')
}

@test "a follower misses nothing of what comes after a crash, though it saw what that took away" {
	sql "ALTER DATABASE $(sql 'SELECT current_database()') SET synchronous_commit = off"
	records 3 | monitor-ingest -q -d "$URL"
	sql CHECKPOINT
	kill -STOP "$(sql "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")"
	for i in {1..5}; do records 1 180000000$i | monitor-ingest -q -d "$URL"; done
	[ "$(monitor-query -q -d "$URL" --cursor-file seen -o cat | wc -l)" = 8 ]
	server kill
	server resume
	for i in {1..7}; do records 1 190000000$i | monitor-ingest -q -d "$URL"; done
	[ "$(monitor-query -q -d "$URL" --cursor-file seen -o cat | wc -l)" = 7 ]
}

@test "a password in the URL is in no list of processes, and in no message" {
	as_role
	records 1 | monitor-ingest -d "$URL" 2>err
	mkfifo open
	exec {fd}<>open
	start monitor-ingest -d "$URL" open 2>err.ingest
	ingester=$pid
	start monitor-query -d "$URL" -f >out.query 2>err.query
	until_true eval '! grep -sq "$SECRET" "/proc/$pid/cmdline" "/proc/$ingester/cmdline"'
	start monitor-wsd --no-auth --listen 127.0.0.1:0 -d "$URL" -- monitor-ingest --ack -d "$URL" 2>err.wsd
	until_true grep -q 'listening on' err.wsd
	[ "$(cat "/proc/$pid/cmdline" | tr '\0' '\n' | grep -c 'writer.*:xxx')" = 2 ]
	until_true eval '! grep -sq "$SECRET" "/proc/$pid/cmdline" "/proc/$(pgrep -P "$pid")/cmdline"'
	start monitor-zmq serve -d "$URL" --bind tcp://127.0.0.1:0 -- monitor-ingest --ack -d "$URL" 2>err.zmq
	until_true grep -q 'listening on' err.zmq
	[ "$(cat "/proc/$pid/cmdline" | tr '\0' '\n' | grep -c 'writer.*:xxx')" = 2 ]
	server halt
	records 1 >open
	run monitor-query -d "$URL"
	[ "$status" = 3 ]
	[[ $output == *"monitor-query: "* && $output != *"$SECRET"* ]]
	run monitor-purge -d "$URL" --logs-timewindow 1d
	[ "$status" != 0 ]
	[[ $output == *"monitor-purge: "* && $output != *"$SECRET"* ]]
	until_true grep -q 'monitor-ingest: ' err.ingest
	no_secret
	server resume
}

@test "a password with a character that a URI has other uses for is not shown in pieces" {
	records 1 >one
	for secret in open/sesame op@n/sesame 'op@open/same' 'open?s@same' open:s/same; do
		start monitor-query -d "postgresql://writer:$secret@$ADDRESS/monitor" -f >out 2>err
		until_true eval '! grep -sqE "open|op@n|same" "/proc/$pid/cmdline" || [ -s err ]'
		run timeout 20 monitor-query -d "postgresql://writer:$secret@$ADDRESS/monitor"
		[[ $status != 0 && $output != *open* && $output != *same* && $output != *op@n* ]]
	done
	run -2 timeout 20 monitor-ingest -d "postgresql://writer:open/sesame@$ADDRESS/monitor" one   # which does not wait
	[[ $output == "monitor-ingest: postgresql://writer/$ADDRESS/monitor: invalid integer value"*"written %2F"* ]]
}
