# PostgreSQL: beside psql, which sends the same rows and asks the same questions of the same tables,
# in a cluster of our own with fsync on.
# shellcheck shell=sh disable=SC2154

# pg VERB [ARGUMENT]...: of tests/postgres.sh
pg() {
	verb=$1
	shift
	"$BENCH/../tests/postgres.sh" "$verb" "$cluster" "$@"
}

# pg_new NAME: a store, empty; its URL is in $url.
pg_new() {
	pg run dropdb -h "$cluster" -U monitor --if-exists --force "$1" 2>/dev/null
	url=$(pg database "$1" 2>"$DIR/cluster.err") || {
		cat "$DIR/cluster.err" >&2
		fail "no store in PostgreSQL"
	}
}

pg_sql() { psql -XAtq -v ON_ERROR_STOP=1 -d "$url" -c "$1"; }

# The beginning of records that are to end now: times far from now are kept apart.
pg_begin() {
	calc "$(date +%s) - $(number "$1") / $(calc "0.9 * $(number "$WATCHDOGS")") - 60" | awk '{ printf "%d", $1 }'
}

# What all server processes that have ended took, in seconds.
pg_cpu() { awk -v hz="$(getconf CLK_TCK)" '{ print ($16 + $17) / hz }' "/proc/$(head -n 1 "$cluster/data/postmaster.pid")/stat"; }

# processors NAME COMMAND...: as sample; and how many processors it and its server took, in NAME.busy.
processors() {
	before=$(pg_cpu)
	sample "$@"
	sleep 0.2   # until the server knows its process is gone
	tail -n 1 "$DIR/result-$1" | awk -v server="$(calc "$(pg_cpu) - $before")" \
		'{ print ($2 + server) / $1 }' >>"$DIR/result-$1.busy"
}

pg_ingest_round() {
	pg_new one
	pg_sql CHECKPOINT
	processors pg-one measure -i "$ndjson" monitor-ingest --quiet -d "$url"
	[ "$(pg_sql 'SELECT count(*) FROM monitor.log')" = "$(number "$RECORDS")" ] ||
		fail "the table does not hold what went in"
	[ -e "$DIR/pg-rows" ] || pg_sql "\\copy (SELECT * FROM monitor.log) TO '$DIR/pg-rows'"

	pg_new copied
	pg_sql 'SELECT monitor.reserve()' >/dev/null   # makes the partitions
	pg_sql CHECKPOINT
	sample pg-copy measure psql -Xq -d "$url" -c "\\copy monitor.log FROM '$DIR/pg-rows'"

	pg_new two
	pg_sql CHECKPOINT
	processors pg-two measure sh -c "monitor-ingest --quiet -d '$url' '$DIR/pg-half-aa' & one=\$!
		monitor-ingest --quiet -d '$url' '$DIR/pg-half-ab' && wait \$one"
	[ "$(pg_sql 'SELECT count(*) FROM monitor.log')" = "$(number "$RECORDS")" ] ||
		fail "the table does not hold what went in through two"

	pg_new single
	pg_sql 'SELECT monitor.reserve()' >/dev/null
	pg_sql CHECKPOINT
	sample pg-single measure psql -Xq -d "$url" -f "$DIR/pg-inserts"
}

# pg_ratio A B: the median of A / B, round by round: the machine itself may be faster or slower in the next one.
pg_ratio() {
	paste "$DIR/result-pg-$1" "$DIR/result-pg-$2" | awk '{ print $1 / $4 }' >"$DIR/result-pg-ratio"
	median pg-ratio
}

