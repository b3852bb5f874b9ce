#!/usr/bin/env bats
# monitor-zmq push and pull over a network that fails. With root: two network namespaces, a link
# between them that is cut, slow and lossy. Without: on loopback, through a forwarder that stops.

load helper
load zmq

setup_file() {
	export EDGE=mz-$$-edge CENTRAL=mz-$$-central NETNS=
	if [ "$(id -u)" = 0 ] && ip netns add "$EDGE" 2>/dev/null && ip netns add "$CENTRAL" &&
		ip link add name "mze$$" netns "$EDGE" type veth peer name "mzc$$" netns "$CENTRAL"; then
		NETNS=yes
		ip -n "$EDGE" link set lo up
		ip -n "$CENTRAL" link set lo up
		ip -n "$EDGE" address add 10.117.0.2/24 dev "mze$$"
		ip -n "$CENTRAL" address add 10.117.0.1/24 dev "mzc$$"
		ip -n "$EDGE" link set "mze$$" up
		ip -n "$CENTRAL" link set "mzc$$" up
	fi
	export LINK=mze$$ FAR_LINK=mzc$$
}

teardown_file() {
	ip netns del "$EDGE" 2>/dev/null || true
	ip netns del "$CENTRAL" 2>/dev/null || true
}

# What is run on each side. (These take the place of the shell, too.)
at_edge=() at_central=()

prepare() {
	if [ -n "$NETNS" ]; then
		at_edge=(ip netns exec "$EDGE") at_central=(ip netns exec "$CENTRAL")
	fi
	for name in edge central; do keys $name; done
	printf '%s edge\n' "$edge" >allowed
}

pull() {
	local where=tcp://127.0.0.1:0
	[ -z "$NETNS" ] || where=tcp://10.117.0.1:9100
	beside pull "${at_central[@]}" monitor-zmq pull --heartbeat 200ms --metrics 127.0.0.1:0 --curve-key central.key \
		--curve-allow allowed --bind "${there-$where}" -- monitor-ingest --quiet --ack -d m.db
	pull=$pid
	until_true endpoint_is_there pull.err
	there=$(endpoint pull.err)
}

# Without a link to cut there is a forwarder, which pushers connect to: it stops, and goes on.
FORWARDER='
import asyncio, sys

async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()

async def meet(reader, writer):
    try:
        there = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    except OSError:
        writer.close()
        return
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

async def main():
    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    print("listening on", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())'

forward() {
	through=$there
	[ -z "$NETNS" ] || return 0
	beside forward "$PYTHON" -c "$FORWARDER" "${there##*:}"
	forward=$pid
	until_true test -s forward.out
	through=tcp://127.0.0.1:$(sed 's/.* //' forward.out)
}

cut_link() {
	if [ -n "$NETNS" ]; then ip -n "$CENTRAL" link set "$FAR_LINK" down; else kill -STOP "$forward"; fi
}

mend_link() {
	if [ -n "$NETNS" ]; then ip -n "$CENTRAL" link set "$FAR_LINK" up; else kill -CONT "$forward"; fi
}

# produce NUMBERS RATE: a producer at the edge; acknowledged numbers go to `acked`.
produce() {
	start "${at_edge[@]}" producer -s edge -n "$1" -b 17 -l 300 -w 2000 -r "$2" -a acked -- monitor-zmq push --ack -q \
		--heartbeat 200ms --patience 1s --retry 20ms..100ms --curve-key edge.key --curve-server-key "$central" \
		"$through"
	producer=$pid
}

ended() {
	"${at_central[@]}" curl -sf "$(sed -n 's/.*figures are at //p' pull.err)" |
		sed -n 's/^monitor_zmq_connections_ended_total //p'
}

ended_since() {
	[ "$(ended)" -gt "$1" ]
}

# more N: so many more acknowledgements than there were.
more() {
	until_true has_lines acked $(($(wc -l <acked) + $1))
}

until_both_have_given_up() {
	local before
	before=$(ended)
	cut_link
	until_true ended_since "$before"
}

exactly_once() {
	local n=$1
	[ "$(tail -n 1 acked)" = "$n" ]
	[ "$(sqlite3 -readonly m.db 'SELECT count(*), count(DISTINCT time) FROM records')" = "$((n - n / 17))|$((n - n / 17))" ]
}

@test "the link is cut, until both sides have given it up, again and again: every record once" {
	pull
	forward
	: >acked
	produce 6000 1000
	for i in 1 2 3; do
		more 10
		until_both_have_given_up
		mend_link
	done
	wait "$producer"
	exactly_once 6000
}

@test "either side is killed while the link is down: every record once" {
	pull
	forward
	: >acked
	produce 6000 1000
	for victim in pull push pull; do
		more 10
		until_both_have_given_up
		if [ "$victim" = pull ]; then
			kill -KILL "$pull"
			wait "$pull" || true
			pull
		else
			kill -KILL "$(pgrep -P "$producer")"
		fi
		mend_link
	done
	wait "$producer"
	exactly_once 6000
}

# Delay and loss, in both directions: netem's, or, where the kernel lacks that, those of a link
# that is far too thin.
roughen_link() {
	local side link
	for side in "$EDGE $LINK" "$CENTRAL $FAR_LINK"; do
		read -r side link <<<"$side"
		tc -n "$side" qdisc replace dev "$link" root netem delay 20ms 10ms loss 5% reorder 10% 2>/dev/null ||
			tc -n "$side" qdisc replace dev "$link" root tbf rate 4mbit burst 4k latency 20ms 2>/dev/null ||
			return
	done
}

smooth_link() {
	tc -n "$EDGE" qdisc del dev "$LINK" root
	tc -n "$CENTRAL" qdisc del dev "$FAR_LINK" root
}

@test "packets are delayed and dropped, and everybody is killed: every record once" {
	[ -n "$NETNS" ] || skip "not root, or no network namespaces"
	roughen_link || skip "this kernel has neither netem nor tbf"
	pull
	forward
	: >acked
	produce 8000 2000
	for victim in pull push sink push pull; do
		more 10
		case $victim in
		pull) kill -KILL "$pull"; wait "$pull" || true; pull ;;
		push) kill -KILL "$(pgrep -P "$producer")" ;;
		sink) kill -KILL "$(pgrep -P "$pull")" ;;
		esac
	done
	wait "$producer"
	exactly_once 8000
	smooth_link
}
