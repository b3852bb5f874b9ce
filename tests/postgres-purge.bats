# shellcheck shell=bash disable=SC2154
# What monitor-purge does on PostgreSQL, and what --stats and --verify say there. Rows that came
# days ago are put in by SQL.

load helper
load postgres

DAY=86400

# came AGE N [TABLE]: N records arrived AGE seconds ago, all in one second and one batch.
came() {
	sql "SELECT monitor.make_partitions('${3-log}', floor(extract(epoch FROM now()))::bigint - $1, ${3-log}_interval)
			FROM monitor.store;
		WITH b AS (SELECT floor(extract(epoch FROM now()))::bigint - $1 AS second,
			monitor.arrival_of(floor(extract(epoch FROM now()))::bigint - $1) + (nextval('monitor.serial') << 18) AS first),
		rows AS (INSERT INTO monitor.${3-log} SELECT first + i, second + i / 1e6, i % 6 * 10, 'w' || i % 5, 's',
			'number ' || i FROM b, generate_series(0, $2 - 1) AS i)
		SELECT monitor.settle(first, first + $2 - 1, $2) FROM b" >/dev/null
}

# strays KIND TIME AGE N: as above, but their time is TIME.
strays() {
	sql "WITH b AS (SELECT monitor.arrival_of(floor(extract(epoch FROM now()))::bigint - $3)
			+ (nextval('monitor.serial') << 18) AS first),
		rows AS (INSERT INTO monitor.stray SELECT first + i, $2, 30, 'w1', 's', 'far', NULL, $1
			FROM b, generate_series(0, $4 - 1) AS i)
		SELECT monitor.settle(first, first + $4 - 1, $4) FROM b" >/dev/null
}

count() {
	sql "SELECT count(*) FROM monitor.records WHERE ${1-true}"
}

# partitions: of logs, from before today.
partitions() {
	sql "SELECT relname || CASE WHEN inhdetachpending THEN ' going' ELSE '' END FROM pg_inherits
		JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'monitor.log'::regclass
		AND relname < monitor.partition_name('log', extract(epoch FROM now())::bigint / $DAY * $DAY)
		ORDER BY 1"
}

purge() {
	monitor-purge -d "$URL" --logs-timewindow 2d "$@"
}

# pool: have a pooler before the cluster; pooled: purge through it.
pool() {
	[ -e "$CLUSTER/pooler.pid" ] || server pool
	until_true pooled -n
}

pooled() {
	monitor-purge -d "$URL&port=6432" --logs-timewindow 2d "$@"
}

sound() {
	run -0 monitor-query -d "$URL" --verify -o text
	[ "$output" = "$URL: nothing is wrong" ]
}

sql_true() {
	[ -n "$(sql "$1")" ]
}

# hold SQL: somebody's transaction, which stays open until release.
hold() {
	coproc HOLDER { exec psql -XAtq -d "$URL" 3>&-; }
	STARTED+=("$HOLDER_PID")
	echo "BEGIN; $1; SELECT 'held';" >&"${HOLDER[1]}"
	until read -r line <&"${HOLDER[0]}" && [ "$line" = held ]; do :; done
}

release() {
	local holder=$HOLDER_PID
	echo 'COMMIT; \q' >&"${HOLDER[1]}"
	wait "$holder"
}

going() {
	partitions | grep -q going
}

@test "partitions that are too old go whole, rows where only some are, younger ones and notifications stay" {
	came $((5 * DAY)) 1000
	came $((2 * DAY + 1)) 100
	came $((2 * DAY - 60)) 10
	came $((5 * DAY)) 7 notification
	came 0 1
	run -0 purge -n
	[[ $output == "would purge 1100 logs ("*"), 0 notifications (0 bytes); "*" on disk" ]]
	[ "$(count)" = 1118 ]
	run -0 purge
	[[ $output == "purged 1100 logs ("*"), 0 notifications (0 bytes); "*" KiB given back; "*" on disk" ]]
	[ "$(count "kind = 'log'")" = 11 ]
	[ "$(count "kind = 'notification'")" = 7 ]
	[[ $(partitions) != *"$(date -ud '5 days ago' +%Y%m%d)"* ]]
	sound
}