PG_SINGLES=5000
pg_ingest() {
	title "PostgreSQL, ingest: $RECORDS records, $WATCHDOGS watchdogs; medians of $RUNS alternating runs"
	ndjson=$(data ndjson "$RECORDS" "$WATCHDOGS" "-s$(pg_begin "$RECORDS")") || exit
	split -n l/2 "$ndjson" "$DIR/pg-half-"
	pg_new one
	head -n $PG_SINGLES "$ndjson" | monitor-ingest --quiet -d "$url"
	pg_sql "SELECT format('INSERT INTO monitor.log VALUES (%s, %s, %s, %L, %L, %L);', arrival, time, level,
		watchdog, sender, message) FROM monitor.log" >"$DIR/pg-inserts"
	round=1
	while [ "$round" -le "$RUNS" ]; do
		note "round $round of $RUNS: PostgreSQL, ingest"
		pg_ingest_round
		round=$((round + 1))
	done
	for y in one:monitor-ingest two:"two of them, half each" copy:"psql, \\copy of the same rows"; do
		awk -v text="${y#*:}" -v s="$(median "pg-${y%%:*}")" -v n="$(number "$RECORDS")" 'BEGIN {
			printf "  %-38s %8.2f s %9.0f/s\n", text, s, n / s }'
	done
	awk -v s="$(median pg-single)" -v n=$PG_SINGLES 'BEGIN {
		printf "  %-38s %8.2f s %9.0f/s\n", "psql, an INSERT a row", s, n / s }'
	awk -v one="$(median pg-one.busy)" -v two="$(median pg-two.busy)" -v n="$(nproc)" 'BEGIN {
		printf "  processors busy with it, of %d: %.2f for one, %.2f for two\n", n, one, two }'
	goal "of the rate of psql \\copy into the same table" \
		"$(pg_ratio copy one)" at-least 0.9 " x"
	rows=$(calc "$(number "$RECORDS") / $PG_SINGLES")
	goal "the rate of an INSERT a row (\\copy: $(calc "int($rows * $(pg_ratio single copy))") x)" \
		"$(calc "$rows * $(pg_ratio single one)")" at-least 50 " x"
	goal "two ingesters, the rate of one" "$(pg_ratio one two)" at-least 1.5 " x"
	rm -f "$DIR"/pg-half-* "$DIR/pg-inserts" "$DIR/pg-rows"
	for db in one copied two single; do pg run dropdb -h "$cluster" -U monitor --force $db; done
}

# pg_ask WHERE SINCE UNTIL: as SQL, of all tables, with what leaves partitions out.
pg_ask() {
	for table in log notification stray; do
		[ $table = log ] || echo "UNION ALL"
		echo "SELECT arrival, time, level, watchdog, sender, message, extra FROM monitor.$table WHERE $1"
		[ $table = stray ] || echo "AND arrival >= ${2%.*}::bigint - 86400 - 1577836800 << 32
			AND arrival < ${3%.*}::bigint + 86401 - 1577836800 << 32"
	done
	echo "ORDER BY time, arrival"
}

# pg_compare NAME WHERE SINCE UNTIL OPTION...: ours and theirs, which must find as many.
pg_compare() {
	name=$1
	sql=$(pg_ask "$2" "$3" "$4")
	shift 4
	ours=$(monitor-query -d "$url" "$@" -o ndjson | wc -l)
	theirs=$(pg_sql "SELECT count(*) FROM ($sql) AS found")
	[ "$ours" = "$theirs" ] || fail "$name: we find $ours records, psql $theirs"
	echo "$ours" >"$DIR/result-pg-$name.rows"
	round=1
	while [ "$round" -le "$RUNS" ]; do
		sample "pg-$name" measure monitor-query -d "$url" "$@"
		sample "pg-$name-sqlite" measure psql -XAtq -d "$url" -c "$sql"
		round=$((round + 1))
	done
}

pg_query_goal() {
	query_row "pg-$1" "$2"
	goal "of psql's time with the same SQL, $2" \
		"$(calc "$(median "pg-$1") / $(median "pg-$1-sqlite")")" at-most 1.5 " x"
}

