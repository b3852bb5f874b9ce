#!/usr/bin/env bats
# monitor-ingest when things break: each time a clear error and status 1,
# nothing half-stored, and whatever was acknowledged is in the store.

load helper

prepare() {
	export MONITOR_STORE=$PWD/m.db
}

teardown_file() {
	umount -l "$BATS_FILE_TMPDIR/small" 2>/dev/null || true
}

sql() {
	sqlite3 -readonly "${2:-m.db}" "$1"
}

# numbered FIRST LAST: such lines, of one source, with half a kB of text.
numbered() {
	awk -v first="$1" -v last="$2" 'BEGIN {
		for (i = 0; i < 50; i++) text = text "0123456789"
		for (i = first; i <= last; i++)
			printf "{\"source\":\"a\",\"seq\":%d,\"level\":30,\"time\":%d,\"sender\":\"s\",\"message\":\"%s\"}\n", i, i, text
	}'
}

# acked: the highest number acknowledged in the file out.
acked() {
	jq -s '[.[].ack.seq // 0] | max // 0' out
}

# sound [STORE]: the store is whole, and holds numbers 1 to N without a gap,
# for N at least what was acknowledged.
sound() {
	local store=${1:-m.db} stored
	[ "$(sql 'PRAGMA integrity_check' "$store")" = ok ]
	stored=$(sql 'SELECT count(*) FROM records' "$store")
	[ "$(sql 'SELECT count(DISTINCT time), coalesce(CAST(max(time) AS INTEGER), 0) FROM records' "$store")" = "$stored|$stored" ]
	[ "$stored" -ge "$(acked)" ]
	monitor-query -d "$store" --verify >/dev/null
}

# As nobody in particular, who may not write here.
unprivileged() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	else
		"$@"
	fi
}

# ---- the disk ----

@test "a full disk: what was acknowledged stays, and with more room the rest goes in" {
	[ "$(id -u)" = 0 ] || skip "only root can mount a small disk"
	small=$BATS_FILE_TMPDIR/small
	mkdir "$small"
	mount -t tmpfs -o size=12m none "$small" || skip "cannot mount here"
	numbered 1 100000 >in
	run -1 bash -c "monitor-ingest --ack -d '$small/m.db' in >out"
	[[ $output == *"$small/m.db: "*"full"* ]]
	[ "$(acked)" -gt 0 ]
	[ "$(acked)" -lt 100000 ]
	mount -o remount,size=200m "$small"
	sound "$small/m.db"
	monitor-ingest --ack -d "$small/m.db" in >out
	[ "$(acked)" = 100000 ]
	[ "$(sql 'SELECT count(*) FROM records' "$small/m.db")" = 100000 ]
	sound "$small/m.db"
}

@test "a limit on the size of files is as a full disk" {
	numbered 1 100000 >in
	run -1 bash -c 'ulimit -f 20000 && monitor-ingest --ack in >out'
	[[ $output == *"m.db: File too large"* || $output == *"m.db: "*full* ]]
	[ "$(acked)" -gt 0 ]
	[ "$(acked)" -lt 100000 ]
	sound
	monitor-ingest --ack in >out
	[ "$(sql 'SELECT count(*) FROM records')" = 100000 ]
	sound
}

@test "a full disk under --reject: what was read before is stored, the bad line is not settled" {
	[ -c /dev/full ] || skip "no /dev/full"
	{ numbered 1 10; echo '{"source":"a","seq":11,"level":"high"}'; numbered 12 20; } >in
	run -1 bash -c 'monitor-ingest --ack --reject /dev/full in >out'
	[[ $output == *"/dev/full: No space left on device"* ]]
	[ "$(cat out)" = '{"ack":{"source":"a","seq":10}}' ]
	sound
}

@test "a refused line that a full disk has cut short is not joined by the next" {
	monitor-ingest </dev/null
	yes 'refused before' | head -c 1023990 >refused
	echo >>refused
	cp refused whole
	echo 'a line that is too long for what is left' >bad
	run -1 bash -c 'ulimit -f 1000 && monitor-ingest --reject refused bad'
	[[ $output == *"refused: File too large"* ]]
	[ "$(stat -c %s refused)" = 1024000 ]
	run -3 monitor-ingest --reject refused bad
	{ cat whole; echo 'a line th'; cat bad; } | cmp - refused
}

@test "a file of refused lines that may only be appended to is" {
	[ "$(id -u)" = 0 ] || skip "only root can become nobody"
	chmod 777 .
	chmod 755 "$BATS_FILE_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_RUN_TMPDIR"
	echo before >refused
	chmod 222 refused
	run -3 unprivileged "$(command -v monitor-ingest)" -d "$PWD/m.db" --reject "$PWD/refused" <<<bad
	[ "$(cat refused)" = $'before\n\nbad' ]
}

