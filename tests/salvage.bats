#!/usr/bin/env bats
# monitor-ingest --salvage: what a damaged store still holds.

load helper

# A store of 20,000 records, whole and closed: old.db, of $pages pages.
prepare() {
	records 20000 | monitor-ingest --quiet -d old.db
	pages=$(($(stat -c %s old.db) / 4096))
}

# lose FIRST COUNT: so many pages of old.db, from FIRST on (counted from 1), are
# overwritten.
lose() {
	head -c $(($2 * 4096)) /dev/zero | tr '\0' '\245' |
		dd of=old.db bs=4096 seek=$(($1 - 1)) conv=notrunc status=none iflag=fullblock
}

# salvaged: the numbers that the last salvage printed: $read, $unnamed, $lost.
salvaged() {
	run -0 --separate-stderr monitor-ingest --salvage old.db -d new.db
	[[ $output =~ ^([0-9]+)\ records\ read,\ ([0-9]+)\ of\ them\ without\ their\ names$'\n'(at least )?([0-9]+)\ records\ lost$ ]]
	read=${BASH_REMATCH[1]}
	unnamed=${BASH_REMATCH[2]}
	lost=${BASH_REMATCH[4]}
}

# The new store is whole, and has that many records, all of them ours and none
# of them twice.
sound() {
	run -0 monitor-query -d new.db --verify
	monitor-query -d new.db -o ndjson >new
	[ "$(wc -l <new)" = "$read" ]
	records 20000 >all
	[ "$(jq -r .message new | sort -u | wc -l)" = "$read" ]
	[ -z "$(comm -13 <(jq -c '[.time,.message]' all | sort) <(jq -c '[.time,.message]' new | sort))" ]
}

@test "a store that is whole is salvaged whole, and not changed" {
	before=$(sha256sum old.db)
	salvaged
	[ "$read $lost $unnamed" = "20000 0 0" ]
	sound
	[ "$before" = "$(sha256sum old.db)" ]
	cmp <(monitor-query -d old.db -o ndjson) <(monitor-query -d new.db -o ndjson)
}

@test "pages lost in the middle cost what was on them, and it is counted" {
	lose $((pages / 2)) 10
	salvaged
	[ "$read" -gt 18000 ]
	[ "$lost" -gt 0 ]
	[ $((read + lost)) = 20000 ]
	sound
}

@test "a store whose beginning is overwritten gives all its records" {
	lose 1 1
	run ! monitor-query -d old.db
	salvaged
	[ "$read $lost" = "20000 0" ]
	sound
}

@test "a store whose upper pages are lost gives all its records" {
	lose "$(sqlite3 old.db "SELECT rootpage FROM sqlite_schema WHERE name = 'log'")" 1
	salvaged
	[ "$read $lost" = "20000 0" ]
	sound
}

@test "a store that is cut off gives what was before" {
	truncate -s $((pages * 4096 * 2 / 3 + 1234)) old.db
	salvaged
	[ "$read" -gt 10000 ]
	[ "$lost" -gt 1000 ]
	[[ $output == *"at least $lost records lost" ]]
	sound
}

@test "records whose names are lost get names made of numbers" {
	first=$(sqlite3 old.db "SELECT rootpage FROM sqlite_schema WHERE name = 'watchdog'")
	lose "$first" 2
	salvaged
	[ "$read $unnamed" = "20000 20000" ]
	[ "$(monitor-query -d new.db -o ndjson | jq -r .watchdog | sort -u)" = lost-1 ]
}

@test "what a killed ingester left in the WAL is salvaged" {
	mkfifo pipe
	start monitor-ingest --quiet -d live.db pipe
	exec {feed}>pipe
	records 500 >&"$feed"
	until_true has_rows live.db 500
	kill -KILL "$pid"
	wait "$pid" || true
	exec {feed}>&-
	[ -s live.db-wal ]
	ln -s live.db link.db
	[ "$(monitor-query -d link.db --count)" = 500 ]
	run -0 monitor-ingest --salvage link.db -d new.db
	[ "${lines[0]}" = "500 records read, 0 of them without their names" ]
	[ "${lines[1]}" = "0 records lost" ]
}

has_rows() {
	[ "$(monitor-query -d "$1" --count 2>/dev/null)" = "$2" ]
}

@test "what cannot be salvaged is an error that names it" {
	run -1 --separate-stderr monitor-ingest --salvage missing.db -d new.db
	[ "$stderr" = "monitor-ingest: missing.db: No such file or directory" ]
	[ -z "$output" ]
	run -2 --separate-stderr monitor-ingest --salvage old.db -d old.db
	[[ $stderr == *"old.db: is the store that it would be salvaged into" ]]
	seq 10000 >text
	run -1 --separate-stderr monitor-ingest --salvage text -d new.db
	[ "$stderr" = "monitor-ingest: text: holds nothing of a monitor store" ]
	[ -z "$output" ]
}

@test "what is wrong with a damaged store is found by --verify" {
	run -0 monitor-query -d old.db --verify
	lose $((pages / 2)) 1
	run -3 --separate-stderr monitor-query -d old.db --verify
	[[ $output == *"file: "* ]]
	[[ $output == *"log block "* ]]
}
