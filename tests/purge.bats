load helper

prepare() {
	now=$(date +%s)
}

teardown_file() {
	umount "$BATS_FILE_TMPDIR/small" 2>/dev/null || true
}

# lines N TIME [KIND [WATCHDOG [LEVEL]]]: N records, a millisecond apart.
lines() {
	awk -v n="$1" -v time="$2" -v kind="${3:-log}" -v watchdog="${4:-w1}" -v level="${5:-30}" 'BEGIN {
		for (i = 1; i <= n; i++)
			printf "{\"kind\":\"%s\",\"watchdog\":\"%s\",\"level\":%d,\"time\":%.3f,\"sender\":\"test\"," \
				"\"message\":\"number %d, and some more text, so that it is as long as most are\"}\n",
				kind, watchdog, level, time + i / 1000, i
	}'
}

store() { monitor-ingest -q -d "${1:-m.db}"; }

# count [OPTION...]: how many records monitor-query finds.
count() { monitor-query -d m.db --count "$@" || [ $? = 1 ]; }

# sound: the store is what it should be, its indexes know every row.
sound() {
	run -0 monitor-query -d "${1:-m.db}" --verify -o text
	[ "$output" = "${1:-m.db}: nothing is wrong" ]
}

# field NAME <LINE: a member of an NDJSON report.
field() { jq -r ".$1"; }

# hold SQL: in a transaction of another program, until release.
hold() {
	mkfifo locker.in
	exec 7<>locker.in
	start bash -c 'exec sqlite3 -bail m.db <locker.in'
	locker=$pid
	printf '%s\n' "$1" '.shell touch held' >&7
	until_true test -e held
}

# fill FILE: with all that is left on its disk.
fill() { dd if=/dev/zero of="$1" bs=4k 2>/dev/null || true; }

release() {
	echo .quit >&7
	exec 7>&-
	wait "$locker"
}

# ---- by age --------------------------------------------------------------------

@test "logs older than the window go, younger ones and all notifications stay" {
	{ lines 10 $((now - 7200)); lines 5 $((now - 60)); lines 7 $((now - 7200)) notification; } | store
	run -0 monitor-purge -d m.db --logs-timewindow 1h
	[[ $output == "purged 10 logs ("*"), 0 notifications (0 bytes); "*" given back; "*" on disk" ]]
	[ "$(count -k log)" = 5 ]
	[ "$(count -k notification)" = 7 ]
	sound
}

@test "notifications go only by a window of their own" {
	{ lines 10 $((now - 7200)); lines 5 $((now - 7200)) notification; lines 4 $((now - 60)) notification; } | store
	monitor-purge -q -d m.db --notifications-timewindow 1h
	[ "$(count -k log)" = 10 ]
	[ "$(count -k notification)" = 4 ]
	sound
}

@test "the window is exact in the middle of a block, and in what is in no block yet" {
	lines 30000 $((now - 3600)) | store        # -3600 .. -3570
	[ "$(sqlite3 m.db 'SELECT count(*) FROM block')" = 3 ]
	for age in 3590.5 3573; do                 # the second is in the tail
		window=$(jq -n "$age + now - $now")    # however long the test has taken by now
		run -0 monitor-purge -d m.db -o ndjson --logs-timewindow $window
		first=$(monitor-query -d m.db -o ndjson | head -n 1)
		jq -e --argjson r "$output" --argjson w $window '.time >= $r.time - $w and .time < $r.time - $w + 0.002' <<<"$first"
		sound
	done
	[ "$(count)" -gt 1000 ]
}

@test "a record from the future goes once its arrival is older than the window" {
	lines 9000 $((now + 100000)) | store
	sqlite3 m.db "UPDATE moment SET time = time - 7200"
	lines 3 $((now + 100000)) | store
	monitor-purge -q -d m.db --logs-timewindow 3h
	[ "$(count)" = 9003 ]
	monitor-purge -q -d m.db --logs-timewindow 1h
	[ "$(count)" = 3 ]
	sound
}

