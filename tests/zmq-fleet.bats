load helper
load wsd
load zmq

# Daemons on several ports as one: notifications between them go through one broker.

# instance NAME: a daemon between a subscriber and a publisher of the broker; where it listens
# is then in $port. Each of the three runs by itself, so that one can be ended alone.
instance() {
	mkfifo "$1.from" "$1.to"
	exec {hold}<>"$1.from" {held}<>"$1.to"   # no end waits for another
	begin monitor-zmq sub --metrics 127.0.0.1:0 --connect "$backend" --kind notification >"$1.from" 2>"$1.sub" {hold}>&- {held}>&- </dev/null
	# shellcheck disable=SC2086 # several options, or none
	begin monitor-zmq pub ${pub_options-} --connect "$frontend" <"$1.to" >/dev/null 2>"$1.pub" {hold}>&- {held}>&-
	begin monitor-wsd --listen 127.0.0.1:0 --no-auth -d m.db -- monitor-ingest -q --ack -d m.db \
		<"$1.from" >"$1.to" 2>"$1.err" {hold}>&- {held}>&-
	the_port "$1.err"
	declare -g "port_$1=$port"
}

broker() {
	beside broker monitor-zmq proxy --bind "${frontend:-tcp://127.0.0.1:*}" --bind "${backend:-tcp://127.0.0.1:*}"
	broker=$pid
	until_true endpoint_is_there broker.err 2
	frontend=$(endpoint broker.err 1)
	backend=$(endpoint broker.err 2)
}

# at NAME CODE...: talk to that instance.
at() {
	local name="port_$1"
	port=${!name}
	shift
	as "$@"
}

# heard FILE TEXT FROM: does FILE have it? If not it is said again, at that instance: a subscriber may not be
# there yet.
heard() {
	at "$3" w1 <<<"$(notifications "$2")" >/dev/null
	grep -qF "\"$2\"" "$1"
}

# add NAME: one more instance, to which the watchdog's connection and somebody else's listen.
add() {
	instance "$1"
	fleet+=("$1")
	converse "got_$1" as w1 -w -T 100
	begin as w2 -w -T 100 >"other_$1" </dev/null
}

# exchange ROUND: each instance is given notifications, and all hear of them, once.
exchange() {
	for from in "${fleet[@]}"; do
		for to in "${fleet[@]}"; do until_true heard "got_$to" "hello $1 $from $to" "$from"; done
	done
	for n in 1 2 3 4 5; do
		for from in "${fleet[@]}"; do at "$from" w1 <<<"$(notifications "$1-$from-$n")"; done
	done
	for to in "${fleet[@]}"; do
		for from in "${fleet[@]}"; do
			for n in 1 2 3 4 5; do until_true grep -q "\"$1-$from-$n\"" "got_$to"; done
		done
		[ "$(grep -c "\"$1-[abc]-[1-5]\"" "got_$to")" = $((5 * ${#fleet[@]})) ]
		[ ! -s "other_$to" ]
	done
}

@test "a notification reaches the watchdog's connections on two daemons, and on three, once each, and nobody else's" {
	broker
	fleet=()
	add a
	add b
	exchange two
	add c
	exchange three
}

@test "the broker killed and started again: notifications go on, the gap is seen and counted" {
	pub_options="--high-water 1"   # little waits for a broker, so that there is a gap
	broker
	instance a
	instance b
	converse got as w1 -w -T 100
	until_true heard got before a
	kill -KILL "$broker"
	wait "$broker" || true
	until_true is_lost
	broker
	until_true heard got after a
	until_true grep -q 'missed before number' b.sub
	[ "$(figure b.sub missed_total)" -gt 0 ]
	# Nothing that was uploaded meanwhile is missing where it counts.
	[ "$(monitor-query -d m.db -g lost --count)" -ge 1 ]
}

# Uploads while there is no broker are stored, and not heard of elsewhere.
is_lost() {
	at a w1 <<<"$(notifications lost)" >/dev/null
	[ "$(monitor-query -d m.db -g lost --count)" -ge 8 ]
}
