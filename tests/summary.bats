#!/usr/bin/env bats
# monitor-query: counts instead of records, and the store as a whole.

load helper

prepare() {
	export MONITOR_STORE=$PWD/m.db
}

# record LEVEL TIME SENDER WATCHDOG [KIND]
record() {
	printf '{"kind":"%s","watchdog":"%s","level":%s,"time":%s,"sender":"%s","message":"m"}\n' \
		"${5:-log}" "$4" "$1" "$2" "$3"
}

put() {
	monitor-ingest -q
}

sample() {
	{
		record 30 1700000001 Bridge w1
		record 0 1700000002 Engine w1
		record 10 1700000003 Bridge w2
		record 20 1700000004 Radio w3 notification
		record 50 1700000005 Engine w1
		record 30 1700000006 Bridge w1
	} | put
}

@test "--count is the number of records that match" {
	sample
	[ "$(monitor-query --count)" = 6 ]
	[ "$(monitor-query --count -s Bridge)" = 3 ]
	[ "$(monitor-query --count -l warning -W w1)" = 1 ]
	[ "$(monitor-query --count -g M -k log --case-sensitive=no)" = 5 ]
	[ "$(monitor-query --count -S @1700000003 -U @1700000005)" = 2 ]
	[ "$(monitor-query --count -o ndjson)" = '{"count":6}' ]
}

@test "--count agrees with the number of lines, whatever the filter" {
	for i in $(seq 3000); do
		record $((i % 60)) $((1700000000 + i * 7919 % 3001)) "s$((i % 7))" "w$((i % 13))"
	done | put
	for filter in "" "-s s3" "-W w5 -W w6" "-l 20" "-l 10..35" "-S @1700000500" \
		"-U @1700002000 -s s1 -s s2" "-g m -W w1" "-S @1700001000 -U @1700001100 -l 30"; do
		[ "$(monitor-query --count $filter)" = "$(monitor-query $filter | wc -l)" ]
	done
}

@test "a count of nothing is 0, and status 1" {
	sample
	run -1 monitor-query --count -s nobody
	[ "$output" = 0 ]
}

@test "--senders and --watchdogs list names with their counts" {
	sample
	monitor-query --senders >out
	diff out - <<-'END'
		{"sender":"Bridge","count":3}
		{"sender":"Engine","count":2}
		{"sender":"Radio","count":1}
	END
	monitor-query --watchdogs -o text -k log >out
	diff out - <<-'END'
		         4 w1
		         1 w2
	END
	run -1 monitor-query --senders -W w9
	[ -z "$output" ]
}

@test "a sender's name can't control the terminal" {
	record 30 1 'a\u001bb' w1 | put
	[ "$(monitor-query --senders -o text)" = "         1 a\\x1bb" ]
	[ "$(monitor-query --senders)" = '{"sender":"a\u001bb","count":1}' ]
}

@test "--top N are the senders with the most, the most first" {
	{
		for s in a b c d e f; do record 30 1 "$s" w1; done
		for s in b e f; do record 30 1 "$s" w2; done
		record 30 1 e w2
	} | put
	monitor-query --top 4 -o text >out
	diff out - <<-'END'
		         3 e
		         2 b
		         2 f
		         1 a
	END
	[ "$(monitor-query --top 1 --watchdogs)" = '{"watchdog":"w1","count":6}' ]
	[ "$(monitor-query --top 1 --senders -W w1)" = '{"sender":"a","count":1}' ]
	[ "$(monitor-query --top 100 | wc -l)" = 6 ]
}

@test "--top among thousands" {
	for i in $(seq 5000); do
		record 30 1 "s$i" w1
		[ $((i % 1000)) != 7 ] || record 30 1 "s$i" w1
	done | put
	[ "$(monitor-query --top 5 | sort)" = "$(for i in 7 1007 2007 3007 4007; do
		echo "{\"sender\":\"s$i\",\"count\":2}"; done | sort)" ]
}

@test "--histogram counts a level in each interval" {
	sample
	monitor-query --histogram=2s >out
	diff out - <<-'END'
		{"time":1700000000.0,"count":1,"levels":{"error":0,"warning":0,"notice":0,"info":1,"debug":0,"verbose":0}}
		{"time":1700000002.0,"count":2,"levels":{"error":1,"warning":1,"notice":0,"info":0,"debug":0,"verbose":0}}
		{"time":1700000004.0,"count":2,"levels":{"error":0,"warning":0,"notice":1,"info":0,"debug":0,"verbose":1}}
		{"time":1700000006.0,"count":1,"levels":{"error":0,"warning":0,"notice":0,"info":1,"debug":0,"verbose":0}}
	END
	diff out <(monitor-query --histogram 2s)
	[ "$(monitor-query --histogram=1h -s Bridge)" = '{"time":1699999200.0,"count":3,"levels":{"error":0,"warning":1,"notice":0,"info":2,"debug":0,"verbose":0}}' ]
	run -1 monitor-query --histogram -s nobody
	[ -z "$output" ]
}