@test "a clock at 1970 outlives nothing, nor does one far ahead, and neither keeps the others" {
	{ lines 8000 $((now - 60)); lines 192 5; lines 8000 $((now - 60)); lines 192 $((now * 2)); lines 50 5; } | store
	[ "$(monitor-query -d m.db --stats -o ndjson | field strays)" = 384 ]
	monitor-purge -q -d m.db --logs-timewindow 1h
	[ "$(count)" = 16192 ]
	sound
	sqlite3 m.db "UPDATE moment SET time = time - 7200"
	monitor-purge -q -d m.db --logs-timewindow 1h
	[ "$(count)" = 0 ]
	sound
}

@test "the moments that no record needs any more go, the others stay" {
	{ lines 10 $((now - 7200)); lines 1 $((now - 7200)) notification; lines 10 $((now - 60)); } | store
	sqlite3 m.db "DELETE FROM moment" \
		"INSERT INTO moment SELECT arrival, $now - 100 + arrival FROM log UNION SELECT arrival, $now - 50 FROM notification"
	monitor-purge -q -d m.db --logs-timewindow 1h
	[ "$(sqlite3 m.db "SELECT group_concat(arrival, ' ') FROM moment")" = "11 12 13 14 15 16 17 18 19 20 21" ]
}

@test "only the records of some watchdogs, or of less severe levels, can be purged" {
	for level in 0 20 40 50; do
		for watchdog in a b c; do lines 3000 $((now - 7200)) log $watchdog $level; done
	done | store
	monitor-purge -q -d m.db --logs-timewindow 1h --level debug -W a -W b
	[ "$(count)" = 24000 ]
	[ "$(count -W c)" = 12000 ]
	[ "$(count -W a -l 40..50)" = 0 ]
	sound
	monitor-purge -q -d m.db --logs-timewindow 1h -l 20
	[ "$(count)" = 9000 ]
	monitor-purge -q -d m.db --logs-timewindow 1h -W nobody
	[ "$(count)" = 9000 ]
	monitor-purge -q -d m.db --logs-timewindow 1h -W c
	[ "$(count)" = 6000 ]
	sound
}

# ---- by size -------------------------------------------------------------------

disk() { stat -c %s m.db m.db-wal | awk '{ sum += $1 } END { print sum }'; }

# near A B: the same, but for what a filesystem may round.
near() { [ $(($1 - $2)) -le 65536 ] && [ $(($2 - $1)) -le 65536 ]; }

@test "a store that is too large loses its oldest logs until it fits, and no notification" {
	{ lines 100 $((now - 9000)) notification; lines 60000 $((now - 60)); } | store
	monitor-purge -q -d m.db --max-size 1G
	[ "$(count)" = 60100 ]
	monitor-purge -q -d m.db --max-size 4M
	[ "$(disk)" -le 4194304 ]
	[ "$(disk)" -ge 2000000 ]
	[ "$(count -k notification)" = 100 ]
	monitor-query -d m.db -k log -o cat >left
	[ "$(wc -l <left)" -gt 10000 ]
	diff <(lines 60000 0 | jq -r .message | tail -n "$(wc -l <left)") left
	sound
}

@test "for room on the filesystem logs go as well" {
	lines 20000 $((now - 60)) | store
	monitor-purge -q -d m.db --keep-free 1k
	[ "$(count)" = 20000 ]
	monitor-purge -q -d m.db --keep-free 1000000T
	[ "$(count)" = 0 ]
	sound
}

@test "a single run gives at least nine tenths of what the records took back to the filesystem" {
	lines 10000 $((now - 60)) | store
	before=$(disk)
	lines 50000 $((now - 7200)) | store
	full=$(disk)
	run -0 monitor-purge -d m.db --logs-timewindow 1h -o ndjson
	after=$(disk)
	[ $((full - after)) -ge $(((full - before) * 9 / 10)) ]
	near "$(field given_back <<<"$output")" $((full - after))
	near "$(field size <<<"$output")" "$after"
	[ "$(monitor-query -d m.db --stats -o ndjson | field free_bytes)" = 0 ]
}

@test "what it says the records took is about what the file loses" {
	lines 50000 $((now - 7200)) | store
	run -0 monitor-purge -d m.db --logs-timewindow 1h -o ndjson
	bytes=$(field log.bytes <<<"$output")
	given=$(field given_back <<<"$output")
	[ "$bytes" -gt $((given / 2)) ] && [ "$bytes" -lt $((given * 2)) ]
}

