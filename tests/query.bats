#!/usr/bin/env bats
# monitor-query: which records, in which order, in which shape.

load helper

prepare() {
	export MONITOR_STORE=$PWD/m.db
}

# record LEVEL TIME SENDER MESSAGE [WATCHDOG [KIND]]: one line.
record() {
	printf '{"kind":"%s","watchdog":"%s","level":%s,"time":%s,"sender":"%s","message":"%s"}\n' \
		"${6:-log}" "${5:-w1}" "$1" "$2" "$3" "$4"
}

# put: standard input into the store.
put() {
	monitor-ingest -q
}

# A handful of everything.
sample() {
	{
		record 30 1700000001.5 Bridge "one"
		record 0 1700000002.5 Engine "Two failed"
		record 10 1700000003.5 Bridge "three" w2
		record 20 1700000004.5 Radio "four" w3 notification
		record 50 1700000005.5 Engine "five failed"
		record 15 1700000000.5 Bridge "six, late"
	} | put
}

messages() {
	monitor-query -o cat "$@"
}

@test "records come out as they went in, as NDJSON in a pipe" {
	record 30 1700000001.25 Bridge 'a \"quoted\" text' >in
	put <in
	monitor-query >out
	diff in out
}

@test "-o json is NDJSON, as journalctl has it" {
	sample
	[ "$(monitor-query -o json)" = "$(monitor-query -o ndjson)" ]
	[ "$(monitor-query --count -o json)" = "$(monitor-query --count -o ndjson)" ]
}

@test "the same double comes back, and members that are not ours" {
	echo '{"kind":"log","watchdog":"w","level":-5,"time":1732280000.123456,"sender":"s","message":"m","extra":[1,{"a":null}]}' >in
	put <in
	monitor-query >out
	diff in out
}

@test "U+0000 in a message survives, and does not end it" {
	record 30 1.5 s 'a\u0000b' >in
	put <in
	monitor-query >out
	diff in out
	[ "$(monitor-query -g 'a.b$' --count)" = 1 ]
}

@test "oldest first, a late record in its place" {
	sample
	run -0 messages
	[ "$output" = "$(printf '%s\n' "six, late" one "Two failed" three four "five failed")" ]
}

@test "records of the same time stay in the order of their arrival" {
	for i in 1 2 3 4; do record 30 1700000000 s "$i"; done | put
	[ "$(messages | tr -d '\n')" = 1234 ]
	[ "$(messages -r | tr -d '\n')" = 4321 ]
}

@test "-r shows the newest first" {
	sample
	diff <(messages -r) <(messages | tac)
}

@test "-n shows the newest N, oldest first" {
	sample
	[ "$(messages -n 2)" = "$(printf 'four\nfive failed')" ]
	[ "$(messages --lines=2 -r)" = "$(printf 'five failed\nfour')" ]
	[ "$(messages -n 100 | wc -l)" = 6 ]
	[ "$(messages -n all | wc -l)" = 6 ]
}

@test "-n counts what matches" {
	sample
	[ "$(messages -n 2 -s Bridge)" = "$(printf 'one\nthree')" ]
}

@test "-n 0 shows nothing, and says so by its status" {
	sample
	run -1 monitor-query -n 0
	[ -z "$output" ]
}

@test "-w is a window up to now, which it does not quite reach back to" {
	now=$(date +%s)
	record 30 $((now - 3600)) s old | put
	record 30 $((now - 30)) s young | put
	record 30 $((now + 3600)) s future | put
	[ "$(messages -w 60 | tr '\n' ' ')" = "young future " ]
	[ "$(messages -w 10m | tr '\n' ' ')" = "young future " ]
	[ "$(messages --timewindow=2h | tr '\n' ' ')" = "old young future " ]
	[ "$(messages -w 0)" = future ]
}

@test "-S includes its moment, -U does not" {
	records 5 | put
	[ "$(messages -S @1700000003.5 | tr '\n' ,)" = "number 3,number 4,number 5," ]
	[ "$(messages -U @1700000003.5 | tr '\n' ,)" = "number 1,number 2," ]
	[ "$(messages -S @1700000002.5 -U @1700000004.5 | tr '\n' ,)" = "number 2,number 3," ]
	run -1 messages -S @1700000004.5 -U @1700000002.5
}

