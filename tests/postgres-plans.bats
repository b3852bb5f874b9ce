#!/usr/bin/env bats
# How PostgreSQL answers the protocol's questions: by which index, of which partitions. The server
# logs the plan of every statement; there are sixty days of records here, a partition each.

load helper
load postgres
load wsd

CLUSTER_SETTINGS=(session_preload_libraries=auto_explain auto_explain.log_min_duration=0
	auto_explain.log_analyze=on auto_explain.log_format=json logging_collector=on log_destination=jsonlog log_filename=plans)

DAY=86400
TODAY=$(($(date +%s) / DAY * DAY))

setup_file() {
	start_server
	new_store
	sql "SELECT monitor.make_partitions('log', $TODAY - d * $DAY, $DAY), monitor.make_partitions('notification', $TODAY - d * $DAY, 30 * $DAY) FROM generate_series(0, 60) AS d" >/dev/null
	sql "CREATE TEMP TABLE r AS SELECT d, d * 31 + i / 100 + 1 AS number, $TODAY + (d - 59) * $DAY AS second, i,
			monitor.arrival_of($TODAY + (d - 59) * $DAY) + i / 100 * 262144 + i % 100 AS arrival FROM generate_series(0, 59) AS d, generate_series(0, 3099) AS i;
		INSERT INTO monitor.log SELECT arrival, second + i * 20, i % 6 * 10, 'w' || i % 100, 's', 'number ' || i FROM r WHERE i < 3000;
		INSERT INTO monitor.notification SELECT arrival, second + (i - 3000) * 600, i % 6 * 10, 'w' || i % 100, 's', 'news ' || i FROM r WHERE i >= 3000;
		INSERT INTO monitor.stray SELECT monitor.arrival_of($TODAY) + (1 << 25) + i, i, 0, 'w' || i % 100, 's', 'stray', NULL, 0 FROM generate_series(0, 2999) AS i;
		INSERT INTO monitor.batch SELECT number, min(arrival), max(arrival), max(arrival), number * 100, 1 FROM r GROUP BY number;
		INSERT INTO monitor.batch SELECT 1861, first, first + 2999, first + 2999, 190000, 1 FROM (SELECT monitor.arrival_of($TODAY) + (1 << 25)) AS s (first)"
	sql ANALYZE
	export URL
}

prepare() { :; }

# What the log has behind byte $1, once all of it is there.
plans_since() {
	local mark=mark$RANDOM$RANDOM
	sql "SELECT '$mark'" >/dev/null
	until_true grep -q "$mark" "$CLUSTER/data/log/plans.json"
	tail -c +$(($1 + 1)) "$CLUSTER/data/log/plans.json" | grep -v "$mark" || true
}

