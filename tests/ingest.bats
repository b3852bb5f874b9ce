#!/usr/bin/env bats
# monitor-ingest: what becomes of lines. (As a sink: sink.bats. When things
# break: ingest-faults.bats.)

load helper

prepare() {
	export MONITOR_STORE=$PWD/m.db
}

# sql STATEMENT: ask the store, changing nothing.
sql() {
	sqlite3 -readonly m.db "$1"
}

# rows N: has the store so many records?
rows() {
	[ "$(sql 'SELECT count(*) FROM records' 2>/dev/null)" = "$1" ]
}

# line MESSAGE [MORE]: a record, with more members.
line() {
	printf '{"level":30,"time":1700000000.5,"sender":"s","message":"%s"%s}\n' "$1" "${2-}"
}

# feed: start an ingester on a pipe that stays open: its end is $feed.
feed() {
	mkfifo pipe
	start monitor-ingest "$@" pipe 2>err
	exec {feed}>pipe
}

# at_most KB PID: has it never had more memory? (A sanitizer takes its own.)
at_most() {
	local most
	case $BUILD in *address* | *thread*) return 0 ;; esac
	most=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$2/status")
	[ "$most" -le "$1" ] || { echo "$most kB" >&2; return 1; }
}

# ---- where records come from ----

@test "records of standard input are in the store, as they were" {
	monitor-ingest <<-'END'
		{"kind":"notification","watchdog":"w-1","level":-5,"time":1732280000.123456,"sender":"Bridge","message":"Grüße\n\u0001"}
	END
	[ "$(sql 'SELECT kind, watchdog, level, printf("%.6f", time), sender, hex(message) FROM records')" = \
		"notification|w-1|-5|1732280000.123456|Bridge|4772C3BCC39F650A01" ]
}

@test "files are read one after another, standard input where one is named -" {
	line one >a
	line three >c
	line two | monitor-ingest a - c
	[ "$(sql 'SELECT group_concat(message) FROM (SELECT * FROM records ORDER BY arrival)')" = one,two,three ]
}

@test "no input is no error" {
	monitor-ingest </dev/null
	rows 0
	monitor-ingest <&-
}

@test "a record without kind or watchdog is a log of local, or what options say" {
	line a | monitor-ingest
	line b | monitor-ingest --kind notification --watchdog home-1
	line c ',"kind":"log","watchdog":"w"' | monitor-ingest -k notification -W home-1
	[ "$(sql 'SELECT kind, watchdog FROM records ORDER BY message' | tr '\n' ' ')" = \
		"log|local notification|home-1 log|w " ]
}

@test "the store is the one of -d, of MONITOR_STORE otherwise" {
	line a | monitor-ingest -d other.db
	line b | monitor-ingest
	line c | monitor-ingest --store="sqlite:$PWD/third.db"
	[ "$(sql 'SELECT message FROM records')" = b ]
	[ "$(sqlite3 -readonly other.db 'SELECT message FROM records')" = a ]
	[ "$(sqlite3 -readonly third.db 'SELECT message FROM records')" = c ]
}

@test "a lone record is in the store while its producer still has the pipe" {
	feed
	line first >&"$feed"
	until_true rows 1
	line second >&"$feed"
	until_true rows 2
	kill -0 "$pid"
}

@test "two ingesters may write to one store" {
	records 20000 >one
	records 20000 1800000000 >two
	start monitor-ingest one
	monitor-ingest two
	wait "$pid"
	rows 40000
}

@test "a file that is not there does not keep the others out; the status is 1" {
	line a >a
	run -1 monitor-ingest missing a . a
	[[ $output == *"missing: No such file or directory"* ]]
	[[ $output == *".: Is a directory"* ]]
	rows 2
}

