#!/usr/bin/env bats
# monitor-query --follow and --cursor-file: nothing missed, nothing twice.

load helper

prepare() {
	export MONITOR_STORE=$PWD/m.db
}

# put FIRST LAST: records whose messages are those numbers.
put() {
	local i
	for ((i = $1; i <= $2; i++)); do
		printf '{"watchdog":"w1","level":30,"time":%d,"sender":"s","message":"%d"}\n' \
			$((${TIME_OF:-1700000000} + i)) "$i"
	done | monitor-ingest -q
}

# follow ARG...: a follower that writes to "out" and "err"; its pid is in $pid.
follow() {
	start monitor-query -f -o cat "$@" >out 2>err
}

lines_in() {
	[ "$(wc -l <"$1")" -ge "$2" ]
}

# ends WITH: the program in $pid ends with that status.
ends() {
	local status=0
	wait "$pid" || status=$?
	[ "$status" = "$1" ] || { echo "status $status, not $1" >&2; cat err >&2; return 1; }
}

@test "-f begins with the last 10 and goes on" {
	put 1 15
	follow
	until_true lines_in out 10
	put 16 17
	until_true lines_in out 12
	kill -TERM "$pid"
	ends 0
	diff out <(seq 6 17)
}

@test "-f shows late records, too: it is in the order of arrival" {
	put 10 12
	follow
	until_true lines_in out 3
	TIME_OF=1600000000 put 1 2
	put 13 13
	until_true lines_in out 6
	[ "$(tr '\n' ' ' <out)" = "10 11 12 1 2 13 " ]
}

@test "-f -n N begins with the last N to arrive, -n 0 with nothing, --no-tail with all" {
	put 1 5
	put 20 25
	TIME_OF=1600000000 put 6 7
	follow -n 3
	until_true lines_in out 3
	[ "$(tr '\n' ' ' <out)" = "25 6 7 " ]
	kill "$pid"
	ends 0
	follow -n 0 --cursor-file c
	until_true test -s c
	put 8 8
	until_true lines_in out 1
	[ "$(cat out)" = 8 ]
	kill "$pid"
	ends 0
	follow --no-tail
	until_true lines_in out 14
	[ "$(head -n 1 out)" = 1 ]
}

@test "-f keeps to its filters" {
	put 1 3
	follow -g '2$'
	until_true lines_in out 1
	put 11 25
	until_true lines_in out 3
	[ "$(tr '\n' ' ' <out)" = "2 12 22 " ]
}

@test "SIGINT ends a follower cleanly, too" {
	put 1 1
	# In the background of a script SIGINT is ignored; env gives it back.
	start env --default-signal=INT monitor-query -f -o cat >out
	until_true lines_in out 1
	kill -INT "$pid"
	ends 0
}

@test "-f waits for a store that is not there yet, and shows all of it" {
	follow
	until_true grep -q "waiting for it" err
	put 1 15
	until_true lines_in out 15
	put 16 16
	until_true lines_in out 16
	diff out <(seq 16)
}

@test "a signal ends the wait for a store" {
	follow
	until_true grep -q "waiting for it" err
	kill -TERM "$pid"
	ends 0
}

@test "an idle follower whose reader leaves ends quietly" {
	put 1 1
	mkfifo pipe
	start bash -c 'exec monitor-query -f -o cat >pipe 2>err'
	{ read -r line; } <pipe
	[ "$line" = 1 ]
	ends 0
	[ ! -s err ]
}

@test "a follower that waits for a store ends quietly when its reader leaves" {
	mkfifo pipe
	start bash -c 'exec monitor-query -f -o cat >pipe 2>err'
	exec 8<pipe
	until_true grep -qs "waiting for it" err
	exec 8<&-
	ends 0
}

@test "a store that is removed under a follower is an error" {
	put 1 2
	follow
	until_true lines_in out 2
	rm m.db*
	ends 3
	[[ $(cat err) == "monitor-query: "*m.db*removed* ]]
}

@test "a store that is replaced under a follower is an error" {
	put 1 2
	MONITOR_STORE=other.db put 1 2
	follow
	until_true lines_in out 2
	mv other.db m.db
	ends 3
	[[ $(cat err) == "monitor-query: "*m.db*replaced* ]]
}