# ---- what it says --------------------------------------------------------------

@test "a dry run says what would go, and changes nothing" {
	{ lines 20000 $((now - 7200)); lines 5 $((now - 7200)) notification; lines 9 $((now - 60)); } | store
	sum=$(cksum m.db)
	run -0 monitor-purge -d m.db --logs-timewindow 1h --notifications-timewindow 1h -n -o ndjson
	dry=$output
	[ "$(jq -c '[.log.rows, .notification.rows, .dry_run]' <<<"$dry")" = "[20000,5,true]" ]
	[ "$(cksum m.db)" = "$sum" ]
	[ "$(count)" = 20014 ]
	run -0 monitor-purge -d m.db --logs-timewindow 1h --notifications-timewindow 1h -n
	[[ $output == "would purge 20000 logs ("*"), 5 notifications ("*"); "*" on disk" ]]
	run -0 monitor-purge -d m.db --logs-timewindow 1h --notifications-timewindow 1h -o ndjson
	[ "$(jq -c '[.log, .notification, .marks]' <<<"$output")" = "$(jq -c '[.log, .notification, .marks]' <<<"$dry")" ]
}

# unprivileged COMMAND...: without root's right to write what is read-only.
unprivileged() {
	if [ "$(id -u)" = 0 ]; then setpriv --bounding-set=-all "$@"; else "$@"; fi
}

@test "a dry run needs no permission to write" {
	lines 10 $((now - 7200)) | store
	chmod 400 m.db*
	chmod 500 .
	run -0 unprivileged monitor-purge -d m.db --logs-timewindow 1h -n
	[[ $output == "would purge 10 logs "* ]]
	run -1 unprivileged monitor-purge -d m.db --logs-timewindow 1h
	[[ $output == "monitor-purge: "*m.db* ]]
	chmod 700 .
	[ "$(count)" = 10 ]
}

@test "a report is one line of JSON, or nothing with --quiet" {
	lines 1 $((now - 7200)) | store
	run -0 monitor-purge -d m.db --logs-timewindow 1h -o ndjson
	[ "$(jq -c keys <<<"$output")" = '["dry_run","given_back","log","marks","notification","size","time"]' ]
	[ "${#lines[@]}" = 1 ]
	run -0 monitor-purge -d m.db --logs-timewindow 1h -q
	[ -z "$output" ]
}

@test "output that cannot be written is an error, but not a closed pipe" {
	[ -e /dev/full ] || skip "no /dev/full"
	lines 1 $((now - 7200)) | store
	run -1 bash -c 'monitor-purge -d m.db --logs-timewindow 1h >/dev/full'
	[[ $output == "monitor-purge: standard output: "* ]]
	run -0 bash -c 'set -o pipefail; monitor-purge -d m.db --logs-timewindow 1h | true'
	[ -z "$output" ]
}

# ---- settings ------------------------------------------------------------------

@test "LOGS_TIMEWINDOW is heeded, and an option beats it" {
	{ lines 10 $((now - 7200)); lines 10 $((now - 600)); } | store
	LOGS_TIMEWINDOW=60 monitor-purge -q -d m.db --logs-timewindow 1h
	[ "$(count)" = 10 ]
	LOGS_TIMEWINDOW=60 monitor-purge -q -d m.db --logs-timewindow 0 --max-size 1G
	[ "$(count)" = 10 ]
	LOGS_TIMEWINDOW=300 monitor-purge -q -d m.db
	[ "$(count)" = 0 ]
}

@test "on a terminal a bare number below an hour is remarked upon, and heeded" {
	command -v script >/dev/null || skip "no script(1)"
	lines 5 $((now - 60)) | store
	remark='monitor-purge: --logs-timewindow: 30 is 30 seconds; days are 30d'
	terminal() { run -0 script -qec "$1" /dev/null </dev/null; }
	terminal 'monitor-purge -d m.db -n --logs-timewindow 30'
	[[ $output == "$remark"*"5 logs"* ]]
	for other in '-q --logs-timewindow 30' '--logs-timewindow 30s' '--logs-timewindow 3600' \
			'--logs-timewindow 0 --max-size 1T' '--logs-timewindow 30 2>&-' '--logs-timewindow 30 2>/dev/null'; do
		terminal "monitor-purge -d m.db -n $other"
		[[ $output != *"days"* ]]
	done
	LOGS_TIMEWINDOW=30 terminal 'monitor-purge -d m.db -n'
	[[ $output != *"days"* ]]
	terminal 'monitor-purge -d m.db -n --notifications-timewindow=90.5'
	[[ $output == *"90.5 is 90.5 seconds"* ]]
}