pg_queries() {
	title "PostgreSQL, query: $PG_RECORDS records, $WATCHDOGS watchdogs; medians of $RUNS alternating runs"
	begin=$(pg_begin "$PG_RECORDS")
	ndjson=$(data ndjson "$PG_RECORDS" "$WATCHDOGS" "-s$begin") || exit
	pg_new store
	note "ingesting $PG_RECORDS records"
	monitor-ingest --quiet -d "$url" <"$ndjson" || fail "ingest: status $?"
	rm "$ndjson"
	pg_sql 'VACUUM ANALYZE'
	rate=$(calc "0.9 * $(number "$WATCHDOGS")")
	seconds() { awk "BEGIN { printf \"%.3f\", $begin + $1 }"; }
	last=$(seconds "$(number "$PG_RECORDS") / $rate")
	middle=$(seconds "0.3 * $(number "$PG_RECORDS") / $rate")
	minute=$(seconds "$(number "$PG_RECORDS") / $rate - 60")
	hour=$(seconds "0.3 * $(number "$PG_RECORDS") / $rate + 3600")
	million=$(seconds "0.3 * $(number "$PG_RECORDS") / $rate + 1000000 / $rate")
	sender=$(jq -r 'select(.level <= 30).sender' "$CORPUS" | sort | uniq -c | sort -rn |
		awk 'NR == 1 { $1 = ""; print substr($0, 2) }')
	one=0000000000000500
	hot=0000000000000000
	pg_compare minute "watchdog = '$one' AND time >= $minute" "$minute" "$last" -W $one -S "@$minute"
	pg_compare hour "watchdog = '$one' AND time >= $middle AND time < $hour" "$middle" "$hour" \
		-W $one -S "@$middle" -U "@$hour"
	pg_compare hot "watchdog = '$hot' AND time >= $middle AND time < $hour AND sender = '$sender' AND level <= 30" \
		"$middle" "$hour" -W $hot -S "@$middle" -U "@$hour" -s "$sender" -l 30
	pg_compare million "time >= $middle AND time < $million" "$middle" "$million" -S "@$middle" -U "@$million"
	json="SELECT json_build_object('kind', 'log', 'watchdog', watchdog, 'level', level, 'time', time,
		'sender', sender, 'message', message) FROM monitor.log
		WHERE time >= $middle AND time < $million ORDER BY time, arrival"
	round=1
	while [ "$round" -le "$RUNS" ]; do
		sample pg-ndjson measure monitor-query -d "$url" -S "@$middle" -U "@$million" -o ndjson
		sample pg-json measure psql -XAtq -d "$url" -c "$json"
		round=$((round + 1))
	done
	printf '  %-38s %13s %12s %12s %8s %8s\n' "" "" monitor-query psql ratio peak
	pg_query_goal minute "last 60 s of one watchdog"
	pg_query_goal hour "1 h of one watchdog"
	pg_query_goal hot "1 h of a hot one + sender + level"
	pg_query_goal million "1M rows of all"
	goal "the rate of psql with json_build_object, 1M rows" \
		"$(calc "$(median pg-json) / $(median pg-ndjson)")" at-least 4 " x"
}

# The rows of the store, as if they had come three days ago: a partition of their own.
pg_age() {
	from=$url
	pg_new aged
	shift_by=259200
	pg_sql "SELECT monitor.make_partitions('log', extract(epoch FROM now())::bigint - $shift_by, log_interval)
		FROM monitor.store" >/dev/null
	psql -XAtq -d "$from" -c "\\copy (SELECT arrival - ($shift_by::bigint << 32), time - $shift_by, level,
		watchdog, sender, message, extra FROM monitor.log) TO STDOUT" |
		psql -XAtq -v ON_ERROR_STOP=1 -d "$url" -c "\\copy monitor.log FROM STDIN" || fail "psql: status $?"
	pg_sql "SELECT monitor.settle(min(arrival), max(arrival), count(*)) FROM monitor.log" >/dev/null
	pg_sql 'VACUUM ANALYZE'
}

# pg_files: those of the database at $target.
pg_files() {
	echo "$cluster/data/base/$(psql -XAtq -d "$target" -c 'SELECT oid FROM pg_database WHERE datname = current_database()')"
}

