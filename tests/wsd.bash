# For the tests of monitor-wsd: a daemon, and somebody who talks to it.

# wsd [OPTION]... [-- SINK...]: a daemon on a port of its own, in $port; its messages
# are in wsd.err, its output in wsd.out, its pid in $wsd.
wsd() {
	[ ! -e wsd.err ] || mv wsd.err wsd.err.before
	start monitor-wsd --listen 127.0.0.1:0 "$@" 2>wsd.err >>wsd.out
	wsd=$pid
	the_port wsd.err
}

# begin COMMAND...: as start, but with the standard input that this has.
begin() {
	replaced=exec "$@" 3>&- <&0 &
	pid=$!
	STARTED+=("$pid")
}

# converse NAME COMMAND...: begin it; its input is what `tell NAME TEXT` says until
# `hush NAME`, its output is in the file NAME.
converse() {
	local name=$1 fd
	shift
	mkfifo "$name.in"
	exec {fd}<>"$name.in"   # neither end waits for the other
	declare -g "to_$name=$fd"
	replaced=exec "$@" 3>&- <"$name.in" >"$name" {fd}>&- &
	pid=$!
	STARTED+=("$pid")
}
tell() {
	local fd="to_$1"
	echo "$2" >&"${!fd}"
}
hush() {
	local fd="to_$1"
	eval "exec ${!fd}>&-"
}

# the_port FILE: where a daemon whose messages are in FILE listens.
the_port() {
	until_true grep -q 'listening on 127' "$1"
	port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$1" | tail -n 1)
}

# stored [OPTION]... [-- COMMAND...]: the same, with a store to read and to write, m.db.
stored() {
	wsd -d m.db --no-auth "$@" -- monitor-ingest --quiet --ack -d m.db
}

# as CODE [OPTION]...: talk to the daemon; messages from standard input, one a line.
# (Begun beside the test it takes its shell's place, so that $pid is its own.)
as() {
	local code=$1
	shift
	${replaced-} ws -t "$code" "$@" "ws://127.0.0.1:$port/ws"
}

# stop_wsd: end it, and see that it ends well.
stop_wsd() {
	kill -TERM "$wsd"
	wait "$wsd"
}

# upload ACTION LIST MESSAGE...: a request to upload a record a message.
upload() {
	jq -cn --arg action "$1" --arg list "$2" '{action: $action, ($list): [$ARGS.positional[] |
		{level: 30, time: 1732280000.5, sender: "test", message: .}]}' --args "${@:3}"
}
logs() { upload uploadLogs logs "$@"; }
notifications() { upload uploadNotifications notifications "$@"; }

# big BYTES: a notification with a message of that size.
big() {
	printf '{"action":"uploadNotifications","notifications":[{"level":30,"time":1,"sender":"test","message":"%s"}]}\n' \
		"$(head -c "$1" /dev/zero | tr '\0' x)"
}

# resident: how much memory the daemon takes, in kB.
resident() { awk '/VmRSS/ { print $2 }' "/proc/$wsd/status"; }

# grown_by_less BEFORE KB: since it was BEFORE. (A sanitizer keeps what is freed: then that
# says nothing.)
grown_by_less() {
	[ -n "${SANITIZE-}" ] || [ $(($(resident) - $1)) -lt "$2" ]
}