@test "--histogram chooses an interval that gives some dozens of lines" {
	for i in $(seq 0 60 36000); do record 30 $((1700000000 + i)) s w; done | put
	run -0 monitor-query --histogram
	[ "${#lines[@]}" -ge 20 ] && [ "${#lines[@]}" -le 62 ]
	[[ $(monitor-query --histogram -o text | head -n 1) == "each 10m:"* ]]
}

@test "--histogram: a few clocks gone wild do not make one bar of all the others" {
	{
		for i in $(seq 0 60 36000); do record 30 $((1700000000 + i)) s w; done
		record 30 7.5 s w
		record 30 4000000000 s w
		record 30 1e300 s w
	} | put
	[[ $(monitor-query --histogram -o text | head -n 1) == "each 15m:"*"info 604" ]]
	[ "$(monitor-query --histogram -o text | grep -c '^\.\.\.$')" = 3 ]
}

@test "--histogram of what is searched for spans all that was searched" {
	for i in $(seq 0 60 36000); do record 30 $((1700000000 + i)) s w; done | put
	sed 's/"m"/"needle"/' <<<"$(record 30 1700018000 s w)" | put
	[[ $(monitor-query --histogram -o text -g needle | head -n 1) == "each 10m:"*"info 1" ]]
	run -1 monitor-query --histogram -g nowhere
	[ -z "$output" ]
}

@test "--histogram of days begins at midnight, local or UTC" {
	record 30 1732282400 s w | put # 2024-11-22 13:33:20 UTC
	export TZ=Europe/Berlin
	[[ $(monitor-query --histogram=1d) == '{"time":1732230000.0,'* ]]
	[[ $(monitor-query --histogram=1d --utc) == '{"time":1732233600.0,'* ]]
	[[ $(monitor-query --histogram=1w --utc) == '{"time":1731888000.0,'* ]] # a Monday
}

@test "--histogram as bars: the levels told apart, empty intervals shown" {
	{
		record 0 1700000000 s w
		for i in $(seq 20); do record 30 1700000001 s w; done
		record 10 1700000180 s w
		record 10 1700090000 s w
	} | put
	COLUMNS=80 monitor-query --histogram=1m -o text >out
	diff out - <<-'END'
		each 1m:  ee error 1  ww warning 2  ii info 20
		2023-11-14 22:13 21 eeeiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii
		2023-11-14 22:14  0
		2023-11-14 22:15  0
		2023-11-14 22:16  1 www
		...
		2023-11-15 23:13  1 www
	END
	run -0 monitor-query --histogram=1m -o text --color=always
	[[ ${lines[1]} == *$'\033[41m'*$'\033[0m\033[42m'*$'\033[0m' ]]
}

@test "--stats says what the store holds" {
	sample
	monitor-query --stats >out
	[ "$(jq -c '[.logs.rows,.logs.first,.logs.last,.notifications.rows,.watchdogs,.senders,.arrivals]' out)" = \
		'[5,1700000001,1700000006,1,3,3,6]' ]
	[ "$(jq .bytes out)" -ge 4096 ]
	run -0 monitor-query --stats -o text
	[[ $output == *"logs           5, 2023-11-14 22:13:21.000 .. 2023-11-14 22:13:26.000"* ]]
	[[ $output == *"notifications  1, "* ]]
}

@test "--backup makes a store of its own with the same records" {
	sample
	run -0 --separate-stderr monitor-query --backup copy.db
	[ -z "$output$stderr" ]
	diff <(monitor-query) <(monitor-query -d copy.db)
	run -0 monitor-query --verify -d copy.db
	run -0 monitor-query -d copy.db --count
	[ "$output" = 6 ]
}

@test "--backup never overwrites" {
	sample
	echo precious >copy.db
	run -3 --separate-stderr monitor-query --backup copy.db
	[[ $stderr == *copy.db* ]]
	[ "$(cat copy.db)" = precious ]
}

@test "--backup to where it can't write is an error, and leaves nothing" {
	sample
	run -3 --separate-stderr monitor-query --backup nowhere/copy.db
	[[ $stderr == *copy.db* ]]
}

@test "--verify finds nothing wrong with a good store" {
	sample
	run -0 monitor-query --verify -o text
	[ "$output" = "$MONITOR_STORE: nothing is wrong" ]
	run -0 monitor-query --verify
	[ -z "$output" ]
}

@test "--verify says what is wrong, a line each, with status 3" {
	records 20000 | put
	sqlite3 m.db "UPDATE block SET rows = rows + 1 WHERE first = (SELECT min(first) FROM block)" "DELETE FROM log WHERE arrival = 5"
	run -3 --separate-stderr monitor-query --verify
	[ "${#lines[@]}" -ge 1 ]
	for line in "${lines[@]}"; do jq -e .fault <<<"$line"; done
	run -3 --separate-stderr monitor-query --verify -o text
	[[ $output == *block* ]]
}

@test "--verify and --backup of no store are errors, --stats finds nothing" {
	run -3 monitor-query --verify
	run -3 monitor-query --backup copy.db
	run -1 monitor-query --stats
	[ ! -e copy.db ] && [ ! -e m.db ]
}
