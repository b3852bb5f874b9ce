# What the tests of monitor-zmq share. Loaded behind helper.bash.

# Debian's, whatever else is on PATH: python3-zmq is for it.
PYTHON=/usr/bin/python3

# says FILE TEXT
says() {
	grep -qF -- "$2" "$1"
}

# has_lines FILE N: so many, or more.
has_lines() {
	[ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]
}

# endpoint FILE [N]: where it says that it listens, the n-th.
endpoint() {
	sed -n 's/.*: listening on //p' "$1" | sed -n "${2:-1}p"
}

endpoint_is_there() {
	[ -n "$(endpoint "$1" "${2:-1}")" ]
}

# figure FILE NAME: of who says in FILE where its figures are.
figure() {
	curl -sf "$(sed -n 's/.*figures are at //p' "$1" | tail -n 1)" | sed -n "s/^monitor_zmq_$2 //p"
}

figure_is() {
	[ "$(figure "$1" "$2")" = "$3" ]
}

figure_exceeds() {
	[ "$(figure "$1" "$2")" -gt "$3" ]
}

# keys NAME: a pair of keys, in NAME.key; the public one is in the variable NAME.
keys() {
	printf -v "$1" %s "$(monitor-zmq keygen "$1" | cut -d ' ' -f 1)"
}

# beside NAME COMMAND...: start it with its output in NAME.out and messages in NAME.err (anew), and its
# input from NAME.in, if there is one. It has no other descriptor of ours: what is written to
# somebody else must not stay open through it.
beside() {
	: >"$1.err"
	# shellcheck disable=SC2016
	start bash -c '
		for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ "$fd" -le 2 ] || exec {fd}>&-; done
		name=$1; shift
		[ ! -e "$name.in" ] || exec <"$name.in"
		exec "$@" >"$name.out" 2>"$name.err"' bash "$@"
}

# feed NAME COMMAND...: the same, reading from the descriptor $to.
feed() {
	mkfifo "$1.in"
	beside "$@"
	exec {to}>"$1.in"
}

# ---- records, published ----

# record N [WATCHDOG [KIND]]
record() {
	printf '{"kind":"%s","watchdog":"%s","level":30,"time":%d.5,"sender":"test","message":"number %d"}\n' \
		"${3:-log}" "${2:-w1}" "$1" "$1"
}

# series FIRST LAST [WATCHDOG [KIND]]
series() {
	seq "$1" "$2" | sed "s/.*/$(record 0 "${@:3}" | sed 's/:0\.5/:\&.5/; s/number 0/number \&/')/"
}

# broker [OPTION]... FRONTEND BACKEND: a proxy; its messages are in broker.err, it listens at $front
# and $back.
broker() {
	beside broker monitor-zmq proxy --metrics 127.0.0.1:0 "$@"
	broker=$pid
	until_true endpoint_is_there broker.err 2
	front=$(endpoint broker.err 1) back=$(endpoint broker.err 2)
}

# subscribe NAME [OPTION]...: to the broker's backend, for something that nobody else has asked it for
# yet: so it can be seen when it is there. What comes is in NAME.out.
subscribe() {
	local before
	before=$(figure broker.err frontend_sent_total)
	beside "$1" monitor-zmq sub --metrics 127.0.0.1:0 --retry 20ms..100ms "${@:2}" "$back"
	until_true figure_exceeds broker.err frontend_sent_total "$before"
}

# publish [OPTION]...: standard input, to the broker's frontend.
publish() {
	monitor-zmq pub -q "$@" "$front"
}

# publisher NAME [OPTION]...: one that stays, and reads from the descriptor $to.
publisher() {
	feed "$1" monitor-zmq pub --metrics 127.0.0.1:0 --retry 20ms..100ms "${@:2}" "$front"
	until_true figure_is "$1.err" connections_total 1
}

# peer TYPE ENDPOINT FRAMES...: a peer of another make: sends each message, a Python list of
# bytes, when it is connected (and, if it publishes, subscribed to).
peer() {
	"$PYTHON" - "$@" <<-'END'
		import sys, zmq
		kind, endpoint = sys.argv[1:3]
		context = zmq.Context()
		socket = context.socket(getattr(zmq, kind))
		socket.connect(endpoint)
		if kind == "XPUB":
		    socket.recv()
		for message in sys.argv[3:]:
		    socket.send_multipart(eval(message))
		socket.close(linger=5000)
		context.term()
	END
}
