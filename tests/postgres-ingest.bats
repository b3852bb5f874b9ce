#!/usr/bin/env bats
# monitor-ingest into PostgreSQL: who may, what happens when the server goes, what is stored.
load helper
load postgres

# as USER: the URL for another user.
as() {
	echo "${URL/monitor@/$1@}"
}

# recent N: records whose time is about when they arrive.
recent() {
	records "$1" "$(($(date +%s) - $1))"
}

stored() {
	[ "$(sql 'SELECT count(*) FROM monitor.records')" = "$1" ]
}

# Every number from 1 to $1 is there, and none twice.
each_once() {
	[ "$(sql "SELECT count(*), count(DISTINCT message), min(split_part(message, ' ', 2)::int),
		max(split_part(message, ' ', 2)::int) FROM monitor.records")" = "$1|$1|1|$1" ]
}

# The batches are whole: what they count is what is there.
batches_agree() {
	[ "$(sql 'SELECT sum(last - first + 1) FROM monitor.batch WHERE number > 0')" = "$1" ] &&
		[ "$(sql 'SELECT taken FROM monitor.batch ORDER BY number DESC LIMIT 1')" = "$1" ]
}

dump() {
	server run pg_dump --schema-only -d "$URL" | grep -Ev '^(--|.(un)?restrict)'
}

# waiting_for EVENT [PROGRAM]: the server process of this store that waits for it.
waiting_for() {
	sql "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
		AND application_name = '${2:-monitor writer}' AND wait_event = '$1'"
}
waits_for() {
	[ -n "$(waiting_for "$@")" ]
}

# Its user is the server's, or we are root.
kill_backend() {
	kill -KILL "$1"
}

@test "--create-schema makes the store, and finds it there the next time" {
	sql 'DROP SCHEMA monitor CASCADE'
	run -0 monitor-ingest --create-schema --partition-interval=6h -d "$URL"
	[ "$output" = "monitor-ingest: the store is made" ]
	run -0 monitor-ingest --create-schema -d "$URL"
	[ "$output" = "monitor-ingest: the store is there already" ]
	[ "$(sql 'SELECT version, log_interval, notification_interval, bound FROM monitor.store')" = "4|21600|648000|86400" ]
	records 3 | monitor-ingest -q -d "$URL"
	stored 3
	sql 'UPDATE monitor.store SET version = 99'
	run -1 monitor-ingest --create-schema -d "$URL"
	[[ $output == *"made by a newer monitor"* ]]
	run -1 monitor-ingest -d "$URL" </dev/null
	[[ $output == *"made by a newer monitor"* ]]
}

@test "two who make the schema at once both find a store" {
	sql 'DROP SCHEMA monitor CASCADE'
	start monitor-ingest --create-schema -d "$URL"
	local first=$pid
	monitor-ingest --create-schema -d "$URL"
	wait "$first"
}

@test "what --print-schema prints is what --create-schema runs" {
	local made
	sql 'DROP SCHEMA monitor CASCADE'
	monitor-ingest -q --create-schema -d "$URL"
	made=$(dump)
	sql 'DROP SCHEMA monitor CASCADE'
	monitor-ingest --print-schema | psql -qX1 -v ON_ERROR_STOP=1 -d "$URL" -f -
	[ "$(dump)" = "$made" ]
	monitor-ingest --print-schema=roles | psql -qX1 -v ON_ERROR_STOP=1 -d "$URL" -f -
	[ "$(dump)" = "$made" ]
	run -2 monitor-ingest --print-schema=rolls
	run -2 monitor-ingest --print-schema --partition-interval=0.5s
	run -2 monitor-ingest --print-schema --partition-interval=101d
}

