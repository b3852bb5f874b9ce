# A trickle: one record at a time, each acknowledged before the next, from 1
# and from 100 producers on the socket; beside a writer a producer. And from 100
# who are not as fast as they can be, but send 10 records a second each.
# shellcheck shell=sh

# Start an ingester on the store $1 with the socket $1.sock; its process id is
# then in $ingester.
start_ingester() {
	rm -f "$1.sock"
	monitor-ingest --quiet --ack --listen "unix:$1.sock" -d "$1" 2>"$DIR/ingester.err" &
	ingester=$!
	until [ -S "$1.sock" ]; do
		kill -0 "$ingester" 2>/dev/null || {
			cat "$DIR/ingester.err" >&2
			fail "the ingester did not start"
		}
		sleep 0.05
	done
}

stop_ingester() {
	kill "$ingester"
	wait "$ingester" || fail "the ingester ended with status $?"
}

trickle_row() {
	awk -v text="$1" -v rate="$(median "$2")" -v p50="$(median "$2" 2)" -v p99="$(median "$2" 3)" \
		-v max="$(largest "$2" 4)" 'BEGIN {
		printf "  %-38s %9.0f/s %8.2f ms %8.2f ms %8.2f ms\n", text, rate, p50 * 1e3, p99 * 1e3, max * 1e3
	}'
}

section_trickle() {
	title "Trickle: one record at a time, acknowledged; $RUNS alternating runs of $TRICKLE_SECONDS s"
	db=$DIR/trickle.db
	round=1
	while [ "$round" -le "$RUNS" ]; do
		for n in 1 100; do
			note "round $round of $RUNS: $n producers"
			sample fdatasync fdatasync "$DIR/fdatasync"
			remove_store "$db"
			start_ingester "$db"
			sample "trickle-$n" trickle -p "$n" "$db.sock" "$TRICKLE_SECONDS"
			[ "$n" = 1 ] || sample trickle-slow trickle -p "$n" -r 10 "$db.sock" "$TRICKLE_SECONDS"
			stop_ingester
			remove_store "$db"
			sample "writers-$n" writers "$n" "$TRICKLE_SECONDS" "$db"
		done
		round=$((round + 1))
	done
	remove_store "$db"

	printf '  %-38s %11s %11s %11s %11s\n' "" commits p50 p99 max
	awk -v p50="$(median fdatasync)" -v p99="$(median fdatasync 2)" -v max="$(largest fdatasync 3)" 'BEGIN {
		printf "  %-38s %9.0f/s %8.2f ms %8.2f ms %8.2f ms\n", "fdatasync of one page, here",
			1 / p50, p50 * 1e3, p99 * 1e3, max * 1e3
	}'
	for n in 1 100; do
		trickle_row "monitor-ingest, $n producer$([ $n = 1 ] || echo s)" "trickle-$n"
		trickle_row "a SQLite writer a producer, $n" "writers-$n"
	done
	trickle_row "monitor-ingest, 100 of 10 records/s" trickle-slow
	for n in 1 100; do
		goal "fdatasyncs until acknowledged, median, $n producer$([ $n = 1 ] || echo s)" \
			"$(calc "$(median "trickle-$n" 2) / $(median fdatasync)")" at-most 2
	done
	goal "fdatasyncs until acknowledged, median, 100 of 10 records/s" \
		"$(calc "$(median trickle-slow 2) / $(median fdatasync)")" at-most 2
	goal "the commits/s of a writer a producer, 100 producers" \
		"$(calc "$(median trickle-100) / $(median writers-100)")" at-least 2.5 " x"
}