@test "MONITOR_STORE names the store" {
	lines 10 $((now - 7200)) | store
	MONITOR_STORE=m.db monitor-purge -q --logs-timewindow 1h
	[ "$(count)" = 0 ]
}

@test "to be told of nothing to purge is an error" {
	lines 10 0 | store
	for options in "" "--logs-timewindow 0" "-W w1" "--interval 5" "--marks-timewindow 0"; do
		# shellcheck disable=SC2086 # words
		LOGS_TIMEWINDOW='' run -2 monitor-purge -d m.db $options
		[[ ${lines[0]} == "monitor-purge: nothing to purge: "* ]]
	done
	[ "$(count)" = 10 ]
	monitor-purge -q -d m.db --marks-timewindow 1d
}

@test "wrong options and settings are told, with status 2" {
	lines 1 0 | store
	for options in "--logs-timewindow soon" "--max-size large" "--keep-free -1" "--interval x" "-W a/b" \
		"--level loud" "-o xml" "--no-such" "operand" "--marks-timewindow" \
		"--whole-partitions"; do
		# shellcheck disable=SC2086 # words
		run -2 monitor-purge -d m.db --logs-timewindow 1h $options
		[[ ${lines[0]} == "monitor-purge: "* ]]
	done
	LOGS_TIMEWINDOW=x run -2 monitor-purge -d m.db
	CLEANUP_INTERVAL=x run -2 monitor-purge -d m.db --logs-timewindow 1h
	[ "$(count)" = 1 ]
}

@test "a store that is not there is an error, and is not made" {
	run -1 monitor-purge -d none.db --logs-timewindow 1h
	[ "$output" = "monitor-purge: none.db: No such file or directory" ]
	[ ! -e none.db ]
	echo "not a store, whatever its name says it is. It is a text of more than a few bytes." >text.db
	run -1 monitor-purge -d text.db --logs-timewindow 1h
	[[ $output == "monitor-purge: "*"text.db: "* ]]
}

# ---- marks and names -----------------------------------------------------------

@test "marks of sources silent for 90 days are forgotten, or for as long as is said" {
	{
		echo '{"source":"old","seq":1,"level":1,"time":1,"sender":"s","message":"m"}'
		echo '{"source":"new","seq":1,"level":1,"time":1,"sender":"s","message":"m"}'
	} | monitor-ingest -q --ack -d m.db >acks
	[ "$(wc -l <acks)" = 2 ]
	sqlite3 m.db "UPDATE mark SET seen = seen - 91 * 86400 WHERE source = 'old'"
	run -0 monitor-purge -d m.db --max-size 1G --marks-timewindow 0
	[[ $output != *mark* ]]
	run -0 monitor-purge -d m.db --max-size 1G --marks-timewindow 92d
	[[ $output != *mark* ]]
	run -0 monitor-purge -d m.db --max-size 1G -n
	[[ $output == "would purge 0 logs (0 bytes), 0 notifications (0 bytes), 1 mark; "* ]]
	run -0 monitor-purge -d m.db --max-size 1G
	[[ $output == "purged 0 logs (0 bytes), 0 notifications (0 bytes), 1 mark; "* ]]
	[ "$(sqlite3 m.db 'SELECT source FROM mark')" = new ]
}

@test "senders that somebody invented are forgotten with their last record, if they are many" {
	awk -v time=$((now - 7200)) 'BEGIN {
		for (i = 0; i < 12000; i++)
			printf "{\"level\":1,\"time\":%d,\"sender\":\"s%d\",\"message\":\"m\"}\n", time, i
	}' | store
	lines 10 $((now - 60)) | store
	[ "$(monitor-query -d m.db --stats -o ndjson | field senders)" = 12001 ]
	monitor-purge -q -d m.db --logs-timewindow 1h
	[ "$(monitor-query -d m.db --stats -o ndjson | field senders)" = 1 ]
	[ "$(count -s test)" = 10 ]
	echo '{"level":1,"time":1,"sender":"s7","message":"m"}' | store
	[ "$(count -s s7)" = 1 ]
	sound
}

