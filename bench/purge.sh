# Purge of the oldest 1M of 10M while an ingester commits beside it, 100
# records a transaction; without and with a reader that has stopped reading.
# shellcheck shell=sh

# purge_run NAME: on a copy of the store.
purge_run() {
	db=$DIR/purge.db
	remove_store "$db"
	cp "$store" "$db"
	start_ingester "$db"
	if [ "$1" = paused ]; then
		mkfifo "$DIR/paused"
		exec 9<>"$DIR/paused"
		monitor-query -d "$db" >&9 9>&- &
		reader=$!
	fi
	before=$(stat -c %s "$db")
	window=$(awk -v now="$(date +%s)" -v n="$PURGE_RECORDS" -v rate="$rate" \
		'BEGIN { printf "%.3f", now - (1700000000 + n / rate) }')
	sample "purge-$1" trickle -b 100 -w "$db-wal" "$db.sock" -- \
		monitor-purge -d "$db" --logs-timewindow "$window"
	echo "$before $(stat -c %s "$db")" >>"$DIR/result-purge-$1.size"
	stop_ingester
	if [ "$1" = paused ]; then
		kill "$reader" 2>/dev/null || true
		wait "$reader" 2>/dev/null || true
		exec 9>&-
		rm "$DIR/paused"
	fi
	monitor-query -d "$db" --verify >&2 || fail "the store is not sound after the purge"
	remove_store "$db"
}

purge_goals() {
	goal "purge, $2" "$(median "purge-$1" 6)" at-most 1 " s"
	goal "commit p99 beside it, $2" "$(calc "$(median "purge-$1" 3) * 1000")" at-most 10 " ms"
	goal "commit maximum beside it, $2" "$(calc "$(largest "purge-$1" 4) * 1000")" at-most 50 " ms"
	goal "largest write-ahead log, $2" "$(calc "$(largest "purge-$1" 5) / 1048576")" at-most 64 " MB"
	goal "of what the rows took given back, $2" "$(awk -v n="$PURGE_RECORDS" -v all="$(number "$QUERY_RECORDS")" '
		{ part = ($1 - $2) / ($1 * n / all); if (NR == 1 || part < least) least = part }
		END { print least }' "$DIR/result-purge-$1.size")" at-least 0.9 " x"
}

section_purge() {
	query_stores
	query_times
	PURGE_RECORDS=$(($(number "$QUERY_RECORDS") / 10))
	title "Purge: the oldest $PURGE_RECORDS of $QUERY_RECORDS, an ingester beside it; $RUNS alternating runs"
	round=1
	while [ "$round" -le "$RUNS" ]; do
		for name in free paused; do
			note "round $round of $RUNS: purge, $name"
			purge_run $name
		done
		round=$((round + 1))
	done
	for name in free paused; do
		awk -v text="$name" -v rate="$(median purge-$name)" -v p50="$(median purge-$name 2)" 'BEGIN {
			printf "  %-38s %9.0f commits/s beside it, median %.2f ms\n",
				text == "free" ? "no reader" : "a paused reader", rate, p50 * 1e3
		}'
	done
	purge_goals free "no reader"
	purge_goals paused "a paused reader"
}
