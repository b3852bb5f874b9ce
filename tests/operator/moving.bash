# check-install.sh: other hosts, from the earlier service, to PostgreSQL.

# Who wants a page's setting for a while: settings as they were come back by settings_back.
settings_keep() { inside cp -a /etc/monitor/monitor.conf /root/monitor.conf; }
settings_back() { inside mv /root/monitor.conf /etc/monitor/monitor.conf; }

take_zmq() {
	root_types "apt install ./monitor-zmq_"
	inside systemd-analyze --no-pager --offline=true --threshold=20 security /lib/systemd/system/monitor-zmq@.service
	[ -z "$(inside sh -c 'systemd-analyze --man=no verify /lib/systemd/system/monitor-zmq* 2>&1')" ]
}
pull() {
	root_types "cd /etc/monitor && monitor-zmq keygen central"
	root_types "chgrp monitor-zmq"
	root_types "monitor-zmq keygen edge"
	inside touch /etc/monitor/peers
	settings_keep
	set_up MONITOR_ZMQ_pull
	root_types "systemctl enable --now monitor-zmq@pull"
	fails push "Not on the list"
	root_types "cat edge.pub"
	root_types "systemctl reload monitor-zmq@pull"
	push "From afar"
	stored_once "From afar"
	gone "Not on the list"
	inside systemctl disable --now monitor-zmq@pull
	inside sh -c 'cd /etc/monitor && rm central.key central.pub peers'
	settings_back
}
push() {
	echo "{\"level\":10,\"time\":1,\"sender\":\"Door\",\"message\":\"$1\"}" |
		inside env -C /root timeout 5 monitor-zmq push --quiet --curve-key edge.key \
			--curve-server-key /etc/monitor/central.pub tcp://127.0.0.1:9103
}

# ---- from the earlier service ----

purge_often() {
	settings_keep
	set_up LOGS_TIMEWINDOW
	set_up CLEANUP_INTERVAL
	inside systemctl start monitor-purge.service
	upload cellar0000000001 "Long ago, too" 1000000000
	await 10 gone "Long ago, too"
	inside systemctl --quiet is-active monitor-purge.service
	settings_back
	inside systemctl restart monitor-purge.service
	await 10 idle monitor-purge.service
}
idle() { fails inside systemctl --quiet is-active "$1"; }

# An auth service with a key, and a token that it has signed.
signed_tokens() {
	cd "$work"
	keypair auth
	mkdir "$work/root/srv/auth"
	printf '{"publickey":"%s"}' "$(awk '{ printf "%s\\n", $0 }' auth.pem)" >"$work/root/srv/auth/requestPublicKey"
	inside sh -c 'cd /srv/auth && echo $$ >/run/auth.pid && exec openssl s_server -quiet -accept 443 -WWW \
		-cert /etc/monitor/cert.pem -key /etc/monitor/key.pem' </dev/null &
	token auth Kitchen000000003 3 "$(date +%s)" null 0 >"$work/root/root/token-kitchen"
	fails upload kitchen "Signed"
	settings_keep
	set_up MONITOR_WSD_AUTH
	inside systemctl restart monitor-wsd
	upload kitchen "Signed"
	stored_once "Signed"
	read_back kitchen "Signed"
	fails upload cellar0000000001 "Not signed"
	settings_back
	inside systemctl restart monitor-wsd
	inside sh -c 'kill $(cat /run/auth.pid)'
}

# Two on one port, and somebody on each of them for the same watchdog.
several() {
	root_types "systemctl enable --now monitor-zmq@proxy"
	root_types "mkdir -p /etc/systemd/system/monitor-wsd@"
	root_types "cp /usr/share/doc/monitor/examples/fleet.conf"
	root_types "systemctl daemon-reload"
	root_types "systemctl disable --now monitor-wsd.socket"
	root_types "systemctl enable --now monitor-wsd@9011"
	inside systemctl --quiet is-active monitor-zmq@proxy
	for i in $(seq 20); do upload cellar0000000001 "Number $i" 1 notification; done
	stored_once "Number 20"
	for port in 9011 9012; do await 10 hears_others "$port"; done
}
hears_others() { [ "$(figure monitor_wsd_foreign_lines_total "$1")" -gt 0 ]; }
one_again() {
	inside systemctl disable --now monitor-wsd@9011 monitor-wsd@9012 monitor-zmq@proxy
	inside rm -r /etc/systemd/system/monitor-wsd@.service.d
	inside systemctl daemon-reload
	inside systemctl enable --now monitor-wsd
}

