load helper
load tokens
load wsd

# The figures that alerts are made of: what they say of a daemon when something is wrong.

# figure NAME: as the daemon shows it; nothing if it does not.
figure() {
	curl -sSf "http://$(sed -n 's/.*metrics on //p' wsd.err)/metrics" |
		awk -v name="monitor_wsd_$1" '$1 == name { print $2 }'
}

figure_is() { [ "$(figure "$1")" = "$2" ]; }

# certificate DAYS NAME: NAME.pem and NAME.key; when it expires, in $expires.
certificate() {
	openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days "$1" -subj "/CN=$2" \
		-keyout "$2.key" -out "$2.pem" 2>openssl.err || { cat openssl.err >&2; return 1; }
	expires=$(date +%s -d "$(openssl x509 -in "$2.pem" -noout -enddate | sed 's/notAfter=//')")
}

# denied TOKEN: a client that shows this token is sent away.
denied() {
	ws "ws://127.0.0.1:$port/ws" <<<'{"action":"auth","token":'"$1"'}' >answer
	grep -q '"success":false' answer
}

@test "tokens that are not taken are counted by why" {
	keypair a
	keypair b
	wsd --metrics 127.0.0.1:0 --auth-key a.pem
	for reason in expired token signature error; do
		figure_is "auth_failed_total{reason=\"$reason\"}" 0
	done
	denied "$(token a 0000000000000001 17 1000000000 null 0)"
	denied '"nonsense"'
	denied null
	denied "$(token b 0000000000000001 17 "$(date +%s)" null 0)"
	figure_is 'auth_failed_total{reason="expired"}' 1
	figure_is 'auth_failed_total{reason="token"}' 2
	figure_is 'auth_failed_total{reason="signature"}' 1
	figure_is 'requests_failed_total{reason="auth"}' 4
}

@test "it is known when the certificate expires, and when its chain does before, and when it is renewed" {
	certificate 30 long
	renewed=$expires
	certificate 2 short
	cat short.pem >cert
	cp short.key key
	wsd --no-auth --metrics 127.0.0.1:0 --cert cert --key key
	figure_is certificate_expires_timestamp_seconds "$expires.000000"
	cat long.pem >cert
	cp long.key key
	kill -HUP "$wsd"
	until_true figure_is certificate_expires_timestamp_seconds "$renewed.000000"
	cat long.pem short.pem >cert
	kill -HUP "$wsd"
	until_true figure_is certificate_expires_timestamp_seconds "$expires.000000"
}

@test "without TLS no certificate is told of" {
	wsd --no-auth --metrics 127.0.0.1:0
	[ -z "$(figure certificate_expires_timestamp_seconds)" ]
}

@test "how many connections there may be is told" {
	wsd --no-auth --metrics 127.0.0.1:0 --max-connections 12
	figure_is connections_max 12
}

@test "a store that cannot be read is told, and that it can again" {
	"$PROJECT/scripts/sample.sh" | monitor-ingest -q -d m.db
	wsd --no-auth --metrics 127.0.0.1:0 -d m.db
	figure_is store_up 1
	ask() { ws -t cellar0000000001 "ws://127.0.0.1:$port/ws" <<<'{"action":"getLogs","since":0,"limit":1}' >answer; }
	mkdir away
	mv m.db* away/
	echo 'This is no store, but long enough to be looked at for more than one reason.' >m.db
	ask
	figure_is store_up 0
	rm m.db
	mv away/* .
	until_true figure_is store_up 1
}

@test "that there is no key yet is told, and that there is one" {
	keypair a
	respond '503 Service Unavailable' </dev/null
	serve
	wsd --metrics 127.0.0.1:0 --auth-url "$url" --insecure
	figure_is auth_up 0
	give_key a
	until_true figure_is auth_up 1
}