@test "what could not begin has no summary, only its error" {
	line a >a
	run -1 monitor-ingest --reject missing/refused a
	[ "$output" = "monitor-ingest: missing/refused: No such file or directory" ]
	run -1 monitor-ingest --listen unix:missing/s
	[[ $output == "monitor-ingest: "*"missing/s"* && ${#lines[@]} = 1 ]]
	run -1 monitor-ingest missing
	[ "$output" = "monitor-ingest: missing: No such file or directory" ]
	run -0 monitor-ingest a
	[[ $output == *"1 record ("* ]]
}

@test "a store that cannot be made says so, and a directory is none" {
	line a >a
	run -1 monitor-ingest -d missing/m.db a
	[ "$output" = "monitor-ingest: missing/m.db: cannot be made: No such file or directory" ]
	run -1 monitor-ingest -d . a
	[ "$output" = "monitor-ingest: .: Is a directory" ]
}

@test "numbers are ignored without --ack" {
	for i in 1 2; do line twice ',"source":"s","seq":1'; done | monitor-ingest >out
	[ ! -s out ]
	rows 2
	[ "$(sql 'SELECT count(*) FROM mark')" = 0 ]
}

# ---- lines that are no records ----

@test "a bad line is reported by number and reason, and the others are stored; the status is 3" {
	{
		line good
		echo '{"level":"high","time":1,"sender":"s","message":"m"}'
		echo 'not JSON'
		line good
	} >in
	run -3 monitor-ingest in
	[[ $output == *"monitor-ingest: in:2: level: "* ]]
	[[ $output == *"monitor-ingest: in:3: not JSON"* ]]
	[[ $output == *"2 records (2 refused"* ]]
	run -3 monitor-ingest <in
	[[ $output == *"monitor-ingest: standard input:2: level: "* ]]
	rows 4
}

@test "--reject appends bad lines, byte for byte" {
	{
		line good
		printf 'bad \xff\x00 bytes\r\n'
		line good
		printf '{"level":1}\n\n  \n'
		printf 'the last one has no newline'
	} >in
	echo 'was here before' >refused
	run -3 monitor-ingest --reject refused in
	printf 'was here before\nbad \xff\x00 bytes\r\n{"level":1}\nthe last one has no newline\n' | cmp - refused
	rows 2
}

@test "empty lines are skipped, and count as lines" {
	printf '\n\r\n  \t\nbad\n' >in
	run -3 monitor-ingest in
	[[ $output == *"in:4: "* ]]
	[[ $output == *"(1 refused"* ]]
}

@test "lines may end in CR LF, the last one in nothing" {
	printf '%s\r\n%s' "$(line one)" "$(line two)" | monitor-ingest
	rows 2
}

# Each: what happens to it, and the line. "-" is refused.
@test "odd JSON is taken or refused, and never harms its neighbours" {
	local deep_ok deep huge n=0 bad=0 expected text
	deep_ok=$(printf '%.0s[' {1..2000})$(printf '%.0s]' {1..2000})
	deep=$(printf '%.0s[' {1..100000})
	huge=$(printf '%.0s9' {1..5000})
	while IFS=' ' read -r expected text; do
		line before
		printf '%b\n' "$text"
		line after
		n=$((n + 1))
		[ "$expected" = + ] || bad=$((bad + 1))
	done >in <<-END
		+ {"level":5.0,"time":1e3,"sender":"","message":""}
		+ {"level":5e0,"time":-0.0,"sender":"s","message":"a\\\\u0000b"}
		+ {"level":1,"level":2,"time":1,"sender":"s","message":"the last counts"}
		+ {"level":1,"time":1,"sender":"\\\\ud800","message":"lone"}
		+ {"level":1,"time":1,"sender":"s","message":"m","deep":$deep_ok}
		- {"level":1,"time":1,"sender":"s","message":"m","deep":$deep}
		- {"level":$huge,"time":1,"sender":"s","message":"m"}
		- {"level":9223372036854775808,"time":1,"sender":"s","message":"m"}
		- {"level":5.5,"time":1,"sender":"s","message":"m"}
		- {"level":1,"time":1e400,"sender":"s","message":"m"}
		- {"level":1,"time":NaN,"sender":"s","message":"m"}
		- {"level":1,"time":"1","sender":"s","message":"m"}
		- {"level":1,"time":1,"sender":null,"message":"m"}
		- {"level":1,"time":1,"sender":"s","message":"\\xff"}
		- {"level":1,"time":1,"sender":"s","message":"\\xed\\xa0\\x80"}
		- {"level":1,"time":1,"sender":"s","message":"\\x00"}
		- {"level":1,"time":1,"sender":"s","message":"m"}{"level":1}
		- {"level":1,"time":1,"sender":"s","message":"m","watchdog":"no code"}
		- {"level":1,"time":1,"sender":"s","message":"m","kind":"event"}
		- [{"level":1,"time":1,"sender":"s","message":"m"}]
		- \\xef\\xbb\\xbf{"level":1,"time":1,"sender":"s","message":"m"}
	END
	[ "$n" = 21 ]
	run -3 monitor-ingest --reject refused in
	[[ $output == *"($bad refused, 0 duplicates, 1 lone surrogate replaced)"* ]]
	[ "$(wc -l <refused)" = "$bad" ]
	rows $((3 * n - bad))
	[ "$(sql "SELECT count(*) FROM records WHERE message IN ('before', 'after')")" = $((2 * n)) ]
	[ "$(sql "SELECT hex(sender) FROM records WHERE message = 'lone'")" = EFBFBD ]
	[ "$(sql "SELECT level FROM records WHERE message = 'the last counts'")" = 2 ]
}

@test "a line over --max-line is refused, one of just that length is not" {
	line "$(printf '%0900d' 0)" >fits
	line "$(printf '%0901d' 0)" >over
	size=$(($(stat -c %s fits) - 1))
	run -3 monitor-ingest --max-line "$size" --reject refused fits over fits
	[[ $output == *"over:1: the line is longer than $size bytes"* ]]
	cmp over refused
	rows 2
}

@test "an overlong line is kept whole by --reject, and the next line is taken" {
	{
		line before
		head -c 10000000 /dev/zero | tr '\0' x
		echo
		line after
		head -c 5000000 /dev/zero | tr '\0' y
	} >in
	run -3 monitor-ingest --reject refused in
	[[ $output == *"in:2: the line is longer than 4194304 bytes"* ]]
	[[ $output == *"in:4: the line is longer"* ]]
	{ sed -n -e 2p -e 4p in && echo; } | cmp - refused
	rows 2
}

@test "a legal line of 4 MB is stored" {
	text=$(head -c 4000000 /dev/zero | tr '\0' z)
	line "$text" >in
	monitor-ingest in
	[ "$(sql 'SELECT length(message) FROM records')" = 4000000 ]
}

@test "--max-future refuses what is further ahead, and nothing without it" {
	now=$(date +%s)
	for ahead in -100000000 0 3000 4000 1000000000000; do
		echo "{\"level\":1,\"time\":$((now + ahead)),\"sender\":\"s\",\"message\":\"m\"}"
	done >in
	run -3 monitor-ingest --max-future 1h in
	[[ $output == *"in:4: time: more than 1h ahead of now"* ]]
	[[ $output == *"in:5: time: more than 1h ahead of now"* ]]
	rows 3
	monitor-ingest in
	rows 8
}

@test "a flood of bad lines is not a flood of messages" {
	yes bad | head -n 100000 >in
	run -3 monitor-ingest in
	[ "${#lines[@]}" -lt 200 ]
	[[ $output == *" more refused"* ]]
	[[ $output == *"0 records (100000 refused"* ]]
	told=$(grep -c ': in:' <<<"$output")
	for more in $(sed -n 's/.*and \([0-9]*\) more refused/\1/p' <<<"$output"); do
		told=$((told + more))
	done
	[ "$told" = 100000 ]
}

@test "nothing in a bad line can act on the terminal" {
	printf '{"level":1,"time":1,"sender":"s","message":"m","kind":"\\u001b[31m\x1b[2J"}\n\x1b]0;x\x07\n' >in
	run -3 monitor-ingest in
	[[ $output != *$'\x1b'* ]]
	[[ $output != *$'\x07'* ]]
}

# ---- bounds ----

@test "memory stays bounded while a line without an end comes in" {
	feed --max-line 1M
	line before >&"$feed"
	until_true rows 1
	head -c 300000000 /dev/zero | tr '\0' x >&"$feed"
	echo >&"$feed"
	line after >&"$feed"
	until_true rows 2
	at_most 65536 "$pid"
}

@test "memory stays bounded in a flood" {
	feed
	records 1000 >some
	for ((i = 0; i < 300; i++)); do cat some; done >&"$feed"
	until_true rows 300000
	at_most 131072 "$pid"
	head -c 10000000 /dev/zero | tr '\0' y >long
	for i in 1 2 3 4 5; do line "$(head -c 4000000 long)"; done >&"$feed"
	until_true rows 300005
	at_most 131072 "$pid"
}

# ---- the end ----

@test "SIGTERM, SIGINT and SIGHUP: what was read whole is stored, the status is 0" {
	for signal in TERM INT HUP; do
		rm -f pipe m.db*
		mkfifo pipe
		start env --default-signal=INT,HUP monitor-ingest pipe 2>err
		exec {feed}>pipe
		{ line whole && printf '{"level":30,"time":17000'; } >&"$feed"
		until_true rows 1
		kill -s "$signal" "$pid"
		wait "$pid"
		exec {feed}>&-
		grep -q '1 record (0 refused' err
		rows 1
	done
}

@test "a signal that was ignored at the start stays ignored" {
	mkfifo pipe
	start env --ignore-signal=HUP monitor-ingest pipe
	exec {feed}>pipe
	line one >&"$feed"
	until_true rows 1
	kill -HUP "$pid"
	line two >&"$feed"
	until_true rows 2
	exec {feed}>&-
	wait "$pid"
}

@test "a signal ends a run that still has bad lines to report, with status 0" {
	feed
	echo bad >&"$feed"
	line good >&"$feed"
	until_true rows 1
	kill "$pid"
	wait "$pid"
	grep -q ':1: not JSON' err
}

@test "a summary ends the run, and --quiet leaves only what is wrong" {
	records 3 >in
	run -0 monitor-ingest in
	[ "$output" = "monitor-ingest: 3 records (0 refused, 0 duplicates)" ]
	run -0 monitor-ingest -q in
	[ -z "$output" ]
	echo bad >>in
	run -3 monitor-ingest --quiet in
	[ "${#lines[@]}" = 1 ]
	[[ $output == *"in:4: "* ]]
}

@test "progress is shown on a terminal only, with the share of a file and the time left" {
	command -v script >/dev/null || skip "no script(1)"
	records 20000 >some
	for ((i = 0; i < 40; i++)); do cat some; done >in
	script -qec 'monitor-ingest in' /dev/null >out </dev/null
	grep -qE '[0-9]+ records  [0-9.]+[kM]?/s  [0-9.]+[kM]B  [0-9]+%  ETA ' out
	grep -q 'monitor-ingest: 800000 records' out
	script -qec 'monitor-ingest -q in' /dev/null >out </dev/null
	[ ! -s out ]
	monitor-ingest in 2>out
	[ "$(wc -l <out)" = 1 ]
}

# ---- options ----

@test "a wrong option, argument or combination is status 2, with a message" {
	wrong() {
		run -2 monitor-ingest "$@" </dev/null
		[ -n "$output" ]
	}
	wrong --what
	wrong --kind=x
	wrong --watchdog="no code"
	wrong --max-line=0
	wrong --max-line=-1
	wrong --max-line=257M
	wrong --max-future=soon
	wrong --listen=tcp:1
	wrong --listen=unix:
	wrong --listen=systemd:
	wrong --listen=unix:s file
	wrong --salvage=x file
}

@test "--help is on standard output, --version names one" {
	run -0 --separate-stderr monitor-ingest --help
	[[ $output == "usage: monitor-ingest "* ]]
	[ -z "$stderr" ]
	run -0 monitor-ingest --version
	[[ $output =~ ^monitor-ingest\ [0-9]+\.[0-9]+ ]]
}
