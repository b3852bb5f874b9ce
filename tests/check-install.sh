#!/bin/bash
# make check-install: build the packages, install them on a bare Debian 12, and do there what
# a new operator does. What one step leaves is what the next one finds; the first that fails
# is the last. With BOOT=no services are run by hand, as where systemd cannot run.
set -eu
cd "$(dirname "$0")/.."
. tests/machine.bash

[ "$(id -u)" = 0 ] || { echo "check-install.sh: only root can make and start a machine" >&2; exit 1; }
work=$(mkdir -p "$BUILD" && cd "$BUILD" && pwd)/check-install
rm -rf "$work"
mkdir -p "$work/debs"
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
	mkdir "$work/debs/next"
	cp "$work"/first/monitor{,-wsd,-zmq}_*.deb "$work/debs"
	cp "$work"/next/monitor{,-wsd,-zmq}_*.deb "$work/debs/next"
	machine_make "$work/root" "$work/debs"
}

# ---- the first day ----

install_packages() {
	files >"$work/before"
	inside sh -c 'apt-get --quiet --yes --no-install-recommends install /srv/debs/*.deb'
	for unit in $UNITS; do
		[ "$(inside systemctl is-enabled "$unit")" = disabled ]
	done
	fails inside systemctl --quiet is-active $UNITS
}
# What an operator can find: not what apt and the system keep for themselves.
files() {
	inside find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /srv \
		-o -path /var/cache -o -path /var/log -o -path /var/lib/apt -o -path /var/lib/dpkg \) -prune -o -print | sort
}

verify_units() {
	[ -z "$(inside sh -c 'systemd-analyze --man=no verify /lib/systemd/system/monitor-* 2>&1')" ]
	for unit in monitor-ingest monitor-purge monitor-wsd monitor-wsd@ monitor-zmq@; do
		inside systemd-analyze --no-pager --offline=true --threshold=20 security "/lib/systemd/system/$unit.service"
	done
}

# What README.Debian has the operator do, but the commands whose names begin so.
readme() { sed -n "s/^    \(\($1\) .*\)/\1/p" debian/README.Debian; }
run_readme() { readme "$1" | inside env -C /root sh -eux; }

# A certificate of an authority of one's own, as fleets have them.
certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout "$work/ca.key" -out "$work/ca.pem"
	openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$work/privkey.pem" -out "$work/csr.pem"
	openssl x509 -req -in "$work/csr.pem" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
		-extfile <(echo subjectAltName=DNS:localhost) -out "$work/fullchain.pem"
	cp "$work"/{ca,fullchain,privkey}.pem "$work/root/root/"
	run_readme install
	fails as_user nobody cat /etc/monitor/key.pem
}
make_token() {
	run_readme monitor-wsd >"$work/root/root/token-cellar0000000001"
	[ "$(inside stat -c '%a %U %G' /etc/monitor/tokens)" = "640 root monitor-wsd" ]
}
check_settings() {
	inside monitor-wsd --check --tokens /etc/monitor/tokens --cert /etc/monitor/cert.pem --key /etc/monitor/key.pem
}
start_services() {
	if [ -n "$BOOTED" ]; then
		run_readme systemctl
		inside systemctl --quiet is-active monitor-ingest monitor-wsd monitor-purge.timer
	else
		by_hand monitor-ingest
		by_hand monitor-wsd
	fi
}

# upload CODE MESSAGE [TIME [KIND]]: a record, as this watchdog, through the daemon.
upload() {
	echo "{\"level\":10,\"time\":${3-$(date +%s)},\"sender\":\"Door\",\"message\":\"$2\"}" |
		inside timeout 30 monitor-ingest --quiet --kind "${4-log}" --url wss://localhost:9000 --ca /root/ca.pem --token-file "/root/token-$1"
}
# found MESSAGE: how often is it in the store?
found() { inside monitor-query --quiet --output cat | grep -cx "$1" || true; }
stored_once() { [ "$(found "$1")" = 1 ]; }
upload_and_find() {
	upload cellar0000000001 "Open for 600 s"
	stored_once "Open for 600 s"
	inside monitor-query --url wss://localhost:9000 --ca /root/ca.pem --token-file /root/token-cellar0000000001 -o cat |
		grep -x "Open for 600 s"
}
# figure NAME [PORT]: what the daemon says of itself.
figure() {
	inside bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "GET /metrics HTTP/1.0\r\n\r\n" >&3 && cat <&3' \
		- "${2-9010}" | sed -n "s/^$1 //p"
}
show_figures() { [ "$(figure monitor_wsd_logs_total)" = 1 ]; }
see_log() { inside journalctl --no-pager --unit=monitor-wsd | grep 'listening on'; }

