# What the crash tests share (tests/torture*.sh): processes by name, killed and seen gone;
# and looks at what was acknowledged. Sourced, never run.
#
# Set before: cycles, seed, SOURCES, BAD, and BEGIN, if the first record's time is another than the
# producer's own. Each source writes what was acknowledged to acked.SOURCE (tests/tools/producer);
# the store is m.db (see sql), messages are in err.NAME.
# shellcheck shell=bash disable=SC2154

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$project/build}
case $BUILD in /*) ;; *) BUILD=$project/$BUILD ;; esac
PATH=$BUILD:$BUILD/tests:$PATH
unset MONITOR_STORE MONITOR_TOKEN
BEGIN=${BEGIN:-1700000000}
dir=$(mktemp -d "${TMPDIR:-/tmp}/torture.XXXXXX")
cd "$dir" || exit
RANDOM=$seed

declare -A pids  # of what runs, by name
declare -A kills
checks=0

fail() {
	echo "torture: FAILED after $((cycle - 1)) cycles (seed $seed): $*" >&2
	echo "torture: what there is to look at is in $dir" >&2
	for name in "${!pids[@]}"; do kill -KILL "${pids[$name]}" 2>/dev/null; done
	exit 1
}

# Has it come so far that SIGTERM is not the end of it (caught, or blocked)?
until_ready() {
	until awk '/^Sig(Blk|Cgt)/ { found = found || substr($2, 13, 1) ~ /[4-7c-f]/ } END { exit !found }' \
		"/proc/${pids[$1]}/status"; do
		kill -0 "${pids[$1]}" || fail "$1 had ended by itself: $(tail -n 3 "err.$1")"
		pause 5
	done
}

# end SIGNAL NAME: and see it gone.
end() {
	[ "$1" = KILL ] || until_ready "$2"
	kill -s "$1" "${pids[$2]}" || fail "$2 had ended by itself: $(tail -n 3 "err.$2")"
	wait "${pids[$2]}" 2>/dev/null
	local status=$?
	unset "pids[$2]"
	kills[$1]=$((${kills[$1]:-0} + 1))
	return $status
}

# pause MILLISECONDS
pause() {
	read -rt "$(printf '0.%03d' "$1")" <> <(:) || true
}

sql() {
	sqlite3 -readonly -cmd '.timeout 30000' m.db "$1"
}

# Every number acknowledged so far is in the store, once, or was refused. The
# acknowledgements are read first.
check_acked() {
	local source n values='' missing
	for source in $SOURCES; do
		n=$(tail -n 1 "acked.$source" 2>/dev/null)
		values+="${values:+,}('$source',${n:-0})"
	done
	missing=$(sql "WITH acked(source, n) AS (VALUES $values),
		stored AS MATERIALIZED (SELECT sender, count(*) AS rows, count(DISTINCT time) AS times
			FROM records JOIN acked ON source = sender
			WHERE time <= $BEGIN + n GROUP BY sender)
		SELECT source, n, rows, times FROM acked LEFT JOIN stored ON sender = source
			WHERE coalesce(rows, 0) != n - n / $BAD OR coalesce(times, 0) != n - n / $BAD") ||
		fail "the store cannot be read"
	[ -z "$missing" ] || fail "acknowledged and not stored once (source, acknowledged, rows): $missing"
	checks=$((checks + 1))
}

# The store itself is sound.
check_sound() {
	local found
	found=$(sql 'PRAGMA integrity_check')
	[ "$found" = ok ] || fail "integrity_check: $found"
	monitor-query -d m.db --verify >verify 2>&1 || fail "--verify: $(head -n 5 verify)"
}

# Does anything still run whose producer was killed?
orphans() {
	local pid parent
	for pid in $(pgrep '^monitor-(ingest|zmq)$'); do
		[ "$(readlink "/proc/$pid/cwd")" = "$dir" ] || continue
		parent=$(ps -o ppid= -p "$pid") || continue
		[[ " $$ ${pids[*]} " == *" ${parent// /} "* ]] || return 0
	done
	return 1
}

# All sources end, having had everything acknowledged; and so do orphans, for which what they
# send to has to be there.
end_sources() {
	local source end=$((SECONDS + 60))
	for source in $SOURCES; do
		until_ready "$source"
		kill -TERM "${pids[$source]}" || fail "$source had ended by itself: $(tail -n 3 "err.$source")"
	done
	for source in $SOURCES; do
		wait "${pids[$source]}" || fail "$source ended with status $?: $(tail -n 3 "err.$source")"
		unset "pids[$source]"
	done
	while orphans; do
		[ $SECONDS -lt $end ] || fail "what a killed producer had begun does not end"
		pause 20
	done
}

# survived [MORE]: the last word.
survived() {
	echo "torture: $cycles cycles survived (seed $seed): ${kills[KILL]:-0} times SIGKILL," \
		"${kills[TERM]:-0} times SIGTERM, $(sql 'SELECT count(*) FROM records') records exactly once," \
		"${1:+$1, }$checks looks at what was acknowledged"
	cd / && rm -rf "$dir"
}
