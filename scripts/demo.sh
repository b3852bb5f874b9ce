#!/bin/sh
# make demo: the tools at work on the sample, in a directory of its own,
# each command shown before it runs.
set -eu
cd "$(dirname "$0")/.."
BUILD=$(cd "${BUILD:-build}" && pwd)
SCRIPTS=$PWD/scripts
PATH=$BUILD:$PATH
rm -rf "$BUILD/demo"
mkdir "$BUILD/demo"
cd "$BUILD/demo"
unset MONITOR_STORE LOGS_TIMEWINDOW CLEANUP_INTERVAL
export MONITOR_PAGER=cat

say() { printf '\n# %s\n' "$*"; }

# Show a command and run it, with its messages where they belong.
run() {
	printf '$ %s\n' "$1"
	sh -c "$1" 2>&1
}

# The same where the interesting part is that it fails: with this status.
run_failing() {
	status=0
	run "$2" || status=$?
	[ "$status" = "$1" ] || exit 1
	echo "(status $status)"
}

say "Six hours of six homes' watchdogs, as lines of JSON, ending now"
"$SCRIPTS/sample.sh" >sample.ndjson
run 'head -n 3 sample.ndjson; wc -l sample.ndjson'

say "Into a store. One of the lines is no record: it is told, and kept aside"
echo '{"level":"bad","time":0,"sender":"demo","message":"what is a bad level?"}' >>sample.ndjson
run_failing 3 'monitor-ingest -d demo.db --reject refused.ndjson <sample.ndjson'
run 'cat refused.ndjson'

say "The newest records, as a person reads them"
run 'monitor-query -d demo.db -n 6 -o text'

say "Warnings and worse of the last four hours, of two watchdogs, about doors and cameras"
run 'monitor-query -d demo.db -w 4h -l warning -W freezer000000004 -W frontdoor0000002 -g "door|camera" -o text'

say "Notifications, newest first; in a pipe everything is lines of JSON"
run 'monitor-query -d demo.db -k notification -r -n 3'
run 'monitor-query -d demo.db -k notification | grep -c rang'

say "How much of what"
run 'monitor-query -d demo.db --count'
run 'monitor-query -d demo.db --top 3 --senders'
run 'monitor-query -d demo.db -w 6h --histogram=1h -o text'

say "Go on where the last look ended: the second one shows only what came since"
run 'monitor-query -d demo.db -q --cursor-file seen | wc -l'
# shellcheck disable=SC2016 # expanded when it runs
run 'echo "{\"level\":20,\"time\":$(date +%s),\"sender\":\"demo\",\"message\":\"Something new\"}" | monitor-ingest -q -d demo.db'
run 'monitor-query -d demo.db -q --cursor-file seen'

say "As a sink: numbered lines are acknowledged once they are on the disk, and stored once"
cat >numbered.ndjson <<'END'
{"source":"demo-1","seq":1,"level":30,"time":1732280000.5,"sender":"Bridge","message":"one"}
{"source":"demo-1","seq":2,"level":30,"time":1732280001.5,"sender":"Bridge","message":"two"}
END
run 'monitor-ingest --ack -d demo.db <numbered.ndjson'
run 'monitor-ingest --ack -d demo.db <numbered.ndjson'

say "The daemon, with monitor-ingest as its sink: a watchdog uploads over WebSocket, and reads"
trap 'kill "$daemon" 2>/dev/null' EXIT
# shellcheck disable=SC2016 # shown as it is
echo '$ monitor-wsd --no-auth --listen 127.0.0.1:0 -d demo.db -- monitor-ingest --quiet --ack -d demo.db &'
monitor-wsd --no-auth --listen 127.0.0.1:0 -d demo.db -- monitor-ingest --quiet --ack -d demo.db \
	</dev/null >notifications 2>wsd.log &
daemon=$!
until grep -q 'listening on' wsd.log; do
	kill -0 "$daemon" || { cat wsd.log; exit 1; }
	sleep 0.05
done
cat wsd.log
at=$(sed -n 's/.*listening on //p' wsd.log)
run 'printf frontdoor0000002 >token'
# shellcheck disable=SC2016 # expanded when it runs
run 'echo "{\"kind\":\"notification\",\"level\":10,\"time\":$(date +%s),\"sender\":\"Bell\",\"message\":\"Somebody rang\"}" |
    monitor-ingest --url ws://'"$at"' --token-file token'
run "monitor-query --url ws://$at --token-file token -n 3 -o text"
run "monitor-query --url ws://$at --token-file token --top 3 --senders"
run 'cat notifications   # what other instances are told'
if command -v curl >/dev/null; then run "curl -s http://$at/readyz"; fi
kill "$daemon"
wait "$daemon"
trap - EXIT   # or to kill nobody would be how the demo ends

say "Retention: logs live for three hours, notifications are kept"
run 'monitor-purge -d demo.db --logs-timewindow 3h --dry-run'
run 'monitor-purge -d demo.db --logs-timewindow 3h'
run 'monitor-query -d demo.db --count'
run 'monitor-query -d demo.db --verify && echo "nothing wrong"'

say "The store is in $BUILD/demo/demo.db; the programs are in $BUILD."