# As it was in version 1: with locks that anyone could take.
older() {
	psql -XAtq -v ON_ERROR_STOP=1 -d "$URL" <<-'END'
		CREATE OR REPLACE FUNCTION monitor.make_partitions(kind text, second bigint, length bigint) RETURNS void
			LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
		DECLARE
			begins bigint := second - second % length;
			name text;
		BEGIN
			PERFORM pg_advisory_xact_lock(1835954290, 2);
			FOR i IN 1..2 LOOP
				name := monitor.partition_name(kind, begins);
				IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'monitor'::regnamespace AND relname = name) THEN
					EXECUTE format('CREATE TABLE monitor.%I (LIKE monitor.%I INCLUDING ALL)', name, kind);
					EXECUTE format('ALTER TABLE monitor.%I ATTACH PARTITION monitor.%I FOR VALUES FROM (%s) TO (%s)',
						kind, name, monitor.arrival_of(begins), monitor.arrival_of(begins + length));
				END IF;
				begins := begins + length;
			END LOOP;
		END $$;
		CREATE OR REPLACE FUNCTION monitor.settle(first bigint, last bigint, records bigint) RETURNS void
			LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
		BEGIN
			PERFORM pg_advisory_xact_lock(1835954290, 1);
			INSERT INTO monitor.batch
				SELECT b.number + CASE b.timeline WHEN monitor.timeline() THEN 1 ELSE 1048576 END,
					settle.first, settle.last, greatest(b.high, settle.last), b.taken + records, monitor.timeline()
				FROM monitor.batch AS b ORDER BY b.number DESC LIMIT 1;
			PERFORM pg_notify('monitor', '');
		END $$;
		DROP TABLE monitor.run;
		UPDATE monitor.store SET version = 1;
	END
}

@test "an older schema is refused, and then migrated by --create-schema, though a batch is under way" {
	sql 'SELECT monitor.make_due_partitions()' >/dev/null
	dump >new
	older
	run -1 cmp -s new <(dump)
	run -1 monitor-ingest -d "$URL" < <(records 1)
	[[ $output == *": made by an older monitor (schema 1): run monitor-ingest --create-schema" ]]
	mkfifo session
	start psql -XAtq -v ON_ERROR_STOP=1 -d "$URL" -f session >settled
	exec 9>session
	cat >&9 <<-'END'
		BEGIN;
		SELECT monitor.reserve() AS first \gset
		INSERT INTO monitor.log VALUES (:first, extract(epoch FROM now()), 0, 'w1', 's', 'number 4');
		SELECT monitor.settle(:first, :first, 1);
		\echo settled
	END
	until_true grep -q settled settled
	run -0 monitor-ingest --create-schema -d "$URL" 9>&-
	[ "$output" = "monitor-ingest: the store is migrated" ]
	diff new <(dump)
	recent 3 >three
	start monitor-ingest -d "$URL" three 2>err 9>&-
	until_true waits_for transactionid
	echo 'COMMIT;' >&9
	exec 9>&-
	wait "$pid"
	each_once 4
	batches_agree 4
}

@test "a database that is not of UTF8 is refused" {
	sql "CREATE DATABASE latin_$$ ENCODING LATIN1 LOCALE 'C' TEMPLATE template0"
	run -1 monitor-ingest --create-schema -d "$URL&dbname=latin_$$"
	[[ $output == *"the database is of encoding LATIN1, not UTF8" ]]
	run -1 monitor-ingest -d "$URL&dbname=latin_$$" < <(records 1)
	[[ $output == *": no store there (monitor-ingest --create-schema makes one)" ]]
	run -2 monitor-ingest --create-schema -d m.db
	[ ! -e m.db ]
}

@test "who may not make roles still makes a store, and hears what is missing" {
	sql "CREATE ROLE plain_$$ LOGIN; DROP SCHEMA monitor CASCADE"
	sql "REASSIGN OWNED BY monitor_purger TO monitor; DROP OWNED BY monitor_reader, monitor_writer, monitor_purger"
	sql "CREATE DATABASE small_$$ OWNER plain_$$"
	run -0 monitor-ingest --create-schema -d "$(as "plain_$$")&dbname=small_$$"
	[[ $output == *"the roles are left to the database's administrator"* ]]
	records 3 | monitor-ingest -q -d "$(as "plain_$$")&dbname=small_$$"
	monitor-ingest --print-schema=roles | psql -qX1 -v ON_ERROR_STOP=1 -d "$URL&dbname=small_$$" -f -
	URL="$URL&dbname=small_$$"
	[ "$(sql "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'monitor' AND tablename ~ '^(log|notification)'")" = monitor_purger ]
	sql "GRANT monitor_writer TO plain_$$"
	records 3 1800000000 | monitor-ingest -q -d "$(as "plain_$$")"
	stored 6
}

