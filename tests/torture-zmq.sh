#!/bin/bash
# Kill pullers, their sinks, pushers and producers, with SIGKILL, at random moments, and cut the
# link between them; look each time whether everything that was acknowledged is in the store, and at
# the end whether every record is there exactly once and the store is sound.
#
#   tests/torture-zmq.sh [CYCLES [SEED]]      (or from the environment; 100)
#
# Three producers have a pusher each, as their sink, with a key of its own. With root they are in a network
# namespace of their own, and the link is slow, loses packets, and is cut.
set -u
cycles=${1:-${CYCLES:-100}}
seed=${2:-${SEED:-$((SRANDOM % 1000000))}}
BAD=17           # every so many-th line is no record
LONG=200         # and every so many-th is long
SOURCES="e1 e2 e3"
. "$(dirname "$0")/torture.bash"
cuts=0 there=
edge=mzt$$e central=mzt$$c
at_edge=() at_central=()
trap '{ ip netns del "$edge"; ip netns del "$central"; } 2>/dev/null' EXIT

make_network() {
	[ "$(id -u)" = 0 ] && ip netns add "$edge" 2>/dev/null && ip netns add "$central" 2>/dev/null &&
		ip link add name "$edge" netns "$edge" type veth peer name "$central" netns "$central" || return 0
	for side in "$edge 10.118.0.2" "$central 10.118.0.1"; do
		read -r name address <<<"$side"
		ip -n "$name" link set lo up
		ip -n "$name" address add "$address/24" dev "$name"
		ip -n "$name" link set "$name" up
		tc -n "$name" qdisc replace dev "$name" root netem delay 2ms 2ms loss 1% 2>/dev/null ||
			tc -n "$name" qdisc replace dev "$name" root tbf rate 20mbit burst 8k latency 20ms
	done
	at_edge=(ip netns exec "$edge") at_central=(ip netns exec "$central")
	there=tcp://10.118.0.1:9100
}

make_keys() {
	monitor-zmq keygen central | cut -d ' ' -f 1 >central.public
	for name in $SOURCES; do monitor-zmq keygen "$name"; done >allowed
}

start_pull() {
	: >err.pull
	"${at_central[@]}" monitor-zmq pull --heartbeat 200ms --room 1M --curve-key central.key --curve-allow allowed \
		--bind "${there:-tcp://127.0.0.1:0}" -- monitor-ingest --quiet --ack -d m.db 2>err.pull &
	pids[pull]=$!
	for ((i = 0; i < 500; i++)); do
		there=$(sed -n 's/.*: listening on //p' err.pull)
		[ -z "$there" ] || return 0
		pause 20
	done
	fail "the puller does not listen: $(tail -n 3 err.pull)"
}

start_edge() {
	"${at_edge[@]}" producer -s "$1" -a "acked.$1" -b $BAD -l $LONG -r 500 -- monitor-zmq push --ack -q --heartbeat 200ms \
		--patience 1s --retry 20ms..100ms --curve-key "$1.key" --curve-server-key central.public "$there" 2>>"err.$1" &
	pids[$1]=$!
}

# end_child NAME: the sink of the puller, or an edge's pusher.
end_child() {
	local child
	child=$(pgrep -P "${pids[$1]}") && kill -KILL "$child" && kills[KILL]=$((${kills[KILL]:-0} + 1))
}

# What is stored is every number up to the last, without a gap, each once. (Of a producer that was
# killed there may be more than what it heard of.)
check_all() {
	local rows
	rows=$(sql "SELECT sender, count(*), count(DISTINCT time), CAST(max(time) AS INTEGER) - 1700000000 AS last
		FROM records GROUP BY sender
		HAVING count(*) != count(DISTINCT time) OR count(*) != last - last / $BAD") || fail "the store cannot be read"
	[ -z "$rows" ] || fail "not exactly once (source, rows, times, last): $rows"
	check_sound
}

cycle=1
make_keys
make_network
monitor-ingest --quiet -d m.db </dev/null || fail "the store cannot be made"
start_pull
for name in $SOURCES; do start_edge "$name"; done

for ((cycle = 1; cycle <= cycles; cycle++)); do
	pause $((RANDOM % 300))
	victim=e$((RANDOM % 3 + 1))
	case $((RANDOM % 8)) in
	0 | 1)
		end KILL pull
		start_pull
		;;
	2) end_child pull ;;
	3) end_child $victim ;;
	4)
		end KILL $victim
		start_edge $victim
		;;
	5)
		end KILL pull
		end_child $victim
		start_pull
		;;
	6)
		if [ -n "${at_edge[*]-}" ]; then
			ip -n "$central" link set "$central" down
			pause $((RANDOM % 1000))
			ip -n "$central" link set "$central" up
			cuts=$((cuts + 1))
		fi
		;;
	7)
		end TERM pull || fail "the puller ended with status $?: $(tail -n 3 err.pull)"
		start_pull
		;;
	esac
	check_acked
done

cycle=$((cycles + 1))

end_sources
end TERM pull || fail "the puller ended with status $?: $(tail -n 3 err.pull)"
check_acked
check_all
survived "the link cut $cuts times"
