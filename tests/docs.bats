load helper
load pages

# The manuals against the programs. The command lines of a manual's EXAMPLES
# are run (see commands.awk): they find the sample as sample.ndjson and in the default store.

PROGRAMS="monitor-ingest monitor-query monitor-purge monitor-wsd monitor-zmq"

# manual_of PROGRAM: its page, in section 1, or 8 if it is a daemon.
manual_of() {
	ls "$PROJECT/man/$1".[18]
}

# verbs PROGRAM: those that its --help lists, one a line; none, if it has none.
verbs() {
	"$1" --help | sed -n '/^Verbs:$/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

# help_options PROGRAM [VERB]: all options that its --help lists, and those of its verbs; or those of
# this one. One a line.
help_options() {
	local verb
	{
		"$@" --help
		[ $# != 1 ] || for verb in $(verbs "$1"); do "$1" "$verb" --help; done
	} | sed -n 's/^ \{2,6\}\(-[^ ].*\)/\1/p' | sed 's/  .*//' |
		grep -oE '(^|[ ,])--?[A-Za-z0-9][a-z0-9-]*' | tr -d ' ,' | sort -u
}

# manual_options FILE SECTION...: all options named in these sections' (or subsections') lines
# that begin with one of MACROS (a regular expression).
manual_options() {
	local file=$1
	shift
	awk -v sections="$*" -v macros="${MACROS:-It}" '
		/^\.Sh / || (/^\.Ss / && !whole) {
			wanted = index(sections, substr($0, 5)) > 0
			whole = /^\.Sh / && wanted
		}
		wanted && $0 ~ "^\\.(" macros ") " {
			for (i = 2; i < NF; i++)
				if ($i == "Fl") {
					name = $(i + 1)
					gsub(/\\-/, "-", name)
					print "-" name
				}
		}' "$file" | sort -u
}


@test "every program has its manual, and every manual passes mandoc's lint" {
	for program in $PROGRAMS; do
		[ "$(manual_of "$program" | wc -l)" -eq 1 ]
	done
	run -0 mandoc -Tlint -W warning "$PROJECT"/man/*.[1-8]
	[ -z "$output" ]
}

@test "the manuals refer only to manuals that are there" {
	sed -n 's/^\.Xr \(monitor-[a-z]*\) \([1-8]\).*/\1.\2/p' "$PROJECT"/man/*.[1-8] | sort -u >named
	[ -s named ]
	while read -r page; do
		[ -e "$PROJECT/man/$page" ] || { echo "no $page" >&2; return 1; }
	done <named
}

@test "every option of --help is in the manual, and the other way round" {
	for program in $PROGRAMS; do
		help_options "$program" >help
		manual_options "$(manual_of "$program")" DESCRIPTION OPTIONS >manual
		[ "$(wc -l <help)" -gt 5 ]
		diff help manual || { echo "$program: --help (<) and manual (>) differ" >&2; return 1; }
	done
}

@test "every option of a verb is in its part of the manual, and nobody else's" {
	for program in $PROGRAMS; do
		for verb in $(verbs "$program"); do
			help_options "$program" "$verb" >help
			common="Options of all verbs"
			grep -qx -- --connect help || common=
			{
				manual_options "$(manual_of "$program")" "$verb" "$common"
				printf '%s\n' -h --help --version
			} | sort -u >manual
			diff help manual || { echo "$program $verb: --help (<) and manual (>) differ" >&2; return 1; }
		done
	done
}

@test "the manual's SYNOPSIS names only options that --help lists" {
	for program in $PROGRAMS; do
		help_options "$program" >help
		MACROS='Op|Nm|Fl|Oo|Ns|Ar|\\|' manual_options "$(manual_of "$program")" SYNOPSIS >synopsis
		comm -13 help synopsis >unknown
		[ ! -s unknown ] || { cat unknown >&2; return 1; }
	done
}

@test "every manual of a program tells its exit status and its environment, and gives examples" {
	for program in $PROGRAMS; do
		for section in "EXIT STATUS" ENVIRONMENT EXAMPLES; do
			grep -qx ".Sh $section" "$(manual_of "$program")" || { echo "$program: $section" >&2; return 1; }
		done
	done
}

@test "the examples of the manuals run" {
	for page in "$PROJECT"/man/*.[1-8]; do
		name=${page##*/}
		mkdir "$name" && cd "$name"
		awk -v name=example -v only=EXAMPLES -f "$PROJECT/tests/commands.awk" "$page"
		"$PROJECT/scripts/sample.sh" >sample.ndjson
		export MONITOR_STORE=$PWD/monitor.db
		ls example-*.user >/dev/null
		for example in example-*.user; do
			rm -f monitor.db*
			monitor-ingest --quiet sample.ndjson
			timeout 30 bash -eo pipefail "$example" >out 2>&1 </dev/null ||
				{ status=$?; echo "$name: status $status from:"; cat "$example" out; return 1; } >&2
		done
		cd ..
	done
}

@test "the tour in README.md shows what the programs print" {
	ln -s "$PROJECT/share" share
	tour bash -c
}

@test "make demo shows everything, and ends well" {
	run -0 "$PROJECT/scripts/demo.sh"
	[[ $output == *"nothing wrong"*"the programs are in"* ]]
}

@test "README.md and HACKING.md name only files that are there" {
	cd "$PROJECT"
	grep -ohE '\]\([^)#:]+\)' README.md HACKING.md | tr -d '])(' | sort -u >"$BATS_TEST_TMPDIR/links"
	[ -s "$BATS_TEST_TMPDIR/links" ]
	while read -r link; do
		[ -e "$link" ] || { echo "no $link" >&2; return 1; }
	done <"$BATS_TEST_TMPDIR/links"
}
