#!/bin/bash
# make check-install: build the packages, install them on a bare Debian 12, and do there what
# a new operator does. What one step leaves is what the next one finds; the first that fails
# is the last. With BOOT=no services are run by hand, as where systemd cannot run.
set -eu
cd "$(dirname "$0")/.."
. tests/machine.bash
. tests/pages.bash
. tests/tokens.bash
for part in tests/operator/*.bash; do . "$part"; done

[ "$(id -u)" = 0 ] || { echo "check-install.sh: only root can make and start a machine" >&2; exit 1; }
work=$(mkdir -p "$BUILD" && cd "$BUILD" && pwd)/check-install
rm -rf "$work"
mkdir -p "$work"
BATS_FILE_TMPDIR=$work   # where keys are kept, by tokens.bash
trap machine_halt EXIT
passed=0

# step SENTENCE FUNCTION: do it, and say so; its output is shown if it fails.
step() {
	local status

	set +e   # or it would not count inside
	(set -eux; "$2") >"$work/log" 2>&1
	status=$?
	set -e
	if [ "$status" = 0 ]; then
		passed=$((passed + 1))
		echo "ok $passed - $1"
		return
	fi
	sed 's/^/# /' "$work/log"
	[ -z "${BOOTED-}" ] || inside journalctl --no-pager --lines=60 | sed 's/^/# /'
	echo "not ok $((passed + 1)) - $1"
	exit 1
}
booted_step() {
	if [ -n "$BOOTED" ]; then step "$@"; else echo "not done, as systemd does not run: $1"; fi
}

# fails COMMAND...: it has to.
fails() { if "$@"; then return 1; fi; }

# ---- the packages ----

build() {
	VERSION=$VERSION BUILD=$work scripts/dist.sh
	scripts/deb.sh "$work/monitor-$VERSION.tar.gz" "$work/first"
	scripts/deb.sh "$work/monitor-$VERSION.tar.gz" "$work/second"
	scripts/deb.sh "$work/monitor-$VERSION.tar.gz" "$work/next" "$VERSION.1"
	(cd "$work/first" && sha256sum ./*.deb) | (cd "$work/second" && sha256sum --check)
}
lint() { lintian --allow-root --fail-on error,warning "$work"/first/*.changes; }
make_machine() {
	mkdir -p "$work"/srv/{debs,next}
	cp "$work"/first/monitor{,-wsd,-zmq}_*.deb "$work/srv/debs"
	cp "$work"/next/monitor{,-wsd,-zmq}_*.deb "$work/srv/next"
	cp scripts/deps.sh "$work/srv"
	cat >"$work/srv/fetch" <<-'END'
		get() { apt-get -qq --download-only install "$@"; }
		get --install-recommends /srv/debs/*.deb
		# shellcheck disable=SC2046 # a list of names
		get --no-install-recommends ca-certificates curl git make postgresql \
			$(sh /srv/deps.sh -n build deb | sed -n 's/^missing: //p')
	END
	machine_make "$work/root" "$work/srv"
}

UNITS="monitor-ingest.socket monitor-ingest.service monitor-wsd.socket monitor-wsd.service monitor-purge.timer"
step "the packages can be built, and twice to the same bytes" build
step "lintian finds nothing wrong with them" lint
step "a bare Debian 12 can be made" make_machine
machine_boot "$work/root"
if [ -n "$BOOTED" ]; then
	echo "# systemd runs in the machine, and the units are run by it"
else
	echo "# systemd does not run in the machine: what ExecStart= says is run by hand, as the same users"
fi
pages_take "$work/pages"
step "apt installs them, and nothing runs before somebody says so" install_packages
step "the units are right, and what they expose is at most 2.0 of 10" verify_units
step "README.md's tour shows what the programs print" take_tour
step "README.md's daemon to try out takes uploads, answers, and is ready" try_network
step "a certificate is put in its place" certificate
step "a token is made" make_token
step "monitor-wsd --check finds nothing wrong" check_settings
step "services start, and are ready" start_services
step "anybody with a token can be a watchdog, and who is in the group monitor sees it" say_hello
step "a watchdog uploads over TLS, and the record is found" upload_and_find
step "figures are shown" show_figures
booted_step "the log is in the journal" see_log
step "the daemon's user can read the store and not write it, and others can do neither" read_only
step "a reload brings a new certificate" renew
step "a reload brings new tokens, for watchdogs and for users" more_tokens
booted_step "and ends those that are gone" fewer_tokens

booted_step "what is killed is started again" kill_all
booted_step "a store that cannot be opened for a while delays uploads, and loses none" no_store
if [ -n "$BOOTED" ]; then machine_halt; machine_boot "$work/root"; fi
booted_step "after a boot all runs again" after_boot
step "the purge timer's command removes what is old" purge_old
step "so does cron, as the example crontab says" with_cron

step "the package monitor-zmq is right, too" take_zmq
booted_step "records of another host come in by monitor-zmq@pull, from who is on its list" pull
booted_step "with the earlier service's CLEANUP_INTERVAL the purge stays, and removes what is old at once" purge_often
booted_step "with its auth service the tokens that this has signed let in" signed_tokens
booted_step "several daemons share one port, and hear of each other's notifications" several
booted_step "and then it is one again" one_again

booted_step "a server of PostgreSQL is there, on an address of its own" make_server
booted_step "README.md's commands make a store in it, and copy one" try_postgresql
booted_step "records of an earlier database are loaded, and purged by their own time" load_earlier
booted_step "the manual's commands make a database, and logins" make_database
booted_step "and prepare the services" prepare_services
booted_step "the store is copied, while it is written to and then the rest" move_store
booted_step "all run on it, once the drop-in names the server's address" start_there
booted_step "the purge's unit purges there" purge_there
booted_step "a dump of it can be restored" back_up_there
booted_step "and then it is SQLite again" back_here

step "a back-up is whole" back_up
booted_step "a restore brings back what it had" restore
booted_step "a damaged store is salvaged" salvage
booted_step "what alerts have one look at is there" look_about
step "an upgrade keeps records and settings, and services run on" upgrade
step "a removal stops everything, and keeps records and settings" remove_packages
step "a purge leaves nothing behind, but what others put there" purge_packages
booted_step "from the source: make demo, make deb, make install, and what they say to do then" build_there

pages_typed() {
	pages_left \
		"make check" "it takes as long as all of this, and is run before" \
		"monitor-ingest --ack --listen unix:/run" "the units run the same" \
		"monitor-wsd --sink unix:/run" "the units run the same" \
		"monitor-zmq proxy" "'...' stands for more; the example fleet.conf does the same" \
		"monitor-zmq sub" "'...' stands for more; the example fleet.conf does the same" \
		"monitor-zmq pull" "'...' stands for more; tests/zmq-fleet.bats does the same" \
		"monitor-wsd ..." "'...' stands for more; tests/zmq-fleet.bats does the same" \
		"monitor-purge --logs-timewindow 30d --max" "it stays, as does the unit with CLEANUP_INTERVAL" \
		"monitor-query -f" "it stays, and shows what comes; tests/follow.bats has it"
}
booted_step "no command of README.md and monitor-operations(7) was left out without a reason" pages_typed
[ -z "$BOOTED" ] || grep '^# not typed' "$work/log"
echo "$passed passed, 0 failed"
