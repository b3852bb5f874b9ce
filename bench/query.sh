# Queries at 10M records, beside sqlite3 -json on a table with both indexes,
# and ripgrep on the same records as a file.
# shellcheck shell=sh

QUICK_RUNS=11

# The store, and the table; both are used again by a later section.
query_stores() {
	ndjson=$(data ndjson "$QUERY_RECORDS" "$WATCHDOGS") || exit
	store=$DIR/query-$QUERY_RECORDS-$WATCHDOGS.db
	table=$DIR/table-$QUERY_RECORDS-$WATCHDOGS.db
	if [ ! -e "$store" ]; then
		note "ingesting $QUERY_RECORDS records"
		monitor-ingest --quiet -d "$store" <"$ndjson" || fail "ingest: status $?"
	fi
	if [ ! -e "$table" ] && [ "${1:-}" = table ]; then
		csv=$(data csv "$QUERY_RECORDS" "$WATCHDOGS") || exit
		note "importing the same into an indexed table"
		sqlite3 "$table.part" "$TABLE" ".import --csv $csv log" "$INDEXES" || fail "sqlite3: status $?"
		mv "$table.part" "$table"
		rm "$csv"
	fi
}

# The times of the generated records: see generate.c.
query_times() {
	rate=$(calc "0.9 * $(number "$WATCHDOGS")")
	last=$(awk "BEGIN { printf \"%.3f\", 1700000000 + $(number "$QUERY_RECORDS") / $rate }")
	middle=$(awk "BEGIN { printf \"%.3f\", 1700000000 + 0.3 * ($last - 1700000000) }")
	minute=$(awk "BEGIN { printf \"%.3f\", $last - 60 }")
	hour=$(awk "BEGIN { printf \"%.3f\", $middle + 3600 }")
	million=$(awk "BEGIN { printf \"%.3f\", $middle + 1000000 / $rate }")
	sender=$(jq -r 'select(.level <= 30).sender' "$CORPUS" | sort | uniq -c | sort -rn |
		awk 'NR == 1 { $1 = ""; print substr($0, 2) }')
}

# compare NAME WHERE OPTION...: our query and theirs, which must find as many.
compare() {
	name=$1
	where=$2
	shift 2
	ours=$(monitor-query -d "$store" "$@" --count -o ndjson | jq -s 'map(.count) | add') || ours=0
	theirs=$(sqlite3 "$table" "SELECT count(*) FROM log WHERE $where")
	[ "$ours" = "$theirs" ] || fail "$name: we find $ours records, sqlite3 $theirs"
	echo "$ours" >"$DIR/result-$name.rows"
	round=1
	while [ "$round" -le "$QUICK_RUNS" ]; do
		sample nothing measure true
		sample "$name" measure monitor-query -d "$store" "$@"
		sample "$name-sqlite" measure sqlite3 -json "$table" \
			"SELECT watchdog, level, time, sender, message FROM log WHERE $where ORDER BY time"
		round=$((round + 1))
	done
}

query_row() {
	awk -v text="$2" -v rows="$(cat "$DIR/result-$1.rows")" -v ours="$(median "$1")" \
		-v theirs="$(median "$1-sqlite")" -v kb="$(largest "$1" 3)" 'BEGIN {
		printf "  %-38s %8d rows %9.2f ms %9.2f ms %6.1f x %5.0f MB\n", text, rows,
			ours * 1e3, theirs * 1e3, theirs / ours, kb / 1024
	}'
}

query_goal() {
	goal "$2" "$(calc "$(median "$1-sqlite") / $(median "$1")")" at-least "$3" " x"
}

query_first() {
	round=1
	while [ "$round" -le "$QUICK_RUNS" ]; do
		sample first-all measure -f monitor-query -d "$store"
		sample first-newest measure -f monitor-query -d "$store" -r
		sample first-one measure -f monitor-query -d "$store" -W 0000000000000500
		sample first-grep measure -f monitor-query -d "$store" --grep "$GREP"
		round=$((round + 1))
	done
}

query_grep() {
	round=1
	while [ "$round" -le "$RUNS" ]; do
		sample grep measure monitor-query -d "$store" --grep "$GREP"
		sample ripgrep measure -i "$ndjson" rg -i -- "$GREP"
		round=$((round + 1))
	done
}

section_query() {
	title "Query: $QUERY_RECORDS records, $WATCHDOGS watchdogs; medians of $QUICK_RUNS alternating runs"
	query_stores table
	query_times
	one=0000000000000500
	hot=0000000000000000
	note "queries"
	compare minute "watchdog = '$one' AND time >= $minute" -W $one -S "@$minute"
	compare hour "watchdog = '$one' AND time >= $middle AND time < $hour" \
		-W $one -S "@$middle" -U "@$hour"
	compare hot "watchdog = '$hot' AND time >= $middle AND time < $hour AND sender = '$sender' AND level <= 30" \
		-W $hot -S "@$middle" -U "@$hour" -s "$sender" -l 30
	compare million "time >= $middle AND time < $million" -S "@$middle" -U "@$million"
	query_first
	printf '  %-38s %13s %12s %12s %8s %8s\n' "" "" monitor-query "sqlite3 -json" ratio peak
	query_row minute "last 60 s of one watchdog"
	query_row hour "1 h of one watchdog"
	query_row hot "1 h of a hot one + sender + level"
	query_row million "1M rows of all"
	goal "ms beyond a process that does nothing, last 60 s of one" \
		"$(calc "($(median minute) - $(median nothing)) * 1000")" at-most 2 " ms"
	query_goal hour "as fast as sqlite3 -json, 1 h of one watchdog" 2
	query_goal hot "as fast as sqlite3 -json, hot + sender + level" 2
	query_goal million "as fast as sqlite3 -json, 1M rows" 8
	goal "first row of everything" "$(calc "$(median first-all) * 1000")" at-most 10 " ms"
	goal "first row of everything, newest first" "$(calc "$(median first-newest) * 1000")" at-most 10 " ms"
	goal "first row of one watchdog" "$(calc "$(median first-one) * 1000")" at-most 10 " ms"
	goal "first match of --grep $GREP" "$(calc "$(median first-grep) * 1000")" at-most 10 " ms"
	if have rg; then
		note "grep"
		query_grep
		awk -v ours="$(median grep)" -v rg="$(median ripgrep)" -v text="--grep $GREP over everything" 'BEGIN {
			printf "  %-38s %8.2f s, ripgrep %.2f s\n", text, ours, rg }'
		goal "times ripgrep's time on the same records" \
			"$(calc "$(median grep) / $(median ripgrep)")" at-most 10 " x"
	else
		echo "  ripgrep: not available here, left out"
		sample grep measure monitor-query -d "$store" --grep "$GREP"
	fi
	for name in minute hour hot million grep; do
		cat "$DIR/result-$name"
	done >"$DIR/result-queries"
	goal "peak memory of any of these" "$(calc "$(largest queries 3) / 1024")" at-most 64 " MB"
	rm -f "$table"
}
