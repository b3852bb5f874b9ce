# What the sections of the bench share. Sourced by bench/run, never run.
# shellcheck shell=sh

# number 2M: 2000000
number() {
	case $1 in
	*k) echo "${1%k}000" ;;
	*M) echo "${1%M}000000" ;;
	*) echo "$1" ;;
	esac
}

have() { command -v "$1" >/dev/null 2>&1; }

note() { printf '%s\n' "$*" >&2; }

fail() {
	note "bench: $*"
	exit 1
}

title() { printf '\n%s\n' "$*"; }

# calc EXPRESSION: the value of an awk expression.
calc() { awk "BEGIN { printf \"%.6g\", $1 }"; }

# data FORMAT RECORDS WATCHDOGS [OPTION]: the path of a generated file, made
# when it is first asked for.
data() {
	data_path=$DIR/$1-$2-$3${4-}
	if [ ! -e "$data_path" ]; then
		note "making $2 records of $3 watchdogs ($1)"
		# shellcheck disable=SC2086 # no fourth argument, no option
		generate -f "$1" -w "$(number "$3")" ${4-} "$CORPUS" "$(number "$2")" >"$data_path.part" ||
			fail "could not make $data_path"
		mv "$data_path.part" "$data_path"
	fi
	echo "$data_path"
}

# sample NAME COMMAND...: run COMMAND, which prints numbers, and keep these as
# one more line of NAME's results. What it says otherwise is shown if it fails.
sample() {
	sample_name=$1
	shift
	sync
	"$@" >"$DIR/sample" 2>"$DIR/sample.err" || {
		cat "$DIR/sample.err" >&2
		fail "$sample_name: status $? from: $*"
	}
	cat "$DIR/sample" >>"$DIR/result-$sample_name"
}

# daemon_start COMMAND...: in the background, as $daemon, until it listens. What it says is in $log.
daemon_start() {
	log=$DIR/daemon.log
	rm -f "$log"   # an earlier one may still write to it
	: >"$log"
	"$@" >/dev/null 2>"$log" &
	daemon=$!
	until grep -q 'listening on' "$log"; do
		kill -0 "$daemon" 2>/dev/null || {
			cat "$log" >&2
			fail "did not start: $*"
		}
		sleep 0.02
	done
}

# daemon_place [N]: where it listens, the first or N-th place.
daemon_place() { sed -n 's/.*listening on \([^ ]*\).*/\1/p' "$log" | sed -n "${1:-1}p"; }

daemon_stop() {
	kill "$daemon"
	wait "$daemon" || fail "a daemon ended with status $?: $(cat "$log")"
	daemon=
}

# hold PROCESSES CONNECTIONS URL: so many idle connections of each, until let_go. Once all are there,
# the seconds that took are in $held, and what the processes computed for it, in ms, in $held_ms.
hold() {
	rm -f "$DIR"/hold.fifo "$DIR"/hold-*
	mkfifo "$DIR/hold.fifo"
	exec 8<>"$DIR/hold.fifo"
	for n in $(seq "$1"); do
		load hold -A 64 -c "$2" "$3" 0 <"$DIR/hold.fifo" 8>&- >"$DIR/hold-$n" &
		holders="$holders $!"
	done
	for n in $(seq "$1"); do
		until [ -s "$DIR/hold-$n" ]; do
			# shellcheck disable=SC2086 # a list of numbers
			kill -0 $holders 2>/dev/null || fail "connections were lost"
			sleep 0.02
		done
	done
	held=$(cat "$DIR"/hold-* | sort -g | tail -n 1)
	# shellcheck disable=SC2086
	held_ms=$(computed_ms $holders)
}

let_go() {
	exec 8>&-
	for pid in $holders; do
		wait "$pid" || fail "connections were lost"
	done
	holders=''
}

# computed_ms PID...: what these processes have computed so far, in milliseconds.
computed_ms() {
	calc "1000 * ($(for pid; do cut -d ' ' -f 14,15 "/proc/$pid/stat"; done | paste -s -d ' ' | tr ' ' +)) / $(getconf CLK_TCK)"
}

# median NAME [COLUMN]: of a column of what sample kept.
median() {
	awk -v c="${2:-1}" '{ print $c }' "$DIR/result-$1" | sort -g | awk '
		{ v[NR] = $1 }
		END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# largest NAME [COLUMN]
largest() {
	awk -v c="${2:-1}" '{ print $c }' "$DIR/result-$1" | sort -g | tail -n 1
}

# Size of a store (or any database), with the files that stand beside it.
size_of() {
	du -cb "$1"* | awk 'END { print $1 }'
}

remove_store() { rm -f "$1" "$1"[-.@]*; }

# goal TEXT MEASURED at-least|at-most LIMIT [UNIT]: print both side by side.
goal() {
	awk -v text="$1" -v got="$2" -v way="$3" -v limit="$4" -v unit="${5-}" 'BEGIN {
		met = way == "at-least" ? got >= limit : got <= limit
		printf "  %-58s %8.3g%s  goal: %s %g%s  %s\n", text, got, unit,
			way == "at-least" ? ">=" : "<=", limit, unit, met ? "met" : "NOT MET"
		exit !met
	}' && echo met >>"$DIR/goals" || echo missed >>"$DIR/goals"
}