@test "times are read in local time, or in UTC with --utc, wherever it stands" {
	records 3 1732280000 | put
	export TZ=Europe/Berlin
	[ "$(messages -S '2024-11-22 13:53:22')" = "$(printf 'number 2\nnumber 3')" ]
	[ "$(messages -S '2024-11-22 12:53:22' --utc)" = "$(printf 'number 2\nnumber 3')" ]
	[ "$(messages --utc --until '2024-11-22T12:53:22')" = "number 1" ]
	[ "$(messages -U 2024-11-22T13:53:22+01:00)" = "number 1" ]
}

@test "-s is exact, and may be given several times" {
	sample
	[ "$(messages -s Bridge | wc -l)" = 3 ]
	[ "$(messages -s Bridge -s Radio | wc -l)" = 4 ]
	run -1 messages -s bridge
	run -1 messages -s Brid
}

@test "-l is a threshold, by name or number" {
	sample
	[ "$(messages -l error)" = "Two failed" ]
	[ "$(messages -l warning | tr '\n' ,)" = "Two failed,three," ]
	[ "$(messages -l 15 | tr '\n' ,)" = "six, late,Two failed,three," ]
	[ "$(messages --level NOTICE | wc -l)" = 4 ]
	run -1 messages -l -1
}

@test "-l A..B is a range, either way round, either end open" {
	sample
	[ "$(messages -l warning..notice | tr '\n' ,)" = "six, late,three,four," ]
	[ "$(messages -l 20..10 | tr '\n' ,)" = "six, late,three,four," ]
	[ "$(messages -l 21.. | tr '\n' ,)" = "one,five failed," ]
	[ "$(messages -l ..err)" = "Two failed" ]
}

@test "-W may be given several times" {
	sample
	[ "$(messages -W w2)" = three ]
	[ "$(messages -W w2 -W w3 | tr '\n' ,)" = "three,four," ]
	run -1 messages -W w9
}

@test "-k tells logs and notifications apart" {
	sample
	[ "$(messages -k notification)" = four ]
	[ "$(messages -k log | wc -l)" = 5 ]
	[ "$(messages -k all | wc -l)" = 6 ]
}

@test "-g in lower case means any case, with a capital it means that case" {
	{ record 30 1 s "A Timeout"; record 30 2 s "a timeout"; record 30 3 s "TIMEOUT"; } | put
	[ "$(messages -g timeout | wc -l)" = 3 ]
	[ "$(messages -g Timeout)" = "A Timeout" ]
	[ "$(messages -g timeout --case-sensitive)" = "a timeout" ]
	[ "$(messages --case-sensitive=no -g TimeOut | wc -l)" = 3 ]
	[ "$(messages -g '\St$|a\stimeout' | wc -l)" = 3 ]
}

@test "-g knows letters beyond ASCII" {
	{ record 30 1 s "Größe 5"; record 30 2 s "GRÖSSE 5"; } | put
	[ "$(messages -g 'grö(ß|ss)e' | wc -l)" = 2 ]
	[ "$(LC_ALL=C messages -g 'gr.sse')" = "GRÖSSE 5" ]
}

@test "-g takes an extended regular expression" {
	sample
	[ "$(messages -g '^(one|three)$' | tr '\n' ,)" = "one,three," ]
	[ "$(messages -g 'fail(ed)?$' | wc -l)" = 2 ]
	run -1 messages -g 'f{5}'
}

@test "filters hold together" {
	sample
	[ "$(messages -s Engine -l 10 -g failed -W w1 -k log)" = "Two failed" ]
	run -1 messages -s Engine -l 10 -g failed -W w2
}

@test "nothing that matches is status 1, and silence" {
	sample
	run -1 --separate-stderr monitor-query -g nowhere
	[ -z "$output" ] && [ -z "$stderr" ]
}

@test "no store yet is status 1, and is said" {
	run -1 --separate-stderr monitor-query
	[ -z "$output" ]
	[ "$stderr" = "monitor-query: $MONITOR_STORE: no store there yet" ]
	run -1 --separate-stderr monitor-query --count -q
	[ -z "$stderr" ]
	[ ! -e m.db ]
}

@test "a file that is no store is status 3" {
	head -c 8192 /dev/zero | tr '\0' x >m.db
	run -3 --separate-stderr monitor-query
	[ -z "$output" ]
	[[ $stderr == "monitor-query: "*"m.db: not a monitor store, or damaged: "* ]]
	run -3 monitor-query -d .
	[ "$output" = "monitor-query: .: Is a directory" ]
}