# planned COMMAND...: run it. What its statements scanned is in the file scans: relation, index,
# how, and how many rows were looked at.
planned() {
	local before
	before=$(stat -c %s "$CLUSTER/data/log/plans.json")
	"$@" >answer
	plans_since "$before" >plans
	jq -r '.message | select(startswith("duration")) | sub("^[^\n]*\n"; "") | fromjson | .Plan | ..
		| objects | select(."Node Type" | tostring | test("Scan"))
		| select((."Node Type" | test("Subquery|Bitmap Index") | not) and ."Actual Loops" > 0)
		| "\(."Relation Name" // "-") \(."Index Name" // .Plans[0]."Index Name" // "-") \(."Node Type" | gsub(" "; "-")) \(
			(."Actual Rows" + (."Rows Removed by Filter" // 0)) * ."Actual Loops")"' plans | sort -u >scans
	cat scans
}

# partitions KIND: how many of them were scanned.
partitions() { cut -d ' ' -f 1 scans | sort -u | grep -c "^$1_" || true; }

# only_by INDEX...: whatever was scanned of the records, by such an index.
only_by() {
	local pattern
	pattern=$(IFS='|'; echo "$*")
	[ -z "$(grep -E '^(log|notification|stray)' scans | grep -vE "^[a-z]+(_[0-9_]+)? [a-z0-9_]*($pattern)[a-z]* " || true)" ]
}

# looked_at N: at so many records at most.
looked_at() {
	[ "$(grep -E '^(log|notification|stray)' scans | awk '{ n += $4 } END { print n + 0 }')" -le "$1" ]
}

# the protocol's, of one watchdog
asked() {
	as w7 <<<"$1"
}

@test "a minute of one watchdog's logs: found by index, in the days around it" {
	wsd -d "$URL" --no-auth
	begin=$((TODAY - 30 * DAY + 1000))
	planned asked "{\"action\":\"getLogs\",\"since\":$begin,\"until\":$((begin + 6000)),\"level\":30}"
	grep -q 'number' answer
	only_by time_arrival_idx stray_
	looked_at 40
	[ "$(partitions log)" -ge 2 ]
	[ "$(partitions log)" -le 4 ]
	[ "$(partitions notification)" = 0 ]
}

@test "a watchdog's notifications: likewise" {
	wsd -d "$URL" --no-auth
	planned asked "{\"action\":\"getNotifications\",\"since\":$((TODAY - 2 * DAY))}"
	grep -q 'news' answer
	only_by time_arrival_idx stray_
	looked_at 40
	[ "$(partitions log)" = 0 ]
}

@test "the newest few: of the last days" {
	planned monitor-query -d "$URL" -n 5
	[ "$(wc -l <answer)" = 5 ]
	only_by time_arrival_idx stray_
	looked_at 20
	[ "$(partitions log)" -le 4 ]
	planned monitor-query -d "$URL" -n 5 -W w7
	only_by time_arrival_idx stray_
	looked_at 20
	[ "$(partitions log)" -le 4 ]
	planned monitor-query -d "$URL" -n 5 -W w7 -W w8 -W w9
	only_by time_arrival_idx stray_
	looked_at 40
	[ "$(partitions log)" -le 4 ]
}

@test "an hour of all: found by index, in the days around it" {
	planned monitor-query -d "$URL" -S @$((TODAY - 30 * DAY)) -U @$((TODAY - 30 * DAY + 3600))
	[ "$(wc -l <answer)" = 186 ]
	only_by time_arrival_idx stray_
	looked_at 400
	[ "$(partitions log)" -le 4 ]
}

@test "a request with since, until and a limit: of the days around it" {
	wsd -d "$URL" --no-auth
	planned asked "{\"action\":\"getRecords\",\"since\":$((TODAY - 20 * DAY)),\"until\":$((TODAY - 20 * DAY + 600)),\"limit\":3}"
	only_by time_arrival_idx stray_
	looked_at 20
	[ "$(partitions log)" -le 4 ]
}

@test "who follows from a cursor reads the batches that came, and no partition before them" {
	monitor-query -q -d "$URL" --cursor-file seen >all
	[ "$(wc -l <all)" = 189000 ]
	sql "INSERT INTO monitor.log SELECT monitor.arrival_of($TODAY) + (1 << 26), $TODAY, 0, 'w1', 's', 'new';
		INSERT INTO monitor.batch SELECT 1862, a, a, a, 190001, 1 FROM (SELECT monitor.arrival_of($TODAY) + (1 << 26)) AS s (a)"
	planned monitor-query -q -d "$URL" --cursor-file seen -o cat
	[ "$(cat answer)" = new ]
	only_by arrival_idx pkey
	[ "$(partitions log)" = 1 ]
	[ "$(partitions notification)" = 1 ]
	run -1 grep '^batch - ' scans
}

@test "an answer from all partitions has to do with a few of them at a time" {
	before=$(stat -c %s "$CLUSTER/data/log/plans.json")
	monitor-query -d "$URL" -r >answer
	[ "$(wc -l <answer)" -ge 189000 ]
	plans_since "$before" >plans
	jq -r '.message | select(startswith("duration")) | sub("^[^\n]*\n"; "") | fromjson | .Plan
		| [.. | objects | ."Relation Name"? // empty | select(startswith("log_"))] | unique | length' plans >each
	[ "$(wc -l <each)" -gt 10 ]
	[ "$(awk '{ n += $1 } END { print int(n / NR) }' each)" -lt 12 ]
}