@test "a disk that fails under the mapped store is an error that says so" {
	put 1 2
	follow
	until_true lines_in out 2
	kill -BUS "$pid" # as the kernel does then
	ends 3
	[[ $(cat err) == "monitor-query: the store can't be read: its disk fails"* ]]
}

@test "--cursor-file: everything at first, then only what is new" {
	put 1 25
	monitor-query -o cat --cursor-file c >out
	diff out <(seq 25)
	run -1 monitor-query -o cat --cursor-file c
	[ -z "$output" ]
	TIME_OF=1600000000 put 26 28
	run -0 monitor-query -o cat --cursor-file c
	[ "$output" = "$(seq 26 28)" ]
}

@test "--cursor-file pages with -n" {
	put 1 10
	monitor-query -o cat --cursor-file c -n 4 >out
	[ "$(tr '\n' ' ' <out)" = "7 8 9 10 " ]
	put 11 20
	for want in "11 12 13 14 " "15 16 17 18 " "19 20 "; do
		[ "$(monitor-query -o cat --cursor-file c -n 4 | tr '\n' ' ')" = "$want" ]
	done
	run -1 monitor-query -o cat --cursor-file c -n 4
}

@test "--cursor-file goes past what does not match" {
	put 1 5
	run -1 monitor-query --cursor-file c -g nothing
	before=$(cat c)
	put 6 6
	run -1 monitor-query --cursor-file c -g nothing
	[ "$(cat c)" != "$before" ]
}

@test "an empty cursor file is one that holds nothing yet" {
	put 1 3
	: >c
	monitor-query -o cat --cursor-file c >out
	diff out <(seq 3)
	[ -s c ]
}

@test "-f --cursor-file: everything, and over restarts nothing missed and nothing twice" {
	put 1 30
	follow --cursor-file c
	until_true lines_in out 30
	kill -TERM "$pid"
	ends 0
	cat out >all
	put 31 40
	for round in 1 2 3; do
		follow --cursor-file c
		until_true lines_in out 10
		put $((31 + round * 10)) $((40 + round * 10))
		until_true lines_in out 20
		kill -TERM "$pid"
		ends 0
		cat out >>all
		put $((41 + round * 10)) $((50 + round * 10))
		monitor-query -o cat --cursor-file c >>all
		# The next round begins with ten of its own.
		put $((51 + round * 10)) $((60 + round * 10))
	done
	monitor-query -o cat >everything
	diff <(sort -n all) <(monitor-query -o cat | sort -n | head -n "$(wc -l <all)")
}

@test "the cursor is saved while the follower runs" {
	put 1 3
	follow --cursor-file c
	until_true test -s c
	first=$(cat c)
	put 4 4
	changed() { [ "$(cat c)" != "$first" ]; }
	until_true changed
	kill -KILL "$pid"
	ends 137
	run -1 monitor-query --cursor-file c -o cat
}

@test "after kill -9 nothing is missed" {
	put 1 200
	: >all
	for round in 1 2 3 4 5; do
		follow --cursor-file c
		put $((100 + round * 101)) $((200 + round * 101))
		until_true lines_in out 1
		kill -KILL "$pid"
		wait "$pid" 2>/dev/null || true
		cat out >>all
	done
	monitor-query -o cat --cursor-file c >>all || true
	diff <(sort -n all | uniq) <(monitor-query -o cat | sort -n | uniq)
}

@test "a reader who has stopped reading does not keep a follower from ending, nor is the cursor ahead of it" {
	put 1 20000
	mkfifo pipe
	start bash -c 'exec monitor-query -f -o ndjson --cursor-file c >pipe 2>err'
	exec 8<pipe
	read -r line <&8
	# The pipe is full now, or will be: the follower has far more than it takes.
	kill -TERM "$pid"
	ends 0
	{ echo "$line"; cat <&8; } >out
	exec 8<&-
	seen=$(grep -c '}$' out)
	[ "$seen" -lt 20000 ]
	[ ! -e c ] || monitor-query --cursor-file c -o cat >rest
	[ -e rest ] || seq 20000 >rest
	# What was seen whole and what comes now leave no gap.
	[ "$(head -n 1 rest)" -le $((seen + 1)) ]
	[ "$(tail -n 1 rest)" = 20000 ]
}