# ---- who may do what ----

as_user() { inside setpriv "--reuid=$1" "--regid=$1" --init-groups "${@:2}"; }
read_only() {
	[ "$(inside stat -c '%a %U %G' /var/lib/monitor/monitor.db)" = "640 monitor-ingest monitor" ]
	[ "$(inside stat -c '%a %U %G' /var/lib/monitor)" = "2750 monitor-ingest monitor" ]
	[ "$(inside stat -c '%a %U %G' /run/monitor/ingest.sock)" = "660 monitor-ingest monitor-sink" ]
	as_user monitor-wsd monitor-query --count
	for file in monitor.db monitor.db-wal new; do
		fails as_user monitor-wsd sh -c "echo >>/var/lib/monitor/$file"
	done
	fails as_user monitor-wsd rm -f /var/lib/monitor/monitor.db
	fails as_user monitor-wsd sh -c 'echo "{\"level\":0,\"time\":0,\"sender\":\"x\",\"message\":\"x\"}" | monitor-ingest'
	fails as_user monitor-wsd monitor-purge --logs-timewindow 1
	fails as_user monitor-ingest cat /etc/monitor/key.pem
	fails as_user nobody monitor-query --count
	fails as_user nobody cat /etc/monitor/tokens
}

renew() {
	inside monitor-wsd --new-token frontdoor0000002 --tokens /etc/monitor/tokens >"$work/root/root/token-frontdoor0000002"
	certificate
	if [ -n "$BOOTED" ]; then
		inside systemctl reload monitor-wsd
	else
		pkill --ns "$LEADER" --nslist pid -HUP -x monitor-wsd
	fi
	upload frontdoor0000002 "New here"
	stored_once "New here"
}

# ---- nights ----

kill_all() {
	inside systemctl kill --kill-who=main --signal=KILL monitor-ingest monitor-wsd
	upload cellar0000000001 "After a crash"
	stored_once "After a crash"
	inside systemctl --quiet is-active monitor-ingest monitor-wsd
}

# For a while the store cannot be opened; the daemon keeps what it has.
no_store() {
	local upload

	inside systemctl stop monitor-ingest.service
	inside chmod 0 /var/lib/monitor/monitor.db
	upload cellar0000000001 "Wait for it" & upload=$!
	await 20 restarted monitor-ingest 2
	kill -0 "$upload"
	inside chmod 640 /var/lib/monitor/monitor.db
	wait "$upload"
	stored_once "Wait for it"
	[ "$(restarts monitor-ingest)" -lt 20 ]
}
restarts() { inside journalctl --no-pager --unit="$1" | grep -c 'Failed with result' || true; }
restarted() { [ "$(restarts "$1")" -ge "$2" ]; }

after_boot() {
	upload cellar0000000001 "Good morning"
	stored_once "Good morning"
	inside systemctl --quiet is-active monitor-purge.timer
	[ -z "$(inside systemctl list-units --failed --quiet 'monitor*')" ]
}

purge_old() {
	upload cellar0000000001 "Long ago" 1000000000
	stored_once "Long ago"
	if [ -n "$BOOTED" ]; then
		[ "$(inside systemctl show --value --property=Unit monitor-purge.timer)" = monitor-purge.service ]
		inside systemctl start --wait monitor-purge.service
	else
		by_hand monitor-purge
	fi
	[ "$(found "Long ago")" = 0 ]
	stored_once "Open for 600 s"
}

setting() { inside sed -i "s|^$1=.*|$1=$2|" /etc/monitor/monitor.conf; }
purge_often() {
	setting CLEANUP_INTERVAL 1
	inside systemctl start monitor-purge.service
	upload cellar0000000001 "Long ago, too" 1000000000
	await 10 gone "Long ago, too"
	inside systemctl --quiet is-active monitor-purge.service
	setting CLEANUP_INTERVAL ""
	inside systemctl restart monitor-purge.service
	await 10 idle monitor-purge.service
}
gone() { [ "$(found "$1")" = 0 ]; }
idle() { fails inside systemctl --quiet is-active "$1"; }

# ---- growing ----

pull() {
	inside systemctl start monitor-zmq@pull
	echo '{"level":10,"time":1,"sender":"Door","message":"From afar"}' |
		inside timeout 30 monitor-zmq push --quiet tcp://127.0.0.1:9103
	stored_once "From afar"
	inside systemctl stop monitor-zmq@pull
}

