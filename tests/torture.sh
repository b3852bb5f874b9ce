#!/bin/bash
# Kill ingesters and producers, with SIGKILL, at random moments, and look each
# time whether everything that was acknowledged is in the store; at the end,
# whether every record is there exactly once and the store is sound.
#
#   tests/torture.sh [CYCLES [SEED]]      (or from the environment; 200)
#
# Four producers share an ingester on a socket, two have one of their own as
# their child; all write to one store.
set -u
cycles=${1:-${CYCLES:-200}}
seed=${2:-${SEED:-$((SRANDOM % 1000000))}}
BAD=17           # every so many-th line is no record
LONG=200         # and every so many-th is long
SOURCES="p1 p2 p3 p4 c1 c2"
. "$(dirname "$0")/torture.bash"

start_ingester() {
	monitor-ingest --quiet --ack --listen unix:s --reject refused -d m.db 2>>err.ingester &
	pids[ingester]=$!
}

start_producer() {
	local to=(unix:s)
	case $1 in c*) to=(-- monitor-ingest --quiet --ack -d m.db) ;; esac
	producer -s "$1" -a "acked.$1" -b $BAD -l $LONG -r 500 "${to[@]}" 2>>"err.$1" &
	pids[$1]=$!
}

# What is stored is just what was settled, without a gap, each once.
check_all() {
	local wrong
	wrong=$(sql "WITH settled AS (SELECT substr(source, instr(source, '/') + 1) AS source, seq FROM mark),
		stored AS MATERIALIZED (SELECT sender, count(*) AS rows, count(DISTINCT time) AS times,
			CAST(max(time) AS INTEGER) - 1700000000 AS last FROM records GROUP BY sender)
		SELECT source, seq, rows, times, last FROM settled LEFT JOIN stored ON sender = source
			WHERE rows != seq - seq / $BAD OR times != rows OR last > seq") || fail "the store cannot be read"
	[ -z "$wrong" ] || fail "not exactly once (source, settled, rows, times, last): $wrong"
	[ "$(sql 'SELECT count(*) FROM mark')" = "$(wc -w <<<"$SOURCES")" ] || fail "marks are missing"
	check_sound
}

cycle=1
monitor-ingest --quiet -d m.db </dev/null || fail "the store cannot be made"
start_ingester
for source in $SOURCES; do start_producer "$source"; done

for ((cycle = 1; cycle <= cycles; cycle++)); do
	victims=()
	case $((RANDOM % 8)) in
	0 | 1 | 2) victims=(ingester) ;;
	3) victims=("p$((RANDOM % 4 + 1))") ;;
	4) victims=("c$((RANDOM % 2 + 1))") ;;
	5) victims=(ingester "p$((RANDOM % 4 + 1))" "c$((RANDOM % 2 + 1))") ;;
	6) victims=(child) ;;
	7) victims=(term) ;;
	esac
	pause $((RANDOM % 300))
	for victim in "${victims[@]}"; do
		case $victim in
		child)   # the ingester of a producer
			children=$(pgrep -P "${pids[c1]}" && pgrep -P "${pids[c2]}")
			for child in $children; do kill -KILL "$child"; done
			kills[KILL]=$((${kills[KILL]:-0} + 1))
			;;
		term)
			end TERM ingester || fail "the ingester ended with status $?"
			;;
		*) end KILL "$victim" ;;
		esac
	done
	check_acked
	# Somebody's look at a store that nobody has open takes its WAL away.
	[ $((RANDOM % 4)) != 0 ] || sqlite3 -cmd '.timeout 30000' m.db 'SELECT count(*) FROM mark' >/dev/null ||
		fail "the store cannot be read"
	[ $((cycle % 50)) != 0 ] || check_all
	for victim in "${victims[@]}"; do
		case $victim in
		child) ;;
		term | ingester) start_ingester ;;
		*) start_producer "$victim" ;;
		esac
	done
done
cycle=$((cycles + 1))

end_sources
end TERM ingester || fail "the ingester ended with status $?"
check_acked
check_all
# The refused lines are all kept; some twice, which were sent again.
for source in p1 p2 p3 p4; do
	sort -u refused | grep -c "\"source\":\"$source\".*\"high\".*}\$" >kept
	n=$(($(tail -n 1 "acked.$source") / BAD))
	[ "$(cat kept)" -ge $n ] || fail "of $n refused lines of $source $(cat kept) are kept"
done

survived "$(sql 'SELECT sum(seq) FROM mark') numbers settled"
