# How the rate of ingest holds with 50 times the records, and with a thousand
# times the watchdogs.
# shellcheck shell=sh

scale_run() {
	db=$DIR/scale.db
	remove_store "$db"
	ndjson=$(data ndjson "$2" "$3") || exit
	sample "scale-$1" measure -i "$ndjson" monitor-ingest --quiet -d "$db"
	remove_store "$db"
}

scale_rate() { calc "$(number "$2") / $(median "scale-$1")"; }

section_scale() {
	title "Scale: ingest; medians of $RUNS alternating runs"
	large=$SCALE_RECORDS
	room=$(df --output=avail -k "$DIR" | tail -n 1)
	if [ "$(calc "$(number "$large") * 0.4 < $room")" = 0 ]; then
		echo "  $large records: not enough room in $DIR, left out"
		large=
	fi
	round=1
	while [ "$round" -le "$RUNS" ]; do
		note "round $round of $RUNS: scale"
		scale_run small 1M 1k
		[ -z "$large" ] || scale_run large "$large" 1k
		scale_run few "$RECORDS" 1k
		scale_run some "$RECORDS" 100k
		scale_run many "$RECORDS" 1M
		round=$((round + 1))
	done
	printf '  %-38s %9.0f/s %7.0f MB\n' "1M records" "$(scale_rate small 1M)" \
		"$(calc "$(largest scale-small 3) / 1024")"
	[ -z "$large" ] || printf '  %-38s %9.0f/s %7.0f MB\n' "$large records" \
		"$(scale_rate large "$large")" "$(calc "$(largest scale-large 3) / 1024")"
	for n in few:1k some:100k many:1M; do
		printf '  %-38s %9.0f/s %7.0f MB\n' "$RECORDS records, ${n#*:} watchdogs" \
			"$(scale_rate "${n%:*}" "$RECORDS")" "$(calc "$(largest "scale-${n%:*}" 3) / 1024")"
	done
	[ -z "$large" ] || goal "of the rate at 1M records, at $large" \
		"$(calc "$(scale_rate large "$large") / $(scale_rate small 1M)")" at-least 0.9 " x"
	goal "of the rate at 1k watchdogs, at 1M" \
		"$(calc "$(scale_rate many "$RECORDS") / $(scale_rate few "$RECORDS")")" at-least 0.8 " x"
	goal "peak memory" "$(cat "$DIR"/result-scale-* | sort -gk3 | awk 'END { print $3 / 1024 }')" at-most 128 " MB"
}
