#!/usr/bin/env bats
# Everything at once: writers, a purge, a follower, and a reader that is paused.

load helper

# lines WRITER N: N records of one writer; every other one is long expired when
# it arrives, the others are of now.
lines() {
	awk -v writer="$1" -v n="$2" -v now="$(date +%s)" 'BEGIN {
		for (i = 1; i <= n; i++)
			printf "{\"watchdog\":\"w%d\",\"level\":30,\"time\":%d.25,\"sender\":\"%s\",\"message\":\"%s %d of writer %d\"}\n",
			    i % 50, i % 2 ? now : now - 864000 + i / 1000, i % 2 ? "fresh" : "old", i % 2 ? "fresh" : "old", i, writer
	}'
}

fresh() { grep -c '"sender":"fresh"' "$1"; }
none_twice() { [ -z "$(jq -r .message "$1" | sort | uniq -d | head -n 3)" ]; }

@test "while two ingesters write and a purge deletes, a follower sees every record that stays, once, and a paused reader does not let the WAL grow" {
	local n=250000
	lines 0 20000 | monitor-ingest -q -d m.db
	mkfifo paused
	exec 9<>paused                      # held open, and not read
	start monitor-query -d m.db >paused
	paused_reader=$pid
	start monitor-query -d m.db -f --lines=all >followed
	follower=$pid
	until_true grep -q '"fresh 19999 of writer 0"' followed

	lines 1 $n >1.ndjson
	lines 2 $n >2.ndjson
	start monitor-ingest -q -d m.db 1.ndjson
	one=$pid
	start monitor-ingest -q -d m.db 2.ndjson
	two=$pid
	high=0
	while kill -0 $one 2>/dev/null || kill -0 $two 2>/dev/null; do
		monitor-purge -q -d m.db --logs-timewindow 1h
		wal=$(stat -c %s m.db-wal)
		[ "$wal" -le "$high" ] || high=$wal
	done
	wait $one
	wait $two
	monitor-purge -q -d m.db --logs-timewindow 1h
	[ "$high" -le $((64 << 20)) ]

	until_true eval '[ "$(fresh followed)" -eq $((n + 10000)) ]'
	kill -TERM $follower
	wait $follower
	none_twice followed
	[ "$(fresh followed)" -eq $((n + 10000)) ]

	# The paused reader goes on where it was: what has not been purged meanwhile,
	# once each, and nothing that came after it began.
	exec 8<paused 9>&-
	cat <&8 >resumed
	wait $paused_reader
	none_twice resumed
	[ "$(fresh resumed)" -eq 10000 ]
	! grep -q 'of writer [12]' resumed

	[ "$(monitor-query -d m.db --count)" -eq $((n + 10000)) ]
	monitor-query -d m.db --verify
}
