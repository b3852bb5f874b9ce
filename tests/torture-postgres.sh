#!/bin/bash
# Kill ingesters, a daemon and their clients, server processes, and whole servers, at random
# moments. Each time look whether everything that was acknowledged is in the store; at the end,
# whether every record is there exactly once, and a follower saw each once.
#
#   tests/torture-postgres.sh [CYCLES [SEED]]      (or from the environment; 200)
#   FAILOVER=20    each so many cycles the primary is killed and its standby promoted
#
# Two producers share an ingester on a socket, one has an ingester of its own as its child, and
# one uploads to a daemon. All know two servers and go to the one that can be written to; commits
# wait until the standby has applied them, whenever there is one.
set -u
cycles=${1:-${CYCLES:-200}}
seed=${2:-${SEED:-$((SRANDOM % 1000000))}}
FAILOVER=${FAILOVER:-20}
BAD=17           # every so many-th line is no record
LONG=200         # and every so many-th is long
SOURCES="p1 p2 c1 d1"
BEGIN=$(($(date +%s) - 3600))   # not as old as to be strays
. "$(dirname "$0")/torture.bash"
chmod 755 "$dir"
primary=$dir/a standby=$dir/b
port=0
failovers=0

# server VERB CLUSTER [ARGUMENT]...
server() {
	"$project/tests/postgres.sh" "$@" >>server.log 2>&1
}

# The servers run apart, and who cannot reach them waits for ever: whoever fails ends them all, and
# keeps what they hold.
stop_all() {
	for server in a b; do
		[ ! -e "$dir/$server/data/postmaster.pid" ] || server halt "$dir/$server" immediate
	done
	for pid in $(pgrep -f "host=${dir//\//%2F}"); do kill -KILL "$pid"; done
}
trap stop_all EXIT

# A server whose process was killed takes a moment to recover.
sql() {
	local tries=0
	until PGOPTIONS='-c search_path=monitor' psql -XAtq -v ON_ERROR_STOP=1 -d "$URL" -c "$1" >answer 2>>err.psql; do
		[ $((tries += 1)) -lt 300 ] || return 1
		pause 100
	done
	cat answer
}

start_ingester() {
	monitor-ingest --quiet --ack --listen unix:sink -d "$URL" 2>>err.ingester &
	pids[ingester]=$!
}

# On the port that it had before, if it had one.
start_daemon() {
	: >ready
	monitor-wsd --no-auth --listen "127.0.0.1:$port" -d "$URL" -- monitor-ingest --quiet --ack -d "$URL" \
		2> >(tee -a err.daemon >ready) >/dev/null </dev/null &
	pids[daemon]=$!
	until grep -q 'listening on' ready; do
		kill -0 "${pids[daemon]}" || fail "the daemon did not start: $(cat ready)"
		pause 10
	done
	port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' ready)
}

start_source() {
	local to=(unix:sink)
	case $1 in
	c*) to=(-- monitor-ingest --quiet --ack -d "$URL") ;;
	d*) to=(-- monitor-ingest --quiet --ack --url "ws://127.0.0.1:$port" --token-file token) ;;
	esac
	producer -s "$1" -a "acked.$1" -b $BAD -l $LONG -r 300 -t "$BEGIN" "${to[@]}" 2>>"err.$1" &
	pids[$1]=$!
}

start_any() {
	case $1 in
	ingester | daemon) "start_$1" ;;
	*) start_source "$1" ;;
	esac
}

# A process of the server that serves a writer; gone once the server knows it.
kill_backend() {
	local pid
	pid=$(sql "SELECT pid FROM pg_stat_activity WHERE application_name = 'monitor writer' ORDER BY random() LIMIT 1")
	[ -n "$pid" ] || return
	kill -KILL "$pid"
	while kill -0 "$pid"; do pause 5; done 2>/dev/null
	kills[KILL]=$((${kills[KILL]:-0} + 1))
}

start_primary() {
	{ server resume "$primary" && sql 'SELECT 1' >told; } ||
		fail "the server does not start again: $(tail -n 3 "$primary/log")"
}