@test "a writer can add, and neither read, change nor remove; a reader only reads" {
	sql "CREATE ROLE writer_$$ LOGIN IN ROLE monitor_writer; CREATE ROLE reader_$$ LOGIN IN ROLE monitor_reader;
		CREATE ROLE nobody_$$ LOGIN"
	local table partition
	records 3 "$(date +%s)" | monitor-ingest -q -d "$(as "writer_$$")"
	records 3 | monitor-ingest -q -k notification -d "$(as "writer_$$")"
	stored 6
	# Each statement on standard input.
	refused() {
		tee statements | psql -XAtq -d "$(as "$1")" -f - >out 2>&1 || return
		[ "$(grep -cE 'permission denied|must be owner' out)" = "$(wc -l <statements)" ]
	}
	partition=$(sql "SELECT min(tablename) FROM pg_tables WHERE tablename LIKE 'log_2%'")
	for table in log notification stray "$partition"; do
		printf '%s;\n' "SELECT * FROM monitor.$table" "DELETE FROM monitor.$table" \
			"UPDATE monitor.$table SET message = ''" "TRUNCATE monitor.$table"
	done | refused "writer_$$"
	printf '%s;\n' "SELECT * FROM monitor.records" "DELETE FROM monitor.batch" "DELETE FROM monitor.mark" \
		"UPDATE monitor.batch SET taken = 0" \
		"INSERT INTO monitor.batch VALUES (9, 9, 9, 9, 9, 1)" "SELECT monitor.make_partitions('log', 0, 1)" \
		"DROP TABLE monitor.log" "CREATE TABLE monitor.mine (n int)" |
		refused "writer_$$"
	for table in log notification stray batch mark "$partition"; do
		printf '%s;\n' "INSERT INTO monitor.$table SELECT * FROM monitor.$table" "DELETE FROM monitor.$table" \
			"DROP TABLE monitor.$table"
	done | refused "reader_$$"
	printf '%s;\n' "SELECT monitor.make_due_partitions()" "SELECT monitor.settle(1, 2, 2)" | refused "reader_$$"
	for table in store log notification stray batch mark "$partition"; do
		printf 'BEGIN; %s; ROLLBACK;\n' "LOCK TABLE monitor.$table IN ROW EXCLUSIVE MODE" \
			"LOCK TABLE monitor.$table IN SHARE UPDATE EXCLUSIVE MODE"
	done | refused "reader_$$"
	echo "SELECT * FROM monitor.records;" | refused "nobody_$$"
	URL=$(as "reader_$$")
	stored 6
	run -1 monitor-ingest -d "$URL" < <(records 1)
	[[ $output == *"permission denied"* ]]
	URL=$(as "nobody_$$")
	run -1 monitor-ingest -d "$URL" < <(records 1)
	[[ $output == *"permission denied"* ]]
}

@test "no lock that a reader can take and hold keeps a writer from adding, or from a new partition" {
	sql "CREATE ROLE holder_$$ LOGIN IN ROLE monitor_reader; DROP SCHEMA monitor CASCADE"
	monitor-ingest -q --create-schema --partition-interval=1s -d "$URL"
	records 3 "$(date +%s)" | monitor-ingest -q -d "$URL"
	hold "SELECT pg_advisory_xact_lock(1835954290, n) FROM generate_series(0, 9) AS n; SELECT * FROM monitor.store, monitor.batch;
		SELECT * FROM monitor.records" "holder_$$"
	made=$(sql "SELECT count(*) FROM pg_inherits")
	until_true eval '[ "$(sql "SELECT floor(extract(epoch FROM now()))::bigint - min(second) > 2 FROM
		(SELECT max(arrival >> 32) + 1577836800 AS second FROM monitor.records) AS r")" = t ]'
	records 3 "$(date +%s)" | timeout 20 monitor-ingest -q -d "$URL"
	stored 6
	[ "$(sql "SELECT count(*) FROM pg_inherits")" -gt "$made" ]
}

@test "what holds up new partitions keeps a writer from adding only where there is none yet" {
	sql 'DROP SCHEMA monitor CASCADE'
	monitor-ingest -q --create-schema --partition-interval=100d -d "$URL"
	recent 3 | monitor-ingest -q -d "$URL"
	drop_last() {
		sql "DO \$\$ BEGIN EXECUTE (SELECT 'DROP TABLE ' || max(inhrelid::regclass::text) FROM pg_inherits
			WHERE inhparent = 'monitor.notification'::regclass); END \$\$"
	}
	partitions() {
		sql "SELECT count(*) FROM pg_inherits WHERE inhparent = 'monitor.notification'::regclass"
	}
	drop_last
	hold "LOCK TABLE ONLY monitor.notification IN SHARE UPDATE EXCLUSIVE MODE"
	recent 3 | timeout 10 monitor-ingest -q -d "$URL"
	stored 6
	[ "$(partitions)" = 1 ]
	release
	drop_last
	hold "LOCK TABLE ONLY monitor.notification IN SHARE UPDATE EXCLUSIVE MODE"
	recent 3 >three
	start monitor-ingest -q -d "$URL" three
	until_true waits_for relation
	release
	wait "$pid"
	stored 9
	[ "$(partitions)" = 2 ]
}