@test "a mistake in the command line is status 2, and names itself" {
	sample
	bad() {
		run -2 --separate-stderr monitor-query "$@"
		[ -z "$output" ]
		[[ $stderr == *"$want"*"Try 'monitor-query --help'"* ]] || { echo "$stderr"; return 1; }
	}
	want="--timewindow: 'soon'" bad -w soon
	want="--store: mysql: no such kind of store" bad -d mysql://me:secret@db/x
	want="--store: its name is empty" bad -d ''
	want="month 13" bad -S 2024-13-01
	want="--until: 'later'" bad -U later
	want="loud: not a level" bad -l loud
	want="no watchdog code" bad -W 'a b'
	want="--kind: 'logs'" bad -k logs
	want="--grep: pattern '('" bad -g '('
	want="'\\d' has no meaning in an extended regular expression: a digit is [0-9]" bad -g '\.\d+'
	want="'\\n' has no meaning" bad -g 'a\nb'
	want="twice" bad -g a -g b
	want="neither yes nor no" bad -g a --case-sensitive=perhaps
	want="--lines: '-1'" bad -n -1
	want="--lines: '5x'" bad -n 5x
	want="--output: 'xml'" bad -o xml
	want="--color: 'red'" bad --color=red
	want="is not a cursor" bad --after-cursor c1
	want="no operands; -d names a store, -g looks for a text" bad error
	want="--reverse does not go with" bad -r -f
	want="--reverse does not go with" bad -r --cursor-file c
	want="two places" bad --after-cursor 'c1;t=0000000000000000;a=0000000000000000;s=0000000000000000' --cursor-file c
	want="two questions" bad --count --senders
	want="not for a summary" bad --count -f
	want="not for a summary" bad --count -n 5
	want="whole store" bad --stats -l error
	want="a summary is text or ndjson" bad --senders -o csv
	want="--top is for" bad --top 3 --count
	want="of nobody" bad --top 0
	want="at least 1ms" bad --histogram=0
	want="unrecognized option" bad --nosuch
}

@test "options that journalctl and grep have and we have not are answered with what there is" {
	try() {
		run -2 --separate-stderr monitor-query "$@"
		[[ $stderr == "monitor-query: there is no $want"* ]] || { echo "$stderr"; return 1; }
	}
	want="--priority: levels are chosen by -l" try -p err
	want="--priority: levels are chosen by -l" try --priority=3
	want="--unit: senders are chosen by -s" try -n 3 -u Pump
	want="--cursor: positions are given by --after-cursor" try --cursor=c1
	want="--ignore-case: -g takes any case" try -rig pump
	[ ! -e c1 ]
}

@test "--help and --version go to standard output" {
	run -0 --separate-stderr monitor-query --help
	[[ $output == "usage: monitor-query "*--grep* ]] && [ -z "$stderr" ]
	[ "$(monitor-query -h)" = "$output" ]
	run -0 --separate-stderr monitor-query --version
	[[ $output == "monitor-query "[0-9]* ]] && [ -z "$stderr" ]
}

@test "text: time, level, watchdog, sender, message" {
	sample
	monitor-query -o text >out
	diff out - <<-'END'
		2023-11-14 22:13:20.500 15      w1 Bridge: six, late
		2023-11-14 22:13:21.500 INFO    w1 Bridge: one
		2023-11-14 22:13:22.500 ERROR   w1 Engine: Two failed
		2023-11-14 22:13:23.500 WARNING w2 Bridge: three
		2023-11-14 22:13:24.500 NOTICE  w3 Radio (notification): four
		2023-11-14 22:13:25.500 VERBOSE w1 Engine: five failed
	END
}

@test "text: the watchdog is left out where one is asked for" {
	sample
	[ "$(monitor-query -o text -W w2)" = "2023-11-14 22:13:23.500 WARNING Bridge: three" ]
	[ "$(monitor-query -o text -W w2 -W w9)" = "2023-11-14 22:13:23.500 WARNING w2 Bridge: three" ]
}

@test "text: local time, or UTC with --utc" {
	record 30 1732282400.123456 s m | put
	export TZ=America/New_York
	[ "$(monitor-query -o text)" = "2024-11-22 08:33:20.123 INFO    w1 s: m" ]
	[ "$(monitor-query -o text --utc)" = "2024-11-22 13:33:20.123 INFO    w1 s: m" ]
}

@test "text: a time beyond the calendar is written as a number" {
	record 30 1e300 s m | put
	[ "$(monitor-query -o text)" = "@1e+300 INFO    w1 s: m" ]
}

