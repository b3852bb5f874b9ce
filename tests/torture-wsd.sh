#!/bin/bash
# Kill daemons, their sinks and their clients, with SIGKILL, at random moments; stop the
# sink for a while; let its disk be full. Each time look whether everything that was
# acknowledged is in the store; at the end, whether every record is there exactly once.
#
#   tests/torture-wsd.sh [CYCLES [SEED]]      (or from the environment; 200)
#   STOP=60    once stop the sink for so many seconds
#
# Clients that number their uploads and resend them (producers, each with a monitor-ingest
# that uploads) talk to two daemons: one has its sink on a socket, the other as its child.
# Both write to one store.
set -u
cycles=${1:-${CYCLES:-200}}
seed=${2:-${SEED:-$((SRANDOM % 1000000))}}
BAD=17           # every so many-th line is no record
LONG=200         # and every so many-th is long
SOURCES="s1 s2 s3 c1 c2 c3"
. "$(dirname "$0")/torture.bash"
declare -A ports

start_ingester() {
	monitor-ingest --quiet --ack --listen unix:sink -d m.db 2>>err.ingester &
	pids[ingester]=$!
}

# start_daemon socket|child: on the port that it had before, if it had one.
start_daemon() {
	local sink=(--sink unix:sink)
	[ "$1" = socket ] || sink=(-- monitor-ingest --quiet --ack -d m.db)
	: >"ready.$1"
	monitor-wsd --no-auth --listen "127.0.0.1:${ports[$1]:-0}" -d m.db "${sink[@]}" \
		2> >(tee -a "err.$1" >"ready.$1") >/dev/null </dev/null &
	pids[$1]=$!
	until grep -q 'listening on' "ready.$1"; do
		kill -0 "${pids[$1]}" || fail "the daemon '$1' did not start: $(cat "ready.$1")"
		pause 10
	done
	ports[$1]=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "ready.$1")
}

start_client() {
	local to=socket
	case $1 in c*) to=child ;; esac
	printf %s "w-$1" >"token.$1"
	producer -s "$1" -a "acked.$1" -b $BAD -l $LONG -r 300 -- monitor-ingest --quiet --ack \
		--url "ws://127.0.0.1:${ports[$to]}" --token-file "token.$1" 2>>"err.$1" &
	pids[$1]=$!
}

# What is stored is every number up to the last, without a gap, each once, and under the
# client's own watchdog.
check_all() {
	local wrong
	wrong=$(sql "SELECT sender, watchdog, count(*), count(DISTINCT time), max(time) - 1700000000 AS last
		FROM records GROUP BY sender
		HAVING count(*) != count(DISTINCT time) OR count(*) != CAST(last AS INTEGER) - CAST(last AS INTEGER) / $BAD
		OR min(watchdog) != 'w-' || sender OR max(watchdog) != 'w-' || sender") || fail "the store cannot be read"
	[ -z "$wrong" ] || fail "not exactly once (source, watchdog, rows, times, last): $wrong"
	check_sound
}

# The sink finds its disk full: it says so and ends, and the daemon waits for the next.
fill_disk() {
	end TERM ingester || fail "the ingester ended with status $?"
	(ulimit -f 1; exec monitor-ingest --quiet --ack --listen unix:sink -d m.db 2>>err.full) &
	pids[ingester]=$!
	wait "${pids[ingester]}"
	[ $? = 1 ] || fail "an ingester on a full disk ended with status $?"
	unset "pids[ingester]"
	start_ingester
}

# stop_sink SECONDS: it stands still for so long, and nobody loses anything.
stop_sink() {
	kill -STOP "${pids[ingester]}"
	read -rt "$1" <> <(:) || true
	kill -CONT "${pids[ingester]}"
}

kill_children() {
	local child
	for child in $(pgrep -P "${pids[child]}"); do kill -KILL "$child"; done
	kills[KILL]=$((${kills[KILL]:-0} + 1))
}

cycle=1
monitor-ingest --quiet -d m.db </dev/null || fail "the store cannot be made"
start_ingester
start_daemon socket
start_daemon child
for source in $SOURCES; do start_client "$source"; done

for ((cycle = 1; cycle <= cycles; cycle++)); do
	victims=()
	case $((RANDOM % 10)) in
	0) victims=(ingester) ;;
	1) victims=(socket) ;;
	2) victims=(child) ;;
	3) victims=(ingester socket) ;;
	4) victims=(ingester socket child s1 c1) ;;
	5) victims=("s$((RANDOM % 3 + 1))" "c$((RANDOM % 3 + 1))") ;;
	6) kill_children ;;
	7) stop_sink "0.$((RANDOM % 9 + 1))" ;;
	8) fill_disk ;;
	9)
		end TERM socket || fail "the daemon ended with status $?: $(tail -n 3 err.socket)"
		start_daemon socket
		;;
	esac
	pause $((RANDOM % 400))
	for victim in "${victims[@]}"; do end KILL "$victim"; done
	check_acked
	[ $((cycle % 50)) != 0 ] || check_all
	for victim in "${victims[@]}"; do
		case $victim in
		ingester) start_ingester ;;
		socket | child) start_daemon "$victim" ;;
		*) start_client "$victim" ;;
		esac
	done
done
cycle=$((cycles + 1))

[ -z "${STOP-}" ] || stop_sink "$STOP"
end_sources
for name in socket child ingester; do
	end TERM "$name" || fail "$name ended with status $?: $(tail -n 3 "err.$name")"
done
check_acked
check_all
survived