@test "texts come to the tables as they are, but for U+0000 and U+0010" {
	printf '%s\n' '{"level":-5,"time":1732280000.123456,"sender":"a\u0000b","message":"x\u0010y\u0000","pid":7,"deep":{"a":[1,"\u0000"]}}' |
		monitor-ingest -q -W w -d "$URL"
	[ "$(sql "SELECT kind, watchdog, level, time, replace(sender, E'\\x10', '^'), replace(message, E'\\x10', '^'), extra
		FROM monitor.records")" = 'log|w|-5|1732280000.123456|a^0b|x^^y^0|{"pid":7,"deep":{"a":[1,"\u0000"]}}' ]
}

@test "a source's numbers are stored once, by whoever sends them" {
	records 100 | jq -c '. + {source: "s", seq: input_line_number}' >numbered.ndjson
	run -0 --separate-stderr monitor-ingest --ack -d "$URL" numbered.ndjson
	[ "${lines[-1]}" = '{"ack":{"source":"s","seq":100}}' ]
	run -0 --separate-stderr monitor-ingest --ack -d "$URL" numbered.ndjson
	[[ $stderr == *"0 records (0 refused, 100 duplicates)"* ]]
	for i in 1 2 3; do
		sed "s/\"s\"/\"t\\\\u0000$i\"/" numbered.ndjson
	done >three.ndjson
	start monitor-ingest -q --ack -d "$URL" three.ndjson >/dev/null
	local first=$pid
	monitor-ingest -q --ack -d "$URL" three.ndjson >/dev/null
	wait "$first"
	stored 400
	batches_agree 400
}

# hold STATEMENT [USER]: a session that holds a lock, until the server or release() ends it.
hold() {
	start psql -XAtq -d "$(as "${2-monitor}")" -c "BEGIN; $1; SET application_name = holding; SELECT pg_sleep(60)" 9>&- >/dev/null 2>&1
	holder=$pid
	until_true waits_for PgSleep holding
}

release() {
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holding'" >/dev/null
}

# Nobody acknowledges a COMMIT, or all do again.
standby() {
	sql "ALTER SYSTEM SET synchronous_standby_names = '$1'"
	sql "SELECT pg_reload_conf()" >/dev/null
	until_true shows "$1"
}
shows() {
	[ "$(sql 'SHOW synchronous_standby_names')" = "$1" ]
}

# An ingester that reads from descriptor 9; its pid is in $ingester.
begin_ingest() {
	mkfifo lines
	start monitor-ingest -d "$URL" lines 2>err
	ingester=$pid
	exec 9>lines
}

# It ends well, told of trouble $1 times, and all $2 records are there.
ends_well() {
	exec 9>&-
	wait "$ingester"
	[ "$(grep -c 'trying again$' err)" = "$1" ]
	[ "$(grep -c 'it goes on$' err)" = "$1" ]
	grep -q "$2 records (0 refused, 0 duplicates)" err
	each_once "$2"
	batches_agree "$2"
}

@test "a server that is stopped while it takes rows gets them again" {
	begin_ingest
	recent 2000 >all
	head -n 1000 all >&9
	until_true stored 1000
	hold "LOCK TABLE monitor.log IN EXCLUSIVE MODE"
	sed -n '1001,1500p' all >&9
	until_true waits_for relation
	server restart fast 9>&-
	until_true stored 1500
	hold "LOCK TABLE monitor.log IN EXCLUSIVE MODE"
	sed -n '1501,2000p' all >&9
	until_true waits_for relation
	server restart immediate 9>&-
	ends_well 2 2000
}