@test "refused lines are on the disk when the program has ended, or it says why not" {
	native
	monitor-ingest </dev/null
	: >refused
	for call in sync close; do
		n=0 status=0
		until [ "$status" = 1 ] && [[ $output == *"refused: Input/output error"* ]]; do
			rm -f hit
			run fault "$call:$((n += 1))" monitor-ingest --reject refused <<<bad
			[ -e hit ]
		done
	done
}

@test "an input that cannot be read is an error, the others are stored" {
	numbered 1 10 >in
	run -1 monitor-ingest /proc/self/mem in
	[[ $output == *"/proc/self/mem: Input/output error"* ]]
	[ "$(sql 'SELECT count(*) FROM records')" = 10 ]
}

# ---- the store ----

@test "a store that may not be written is an error" {
	numbered 1 10 | monitor-ingest
	chmod 444 m.db
	chmod 555 .
	[ "$(id -u)" != 0 ] || chmod 755 "$BATS_FILE_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_RUN_TMPDIR"
	run -1 unprivileged "$(command -v monitor-ingest)" -d "$PWD/m.db" /dev/null
	chmod 755 .
	[[ $output == *"m.db: "* ]]
	[[ $output == *[Pp]ermission* || $output == *read-only* ]]
}

@test "a directory that may not be written is an error" {
	mkdir closed
	chmod 555 closed
	[ "$(id -u)" != 0 ] || chmod 755 "$BATS_FILE_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_RUN_TMPDIR"
	run -1 unprivileged "$(command -v monitor-ingest)" -d "$PWD/closed/m.db" /dev/null
	[[ $output == *"closed/m.db: "* ]]
	run -1 monitor-ingest -d missing/m.db /dev/null
	[[ $output == *"missing/m.db: "* ]]
}

# lock: somebody holds the store's lock, until a line comes on $lock.
lock() {
	mkfifo lock
	start sh -c 'sqlite3 m.db <lock'
	exec {lock}>lock
	printf 'BEGIN IMMEDIATE;\n.shell touch locked\n' >&"$lock"
	until_true test -e locked
}

@test "a store that somebody has locked is waited for" {
	monitor-ingest </dev/null
	lock
	numbered 1 10 >in
	start monitor-ingest --ack in >out
	until_true grep -q voluntary "/proc/$pid/status"
	[ ! -s out ]
	printf 'ROLLBACK;\n.quit\n' >&"$lock"
	wait "$pid"
	[ "$(acked)" = 10 ]
	sound
}

@test "a store that stays locked for 30 seconds is an error" {
	native
	monitor-ingest </dev/null
	lock
	numbered 1 10 >in
	run -1 fault sleep:1+ monitor-ingest --ack in
	[[ $output == *"m.db: "*locked* ]]
	[ "$(sql 'SELECT count(*) FROM records')" = 0 ]
}

@test "what is no store, or a damaged one, is an error and stays as it is" {
	echo 'this is a text, which is longer than the header of a database would be: 16 bytes' >text.db
	cp text.db before
	run -1 monitor-ingest -d text.db /dev/null
	[[ $output == *"text.db: "* ]]
	cmp text.db before
	numbered 1 5000 >in
	monitor-ingest in
	sqlite3 m.db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
	for page in 2 3 4 5 6 7 8 9 10 11 12; do
		head -c 4096 /dev/zero | tr '\0' '\377' |
			dd of=m.db bs=4096 seek="$page" conv=notrunc status=none
	done
	run -1 monitor-ingest --ack in
	[[ $output == *"m.db: "*"damaged"* || $output == *"m.db: "*"malformed"* ]]
}

@test "a store of a newer version is an error, and stays as it is" {
	numbered 1 5 | monitor-ingest
	sqlite3 m.db 'PRAGMA user_version = 9999' >/dev/null
	run -1 monitor-ingest /dev/null
	[[ $output == *"m.db: "*"newer"* ]]
	[ "$(sql 'PRAGMA user_version; SELECT count(*) FROM records' | tr '\n' ' ')" = "9999 5 " ]
}

@test "a store of version 1, which wrote its last number with each batch, is migrated" {
	numbered 1 5 | monitor-ingest --ack >/dev/null
	sqlite3 m.db 'UPDATE head SET arrival = 5; PRAGMA user_version = 1' >/dev/null
	run -3 monitor-query --count
	[[ $output == *"m.db: made by an older monitor (schema 1): run monitor-ingest on it once" ]]
	numbered 1 7 | monitor-ingest --ack >out
	[ "$(sql 'PRAGMA user_version; SELECT max(arrival) FROM log' | tr '\n' ' ')" = "2 7 " ]
	sound
}

@test "a store is written to only when its name is on the disk, whoever made it" {
	native
	monitor-ingest </dev/null
	run -1 fault sync:1 monitor-ingest </dev/null
	[ "$output" = "monitor-ingest: $PWD: Input/output error" ]
}

