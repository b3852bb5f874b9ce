# Loaded by every test file: the programs under test come first on PATH, and
# each test works in a directory of its own.

bats_require_minimum_version 1.5.0
PROJECT=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
BUILD=${BUILD:-$PROJECT/build}
case $BUILD in /*) ;; *) BUILD=$PROJECT/$BUILD ;; esac
PATH=$BUILD:$BUILD/tests:$PATH
export PROJECT BUILD PATH TZ=UTC LC_ALL=C.UTF-8
unset MONITOR_STORE LOGS_TIMEWINDOW CLEANUP_INTERVAL NO_COLOR PAGER MONITOR_PAGER MONITOR_READ_STORE

setup() {
	cd "$BATS_TEST_TMPDIR"
	STARTED=()
	if declare -F prepare >/dev/null; then prepare; fi
}

# Kill what the test started in the background (see start) and still runs.
teardown() {
	local pid
	for pid in "${STARTED[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# start COMMAND...: run it in the background; its pid is in $pid. Bats waits
# for whoever holds its descriptor 3, hence 3>&-.
start() {
	"$@" 3>&- &
	pid=$!
	STARTED+=("$pid")
}

# until_true COMMAND...: try it until it succeeds, 10 s at most.
until_true() {
	local end=$((SECONDS + 10))
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || { echo "never true: $*" >&2; return 1; }
		read -rt 0.02 <> <(:) || true
	done
}

# records N [TIME]: N plain log records, a second apart, on standard output.
records() {
	awk -v n="$1" -v time="${2:-1700000000}" 'BEGIN {
		for (i = 1; i <= n; i++)
			printf "{\"kind\":\"log\",\"watchdog\":\"w1\",\"level\":30,\"time\":%d.5,\"sender\":\"test\",\"message\":\"number %d\"}\n", time + i, i
	}'
}