until_sync() {
	until [ "$(sql "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")" = 1 ]; do pause 20; done
}

# The primary is lost with all that its standby does not have; that takes its place, and a new
# standby is made where it was.
fail_over() {
	server standby "$standby" "$primary" fsync=off || fail "no standby: $(tail -n 3 server.log)"
	for command in "ALTER SYSTEM SET synchronous_commit = remote_apply" \
			"ALTER SYSTEM SET synchronous_standby_names = '*'" "SELECT pg_reload_conf()"; do
		sql "$command" >told || fail "the primary does not take its settings"
	done
	until_sync
	pause $((RANDOM % 900))
	server kill "$primary"
	pause $((RANDOM % 300))
	server promote "$standby" || fail "the standby is not promoted: $(tail -n 3 server.log)"
	rm -rf "$primary"
	standby=$primary primary=$([ "$primary" = "$dir/a" ] && echo "$dir/b" || echo "$dir/a")
	failovers=$((failovers + 1))
}

# What is stored is every number up to the last, without a gap, each once.
check_all() {
	local wrong
	wrong=$(sql "SELECT sender, count(*), count(DISTINCT time), max(time) - $BEGIN AS last
		FROM records GROUP BY sender
		HAVING count(*) != count(DISTINCT time) OR count(*) != (max(time) - $BEGIN)::bigint - (max(time) - $BEGIN)::bigint / $BAD") ||
		fail "the store cannot be read"
	[ -z "$wrong" ] || fail "not exactly once (source, rows, times, last): $wrong"
	monitor-query -d "$URL" --verify >verify 2>&1 || fail "--verify: $(head -n 5 verify)"
}

stored() { sql 'SELECT count(*) FROM records'; }

check_followed() {
	local end=$((SECONDS + 60))
	until [ "$(wc -l <followed)" -ge "$(stored)" ]; do
		[ "$SECONDS" -lt "$end" ] || fail "the follower saw $(wc -l <followed) of $(stored) records"
		pause 50
	done
	[ "$(jq -r '"\(.sender) \(.time)"' followed | sort | uniq -d | wc -l)" = 0 ] || fail "the follower saw some twice"
	[ "$(wc -l <followed)" = "$(stored)" ] || fail "the follower saw what is not there"
}

cycle=1
{ server start "$primary" fsync=off && server database "$primary" torture; } || fail "no server: $(tail -n 3 server.log)"
URL="postgresql://monitor@/torture?host=${primary//\//%2F},${standby//\//%2F}&target_session_attrs=read-write"
printf w-d1 >token
start_ingester
start_daemon
monitor-query -d "$URL" -f --no-tail -o ndjson >followed 2>err.follower &
pids[follower]=$!
for source in $SOURCES; do start_source "$source"; done

for ((cycle = 1; cycle <= cycles; cycle++)); do
	victims=()
	pause $((RANDOM % 400))
	case $((RANDOM % 10)) in
	0) victims=(ingester) ;;
	1) victims=(daemon) ;;
	2) victims=(ingester c1 d1) ;;
	3) victims=(p1 c1) ;;
	4 | 5) kill_backend ;;
	6) sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'monitor %'" >told ;;
	7) server restart "$primary" immediate ;;
	8) server restart "$primary" fast ;;
	9) server kill "$primary" ;;
	esac
	for victim in "${victims[@]}"; do end KILL "$victim"; done
	[ $((cycle % FAILOVER)) != 0 ] || { start_primary; fail_over; }
	start_primary
	check_acked
	[ $((cycle % 50)) != 0 ] || check_all
	for victim in "${victims[@]}"; do start_any "$victim"; done
done
cycle=$((cycles + 1))

end_sources
check_acked
check_all
check_followed
for name in follower daemon ingester; do
	end TERM "$name" || fail "$name ended with status $?: $(tail -n 3 "err.$name")"
done
rows=$(stored)
stop_all
trap - EXIT
sql() { echo "$rows"; }
survived "$failovers times a promoted standby"