@test "text: nothing in a message or a sender can control the terminal" {
	record 30 1 's\u001bS' 'esc \u001b[31m, bell \u0007, del \u007f, c1 \u009b31m, tab \t, cr \r, nul \u0000, bidi \u202e\u2066, line \u2028, é € 😀 \u00a0.' | put
	monitor-query -o text >out
	printf '%s\n' "1970-01-01 00:00:01.000 INFO    w1 s\\x1bS: esc \\x1b[31m, bell \\a, del \\x7f, c1 \\x9b31m, tab 	, cr \\r, nul \\x00, bidi \\u202e\\u2066, line \\u2028, é € 😀 "$'\u00a0.' >want
	diff out want
}

@test "text: the further lines of a message are indented, none looks like a record" {
	record 30 1 's\nx' 'first\n2024-11-22 13:33:20.123 ERROR   w1 s: forged\n' | put
	monitor-query -o text >out
	diff out - <<-'END'
		1970-01-01 00:00:01.000 INFO    w1 s\nx: first
		    2024-11-22 13:33:20.123 ERROR   w1 s: forged
	END
}

@test "csv: a heading, and quotes where RFC 4180 wants them" {
	{
		record 30 1732282400.5 'a,b' 'say \"hi\"'
		record 0 1732282401.25 plain 'two\nlines' w2 notification
	} | put
	TZ=Europe/Berlin monitor-query -o csv >out
	printf 'kind,watchdog,level,time,sender,message\r\n%s\r\n%s\n%s\r\n' \
		'log,w1,30,2024-11-22T14:33:20.500000+01:00,"a,b","say ""hi"""' \
		'notification,w2,0,2024-11-22T14:33:21.250000+01:00,plain,"two' 'lines"' >want
	cmp out want
	run -1 monitor-query -o csv -g nowhere
	[ "$output" = $'kind,watchdog,level,time,sender,message\r' ]
}

@test "csv: --utc gives times in UTC" {
	record 30 1732282400.5 s m | put
	[[ $(TZ=Europe/Berlin monitor-query -o csv --utc) == *,2024-11-22T13:33:20.500000Z,* ]]
}

@test "cat: messages only, as they are" {
	record 30 1 s 'a\nb\u001b' | put
	monitor-query -o cat | cmp - <(printf 'a\nb\033\n')
}

@test "wire: the arrays that WebSocket clients are sent" {
	{ record 30 1.5 s 'a\"b'; record 10 2.5 t c w2 notification; } | put
	monitor-query -o wire >out
	diff out - <<-'END'
		["s","a\"b",30]
		["t","c",10,2.5]
	END
}

@test "no colour in a pipe, unless it is asked for" {
	sample
	run -0 monitor-query -o text
	[[ $output != *$'\033'* ]]
	run -0 monitor-query -o text --color=always
	[[ $output == *$'\033[1;31mERROR  \033[0m w1 Engine: \033[1;31mTwo failed\033[0m'* ]]
	run -0 monitor-query -o text --color -g 'f(ai|iv)' --case-sensitive
	[[ $output == *$'Two \033[7mfai\033[27mled'* ]]
	[[ $output == *$'\033[7mfiv\033[27me \033[7mfai\033[27mled'* ]]
	run -0 monitor-query --color=always
	[[ $output != *$'\033'* ]]
}

@test "colour ends before a line does" {
	record 0 1 s 'one\ntwo' | put
	run -0 monitor-query -o text --color=always
	[ "${lines[1]}" = $'    \033[1;31mtwo\033[0m' ]
	[[ ${lines[0]} == *$'one\033[0m' ]]
}

@test "cursors page through everything, without a gap and without a repetition" {
	for i in $(seq 30); do record 30 $((1700000000 + i / 7)) s "$i"; done | put
	: >paged
	after=()
	while monitor-query -n 4 --show-cursor "${after[@]}" >page; do
		grep -v '"cursor"' page >>paged
		after=(--after-cursor "$(sed -n 's/{"cursor":"\(.*\)"}/\1/p' page)")
	done
	[ "$(grep -c . paged)" = 4 ] # the newest four, and nothing comes behind them
	: >paged
	after=(--after-cursor 'c1;t=ffefffffffffffff;a=0000000000000000;s=0000000000000000')
	while monitor-query -n 4 --show-cursor "${after[@]}" >page; do
		grep -v '"cursor"' page >>paged
		after=(--after-cursor "$(sed -n 's/{"cursor":"\(.*\)"}/\1/p' page)")
	done
	diff paged <(monitor-query)
}

