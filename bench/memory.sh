# Peak memory, with one watchdog whose clock stands at 1970.
# shellcheck shell=sh

section_memory() {
	title "Memory: $RECORDS records, one clock at 1970"
	ndjson=$(data ndjson "$RECORDS" "$WATCHDOGS" -1) || exit
	db=$DIR/memory.db
	remove_store "$db"
	sample memory-ingest measure -i "$ndjson" monitor-ingest --quiet -d "$db"
	sample memory-query measure monitor-query -d "$db"
	sample memory-query measure monitor-query -d "$db" -r
	sample memory-query measure monitor-query -d "$db" -W 0000000000000001
	sample memory-query measure monitor-query -d "$db" -W 0000000000000000 -S @1700000000
	sample memory-query measure monitor-query -d "$db" --grep "$GREP"
	goal "peak of monitor-ingest" "$(calc "$(largest memory-ingest 3) / 1024")" at-most 128 " MB"
	goal "peak of any monitor-query" "$(calc "$(largest memory-query 3) / 1024")" at-most 64 " MB"
	remove_store "$db"
}
