load helper

# The shells themselves are asked, in the form in which each has it: tests/complete/SHELL. They
# find what is to be tested where "make install" has put it.

setup_file() {
	unset MAKEFLAGS MFLAGS MAKELEVEL
	make -s -C "$PROJECT" BUILD="$BUILD" DESTDIR="$BATS_FILE_TMPDIR" PREFIX=/usr install
}

prepare() {
	export HOME=$PWD FUNCTIONS=$BATS_FILE_TMPDIR/usr/share/zsh/vendor-completions
	export DUMP=$BATS_FILE_TMPDIR/zcompdump
	export XDG_DATA_DIRS=$BATS_FILE_TMPDIR/usr/share
	unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME BASH_COMPLETION_USER_DIR ZDOTDIR
}

# ask SHELL LINE: what it offers, sorted, without the option in front of a value and the "="
# behind an option that takes one.
ask() {
	local flags=
	[ "$1" != zsh ] || flags=-f
	timeout 30 "$1" $flags "$PROJECT/tests/complete/$1" "$2" >offers
	sed -e 's/^--[a-z-]*=\(.\)/\1/' -e 's/=$//' offers | sort -u
}

# offers LINE WORD...: this is what all of them offer.
offers() {
	local shell line=$1
	shift
	for shell in bash zsh fish; do
		diff <(ask $shell "$line") <(printf '%s\n' "$@" | grep . | sort -u) ||
			{ echo "$shell offers (<) for: $line" >&2; return 1; }
	done
}

store() {
	"$PROJECT/scripts/sample.sh" | monitor-ingest --quiet -d "$1"
}

@test "every option of --help is offered, of every program and verb, and no other" {
	for command in monitor-ingest monitor-query monitor-purge monitor-wsd \
		"monitor-zmq "{proxy,pub,sub,push,pull,serve,keygen} monitor-zmq; do
		$command --help | sed -n 's/^ .*\(--[a-z-]*\).*/\1/; s/^ \{2,6\}-.*\(--[a-z-]*\).*/\1/p' >/dev/null
		$command --help | grep -oE '^ +(-[a-zA-Z], )?--[a-z-]+' | sed 's/.*--/--/' | sort >help
		[ "$(wc -l <help)" -ge 2 ]
		for shell in bash zsh fish; do
			ask $shell "$command --" | grep '^--' | diff - help ||
				{ echo "$shell (<), $command --help (>)" >&2; return 1; }
		done
	done
}

@test "the verbs of monitor-zmq are offered" {
	offers 'monitor-zmq pu' pub pull push
	offers 'monitor-zmq k' keygen
	offers 'monitor-zmq pub pu' ''
}

@test "values are offered where there are only so many" {
	offers 'monitor-query --output ' text ndjson csv cat wire
	offers 'monitor-query --output=c' cat csv
	offers 'monitor-query -k ' log notification all
	offers 'monitor-query --color=' auto always never
	offers 'monitor-purge -o ' text ndjson
	offers 'monitor-wsd --role ' user watchdog
	offers 'monitor-zmq sub --kind=' log notification
	offers 'monitor-query --since ' ''
}

@test "the levels that are offered are levels" {
	offers 'monitor-query --level ' error warning notice info debug verbose
	offers 'monitor-purge -l w' warning
	store m.db
	for level in $(ask bash 'monitor-query -l '); do
		monitor-query -d m.db -l "$level" --count
	done
}

@test "files are offered where a file is meant, and behind unix:" {
	touch cert.pem
	mkdir run
	touch run/sink
	offers 'monitor-wsd --cert c' cert.pem
	offers 'monitor-ingest ce' cert.pem
	offers 'monitor-query ce' ''
	for shell in bash zsh fish; do
		[[ $(ask $shell 'monitor-wsd --sink unix:run/s') = *sink ]]
		[[ $(ask $shell 'monitor-zmq pull --sink=u') = unix:* ]]
	done
}

@test "senders and watchdogs are those of the store, whichever way it is named" {
	store m.db
	offers 'monitor-query -d m.db -s W' WaterSensor
	offers 'monitor-query --store=m.db --sender=W' WaterSensor
	offers 'monitor-query --store ~/m.db --sender W' WaterSensor
	MONITOR_STORE=m.db offers 'monitor-query -W f' freezer000000004 frontdoor0000002
	MONITOR_STORE=none offers 'monitor-purge -d m.db -W f' freezer000000004 frontdoor0000002
}

@test "a sender's name may have spaces and other characters" {
	echo '{"level":0,"time":1,"sender":"the $other: one","message":"Hi"}' | monitor-ingest -q -d m.db
	[ "$(ask bash 'monitor-query -d m.db -s ')" = 'the\ \$other:\ one' ]
	[ "$(ask zsh 'monitor-query -d m.db -s ')" = 'the\ \$other:\ one' ]
	[ "$(ask fish 'monitor-query -d m.db -s ')" = 'the $other: one' ]   # quoted as it is put in
}

@test "no names and no complaints where there is no store, or a daemon is to be asked" {
	store m.db
	for shell in bash zsh fish; do
		for options in '-d none' '-d m.db --url=ws://127.0.0.1:1'; do
			run -0 ask $shell "monitor-query $options -s "
			[ -z "$output" ]
		done
	done
	[ ! -e none ]
}

@test "a store that does not answer holds nobody up" {
	mkdir bin
	printf '#!/bin/sh\nexec sleep 100\n' >bin/monitor-query
	chmod +x bin/monitor-query
	[ -z "$(PATH=$PWD/bin:$PATH ask bash 'monitor-query -s ')" ]
}

@test "behind -- the sink's own command line is completed" {
	offers 'monitor-wsd --no-auth -- monitor-ingest --rej' --reject
	offers 'monitor-zmq pull tcp://127.0.0.1:1 -- monitor-ingest -k ' log notification
}