@test "cursors page backwards, too" {
	for i in $(seq 30); do record 30 $((1700000000 + i / 7)) s "$i"; done | put
	: >paged
	after=()
	while monitor-query -r -n 4 --show-cursor "${after[@]}" >page; do
		grep -v '"cursor"' page >>paged
		after=(--after-cursor "$(sed -n 's/{"cursor":"\(.*\)"}/\1/p' page)")
	done
	diff paged <(monitor-query -r)
}

@test "--show-cursor is the last line of a text, and beside the formats that have no place for it" {
	sample
	run -0 --separate-stderr monitor-query -o text --show-cursor
	[[ ${lines[-1]} == "-- cursor: c1;"* ]] && [ -z "$stderr" ]
	run -0 --separate-stderr monitor-query -o csv --show-cursor
	[[ $output != *cursor* ]] && [[ $stderr == "-- cursor: c1;"* ]]
}

@test "with nothing behind a cursor, the cursor stays as it is" {
	sample
	cursor=$(monitor-query -n 1 -o text --show-cursor | sed -n 's/^-- cursor: //p')
	run -1 monitor-query --after-cursor "$cursor" --show-cursor -o text
	[ "$output" = "-- cursor: $cursor" ]
}

@test "a cursor of another store is an error that says so" {
	sample
	cursor=$(monitor-query -n 1 -o text --show-cursor | sed -n 's/^-- cursor: //p')
	records 5 | monitor-ingest -q -d other.db
	run -3 --separate-stderr monitor-query -d other.db --after-cursor "$cursor"
	[ -z "$output" ]
	[[ $stderr == *"another store"* ]]
}

@test "a full disk is an error" {
	sample
	run -3 --separate-stderr bash -c 'monitor-query >/dev/full'
	[ "$stderr" = "monitor-query: standard output: No space left on device" ]
	run -3 --separate-stderr bash -c 'monitor-query --count >/dev/full'
	[ "$stderr" = "monitor-query: standard output: No space left on device" ]
}

@test "a closed standard output is an error" {
	sample
	run -3 --separate-stderr bash -c 'monitor-query >&-'
	[[ $stderr == "monitor-query: standard output: "* ]]
}

@test "a reader who leaves ends it quietly" {
	records 20000 | put
	run -0 --separate-stderr bash -c 'monitor-query | head -n 1; exit "${PIPESTATUS[0]}"'
	[ "${#lines[@]}" = 1 ] && [ -z "$stderr" ]
}

@test "what is found is shown at once, while the search goes on" {
	# The back reference takes glibc minutes in the last message.
	{
		for i in $(seq 40); do record 30 "$i" s "hit $i"; done
		record 30 41 s "$(head -c 8000 /dev/zero | tr '\0' a)"
	} | put
	mkfifo pipe
	start bash -c "exec monitor-query -o cat -g 'hit|(a+)\1[b]' >pipe"
	exec 8<pipe
	for i in $(seq 32); do
		read -rt 20 line <&8
		[ "$line" = "hit $i" ]
	done
	kill -0 "$pid"
	exec 8<&-
}

@test "a reader who takes a line at a time gets everything" {
	records 20000 | put
	monitor-query | { for _ in 1 2 3 4 5; do read -r line; echo "$line"; done; cat; } >out
	diff out <(monitor-query)
}

@test "who may read the store, and not write it, can ask it" {
	[ "$(id -u)" = 0 ] || skip "needs root, to become somebody else"
	local open
	# The directory of the tests may be closed to others; this one is not.
	open=$(mktemp -d /tmp/monitor-test.XXXXXX)
	chmod 0755 "$open"
	cp "$(command -v monitor-query)" "$open"
	records 5 | monitor-ingest -q -d "$open/m.db"
	chmod 0644 "$open"/m.db*
	cd "$open"
	run -0 setpriv --reuid=65534 --regid=65534 --clear-groups ./monitor-query -d m.db -o cat -n 2
	cd "$BATS_TEST_TMPDIR"
	rm -r "$open"
	[ "$output" = "$(printf 'number 4\nnumber 5')" ]
}

@test "options may come in any order, and the store from either place" {
	sample
	mv m.db elsewhere.db
	[ "$(monitor-query --count -d elsewhere.db)" = 6 ]
	[ "$(MONITOR_STORE=elsewhere.db monitor-query --count)" = 6 ]
	[ "$(monitor-query --store sqlite:elsewhere.db --count)" = 6 ]
}
