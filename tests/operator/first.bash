# check-install.sh: the first day, and who may do what.

install_packages() {
	files >"$work/before"
	packages >"$work/packages"
	inside sh -c 'cp /srv/debs/*.deb /root'
	root_types "apt install ./monitor_"
	for unit in $UNITS; do
		[ "$(inside systemctl is-enabled "$unit")" = disabled ]
	done
	fails inside systemctl --quiet is-active $UNITS
	inside apt-get --quiet --no-install-recommends install ca-certificates curl   # which the pages take for granted
}
# What an operator can find: not what apt, the system and a server of PostgreSQL keep for
# themselves, nor what is in people's homes.
files() {
	inside find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /srv \
		-o -path /var/cache -o -path /var/log -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/postgresql \
		-o -path /etc/ssl/certs -o -path /home/anna -o -path /root \) -prune -o -print | sort
}

packages() { inside dpkg-query -W -f '${Package}\n' | sort; }

verify_units() {
	[ -z "$(inside sh -c 'systemd-analyze --man=no verify /lib/systemd/system/monitor-* 2>&1')" ]
	for unit in monitor-ingest monitor-purge monitor-wsd monitor-wsd@; do
		inside systemd-analyze --no-pager --offline=true --threshold=20 security "/lib/systemd/system/$unit.service"
	done
}

take_tour() {
	PROJECT=$PWD
	cp -r share "$work/root/home/anna/share"
	cd "$work"
	set +x   # its words would be among theirs
	tour as anna
}
try_network() { readme_block anna "monitor-wsd --no-auth" | grep -x ok; }

# A certificate of an authority of one's own, which this machine trusts.
authority() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout "$work/ca.key" -out "$work/ca.pem"
	cp "$work/ca.pem" "$work/root/usr/local/share/ca-certificates/authority.crt"
	cp "$work/ca.pem" "$work/root/root"
	inside update-ca-certificates
}
new_certificate() {
	openssl req -newkey rsa:2048 -nodes -subj /CN=logs.example.org -keyout "$work/privkey.pem" -out "$work/csr.pem"
	openssl x509 -req -in "$work/csr.pem" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
		-extfile <(echo subjectAltName=DNS:localhost,DNS:logs.example.org,DNS:auth.example.org) -out "$work/fullchain.pem"
	cp "$work"/{fullchain,privkey}.pem "$work/root/root/"
}
put_certificate() {
	root_types "install -m 644 fullchain.pem"
	root_types "install -m 640 -g monitor-wsd privkey.pem"
	fails as_user nobody cat /etc/monitor/key.pem
}
certificate() {
	authority
	new_certificate
	put_certificate
}
make_token() {
	root_types "monitor-wsd --new-token cellar0000000001" >"$work/root/root/token-cellar0000000001"
	[ "$(inside stat -c '%a %U %G' /etc/monitor/tokens)" = "640 root monitor-wsd" ]
	cp "$work/root/root/token-cellar0000000001" "$work/root/home/anna/token"
}
check_settings() { root_types "monitor-wsd --check"; }
start_services() {
	if [ -n "$BOOTED" ]; then
		root_types "systemctl enable --now monitor-ingest.socket"
		inside systemctl --quiet is-active monitor-ingest monitor-wsd monitor-purge.timer
	else
		by_hand monitor-ingest
		by_hand monitor-wsd
	fi
	anna_types "curl https://logs.example.org:9000/readyz" | grep -x ok
}

say_hello() {
	anna_types 'echo '
	fails as_user anna monitor-query --count
	root_types usermod
	anna_types "monitor-query --lines 10" | grep Hello
}

# upload CODE MESSAGE [TIME [KIND [LEVEL]]]: a record, as this watchdog, through the daemon.
upload() {
	echo "{\"level\":${5-10},\"time\":${3-$(date +%s)},\"sender\":\"Door\",\"message\":\"$2\"}" |
		inside timeout 30 monitor-ingest --quiet --kind "${4-log}" --url wss://localhost:9000 --ca /root/ca.pem --token-file "/root/token-$1"
}
# found MESSAGE: how often is it in the store?
found() { inside monitor-query --quiet --output cat | grep -cx "$1" || true; }
stored_once() { [ "$(found "$1")" = 1 ]; }
gone() { [ "$(found "$1")" = 0 ]; }
# read_back CODE MESSAGE: as this watchdog, through the daemon.
read_back() {
	inside monitor-query --url wss://localhost:9000 --ca /root/ca.pem --token-file "/root/token-$1" -o cat | grep -x "$2"
}
upload_and_find() {
	upload cellar0000000001 "Open for 600 s"
	stored_once "Open for 600 s"
	read_back cellar0000000001 "Open for 600 s"
}
# figure NAME [PORT]: what the daemon says of itself.
figure() { inside curl --silent "http://127.0.0.1:${2-9010}/metrics" | sed -n "s/^$1 //p"; }
show_figures() {
	[ "$(figure monitor_wsd_logs_total)" = 2 ]
	anna_types "curl http://127.0.0.1:9010/metrics" | grep -x 'monitor_wsd_logs_total 2'
}
see_log() { inside journalctl --no-pager --unit=monitor-wsd | grep 'listening on'; }

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
	new_certificate
	put_certificate
	reload
	await 10 serves "$(openssl x509 -in "$work/fullchain.pem" -noout -fingerprint)"
}
serves() { [ "$(inside openssl s_client -connect localhost:9000 </dev/null | openssl x509 -noout -fingerprint)" = "$1" ]; }
reload() {
	if [ -n "$BOOTED" ]; then
		root_types "systemctl reload monitor-wsd"
	else
		pkill --ns "$LEADER" --nslist pid -HUP -x monitor-wsd
	fi
}
more_tokens() {
	root_types "monitor-wsd --new-token frontdoor0000002 --tokens" >"$work/root/root/token-frontdoor0000002"
	root_types "monitor-wsd --new-token frontdoor0000002 --role user" >"$work/root/root/token-user"
	reload
	await 10 upload frontdoor0000002 "New here"
	stored_once "New here"
	read_back user "New here"
	fails upload user "Not allowed"
}
fewer_tokens() {
	inside sed -i '/frontdoor0000002 user/d' /etc/monitor/tokens
	inside systemctl reload monitor-wsd
	fails read_back user "New here"
	read_back frontdoor0000002 "New here"
}
