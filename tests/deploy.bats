load helper

# What stands in deploy/, against the programs. That it works is for make check-install.

# settings FILE: the options that it names, one a line.
settings() { grep -oE -- '--[a-z][a-z-]+' "$1" | sort -u; }
# options COMMAND...: the long ones that its --help lists.
options() { "$@" --help | grep -oE '^ .{5}--[a-z][a-z-]+' | grep -oE -- '--.*' | sort -u; }
# section TITLE: the lines of monitor.conf from this title to the next one.
section() { awk -v title="# ---- $1" '/^# ----/ { on = index($0, title) == 1 } on' "$PROJECT/deploy/monitor.conf"; }

# complete SECTION LEFT-OUT COMMAND...: the section names all options of the command, but
# those that are no settings of a service.
complete() {
	section "$1" >section
	settings section >named
	for command in "${@:3}"; do options $command; done | sort -u >options
	tr ' ' '\n' <<<"$2 --help --version --store" | sort >left-out
	comm -23 options left-out >wanted
	[ -s wanted ]
	run comm -23 wanted named
	[ -z "$output" ]
}

@test "monitor.conf names every setting of monitor-ingest" {
	complete monitor-ingest "--quiet --ack --listen --salvage --create-schema --partition-interval --print-schema" monitor-ingest
}

@test "monitor.conf names every setting of monitor-purge" {
	complete monitor-purge "--logs-timewindow --interval --dry-run" monitor-purge
	section monitor-purge | grep -x 'LOGS_TIMEWINDOW=.*'
	section monitor-purge | grep -x 'CLEANUP_INTERVAL=.*'
}

@test "monitor.conf names every setting of monitor-wsd" {
	complete monitor-wsd "--listen --new-token --role --check" monitor-wsd
}

@test "monitor.conf names every setting of monitor-zmq's services" {
	complete monitor-zmq "" "monitor-zmq proxy" "monitor-zmq pull" "monitor-zmq serve"
}

@test "monitor.conf says of defaults what --help says" {
	for command in monitor-ingest monitor-purge monitor-wsd "monitor-zmq proxy" "monitor-zmq pull" "monitor-zmq serve"; do
		section "${command%% *}" >section
		$command --help | sed -nE 's/^ .{5}(--[a-z-]+)=.*\(default: ([0-9][0-9a-zA-Z.]*)[;,)].*/\1 \2/p' |
			while read -r option value; do
				[ "$option" != --partition-interval ] || continue   # of a store that is made by hand
				grep -qF -- "$option=$value" section || { echo "$command $option: $value" >&2; exit 1; }
			done
	done
}

@test "every program takes what monitor.conf sets as it is" {
	set -af
	. "$PROJECT/deploy/monitor.conf"
	mkdir etc
	monitor-wsd --new-token w1 --tokens etc/tokens
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout etc/key.pem -out etc/cert.pem 2>openssl.err
	set -- $MONITOR_WSD_AUTH $MONITOR_WSD_TLS $MONITOR_WSD_METRICS $MONITOR_WSD_OPTIONS $MONITOR_WSD_SINK
	monitor-wsd --check --listen "$MONITOR_WSD_LISTEN" "${@//\/etc\/monitor/etc}"
	monitor-ingest -d m.db $MONITOR_INGEST_OPTIONS <"$PROJECT/share/sample.ndjson"
	monitor-purge -d m.db $MONITOR_PURGE_OPTIONS
}

@test "units refer to variables that monitor.conf sets" {
	grep -hoE '\$\{?MONITOR_[A-Za-z_]+' "$PROJECT"/deploy/systemd/*.service "$PROJECT"/deploy/examples/* |
		tr -d '${' | sort -u >used
	[ -s used ]
	while read -r name; do
		grep -q "^$name" "$PROJECT/deploy/monitor.conf" || { echo "$name is not set" >&2; return 1; }
	done <used
}

@test "systemd finds nothing wrong with the units, and little exposed" {
	command -v systemd-analyze >/dev/null || skip "there is no systemd-analyze"
	mkdir -p units/monitor-{ingest,purge,wsd@}.service.d
	cp "$PROJECT/deploy/examples/postgresql.conf" units/monitor-ingest.service.d
	cp "$PROJECT/deploy/examples/postgresql.conf" units/monitor-purge.service.d
	cp "$PROJECT/deploy/examples/fleet.conf" units/monitor-wsd@.service.d
	for unit in "$PROJECT"/deploy/systemd/*; do
		sed "s,/usr/bin/monitor,$BUILD/monitor," "$unit" >"units/${unit##*/}"
	done
	run systemd-analyze --man=no verify units/*.{service,socket,timer}
	[ "$status" = 0 ] && [ -z "$output" ]
	for unit in units/*.service; do
		systemd-analyze --no-pager --offline=true --threshold=20 security "$unit"
	done
}

@test "the Debian package has the version of the Makefile" {
	version=$(sed -n 's/^VERSION = //p' "$PROJECT/Makefile")
	head -n 1 "$PROJECT/debian/changelog" | grep "^monitor ($version) "
}

@test "README.md, README.Debian and monitor-operations(7) have the operator do the same" {
	grep -E '^    (install|monitor-wsd|systemctl) ' "$PROJECT/debian/README.Debian" | sed 's/^    //' >commands
	[ "$(wc -l <commands)" = 4 ]
	while read -r command; do
		grep -qxF "$command" "$PROJECT/README.md"
		grep -qxF "# $command" "$PROJECT/man/monitor-operations.7"
	done <commands
}