@test "--after-cursor with -f is in the order of arrival" {
	put 1 3
	cursor=$(monitor-query --cursor-file c --show-cursor -o text | sed -n 's/^-- cursor: //p')
	TIME_OF=1600000000 put 4 20
	follow --after-cursor "$cursor"
	until_true lines_in out 17
	diff out <(seq 4 20)
}

@test "--show-cursor says at the end where a follower stood" {
	put 1 3
	start monitor-query -f -o text --show-cursor >out
	until_true lines_in out 3
	kill -TERM "$pid"
	ends 0
	cursor=$(sed -n '$s/^-- cursor: //p' out)
	put 4 5
	[ "$(monitor-query -o cat --after-cursor "$cursor" | tr '\n' ' ')" = "4 5 " ]
}

@test "a cursor file of another store is an error, and stays as it is" {
	put 1 3
	monitor-query --cursor-file c >/dev/null
	cp c before
	MONITOR_STORE=other.db put 1 3
	run -3 --separate-stderr monitor-query -d other.db --cursor-file c
	[ -z "$output" ]
	[[ $stderr == *"another store"* ]]
	diff c before
}

@test "a cursor file that holds no cursor is an error that names it" {
	put 1 3
	echo nonsense >c
	run -3 --separate-stderr monitor-query --cursor-file c
	[ -z "$output" ]
	[[ $stderr == "monitor-query: c: 'nonsense' is not a cursor" ]]
	[ "$(cat c)" = nonsense ]
}

@test "a cursor file that can't be written is an error before anything is shown" {
	put 1 3
	run -3 --separate-stderr monitor-query --cursor-file nowhere/c
	[ -z "$output" ]
	[[ $stderr == *nowhere/c* ]]
	run -3 --separate-stderr monitor-query --cursor-file /dev/null
	[[ $stderr == *"not a regular file"* ]]
	[ -c /dev/null ]
}

@test "a position that the store has not come to is an error" {
	put 1 3
	monitor-query --backup old.db
	put 4 9
	monitor-query --cursor-file c >/dev/null
	run -3 --separate-stderr monitor-query -d old.db --cursor-file c
	[[ $stderr == *"not come to this position"* ]]
}

# restore FILE: it takes the place of the store.
restore() {
	rm -f m.db m.db-wal m.db-shm
	cp "$1" m.db
}

@test "a follower goes on in a store that was restored, however often, and misses nothing" {
	put 1 3
	monitor-query --backup old.db
	put 4 6
	monitor-query --cursor-file c >/dev/null
	cp c further
	restore old.db
	put 7 12
	[ "$(monitor-query -o cat --cursor-file c | tr '\n' ' ')" = "7 8 9 10 11 12 " ]
	monitor-query --backup new.db
	restore old.db
	put 13 22
	[ "$(monitor-query -o cat --cursor-file c | tr '\n' ' ')" = "13 14 15 16 17 18 19 20 21 22 " ]
	restore new.db
	put 23 25
	[ "$(monitor-query -o cat --cursor-file further | tail -n 3 | tr '\n' ' ')" = "23 24 25 " ]
	run -0 monitor-query --verify
	[ "$(monitor-query --count)" = 12 ]
}

@test "a back-up is a store to readers, who leave it as it is" {
	put 1 3
	monitor-query --backup old.db
	cp old.db before
	[ "$(monitor-query -d old.db -o cat | tr '\n' ' ')" = "1 2 3 " ]
	monitor-query -d old.db --verify
	monitor-query -d old.db --backup again.db
	cmp old.db before
	restore again.db
	monitor-query --cursor-file c >/dev/null
	put 4 5
	[ "$(monitor-query -o cat --cursor-file c | tr '\n' ' ')" = "4 5 " ]
}

@test "a follower beside several writers misses nothing and shows nothing twice" {
	put 1 1
	follow --no-tail
	for w in 1 2 3; do
		for ((i = 0; i < 300; i++)); do
			printf '{"watchdog":"w%d","level":30,"time":%d,"sender":"s","message":"%d"}\n' \
				"$w" $((1700000000 + i * 7919 % 301)) $((w * 1000 + i))
		done | monitor-ingest -q &
	done 3>&-
	until_true lines_in out 901
	[ "$(sort -u out | wc -l)" = 901 ]
}