# sql DATABASE STATEMENT: by the server's superuser.
sql() { inside runuser -u postgres -- psql -d "$1" -c "$2"; }
# A server on an address that the machine's other programs must be let out to.
make_server() {
	inside apt-get --quiet --no-install-recommends install postgresql
	inside sh -c "echo \"listen_addresses = '192.0.2.1'\" >/etc/postgresql/15/main/conf.d/monitor.conf
		echo 'host all all 192.0.2.1/32 scram-sha-256' >>/etc/postgresql/15/main/pg_hba.conf
		systemctl restart postgresql"
	sql postgres "CREATE ROLE anna LOGIN SUPERUSER PASSWORD 'secret'"
	sql postgres "CREATE ROLE earlier LOGIN PASSWORD 'secret'"
	for home in root home/anna; do
		echo '*:*:*:*:secret' >"$work/root/$home/.pgpass"
		chmod 600 "$work/root/$home/.pgpass"
	done
	inside chown anna /home/anna/.pgpass
}
# README.md's, before the manual's: they make the same database.
try_postgresql() {
	sql postgres "CREATE DATABASE monitor TEMPLATE template0 ENCODING UTF8 OWNER anna"
	sql postgres "CREATE ROLE ingester"
	sql postgres "CREATE ROLE wsd"
	readme_block anna "export MONITOR_STORE" >"$work/count"
	as anna 'monitor-query -d home.db --count' | diff - <(grep -x '[0-9]*' "$work/count")
	sql postgres "DROP DATABASE monitor"
	sql postgres "DROP ROLE ingester, wsd"
}
load_earlier() {
	sql postgres "CREATE DATABASE earlier OWNER earlier"
	sql earlier "SET ROLE earlier; CREATE TABLE logs (code text, level int, time double precision, sender text, message text);
		INSERT INTO logs VALUES ('cellar0000000001', 10, $(date +%s).25, 'Pump', 'An \"earlier\" one'),
			('cellar0000000001', 10, 1000000000, 'Pump', 'Much earlier')"
	root_types "psql --tuples-only"
	stored_once 'An "earlier" one'
	stored_once 'Much earlier'
	inside systemctl start --wait monitor-purge.service
	stored_once 'An "earlier" one'
	gone 'Much earlier'
}

# ---- to PostgreSQL ----

make_database() {
	root_types "runuser -u postgres -- createdb"
	root_types "runuser -u postgres -- monitor-ingest --create-schema"
	root_types "monitor-ingest --print-schema=roles"
	for role in writer purger reader; do
		printf 'secret\nsecret\n' | root_types "runuser -u postgres -- createuser --pwprompt --role=monitor_$role"
	done
}
prepare_services() {
	for service in ingest:ingester purge:purger wsd:reader; do
		root_types "install -m 600"
		echo "db.example.org:5432:monitor:${service#*:}:secret" >"$work/root/etc/monitor/monitor-${service%:*}.pgpass"
	done
	settings_keep
	root_types "cd /etc/systemd/system && mkdir"
	root_types "cp /usr/share/doc/monitor/examples/postgresql.conf"
	root_types "cp /usr/share/doc/monitor/examples/postgresql.conf"
}
copy_store() { as root "$(<"$PAGES/copy")"; }
copied() { inside sh -c 'PGPASSFILE=/root/.pgpass monitor-query -d postgresql://reader@db.example.org/monitor --count'; }
move_store() {
	cp "$(page root "export PGPASSFILE")" "$PAGES/copy"
	root_types "export PGPASSFILE"
	upload cellar0000000001 "While it was copied"
	copy_store
	root_types "systemctl stop monitor-wsd.socket"
	copy_store || [ $? = 1 ]   # there may be nothing left
	rm "$PAGES/copy"
	copied | diff - <(inside monitor-query --count)
	set_up MONITOR_STORE
	set_up MONITOR_READ_STORE
	set_up MONITOR_PURGE_OPTIONS
}
# Without the drop-in the server is out of reach.
start_there() {
	inside systemctl restart monitor-ingest
	await 20 logged monitor-ingest "could not create socket"
	inside sed -i 's/localhost/192.0.2.1/' /etc/systemd/system/monitor-ingest.service.d/postgresql.conf \
		/etc/systemd/system/monitor-purge.service.d/postgresql.conf
	root_types "systemctl daemon-reload"
	root_types "systemctl restart monitor-ingest"
	root_types "systemctl start monitor-wsd.socket"
	upload cellar0000000001 "In PostgreSQL"
	read_back cellar0000000001 "In PostgreSQL"
	gone "In PostgreSQL"   # in the old one
}
logged() { inside journalctl --no-pager --unit="$1" | grep "$2"; }
purge_there() {
	upload cellar0000000001 "Long ago in PostgreSQL" 1000000000
	read_back cellar0000000001 "Long ago in PostgreSQL"
	inside systemctl start --wait monitor-purge.service
	read_back cellar0000000001 "In PostgreSQL"
	fails read_back cellar0000000001 "Long ago in PostgreSQL"
}
back_up_there() {
	root_types "runuser -u postgres -- pg_dump"
	root_types "runuser -u postgres -- createdb"
	root_types "runuser -u postgres -- pg_restore"
	inside runuser -u postgres -- monitor-query -d postgresql:///restored --count | diff - <(copied)
}
back_here() {
	inside systemctl stop monitor-wsd.socket monitor-wsd
	inside rm -r /etc/systemd/system/monitor-ingest.service.d /etc/systemd/system/monitor-purge.service.d
	inside systemctl daemon-reload
	inside sh -c 'rm /etc/monitor/*.pgpass'
	settings_back
	inside systemctl restart monitor-ingest
	inside systemctl start monitor-wsd.socket monitor-wsd
	upload cellar0000000001 "Back in SQLite"
	stored_once "Back in SQLite"
}
