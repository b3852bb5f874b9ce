# check-install.sh: nights, with and without systemd's timer.

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
	gone "Long ago"
	stored_once "Open for 600 s"
}

# The example crontab, but every minute: cron itself runs what it says, as whom it says.
with_cron() {
	upload cellar0000000001 "Cron: old" 1000000000
	upload cellar0000000001 "Cron: debug" "$(($(date +%s) - 259200))" log 40
	upload cellar0000000001 "Cron: info" "$(($(date +%s) - 259200))" log 30
	sed -E 's/^[0-9]+ [0-9*]+ /* * /' "$work/root/usr/share/doc/monitor/examples/crontab" >"$work/root/etc/cron.d/monitor"
	[ "$(grep -c '^\* \* \* \* \* monitor-ingest ' "$work/root/etc/cron.d/monitor")" = 2 ]
	[ -n "$BOOTED" ] || inside cron
	await 70 gone "Cron: old"
	await 70 gone "Cron: debug"
	stored_once "Cron: info"
	inside rm /etc/cron.d/monitor
}