# pg_forget FILE...: out of the page cache, where a day that is purged has long been gone from.
pg_forget() {
	for file; do dd of="$file" oflag=nocache conv=notrunc,fdatasync count=0 status=none || fail "dd"; done
}

# pg_purge_round PLACE: a copy of the aged database is purged, and a copy of its files removed; cached or forgotten.
pg_purge_round() {
	psql -XAtq -d "${url%%/aged*}/monitor${url#*/aged}" -c 'DROP DATABASE IF EXISTS purged' \
		-c 'CREATE DATABASE purged TEMPLATE aged STRATEGY FILE_COPY' -c CHECKPOINT 2>"$DIR/cluster.err" ||
		fail "$(cat "$DIR/cluster.err")"
	target=${url%%/aged*}/purged${url#*/aged}
	cp -r "$(pg_files)" "$DIR/pg-files"
	sync
	[ "$1" = cached ] || pg_forget "$DIR"/pg-files/* "$(pg_files)"/*
	sample "pg-rm-$1" measure rm -r "$DIR/pg-files"
	rm -f "$DIR/pg.sock"
	monitor-ingest --quiet --ack --listen "unix:$DIR/pg.sock" -d "$target" 2>"$DIR/ingester.err" &
	ingester=$!
	until [ -S "$DIR/pg.sock" ]; do
		kill -0 "$ingester" || fail "the ingester did not start: $(cat "$DIR/ingester.err")"
		sleep 0.05
	done
	trickle -b 100 "$DIR/pg.sock" 2 >/dev/null   # makes the partitions of today
	sample "pg-purge-$1" trickle -b 100 "$DIR/pg.sock" -- monitor-purge -d "$target" --logs-timewindow 1d
	stop_ingester
	[ "$(psql -XAtq -d "$target" -c 'SELECT count(*) FROM monitor.log WHERE time < extract(epoch FROM now()) - 86400')" = 0 ] ||
		fail "the purge left some"
}

pg_purge() {
	title "PostgreSQL, purge of a day: all $PG_RECORDS, an ingester beside it; medians of $RUNS alternating runs"
	pg_age
	round=1
	while [ "$round" -le "$RUNS" ]; do
		note "round $round of $RUNS: PostgreSQL, purge"
		pg_purge_round forgotten
		pg_purge_round cached
		round=$((round + 1))
	done
	printf '  %-38s %13s %12s %12s\n' "" "purge" "rm of a copy" "commit max"
	for y in forgotten:"out of the page cache, as old days are" cached:"in it, as if just written"; do
		awk -v text="${y#*:}" -v purge="$(median "pg-purge-${y%%:*}" 6)" -v rm="$(median "pg-rm-${y%%:*}")" \
			-v max="$(largest "pg-purge-${y%%:*}" 4)" 'BEGIN {
			printf "  %-38s %10.0f ms %9.0f ms %9.0f ms\n", text, purge * 1e3, rm * 1e3, max * 1e3 }'
	done
	case ,$(findmnt -no OPTIONS -T "$DIR"), in *,discard,*)
		echo "  (This file system discards what is freed, and waits for that: mount option discard.)" ;;
	esac
	goal "purge of a day" "$(calc "$(median pg-purge-forgotten 6) * 1000")" at-most 200 " ms"
	cat "$DIR"/result-pg-purge-* >"$DIR/result-pg-purges"
	goal "commit maximum beside it" "$(calc "$(largest pg-purges 4) * 1000")" at-most 50 " ms"
}

section_postgres() {
	PG_RECORDS=${PG_RECORDS:-$QUERY_RECORDS}
	cluster=$DIR/cluster
	pg start shared_buffers=1GB max_wal_size=8GB >"$DIR/cluster.log" 2>&1 || {
		cat "$DIR/cluster.log" >&2
		fail "no PostgreSQL server"
	}
	pg_ingest
	pg_queries
	pg_purge
	pg stop
	cluster=''
}
