# Ingest: NDJSON on standard input to durable, beside what a user would pick
# instead. Every yardstick takes the same records.
# shellcheck shell=sh

TABLE='CREATE TABLE log (watchdog TEXT, level INTEGER, time REAL, sender TEXT, message TEXT)'
INDEXES='CREATE INDEX log_time ON log (time); CREATE INDEX log_watchdog ON log (watchdog, time)'

ingest_run() {
	db=$DIR/$1.db
	remove_store "$DIR/$1.db"
	case $1 in
	monitor)
		sample "$1" measure -i "$ndjson" monitor-ingest --quiet -d "$db" ;;
	bare)
		sample "$1" bare "$ndjson" "$db" ;;
	import)
		sample "$1" measure sqlite3 "$db" "$TABLE" ".import --csv $csv log" ;;
	import-indexed)
		sample "$1" measure sqlite3 "$db" "$TABLE; $INDEXES" ".import --csv $csv log" ;;
	jq)
		sample "$1" measure -i "$ndjson" sh -c "jq -r '[.watchdog,.level,.time,.sender,.message]|@csv' |
			sqlite3 '$db' '$TABLE' '.import --csv /dev/stdin log'" ;;
	python)
		sample "$1" measure -i "$ndjson" python3 "$BENCH/yardstick.py" "$db" "$TABLE" ;;
	journal)
		sample "$1" measure "$JOURNAL_REMOTE" --output="$db.journal" "$export" ;;
	sqlite-utils)
		sample "$1" measure -i "$ndjson" sqlite-utils insert "$db" log - --nl ;;
	esac
	size_of "$DIR/$1.db" >>"$DIR/result-$1.size"
}

ingest_available() {
	case $1 in
	import | import-indexed) have sqlite3 ;;
	jq) have jq && have sqlite3 ;;
	python) have python3 ;;
	journal) [ -x "$JOURNAL_REMOTE" ] ;;
	sqlite-utils) have sqlite-utils ;;
	esac
}

# A line of the table: seconds, records/s, how many times as fast we are,
# bytes a record, peak memory.
ingest_row() {
	awk -v text="$2" -v s="$(median "$1")" -v ours="$(median monitor)" -v n="$(number "$RECORDS")" \
		-v size="$(median "$1.size")" -v kb="$(median "$1" 3)" 'BEGIN {
		printf "  %-38s %8.2f s %9.0f/s %7.2f x %6.0f B", text, s, n / s, s / ours, size / n
		if (kb != "") printf " %7.0f MB", kb / 1024
		print ""
	}'
}

ingest_goal() {
	[ -e "$DIR/result-$1" ] || return 0
	goal "$2" "$(calc "$(median "$1") / $(median monitor)")" at-least "$3" " x"
}

ingest_text() {
	case $1 in
	monitor) echo "monitor-ingest" ;;
	bare) echo "bare insert loop, parsed already" ;;
	import) echo "sqlite3 .import, CSV" ;;
	import-indexed) echo "sqlite3 .import, CSV, two indexes" ;;
	jq) echo "jq | sqlite3 .import" ;;
	python) echo "Python, json and sqlite3" ;;
	journal) echo "systemd-journal-remote" ;;
	sqlite-utils) echo "sqlite-utils insert --nl" ;;
	esac
}

section_ingest() {
	title "Ingest: $RECORDS records, $WATCHDOGS watchdogs; medians of $RUNS alternating runs"
	JOURNAL_REMOTE=/lib/systemd/systemd-journal-remote
	ndjson=$(data ndjson "$RECORDS" "$WATCHDOGS") || exit
	list=monitor
	for y in ${AGAINST:-bare import import-indexed jq python journal sqlite-utils}; do
		if [ "$y" = bare ] || ingest_available "$y"; then
			list="$list $y"
		else
			echo "  $(ingest_text "$y"): not available here, left out"
		fi
	done
	case $list in *import*) csv=$(data csv "$RECORDS" "$WATCHDOGS") || exit ;; esac
	case $list in *journal*) export=$(data export "$RECORDS" "$WATCHDOGS") || exit ;; esac

	round=1
	while [ "$round" -le "$RUNS" ]; do
		for y in $list; do
			note "round $round of $RUNS: $(ingest_text "$y")"
			ingest_run "$y"
		done
		round=$((round + 1))
	done
	[ "$(sqlite3 "$DIR/monitor.db" 'SELECT count(*) FROM log')" = "$(number "$RECORDS")" ] ||
		fail "the store does not hold what went in"

	printf '  %-38s %10s %11s %9s %8s %10s\n' "" time rate "ours is" record peak
	for y in $list; do
		ingest_row "$y" "$(ingest_text "$y")"
	done
	ingest_goal bare "of the bare loop's rate" 0.9
	ingest_goal import "the rate of sqlite3 .import" 1.4
	ingest_goal import-indexed "the rate of .import with two indexes" 5
	ingest_goal jq "the rate of jq | sqlite3" 7
	ingest_goal journal "the rate of systemd-journal-remote" 12
	ingest_goal sqlite-utils "the rate of sqlite-utils" 15
	[ ! -e "$DIR/result-bare" ] ||
		goal "of the index-free table's size on disk" \
			"$(calc "$(median monitor.size) / $(median bare.size)")" at-most 1.05 " x"
	goal "peak memory" "$(calc "$(largest monitor 3) / 1024")" at-most 128 " MB"
	for y in $list; do
		remove_store "$DIR/$y.db"
	done
}