# ---- beside others -------------------------------------------------------------

@test "two purges at once do the work once, and no harm" {
	{ lines 100000 $((now - 7200)); lines 1000 $((now - 60)); } | store
	monitor-purge -d m.db --logs-timewindow 1h -o ndjson >one 3>&- &
	first=$!
	monitor-purge -d m.db --logs-timewindow 1h -o ndjson >two
	wait $first
	[ "$(cat one two | jq -s 'map(.log.rows) | add')" = 100000 ]
	[ "$(count)" = 1000 ]
	sound
}

# begun BEFORE: some of so many records are gone.
begun() { [ "$(count)" -lt "$1" ]; }

@test "a purge that is killed leaves a sound store, and the next one ends its work" {
	lines 300000 $((now - 7200)) | store
	left=300000
	for _ in 1 2 3 4 5; do
		start monitor-purge -q -d m.db --logs-timewindow 1h
		until_true begun "$left"
		kill -KILL "$pid" || break
		wait "$pid" || true
		sound
		left=$(count)
	done
	monitor-purge -q -d m.db --logs-timewindow 1h
	[ "$(count)" = 0 ]
	sound
}

@test "a signal ends a purge early and cleanly" {
	lines 300000 $((now - 7200)) | store
	start monitor-purge -d m.db --logs-timewindow 1h -o ndjson >said
	until_true begun 300000
	kill -TERM "$pid"
	wait "$pid"
	[ "$(count)" = $((300000 - $(field log.rows <said))) ]
	sound
}

@test "a lock that is not given back within ten seconds is status 75, or with --interval tried again" {
	lines 10 $((now - 7200)) | store
	hold 'BEGIN IMMEDIATE;'
	start monitor-purge -q -d m.db --logs-timewindow 1h --interval 0.05 2>errors
	run -75 monitor-purge -d m.db --logs-timewindow 1h
	[[ $output == "monitor-purge: "*"m.db: "*locked* ]]
	until_true grep -q locked errors
	[ "$(count)" = 10 ]
	release
	until_true eval '[ "$(count)" = 0 ]'
	kill -TERM "$pid"
	wait "$pid"
	[ "$(wc -l <errors)" = 1 ]
}

@test "a lock that is given back in time is waited for" {
	lines 10 $((now - 7200)) | store
	hold 'BEGIN IMMEDIATE;'
	start monitor-purge -q -d m.db --logs-timewindow 1h
	until_true eval 'lslocks -p "$pid" | grep -q m.db-wal'   # its turn: it waits for the lock itself
	release
	wait "$pid"
	[ "$(count)" = 0 ]
}

@test "a full disk can still be purged" {
	[ "$(id -u)" = 0 ] || skip "only root can mount a small disk"
	small=$BATS_FILE_TMPDIR/small
	mkdir "$small"
	mount -t tmpfs -o size=220m none "$small" || skip "cannot mount here"
	{ lines 250000 $((now - 7200)); lines 100000 $((now - 60)); } | store "$small/m.db"
	[ -e "$small/m.db-reserve" ]
	fallocate -l $(($(df --output=avail -B1 "$small" | tail -n 1) - 3000000)) "$small/fill"
	lines 350000 $((now - 60)) >new
	run -1 monitor-ingest -q -d "$small/m.db" new
	fill "$small/fill2"
	[ "$(df --output=avail "$small" | tail -n 1)" -eq 0 ]
	run -0 monitor-purge -d "$small/m.db" --logs-timewindow 1h -o ndjson
	[ "$(field log.rows <<<"$output")" = 250000 ]
	[ -e "$small/m.db-reserve" ]
	sound "$small/m.db"
	lines 100 "$now" | store "$small/m.db"
	umount "$small"
}

# ---- again and again -----------------------------------------------------------

