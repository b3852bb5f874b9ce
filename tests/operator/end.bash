# check-install.sh: back-up, salvage, upgrade, removal; and once more from the source.

back_up() {
	root_types "monitor-query --backup"
	root_types "monitor-query -d /var/backups/monitor.db --verify"
	root_types "cp -a /etc/monitor"
}
restore() {
	local count

	count=$(inside monitor-query -d /var/backups/monitor.db --count)
	upload cellar0000000001 "After the back-up"
	root_types "systemctl stop monitor-ingest.socket"
	root_types "cd /var/lib/monitor && mkdir old"
	root_types "install -o monitor-ingest"
	root_types "systemctl start monitor-ingest.socket"
	[ "$(inside monitor-query --count)" = "$count" ]
	upload cellar0000000001 "After the restore"
	stored_once "After the restore"
}
salvage() {
	local count

	count=$(inside monitor-query --count)
	root_types "systemctl stop monitor-ingest.socket"
	inside dd if=/dev/urandom of=/var/lib/monitor/monitor.db conv=notrunc bs=4096 seek=1 count=1
	root_types "cd /var/lib/monitor && install -d"
	root_types "cd /var/lib/monitor && runuser"
	root_types "systemctl start monitor-ingest.socket"
	inside monitor-query --verify
	[ "$(inside monitor-query --count)" -gt 0 ] && [ "$(inside monitor-query --count)" -le "$count" ]
	upload cellar0000000001 "After the salvage"
	stored_once "After the salvage"
	inside rm -r /var/lib/monitor/old /var/lib/monitor/damaged
}
look_about() {
	root_types "systemctl status monitor-wsd"
	root_types "journalctl -u monitor-wsd"
	root_types "systemctl status monitor-ingest"
	anna_types "monitor-query -w 10m" | grep cellar0000000001
	root_types "runuser -u monitor-ingest -- monitor-purge"
	root_types "journalctl -u monitor-purge"
}

# running PATTERN: is there a process of such a program?
running() { inside sh -c 'readlink /proc/[0-9]*/exe || true' | grep "$1"; }
upgrade() {
	local settings count

	setting LOGS_TIMEWINDOW 31d
	settings=$(inside sh -c "sha256sum /etc/monitor/*")
	count=$(inside monitor-query --count)
	inside sh -c 'rm /root/*.deb && cp /srv/next/*.deb /root'
	if [ -n "$BOOTED" ]; then
		root_types "apt install ./monitor_"
	else
		inside sh -c 'apt-get --quiet install /srv/next/*.deb'
	fi
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
	inside apt-get --quiet remove monitor
	fails running monitor
	inside test -s /var/lib/monitor/monitor.db -a -s /etc/monitor/tokens -a -s /etc/monitor/monitor.conf
}
purge_packages() {
	inside touch /var/lib/monitor/backup.db
	inside apt-get --quiet purge monitor monitor-wsd monitor-zmq
	inside rm /var/lib/monitor/backup.db /etc/monitor/cert.pem /etc/monitor/key.pem
	inside rmdir /var/lib/monitor /etc/monitor
	inside sh -c 'rm -r /var/backups/monitor* /usr/local/share/ca-certificates/authority.crt'
	# shellcheck disable=SC2046 # what came with them, or for PostgreSQL
	inside apt-get --quiet purge $(packages | comm -13 "$work/packages" -)
	inside rm -rf /etc/postgresql
	files | diff "$work/before" -
}

# ---- from the source ----

build_there() {
	inside apt-get --quiet --no-install-recommends install git make
	git clone --quiet . "$work/root/home/anna/monitor"
	inside chown -R anna: /home/anna/monitor
	readme there "make demo"
	readme there "make deb"
	inside dpkg-query -W monitor-wsd
	inside apt-get --quiet purge monitor monitor-wsd
	readme_block there "scripts/deps.sh build"
	inside sh -c '/usr/local/bin/monitor-query --version && systemd-analyze --man=no verify monitor-wsd.service'
	[ "$(inside systemctl is-enabled monitor-wsd)" = disabled ]
	as there 'sudo make uninstall'
	[ -z "$(inside find /usr/local -type f -name '*monitor*')" ]
}