# Two on one port, and somebody on each of them for the same watchdog.
several() {
	inside mkdir -p /etc/systemd/system/monitor-wsd@.service.d
	inside cp /usr/share/doc/monitor/examples/fleet.conf /etc/systemd/system/monitor-wsd@.service.d/
	inside systemctl daemon-reload
	inside systemctl disable --now monitor-wsd monitor-wsd.socket
	inside systemctl enable --now monitor-wsd@9011 monitor-wsd@9012
	inside systemctl --quiet is-active monitor-zmq@proxy
	for i in $(seq 20); do upload cellar0000000001 "Number $i" 1 notification; done
	stored_once "Number 20"
	for port in 9011 9012; do await 10 hears_others "$port"; done
}
hears_others() { [ "$(figure monitor_wsd_foreign_lines_total "$1")" -gt 0 ]; }
one_again() {
	inside systemctl disable --now monitor-wsd@9011 monitor-wsd@9012
	inside systemctl stop monitor-zmq@proxy
	inside rm -r /etc/systemd/system/monitor-wsd@.service.d
	inside systemctl daemon-reload
	inside systemctl enable --now monitor-wsd
}

# ---- the end ----

# running PATTERN: is there a process of such a program?
running() { inside sh -c 'readlink /proc/[0-9]*/exe || true' | grep "$1"; }
upgrade() {
	local settings count

	setting LOGS_TIMEWINDOW 31d
	settings=$(inside sh -c "sha256sum /etc/monitor/*")
	count=$(inside monitor-query --count)
	inside sh -c 'apt-get --quiet --yes --no-install-recommends install /srv/debs/next/*.deb'
	[ "$(inside dpkg-query -W -f '${Version}' monitor-wsd)" = "$VERSION.1" ]
	[ "$(inside sh -c "sha256sum /etc/monitor/*")" = "$settings" ]
	[ "$(inside monitor-query --count)" = "$count" ]
	if [ -n "$BOOTED" ]; then
		inside systemctl --quiet is-active monitor-ingest monitor-wsd monitor-purge.timer
		fails running 'monitor.*deleted'
	fi
	upload cellar0000000001 "After the upgrade"
	stored_once "After the upgrade"
}

remove_packages() {
	[ -n "$BOOTED" ] || pkill --ns "$LEADER" --nslist pid -x 'monitor-(wsd|ingest)'
	inside apt-get --quiet --yes remove monitor
	fails running monitor
	inside test -s /var/lib/monitor/monitor.db -a -s /etc/monitor/tokens -a -s /etc/monitor/monitor.conf
}
purge_packages() {
	inside touch /var/lib/monitor/backup.db
	inside apt-get --quiet --yes purge monitor monitor-wsd monitor-zmq
	inside rm /var/lib/monitor/backup.db /etc/monitor/cert.pem /etc/monitor/key.pem
	inside rmdir /var/lib/monitor /etc/monitor
	inside sh -c 'rm /root/*.pem /root/token-*'
	inside apt-get --quiet --yes autoremove
	files | diff "$work/before" -
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
step "apt installs them, and nothing runs before somebody says so" install_packages
step "the units are right, and what they expose is at most 2.0 of 10" verify_units
step "README.Debian's commands: a certificate is put in its place" certificate
step "README.Debian's commands: a token is made" make_token
step "monitor-wsd --check finds nothing wrong" check_settings
step "README.Debian's commands: services start" start_services
step "a watchdog uploads over TLS, and the record is found" upload_and_find
step "figures are shown" show_figures
booted_step "the log is in the journal" see_log
step "the daemon's user can read the store and not write it, and others can do neither" read_only
step "a reload brings new tokens and certificates" renew
booted_step "what is killed is started again" kill_all
booted_step "a store that cannot be opened for a while delays uploads, and loses none" no_store
if [ -n "$BOOTED" ]; then machine_halt; machine_boot "$work/root"; fi
booted_step "after a boot all runs again" after_boot
step "the purge timer's command removes what is old" purge_old
booted_step "with CLEANUP_INTERVAL it stays, and removes it at once" purge_often
booted_step "records of another host come in by monitor-zmq@pull" pull
booted_step "several daemons share one port, and hear of each other's notifications" several
booted_step "and then it is one again" one_again
step "an upgrade keeps records and settings, and services run on" upgrade
step "a removal stops everything, and keeps records and settings" remove_packages
step "a purge leaves nothing behind, but what others put there" purge_packages
echo "$passed passed, 0 failed"