@test "notifications go by a window of their own, a partition at a time too" {
	came $((90 * DAY)) 7 notification
	came $((5 * DAY)) 5
	run -0 monitor-purge -d "$URL" --notifications-timewindow 2d -o ndjson
	[ "$(jq -c '[.log.rows, .notification.rows]' <<<"$output")" = '[0,7]' ]
	[ "$(count)" = 5 ]
	sound
}

@test "a wild clock outlives nothing, and neither spoils nor saves the others" {
	strays 0 0 $((DAY / 2)) 3
	strays 0 4e9 $((3 * DAY)) 5
	strays 0 4e9 60 7
	strays 1 0 $((3 * DAY)) 11
	run -0 purge
	[[ $output == "purged 8 logs ("*"), 0 notifications (0 bytes)"* ]]
	[ "$(count)" = 18 ]
	sound
}

@test "rows whose time is too old go though they came within the window" {
	came 3600 20
	sql "UPDATE monitor.log SET time = time - $((DAY * 2)) + 7000 WHERE level = 10" >/dev/null
	run -0 monitor-purge -d "$URL" --logs-timewindow 20h
	[[ $output == "purged 4 logs "* ]]
	sound
}

@test "only the records of some watchdogs, or of less severe levels, can be purged; partitions stay then" {
	came $((5 * DAY)) 60
	before=$(partitions)
	run -0 purge -W w1 -W w3 -W w1 -l info -n
	[[ $output == "would purge 12 logs "* ]]
	run -0 purge -W w1 -W w3 -W w1 -l info
	[[ $output == "purged 12 logs "* ]]
	[ "$(count "watchdog IN ('w1', 'w3') AND level >= 30")" = 0 ]
	[ "$(count)" = 48 ]
	[ "$(partitions)" = "$before" ]
	sound
}