@test "a database of another program is an error, and stays as it is" {
	sqlite3 m.db 'CREATE TABLE t (x); INSERT INTO t VALUES (1)'
	cp m.db before
	run -1 monitor-ingest /dev/null
	[[ $output == *"m.db: "* ]]
	cmp m.db before
}

@test "a store that is removed or replaced while it is open takes nothing more" {
	for how in 'rm m.db' 'mv other.db m.db'; do
		rm -f m.db* pipe
		numbered 1 1 | monitor-ingest -d other.db
		mkfifo pipe
		: >out
		start monitor-ingest --ack pipe >out 2>err
		exec {feed}>pipe
		numbered 1 1 >&"$feed"
		until_true grep -q ack out
		$how
		numbered 2 2 >&"$feed"
		status=0
		wait "$pid" || status=$?
		exec {feed}>&-
		[ "$status" = 1 ]
		[ "$(acked)" = 1 ]
		grep -qE 'm\.db: was (removed|replaced)' err
	done
}

# ---- one call fails ----

# native: only without a sanitizer, which brings its own malloc.
native() {
	case $BUILD in *address* | *thread*) skip "a sanitizer has its own system calls" ;; esac
}

# fault WHICH PROGRAM [ARGUMENT]...
fault() {
	local which=$1 program
	program=$(command -v "$2")
	shift 2
	env LD_PRELOAD="$BUILD/tests/faults.so" FAULT="$which" FAULT_HIT="$PWD/hit" "$program" "$@"
}

# one_fault WHICH: an ingester that meets it either gets over it or says what
# is wrong; the store is sound, and what was left out goes in afterwards.
one_fault() {
	rm -f m.db* hit refused
	status=0
	fault "$1" monitor-ingest --ack --reject refused in >out 2>err || status=$?
	[ "$status" = 3 ] || { [ "$status" = 1 ] && grep -q '^monitor-ingest: ' err; } ||
		{ echo "$1: status $status"; cat err; return 1; } >&2
	if [ -e m.db ] && [ "$(sql 'SELECT count(*) FROM sqlite_schema')" -gt 0 ]; then
		sound || { echo "$1: not sound" >&2; return 1; }
	else
		[ "$(acked)" = 0 ]
	fi
	[ "$status" = 1 ] || [ "$(acked)" = 3001 ] || { echo "$1: answers are missing" >&2; return 1; }
	status=0
	monitor-ingest --ack in >out 2>err || status=$?
	[ "$status" = 3 ]
	[ "$(sql 'SELECT count(*) FROM records')" = 3000 ]
}

# every_fault CALL LEAST: the first such call fails, the second, ... in steps
# that grow by one part in FAULTS (`make torture` takes finer ones), until there
# are no more. So many at least there must be.
every_fault() {
	local n=1 last=0
	native
	{ numbered 1 3000; echo '{"source":"a","seq":3001,"level":"high"}'; } >in
	while :; do
		one_fault "$1:$n"
		[ -e hit ] || break
		last=$n
		n=$((n + 1 + n / ${FAULTS:-6}))
	done
	[ "$last" -ge "$2" ]
}

@test "any allocation that fails does no harm" { every_fault malloc 100; }
@test "any open that fails does no harm" { every_fault open 5; }
@test "any read that fails does no harm" { every_fault read 5; }
@test "any write that fails does no harm" { every_fault write 5; }
@test "any sync that fails does no harm" { every_fault sync 3; }
@test "any close that fails does no harm" { every_fault close 5; }
@test "a thread that does not start does no harm" { every_fault thread 2; }

# ---- salvage ----

@test "--salvage takes what is left of a damaged store, and counts" {
	numbered 1 20000 | monitor-ingest -d old.db
	sqlite3 old.db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
	run -0 monitor-ingest --salvage old.db
	[ "${lines[0]}" = "20000 records read, 0 of them without their names" ]
	[ "${lines[1]}" = "0 records lost" ]
	[ "$(sql 'SELECT count(*), count(DISTINCT time) FROM records')" = "20000|20000" ]
	rm m.db*
	pages=$(($(stat -c %s old.db) / 4096))
	for part in 3 5 7; do
		head -c 8192 /dev/urandom | dd of=old.db bs=4096 seek=$((pages * part / 10)) conv=notrunc status=none
	done
	cp old.db before
	run -0 monitor-ingest --salvage old.db
	cmp old.db before
	read=$(sed -n 's/^\([0-9]*\) records read.*/\1/p' <<<"$output")
	lost=$(sed -n 's/^\(at least \)\{0,1\}\([0-9]*\) records lost/\2/p' <<<"$output")
	[ "$read" -gt 15000 ]
	[ "$lost" -gt 0 ]
	[ $((read + lost)) = 20000 ]
	[ "$(sql 'SELECT count(*), count(DISTINCT time) FROM records')" = "$read|$read" ]
	run -1 monitor-ingest --salvage missing.db
}