@test "a server process that is killed before it commits, or after, changes nothing" {
	local state
	begin_ingest
	recent 1500 >all
	head -n 500 all >&9
	until_true stored 500
	hold "LOCK TABLE monitor.store IN SHARE UPDATE EXCLUSIVE MODE"
	sed -n '501,1000p' all >&9
	until_true waits_for relation
	kill_backend "$(waiting_for relation)"
	until_true stored 1000
	standby nobody
	sed -n '1001,1500p' all >&9
	until_true waits_for SyncRep
	kill_backend "$(waiting_for SyncRep)"
	until_true waits_for SyncRep
	[ "$(sql 'SELECT count(*) > 1000 FROM monitor.records')" = t ]
	standby ''
	ends_well 2 1500
}

@test "what no standby has is not acknowledged, though the wait for it is cancelled" {
	standby nobody
	mkfifo lines
	start monitor-ingest -q --ack -d "$URL" lines >acks 2>err
	exec 9>lines
	records 3 | jq -c '. + {source: "s", seq: input_line_number}' >&9
	until_true waits_for SyncRep
	sql "SELECT pg_cancel_backend($(waiting_for SyncRep))" >/dev/null
	until_true grep -q "no standby has it yet; trying again" err
	until_true waits_for SyncRep
	[ ! -s acks ]
	standby ''
	until_true grep -q '"seq":3' acks
	exec 9>&-
	wait "$pid"
	stored 3
}

no_writer() {
	[ -z "$(sql "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'monitor writer'")" ]
}

@test "a transaction that the server ended because it was idle is tried again" {
	sql "CREATE ROLE idle_$$ LOGIN IN ROLE monitor_writer; ALTER ROLE idle_$$ SET idle_in_transaction_session_timeout = '50ms'"
	recent 1000 >all
	hold "LOCK TABLE monitor.mark"
	start monitor-ingest -d "$(as "idle_$$")" all 2>err
	until_true waits_for relation
	kill -STOP "$pid"
	release
	until_true no_writer
	kill -CONT "$pid"
	wait "$pid"
	grep -q 'trying again$' err
	each_once 1000
}

@test "a server that is not there yet is waited for, and told of once" {
	server halt 9>&-
	begin_ingest
	records 1000 >&9
	until_true grep -q "trying again" err
	server resume 9>&-
	ends_well 1 1000
}

@test "a signal ends an ingester whose server is not there, or does not answer" {
	local code absent
	recent 100 >all
	start monitor-ingest -d "host=$CLUSTER/none" all 2>err
	absent=$pid
	hold "LOCK TABLE monitor.log IN EXCLUSIVE MODE"
	start monitor-ingest -d "$URL" all 2>err2
	until_true waits_for relation
	until_true grep -q "trying again" err
	kill "$pid" "$absent"
	for pid in "$pid" "$absent"; do
		code=0
		wait "$pid" || code=$?
		[ "$code" = 1 ]
	done
	grep -q "stopped before all of it was stored" err
	grep -q "stopped before all of it was stored" err2
}

@test "a password is seen neither in the list of processes nor in a message" {
	mkfifo lines
	start monitor-ingest -d "postgresql://monitor:se%63ret@/monitor?host=${CLUSTER//\//%2F}/none&password=secret2" lines 2>err
	until_true grep -q "trying again" err
	run -0 tr '\0' ' ' </proc/"$pid"/cmdline
	[[ $output == *"postgresql://monitor:xxxxxxxx@/monitor?host="*"/none&password=xxxxxxx "* ]]
	! grep -q secret err
	run -1 monitor-ingest -d "host=$CLUSTER user=monitor password = secret dbname=none" </dev/null
	[[ $output != *secret* ]]
	for url in 'postgresql://monitor:se"secret"cret@[::1/db' 'postgresql://monitor:%zzsecret@db/db' \
			'host=db password=my secret' "host=db password='my secret"; do
		run -2 monitor-query -d "$url"
		[[ $output == "monitor-query: not a connection string: "* && $output != *secret* ]]
		run -2 monitor-ingest -d "$url" </dev/null
		[[ $output == "monitor-ingest: not a connection string: "* && $output != *secret* ]]
	done
}

@test "several that are the first in a new store make its partitions once" {
	recent 3000 >all
	split -n l/3 all part
	for i in aa ab ac; do
		start monitor-ingest -q -d "$URL" "part$i"
	done
	for pid in "${STARTED[@]}"; do
		wait "$pid"
	done
	each_once 3000
	batches_agree 3000
}