@test "with --interval it stays, purges what has become old, and ends at a signal with status 0" {
	lines 5 $((now - 7200)) | store
	# What a shell starts in the background it starts deaf to SIGINT.
	purge=(env --default-signal=INT monitor-purge -d m.db --logs-timewindow 1h --interval 0.05 -o ndjson)
	start "${purge[@]}" >rounds
	until_true eval '[ "$(count)" = 0 ]'
	lines 7 $((now - 7200)) | store
	until_true eval '[ "$(count)" = 0 ]'
	until_true eval '[ "$(wc -l <rounds)" = 2 ]'
	[ "$(jq -c .log.rows <rounds | paste -sd ' ')" = "5 7" ]
	for signal in TERM INT HUP TERM; do
		kill -$signal "$pid"
		wait "$pid"
		start "${purge[@]}" >rounds
		lines 1 0 | store
		until_true test -s rounds
	done
	sound
}

@test "CLEANUP_INTERVAL makes it stay, and an option beats that" {
	lines 1 0 | store
	CLEANUP_INTERVAL=1h LOGS_TIMEWINDOW=60 run -0 monitor-purge -d m.db --interval 0
	[ "$(count)" = 0 ]
	lines 1 0 | store
	CLEANUP_INTERVAL=1h LOGS_TIMEWINDOW=60 start monitor-purge -d m.db >said
	until_true test -s said
	kill -0 "$pid"
	kill -TERM "$pid"
	wait "$pid"
}

@test "with --interval a store that is not there is reported once and waited for" {
	start monitor-purge -q -d m.db --logs-timewindow 1h --interval 0.02 2>errors
	until_true test -s errors
	lines 5 0 | store
	until_true eval '[ "$(count)" = 0 ]'
	rm m.db*
	until_true grep -q removed errors
	lines 5 0 | store
	until_true eval '[ "$(count)" = 0 ]'
	kill -TERM "$pid"
	wait "$pid"
	[ "$(grep -c 'monitor-purge: m.db: No such file or directory' errors)" -le 2 ]
	[ "$(grep -c removed errors)" = 1 ]
}

@test "with --interval a store of a newer version is not waited for" {
	lines 5 0 | store
	sqlite3 m.db 'PRAGMA user_version = 999'
	run -1 monitor-purge -d m.db --logs-timewindow 1h --interval 1h
	[[ $output == "monitor-purge: "*"m.db: made by a newer monitor"* ]]
}

@test "numbers that were given to what is gone are not given again" {
	{ lines 9000 $((now - 7200)); lines 5 $((now - 7200)) notification; } | store
	lines 1 "$now" | store
	run -0 monitor-purge -d m.db --logs-timewindow 1ms --notifications-timewindow 1ms
	[ "$(count)" = 0 ]
	sound
	lines 2 0 | store
	[ "$(sqlite3 -readonly m.db 'SELECT min(arrival), max(arrival) FROM log')" = "9007|9008" ]
	sound
}

@test "with --interval free pages are kept for the next records" {
	lines 10 0 | store
	start monitor-purge -d m.db --logs-timewindow 1h --interval 0.05 >said
	until_true test -s said
	kill -STOP "$pid"          # all of them in one round
	lines 20000 $((now - 7200)) | store
	kill -CONT "$pid"
	until_true eval '[ "$(count)" = 0 ]'
	kill -TERM "$pid"
	wait "$pid"
	[ "$(monitor-query -d m.db --stats -o ndjson | field free_bytes)" -gt 1000000 ]
	sound
	monitor-purge -q -d m.db --logs-timewindow 1h
	[ "$(monitor-query -d m.db --stats -o ndjson | field free_bytes)" = 0 ]
}

@test "a dry run is done once, whatever the interval" {
	lines 5 0 | store
	CLEANUP_INTERVAL=1h run -0 monitor-purge -d m.db --logs-timewindow 1h -n --interval 1h
	[[ $output == "would purge 5 logs "* ]]
}

@test "an ingester goes on storing while a purge deletes what it stores" {
	lines 300000 $((now - 7200)) >old
	start monitor-ingest -q -d m.db old
	ingester=$pid
	until_true test -e m.db
	start monitor-purge -q -d m.db --logs-timewindow 1h --interval 0.01
	wait "$ingester"
	lines 10 "$now" | store
	until_true eval '[ "$(count)" = 10 ]'
	kill -TERM "$pid"
	wait "$pid"
	sound
}
