#!/usr/bin/env bats
# monitor-query on a terminal: text, colour, and the pager.

load helper

prepare() {
	export MONITOR_STORE=$PWD/m.db TERM=xterm
	unset LESS COLUMNS
	{
		printf '{"watchdog":"w1","level":0,"time":1700000001,"sender":"s","message":"broken"}\n'
		printf '{"watchdog":"w1","level":30,"time":1700000002,"sender":"s","message":"fine \\u001b[5m"}\n'
	} | monitor-ingest -q
}

# terminal COMMAND: run it on a terminal of its own; what it shows is in
# $output, without carriage returns.
terminal() {
	run script -qec "$1" /dev/null </dev/null
	output=${output//$'\r'/}
}

@test "on a terminal: text in colour, and nothing that controls it" {
	terminal "monitor-query --no-pager"
	[ "$status" = 0 ]
	[[ $output == *$'22:13:21.000 \033[1;31mERROR  \033[0m w1 s: \033[1;31mbroken\033[0m'* ]]
	[[ $output == *'fine \x1b[5m'* ]]
}

@test "NO_COLOR, --color=never and a dumb terminal mean none" {
	for command in "NO_COLOR=1 monitor-query --no-pager" "monitor-query --no-pager --color=never" \
		"TERM=dumb monitor-query --no-pager"; do
		terminal "$command"
		[[ $output == *"22:13:21.000 ERROR   w1 s: broken"* ]]
		[[ $output != *$'\033'* ]]
	done
	terminal "NO_COLOR= monitor-query --no-pager"
	[[ $output == *$'\033'* ]]
}

@test "-o wins over the terminal" {
	terminal "monitor-query -o ndjson"
	[ "${output%%,*}" = '{"kind":"log"' ]
}

@test "cat on a terminal is guarded, too" {
	terminal "monitor-query -o cat"
	[ "$output" = $'broken\nfine \\x1b[5m' ]
}

@test "text goes through the pager: MONITOR_PAGER before PAGER" {
	terminal "MONITOR_PAGER='sed s/^/paged:/' PAGER=false monitor-query --color=never"
	[ "$status" = 0 ]
	[ "$(grep -c '^paged:2023' <<<"$output")" = 2 ]
	terminal "PAGER='sed s/^/paged:/' monitor-query --color=never"
	[ "$(grep -c '^paged:2023' <<<"$output")" = 2 ]
}

@test "less is told to show colours, and to leave a short text on the screen" {
	terminal "MONITOR_PAGER='sh -c \"cat; echo LESS=\$LESS\"' monitor-query"
	[[ $output == *LESS=FRSXMK* ]]
	terminal "LESS=Q MONITOR_PAGER='sh -c \"cat; echo LESS=\$LESS\"' monitor-query"
	[[ $output == *LESS=Q* ]]
}

@test "no pager: --no-pager, an empty one, cat, another format, a follower" {
	for command in "MONITOR_PAGER='sed s/^/paged:/' monitor-query --no-pager" \
		"MONITOR_PAGER= PAGER='sed s/^/paged:/' monitor-query" \
		"MONITOR_PAGER=cat monitor-query" "MONITOR_PAGER='sed s/^/paged:/' monitor-query -o ndjson"; do
		terminal "$command"
		[ "$status" = 0 ]
		[[ $output == *broken* && $output != *paged:* ]]
	done
	terminal "MONITOR_PAGER='sed s/^/paged:/' monitor-query -f --cursor-file c &
		until [ -s c ]; do :; done; kill \$!; wait \$!"
	[ "$status" = 0 ]
	[[ $output == *broken* && $output != *paged:* ]]
}

@test "a pager that is not there is said, and done without" {
	terminal "MONITOR_PAGER=nosuchpager PAGER=cat monitor-query"
	[ "$status" = 0 ]
	[[ $output == *"pager 'nosuchpager': No such file or directory"* && $output == *broken* ]]
	terminal "MONITOR_PAGER='nosuchpager | cat >&2; exit 127' monitor-query"
	[ "$status" = 3 ]
}

@test "who leaves the pager has seen enough" {
	records 50000 | monitor-ingest -q
	terminal "MONITOR_PAGER='head -n 1' monitor-query"
	[ "$status" = 0 ]
	[ "$(wc -l <<<"$output")" = 1 ]
}

@test "nothing that matches starts no pager, and is said" {
	terminal "MONITOR_PAGER='sed s/^/paged:/' monitor-query -g nowhere"
	[ "$status" = 1 ]
	[ "$output" = "-- no records --" ]
	terminal "monitor-query -g nowhere -q"
	[ "$status" = 1 ]
	[ -z "$output" ]
}

@test "summaries go through the pager, too" {
	terminal "MONITOR_PAGER='sed s/^/paged:/' monitor-query --senders"
	[ "$output" = "paged:         2 s" ]
	terminal "MONITOR_PAGER='sed s/^/paged:/' monitor-query --histogram=1h --color=never"
	[ "$(grep -c ^paged: <<<"$output")" = 2 ]
}

@test "bars are as wide as the terminal" {
	terminal "stty cols 70; monitor-query --histogram=1h --no-pager --color=never"
	[ "$(tail -n 1 <<<"$output" | wc -c)" -le 71 ]
	[ "$(tail -n 1 <<<"$output" | wc -c)" -ge 60 ]
	terminal "stty cols 120; monitor-query --histogram=1h --no-pager --color=never"
	[ "$(tail -n 1 <<<"$output" | wc -c)" -ge 110 ]
}
