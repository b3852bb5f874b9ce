# What the tests of monitor-zmq share. Loaded behind helper.bash.

# Debian's, whatever else is on PATH: python3-zmq is for it.
PYTHON=/usr/bin/python3

# says FILE TEXT
says() {
	grep -qF -- "$2" "$1"
}

has_lines() {
	[ "$(wc -l <"$1")" -ge "$2" ]
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