@test "for size the oldest partitions of logs go, and never one that is written to" {
	came $((9 * DAY)) 4000
	strays 0 0 $((9 * DAY)) 5
	came $((7 * DAY)) 4000
	came $((9 * DAY)) 7 notification
	came 0 4000
	size=$(sql "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind IN ('r', 'S')
		AND relnamespace = 'monitor'::regnamespace")
	run -0 monitor-purge -d "$URL" --max-size $((size - 1)) -n
	[[ $output == "would purge 4005 logs "* ]]
	run -0 monitor-purge -d "$URL" --max-size $((size - 1)) -o ndjson
	[ "$(jq '.log.rows' <<<"$output")" = 4005 ]
	[ "$(jq '.given_back > 0 and .size < '"$size" <<<"$output")" = true ]
	run -0 monitor-purge -d "$URL" --max-size 1
	[[ $output == "purged 4000 logs "* ]]
	[ "$(count "kind = 'log'")" = 4000 ]
	[ "$(count)" = 4007 ]
	sound
}

@test "what cannot be had from a server is refused, with status 2" {
	run -2 monitor-purge -d "$URL" --keep-free 1G
	[[ $output == "monitor-purge: postgresql://"*": how much is free on the server's disk is not known"* ]]
	run -2 monitor-purge -d "$URL" --max-size 1G -W w1
	[[ $output == *"whole partitions go with every watchdog and level in them" ]]
	run -2 purge --whole-partitions -l info
	[[ $output == *"whole partitions go with every watchdog and level in them" ]]
}

@test "--whole-partitions leaves the rows of others alone until these are too old as well" {
	came $((5 * DAY)) 100
	came $((2 * DAY + 1)) 10
	strays 0 0 60 5
	run -0 purge --whole-partitions -n
	[[ $output == "would purge 105 logs "* ]]
	run -0 purge --whole-partitions
	[[ $output == "purged 105 logs "* ]]
	[ "$(count)" = 10 ]
	sound
}

@test "while somebody reads what is to go, writers go on and nobody else sees it any more" {
	came $((5 * DAY)) 1000
	came 0 10
	hold 'SELECT count(*) FROM monitor.log'
	start purge
	until_true going
	records 5 "$(date +%s)" | monitor-ingest -q -d "$URL"
	[ "$(count)" = 15 ]
	echo 'SELECT count(*) FROM monitor.log;' >&"${HOLDER[1]}"
	read -r line <&"${HOLDER[0]}"
	kill -0 "$pid"
	release
	wait "$pid"
	[ "$(partitions)" = "" ]
	[ "$line" = 15 ]
	sound
}

@test "a writer in the midst of a batch is waited for, and loses nothing" {
	came $((5 * DAY)) 1000
	came 0 1
	came 0 1 notification
	hold "INSERT INTO monitor.log SELECT monitor.reserve(), extract(epoch FROM now()), 0, 'w1', 's', 'late'"
	start purge
	until_true going
	sql 'SELECT monitor.reserve()' >/dev/null
	echo 'SELECT monitor.settle(max(arrival), max(arrival), 1) FROM monitor.log;' >&"${HOLDER[1]}"
	release
	wait "$pid"
	[ "$(count)" = 3 ]
	[ "$(partitions)" = "" ]
	sound
}

@test "a purge that is killed in the midst of it is ended by the next one" {
	came $((5 * DAY)) 1000
	came $((6 * DAY)) 1000
	hold 'SELECT count(*) FROM monitor.log'
	start monitor-purge -d "$URL" --logs-timewindow 2d
	until_true going
	kill -KILL "$pid"
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'monitor purger'" >/dev/null
	release
	going
	run -0 purge -o ndjson
	[ "$(jq '.log.rows' <<<"$output")" = 2000 ]
	[ "$(partitions)" = "" ]
	[ "$(sql "SELECT count(*) FROM pg_class WHERE relname LIKE 'log_2%' AND relkind = 'r' AND NOT relispartition")" = 0 ]
	sound
}

@test "what a transaction keeps in use for more than ten seconds is status 75, and goes the next time (through a pooler, too)" {
	came $((6 * DAY)) 1000
	came $((2 * DAY + 1)) 10
	hold 'SELECT count(*) FROM monitor.log'
	pool
	run -75 pooled
	[[ $output == *"monitor-purge: postgresql://"*": log_"*" is in use, by a transaction that does not end"* ]]
	[[ $output == *"purged 10 logs "* ]]
	[ "$(count)" = 0 ]
	release
	run -0 purge
	[[ $output == "purged 1000 logs "* ]]
}

# held_up [NUMBER]: do so many statements of purges wait for a lock? ended: has the process in $pid?
held_up() {
	[ "$(sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
		AND application_name = 'monitor purger' AND wait_event_type = 'Lock'")" = "${1-1}" ]
}

ended() {
	! kill -0 "$pid" 2>/dev/null
}

@test "a signal ends a purge that waits for a lock, and none of its statements waits on at the server" {
	came $((5 * DAY)) 1000
	came $((2 * DAY + 1)) 10
	for lock in 'SELECT count(*) FROM monitor.log' 'LOCK TABLE monitor.stray IN SHARE MODE' \
		'LOCK TABLE monitor.batch IN SHARE MODE' 'LOCK TABLE monitor.mark IN SHARE MODE'; do
		hold "$lock"
		start monitor-purge -d "$URL" --logs-timewindow 2d -o ndjson >out
		until_true held_up
		kill -TERM "$pid"
		until_true ended
		wait "$pid"
		[ "$(jq -c '[.dry_run, .size]' out)" = '[false,null]' ]
		until_true held_up 0
		release
	done
	purge -q
	[ "$(count)" = 0 ]
	run -1 going
	sound
}

@test "a signal ends a purge although its server cannot be told to give up, too" {
	came $((5 * DAY)) 1000
	hold 'SELECT count(*) FROM monitor.log'
	start monitor-purge -q -d "$URL" --logs-timewindow 2d
	until_true held_up
	postmaster=$(head -n 1 "$CLUSTER/data/postmaster.pid")
	kill -STOP "$postmaster"
	kill -TERM "$pid"
	until_true ended || stuck=yes
	kill -CONT "$postmaster"
	[ -z "${stuck-}" ]
	wait "$pid"
	release
}

@test "a partition that somebody detached, to keep it, is kept" {
	came $((5 * DAY)) 1000
	name=$(partitions | head -n 1)
	sql "ALTER TABLE monitor.log DETACH PARTITION monitor.$name"
	purge
	[ "$(sql "SELECT count(*) FROM monitor.$name")" = 1000 ]
}

@test "partitions that an administrator gave other names go as the others do" {
	came $((5 * DAY)) 10
	came $((2 * DAY + 1)) 7
	for name in $(partitions); do
		sql "ALTER TABLE monitor.$name RENAME TO \"Logs; of \"\"$name\"\"\""
	done
	run -0 purge -n
	[[ $output == "would purge 17 logs "* ]]
	run -0 purge
	[[ $output == "purged 17 logs "* ]]
	[ "$(count)" = 0 ]
	sound
}

@test "several purges at once do the work once, beside writers and readers, and nobody fails" {
	for day in {3..9}; do came $((day * DAY)) 300; done
	came $((2 * DAY + 1)) 30000
	came 0 10
	for i in 1 2 3; do
		start purge -o ndjson >"purge$i"
		pids[i]=$pid
	done
	start monitor-query -d "$URL" -o cat >answer
	pids[4]=$pid
	records 2000 "$(($(date +%s) - 3000))" | monitor-ingest -q -d "$URL"
	wait "${pids[1]}"
	wait "${pids[2]}"
	wait "${pids[3]}"
	wait "${pids[4]}"
	[ "$(wc -l <answer)" -ge 10 ]
	[ "$(jq -s 'map(.log.rows) | add' purge[123])" = 32100 ]
	[ "$(count)" = 2010 ]
	sound
}

@test "several purges for size at once drop no more than one would" {
	for day in {5..9}; do came $((day * DAY)) 4000; done
	size=$(sql "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind IN ('r', 'S')
		AND relnamespace = 'monitor'::regnamespace")
	at_a_partition() {
		[ "$(sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND application_name = 'monitor purger' AND query ~ 'DETACH PARTITION|inhdetachpending'
			AND query !~ 'pg_inherits AS i JOIN'")" = "$1" ]
	}
	hold 'SELECT count(*) FROM monitor.log'
	for i in 1 2 3; do
		start monitor-purge -d "$URL" --max-size $((size - 1)) -o ndjson >"purge$i"
		pids[i]=$pid
	done
	until_true at_a_partition 3
	release
	wait "${pids[1]}"
	wait "${pids[2]}"
	wait "${pids[3]}"
	[ "$(jq -s 'map(.log.rows) | add' purge[123])" = 4000 ]
	[ "$(count)" = 16000 ]
	sound
}

@test "a pooler in between that changes servers with each transaction makes no difference" {
	for day in {3..6}; do came $((day * DAY)) 100; done
	came $((2 * DAY + 1)) 100
	pool
	start pooled -o ndjson >purge1
	pooled -o ndjson >purge2
	wait "$pid"
	[ "$(jq -s 'map(.log.rows) | add' purge[12])" = 500 ]
	sound
}

@test "a login that is a purger may purge, and nobody else; who may read may ask what would go" {
	came $((5 * DAY)) 1000
	came $((2 * DAY + 1)) 10
	sql "DO \$\$ BEGIN
		CREATE ROLE purging LOGIN IN ROLE monitor_purger;
		CREATE ROLE reading LOGIN IN ROLE monitor_reader;
		CREATE ROLE writing LOGIN IN ROLE monitor_writer;
	END \$\$"
	owner=$URL
	for role in reading writing; do
		URL=${owner/monitor@/$role@}
		run -1 purge
		[[ $output == *"monitor-purge: postgresql://"*": "*" (a purge takes a member of monitor_purger)" ]]
	done
	URL=${owner/monitor@/reading@}
	run -0 purge -n
	[[ $output == "would purge 1010 logs "* ]]
	monitor-query -d "$URL" --verify
	URL=${owner/monitor@/purging@}
	run -0 purge --notifications-timewindow 1d
	[[ $output == "purged 1010 logs "* ]]
	URL=$owner
	[ "$(count)" = 0 ]
	sql 'DROP ROLE purging; DROP ROLE reading; DROP ROLE writing'
}

@test "marks of sources silent for 90 days are forgotten, others and those of writers at work are not" {
	sql "INSERT INTO monitor.mark SELECT 'old' || i, 1, extract(epoch FROM now()) - 91 * $DAY FROM generate_series(1, 25000) AS i;
		INSERT INTO monitor.mark VALUES ('young', 1, extract(epoch FROM now()) - 80 * $DAY)"
	run -0 purge -n
	[[ $output == *", 25000 marks; "* ]]
	run -0 purge
	[[ $output == *", 25000 marks; "* ]]
	[ "$(sql 'SELECT source FROM monitor.mark')" = young ]
}

@test "the order of commits is forgotten where no record is left, but for its end" {
	came $((9 * DAY)) 10
	came $((8 * DAY)) 10 notification
	came $((7 * DAY)) 10
	came 60 10
	came $((5 * DAY)) 10
	strays 1 0 $((5 * DAY)) 10
	came $((4 * DAY)) 10
	purge -q
	[ "$(sql 'SELECT number, taken FROM monitor.batch ORDER BY 1')" = $'2|20\n4|40\n6|60\n7|70' ]
	sound
	monitor-purge -q -d "$URL" --logs-timewindow 10 --notifications-timewindow 10
	[ "$(sql 'SELECT number, taken FROM monitor.batch')" = '7|70' ]
	sound
}

@test "batches that come to an empty store while it is purged are not forgotten" {
	came $((5 * DAY)) 10
	monitor-query -q -d "$URL" --cursor-file seen >/dev/null
	batch="SELECT monitor.reserve() AS first \\gset
		INSERT INTO monitor.log SELECT :first, extract(epoch FROM now()), 30, 'w1', 's', 'new';
		SELECT monitor.settle(:first, :first, 1);"
	hold "LOCK TABLE monitor.batch IN SHARE ROW EXCLUSIVE MODE"
	start purge -q
	until_true sql_true "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
		AND application_name = 'monitor purger' AND wait_event = 'relation' AND query ~ 'DELETE FROM monitor.batch'"
	for i in 1 2 3; do printf '%s\n' "$batch" >&"${HOLDER[1]}"; done
	release
	wait "$pid"
	[ "$(monitor-query -q -d "$URL" --cursor-file seen -o cat | wc -l)" = 3 ]
	sound
}

@test "partitions are found also where a backslash in a text is an escape" {
	came $((5 * DAY)) 10
	came $((2 * DAY + 1)) 10
	sql "ALTER DATABASE $(sql 'SELECT current_database()') SET standard_conforming_strings = off"
	run -0 purge -o ndjson
	[ "$(jq .log.rows <<<"$output")" = 20 ]
	sound
}

@test "partitions are made ahead, so that writers need not" {
	purge -q
	[ "$(sql "SELECT count(*) FROM pg_inherits WHERE inhparent IN ('monitor.log'::regclass, 'monitor.notification'::regclass)")" = 4 ]
}

@test "with --interval it outlives the server's restart" {
	came $((5 * DAY)) 10
	start monitor-purge -d "$URL" --logs-timewindow 2d --interval 0.05 >out 2>errors
	until_true grep -q 'purged 10 logs' out
	server restart fast
	until_true came $((5 * DAY)) 20
	until_true grep -q 'purged 20 logs' out
	kill -TERM "$pid"
	wait "$pid"
}

@test "statistics count what is small, and tell of what is large about how much it is" {
	came $((2 * DAY)) 40
	strays 1 0 60 5
	run -0 monitor-query -d "$URL" --stats -o ndjson
	[ "$(jq -c '[.engine, .logs.rows, .notifications.rows, .notifications.first, .watchdogs, .senders, .strays, .arrivals, .sources, .about]' <<<"$output")" = \
		'["postgresql",40,5,0,5,1,5,45,0,null]' ]
	[ "$(jq .bytes <<<"$output")" = "$(sql "SELECT sum(pg_total_relation_size(oid)) FROM pg_class
		WHERE relkind IN ('r', 'S') AND relnamespace = 'monitor'::regnamespace")" ]
	sql "INSERT INTO monitor.log SELECT arrival + i * 40, time, level, watchdog, sender, repeat(md5(i::text), 60)
		FROM monitor.log, generate_series(1, 900) AS i" >/dev/null
	until_true eval '[ "$(monitor-query -d "$URL" --stats -o ndjson | jq .logs.rows)" = 36040 ]'
	run -0 monitor-query -d "$URL" --stats -o ndjson
	[ "$(jq -c '[.about, .watchdogs]' <<<"$output")" = '[true,null]' ]
	run -0 monitor-query -d "$URL" --stats -o text
	[[ $output == *"logs           about 36040, "* ]]
}

@test "verification tells what is wrong" {
	came 60 10
	came 50 10 notification
	strays 0 0 40 3
	sound
	sql "UPDATE monitor.log SET time = 5 WHERE message = 'number 1';
		UPDATE monitor.log SET message = E'\\x10' || '1' WHERE message = 'number 2';
		UPDATE monitor.log SET message = E'\\x10\\x10\\x10' || '0' WHERE message = 'number 3';
		UPDATE monitor.log SET extra = '{\"a\":1' WHERE message = 'number 4';
		UPDATE monitor.log SET extra = '[' || repeat('1,', 9000) || '1]' WHERE message = 'number 5';
		UPDATE monitor.log SET watchdog = 'no code' WHERE message = 'number 6';
		UPDATE monitor.notification SET arrival = (SELECT max(arrival) FROM monitor.log) WHERE message = 'number 0';
		UPDATE monitor.stray SET kind = 2, time = (arrival >> 32) + 1577836800 WHERE arrival = (SELECT max(arrival) FROM monitor.stray);
		DELETE FROM monitor.batch WHERE number = 2;
		UPDATE monitor.batch SET high = 7, taken = 1 WHERE number = 3;
		INSERT INTO monitor.mark VALUES ('x', 1, 1e300)" >/dev/null
	run -3 monitor-query -d "$URL" --verify -o text
	for finding in 'its time is far from its arrival' 'an escape in a text is broken' \
		'its extra members are no JSON object' 'its watchdog is no code' 'another table has this arrival, too' \
		'its time is near its arrival' 'its kind is none' 'batch 3: its high is not the highest' \
		'batch 3: it counts fewer records than the one before it' '1 marks were moved at no possible time'; do
		[[ $output == *"$finding"* ]] || { echo "not told: $finding"; false; }
	done
	[ "$(grep -c 'it is in no batch' <<<"$output")" = 9 ]
	[ "$(grep -c 'escape' <<<"$output")" = 1 ]
	[ "$(grep -c 'JSON' <<<"$output")" = 2 ]
}
