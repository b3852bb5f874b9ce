#!/usr/bin/env bats
# monitor-wsd around its protocol: options, sockets, HTTP, TLS, limits, the service manager.

load helper

# wsd [OPTION]...: a daemon whose records nobody wants, as $pid; its log in err. It
# listens on $port, and shows its figures on $metrics.
wsd() {
	: >err
	start monitor-wsd --listen 127.0.0.1:0 --metrics 127.0.0.1:0 "$@" >out 2>err </dev/null
	until_true grep -q 'metrics on' err
	daemon=$pid
	port=$(sed -n 's/^monitor-wsd: listening on 127.0.0.1://p' err | head -n 1)
	metrics=$(sed -n 's/^monitor-wsd: metrics on //p' err)
}

# get PATH [OPTION]...: what is there, and the status in the last line.
get() {
	curl -sS -w '%{http_code}\n' "${@:2}" "http://127.0.0.1:$port$1"
}

# figure NAME VALUE: is that the figure now?
figure() {
	local value
	value=$(curl -sS "http://$metrics/metrics" | awk -v name="monitor_wsd_$1" '$1 == name { print $2 }')
	[ "$value" = "$2" ] || { echo "$1 is $value, not $2" >&2; return 1; }
}

# dial: a connection to the daemon, as descriptor $to.
dial() {
	exec {to}<>"/dev/tcp/127.0.0.1/$port"
}

# upgrade PATH [HEADER]...: ask for WebSocket on $to; the answer's status is in $status, its
# headers in $headers.
upgrade() {
	local line
	printf '%s\r\n' "GET $1 HTTP/1.1" "Host: localhost" "Upgrade: websocket" "Connection: Upgrade" \
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" "Sec-WebSocket-Version: 13" "${@:2}" "" >&"$to"
	read -rt 20 -u "$to" line
	status=${line#* }
	status=${status%% *}
	headers=
	while read -rt 20 -u "$to" line && [ "$line" != $'\r' ]; do headers+=$line; done
}

# ended: has the daemon closed $to? Waits for that.
ended() {
	local status=0
	while [ "$status" = 0 ]; do
		read -rt 20 -u "$to" || status=$?
	done
	[ "$status" = 1 ]
}

# certificate NAME [KIND]: NAME.pem and NAME.key, for localhost.
certificate() {
	local kind=(ec -pkeyopt ec_paramgen_curve:P-256)
	[ -z "${2-}" ] || kind=("$2")
	openssl req -x509 -nodes -newkey "${kind[@]}" -days 2 -subj "/CN=$1" \
		-addext subjectAltName=DNS:localhost -keyout "$1.key" -out "$1.pem" 2>openssl.err ||
		{ cat openssl.err >&2; return 1; }
}

# secure PATH CERTIFICATE [OPTION]...: get it over TLS, from whom this vouches for.
secure() {
	curl -sS --cacert "$2" "${@:3}" "https://localhost:$port$1"
}

gone() {
	[ ! -e "$1" ]
}

# ---- settings ----

@test "where nothing says who may connect it does not start" {
	run -2 monitor-wsd --listen 127.0.0.1:0
	[[ $output == *"--auth-url, --auth-key, --tokens or --no-auth"* ]]
}

@test "--no-auth is for this machine: elsewhere it needs --insecure" {
	for where in 0.0.0.0:0 '[::]:0' ':0' '*:0' 192.0.2.1:80 '[2001:db8::1]:80'; do
		run -2 monitor-wsd --no-auth --check --listen "$where"
		[[ $output == *"--listen $where: "*"--insecure"* ]]
		monitor-wsd --no-auth --check --insecure --listen "$where"
	done
	for where in 127.0.0.1:0 127.1.2.3:0 '[::1]:0' unix:s; do
		monitor-wsd --no-auth --check --listen "$where"
	done
}

@test "a passed socket that others reach needs --insecure, too" {
	cat >pass <<-'END'
		import os, socket, sys
		passed = socket.create_server(("0.0.0.0", 0))
		os.dup2(passed.fileno(), 3)
		os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
		os.execvp(sys.argv[1], sys.argv[1:])
	END
	run -2 python3 pass monitor-wsd --no-auth --listen systemd:
	[[ $output == *"--insecure"* ]]
}

@test "--check says nothing where all is well, and starts nothing" {
	certificate a
	monitor-wsd --new-token w1 --tokens tokens
	run -0 monitor-wsd --check --tokens tokens --cert a.pem --key a.key --client-ca a.pem -d none.db \
		--listen unix:s --listen '[::1]:9000' --metrics :9001 --trusted-proxy 10.0.0.0/8 -- touch started
	[ -z "$output" ]
	gone s
	gone started
}

@test "files that are missing, or not what they should be, are told" {
	certificate a
	certificate b
	echo nonsense >tokens
	run -1 monitor-wsd --check --tokens tokens
	[[ $output == "monitor-wsd: tokens:"*1* ]]
	run -1 monitor-wsd --check --auth-key missing.pem
	[[ $output == "monitor-wsd: missing.pem: "*"No such file or directory" ]]
	run -1 monitor-wsd --check --no-auth --cert missing.pem --key a.key
	[ "$output" = "monitor-wsd: missing.pem: No such file or directory" ]
	run -1 monitor-wsd --check --no-auth --cert a.key --key a.key
	[[ $output == "monitor-wsd: a.key: no certificates in PEM form"* ]]
	run -1 monitor-wsd --check --no-auth --cert a.pem --key b.key
	[[ $output == "monitor-wsd: b.key: not the key of the certificate"* ]]
	openssl ec -in a.key -out locked.key -aes256 -passout pass:secret 2>openssl.err
	run -1 monitor-wsd --check --no-auth --cert a.pem --key locked.key
	[[ $output == "monitor-wsd: locked.key: no private key in PEM form, without a password"* ]]
}

@test "options that make no sense, alone or together, are status 2" {
	while read -r options; do
		# shellcheck disable=SC2086 # several words
		run -2 monitor-wsd --check $options
		[[ $output == *"monitor-wsd --help"* ]] || { echo "$options" >&2; return 1; }
	done <<-'END'
		--no-auth --listen localhost:80
		--no-auth --listen 127.0.0.1
		--no-auth --listen 127.0.0.1:
		--no-auth --listen 127.0.0.1:65536
		--no-auth --listen 127.0.0.1:+1
		--no-auth --listen ::1:80
		--no-auth --listen unix:
		--no-auth --metrics nowhere
		--no-auth --sink /run/sink
		--no-auth --sink unix:/run/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345
		--no-auth --sink unix:s -- cat
		--no-auth cat
		--no-auth --cert a.pem
		--no-auth --key a.key
		--no-auth --client-ca a.pem
		--no-auth --auth-ca a.pem
		--no-auth --role admin
		--no-auth --trusted-proxy 10.0.0.0/33
		--no-auth --trusted-proxy example.com
		--no-auth --max-connections 0
		--no-auth --max-records some
		--no-auth --max-message 0
		--no-auth --max-message 257M
		--no-auth --timeout 0
		--no-auth --rate -1
	END
	run -2 monitor-wsd --check --no-auth --tokens tokens
	run -2 monitor-wsd --check --auth-url http://example.com
}

@test "a sink that cannot be started at all is status 1" {
	run -1 monitor-wsd --no-auth --listen 127.0.0.1:0 -- ./missing
	[[ $output == *"./missing: No such file or directory"* ]]
}

@test "what stands behind -- is the sink's, options and all" {
	wsd --no-auth -- sh -c 'echo "$@" >arguments; cat' sink --max-connections 5 -d x
	until_true grep -qx -- '--max-connections 5 -d x' arguments
}

@test "--quiet: only warnings" {
	: >err
	start monitor-wsd -q --no-auth --listen unix:s 2>err
	until_true curl -sf -o answer --unix-socket s http://localhost/healthz
	kill "$pid"
	wait "$pid"
	[ ! -s err ]
}

# ---- tokens ----

@test "--new-token adds a line to the file of tokens, and prints the token" {
	run -0 --separate-stderr monitor-wsd --new-token w1 --tokens tokens
	[[ $output =~ ^[a-z2-7]{52}$ ]]
	[ -z "$stderr" ]
	[ "$(stat -c %a tokens)" = 640 ]
	[ "$(cat tokens)" = "$(printf %s "$output" | sha256sum | cut -d ' ' -f 1) w1 watchdog" ]
	printf '# the end of a line is missing' >>tokens
	monitor-wsd --new-token w2 --role user --tokens tokens >token
	[ "$(tail -n 1 tokens)" = "$(tr -d '\n' <token | sha256sum | cut -d ' ' -f 1) w2 user" ]
	[ "$(wc -l <tokens)" = 3 ]
	monitor-wsd --check --tokens tokens
}

@test "--new-token without a file shows its line on standard error" {
	run -0 --separate-stderr monitor-wsd --new-token w1
	[ "$stderr" = "$(printf %s "$output" | sha256sum | cut -d ' ' -f 1) w1 watchdog" ]
	run -2 monitor-wsd --new-token 'no code'
}

@test "a token's line is there whole, or not at all" {
	[ -c /dev/full ] || skip "no /dev/full"
	run -1 monitor-wsd --new-token w1 --tokens /dev/full
	[[ $output == *"No space left on device" ]]
	run -1 monitor-wsd --new-token w1 --tokens missing/tokens
}

# ---- sockets ----

@test "it listens on several sockets, and says which ports it got" {
	wsd --no-auth --listen 127.0.0.2:0 --listen unix:s
	[ "$(get /healthz)" = $'ok\n200' ]
	second=$(sed -n 's/^monitor-wsd: listening on 127.0.0.2://p' err)
	[ "$(curl -sS "http://127.0.0.2:$second/healthz")" = ok ]
	[ "$(curl -sS --unix-socket s http://localhost/healthz)" = ok ]
	[ "$(stat -c %a s)" = 660 ]
}

@test "it listens on IPv6, and on both kinds at once" {
	[ -e /proc/net/if_inet6 ] && grep -q '^0*1 ' /proc/net/if_inet6 || skip "no IPv6"
	wsd --no-auth --insecure --listen '[::1]:0' --listen '*:0'
	one=$(sed -n 's/^monitor-wsd: listening on \[::1\]://p' err)
	[ "$(curl -sS "http://[::1]:$one/healthz")" = ok ]
	all=$(sed -n 's/^monitor-wsd: listening on \[::\]://p' err)
	[ "$(curl -sS "http://[::1]:$all/healthz")" = ok ]
	[ "$(curl -sS "http://127.0.0.1:$all/healthz")" = ok ]
}

@test "a port that is taken is an error; with --reuse-port it is shared" {
	wsd --no-auth
	run -1 monitor-wsd --no-auth --listen "127.0.0.1:$port"
	[[ $output == *"127.0.0.1:$port: Address already in use" ]]
	wsd --no-auth --reuse-port
	start monitor-wsd --no-auth --reuse-port --listen "127.0.0.1:$port" 2>err2
	until_true grep -q 'listening on' err2
}

@test "it takes over the sockets that a service manager passes" {
	start sock activate s monitor-wsd --no-auth --listen systemd: 2>err
	until_true grep -q 'listening on systemd:' err
	[ "$(curl -sS --unix-socket s http://localhost/healthz)" = ok ]
	kill "$pid"
	wait "$pid"
	[ -S s ]
	cat >pass <<-'END'
		import os, socket, sys
		passed = [socket.create_server(("127.0.0.1", 0)) for i in range(2)]
		for i in range(2):
		    os.dup2(passed[i].fileno(), 10 + i)
		for i in range(2):
		    os.dup2(10 + i, 3 + i)
		os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()))
		os.closerange(5, 20)
		os.execvp(sys.argv[1], sys.argv[1:])
	END
	start python3 pass monitor-wsd --no-auth --listen systemd: 2>err
	until_true grep -q 'listening on' err
	for where in $(sed -n 's/^monitor-wsd: listening on //p' err); do
		[ "$(curl -sS "http://$where/healthz")" = ok ]
	done
	[ "$(grep -c 'listening on' err)" = 2 ]
}

# ---- HTTP ----

@test "healthz, readyz and nothing else" {
	wsd --no-auth
	[ "$(get /healthz)" = $'ok\n200' ]
	[ "$(get /readyz)" = $'ok\n200' ]
	for path in / /ws /healthz/ /metrics /favicon.ico "/$(printf '%0500d' 0)"; do
		[ "$(get "$path" -o body)" = 404 ]
	done
	[ "$(get /healthz -o body -X POST -d x)" = 404 ]
	[[ $(get /healthz --head) == *'HTTP/1.1 200 '*'content-length: 3'*$'\r\n200' ]]
	[ "$(get /other --head -o head)" = 404 ]
	[ "$(get /healthz -o body -H 'Host: metrics')" = 200 ]
	[ "$(get '/healthz?since=1')" = $'ok\n200' ]
	[ "$(curl -sS -o body -w '%{http_code}' "http://$metrics/healthz")" = 404 ]
}

@test "an answer ends its connection" {
	wsd --no-auth
	dial
	printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$to"
	ended
	until_true figure connections 0
}

@test "readyz: not while the sink is down, nor without a key; and no path is told" {
	wsd --auth-url https://127.0.0.1:1 --sink unix:nobody
	[ "$(get /readyz)" = $'sink: down\nauth: no key yet\n503' ]
	[ "$(get /healthz)" = $'ok\n200' ]
	grep -q '^monitor-wsd: nobody: ' err
	start monitor-ingest --ack --listen unix:nobody -d m.db 2>ingest.err
	up() { [ "$(get /readyz)" = $'auth: no key yet\n503' ]; }
	until_true up
}

@test "metrics: every figure has its type, and counts" {
	wsd --no-auth
	get /healthz
	dial
	upgrade /ws
	[ "$status" = 101 ]
	curl -sS -D head "http://$metrics/metrics" >figures
	grep -qi '^content-type: text/plain; version=0.0.4' head
	awk '
		$1 == "#" && $2 == "TYPE" { type[$3] = $4; next }
		$1 == "#" { next }
		{
			name = $1
			sub(/\{.*/, "", name)
			base = name
			if (!(base in type)) sub(/_(bucket|sum|count)$/, "", base)
			if (!(base in type) || $2 !~ /^[0-9.]+$/ || NF != 2) { print "wrong: " $0; bad = 1 }
			if (seen[$1]++) { print "twice: " $0; bad = 1 }
		}
		END { exit bad || NR < 50 }' figures
	grep -qx 'monitor_wsd_http_requests_total 1' figures
	figure connections_total 2
	figure connections 1
	figure sessions 1
	exec {to}<&-
	until_true figure sessions 0
}

# ---- WebSocket handshakes ----

@test "only /ws upgrades, whatever query stands behind it" {
	wsd --no-auth
	dial
	upgrade /ws
	[ "$status" = 101 ]
	[[ $headers == *"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="* ]]
	dial
	upgrade '/ws?version=2'
	[ "$status" = 101 ]
	for path in / /wss /ws/ /healthz /metrics; do
		dial
		upgrade "$path"
		[ "$status" = 404 ]
		ended
	done
}

@test "without authentication no web page may connect, with it any may" {
	wsd --no-auth
	for origin in https://example.com null http://localhost; do
		dial
		upgrade /ws "Origin: $origin"
		[ "$status" = 403 ]
	done
	figure 'connections_refused_total{reason="origin"}' 3
	monitor-wsd --new-token w1 --tokens tokens
	wsd --tokens tokens
	dial
	upgrade /ws "Origin: https://example.com"
	[ "$status" = 101 ]
}

@test "a client that asks for a subprotocol or an extension is served without" {
	wsd --no-auth
	for asked in chat 'chat, superchat' graphql-ws; do
		dial
		upgrade /ws "Sec-WebSocket-Protocol: $asked" "Sec-WebSocket-Extensions: permessage-deflate"
		[ "$status" = 101 ]
		[[ $headers != *Sec-WebSocket-Protocol* ]]
		[[ $headers != *Sec-WebSocket-Extensions* ]]
	done
}

@test "a handshake may bring 8 KiB of headers, such as the cookies of a web page's host" {
	wsd --tokens /dev/null
	dial
	upgrade /ws "Cookie: $(printf '%07500d' 0)"
	[ "$status" = 101 ]
	run ! get /healthz -H "Cookie: $(printf '%09000d' 0)"
	[ "$(get /healthz)" = $'ok\n200' ]
}

@test "a handshake that takes too long is ended, however busy it looks" {
	wsd --no-auth --auth-timeout 1s
	dial
	ended
	dial
	begun=$SECONDS
	while printf 'X: y\r\n' >&"$to"; do
		status=0
		read -rt 0.1 -u "$to" line || status=$?
		[ "$status" -gt 128 ] || break
		[ $((SECONDS - begun)) -lt 15 ]
	done 2>printf.err
	until_true figure connections 0
	figure connections_unfinished_total 2
}

@test "what is no HTTP is ended at once" {
	wsd --no-auth
	for text in 'nonsense\r\n\r\n' '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' \
		'CONNECT example.com:80 HTTP/1.1\r\nHost: example.com\r\n\r\n' \
		'GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n' "GET /$(printf '%08000d' 0) HTTP/1.1\\r\\n\\r\\n"; do
		dial
		# shellcheck disable=SC2059 # it is a format
		env printf "$text" >&"$to" || true   # or it is a signal to us
		ended
	done
	until_true figure connections 0
	[ "$(get /healthz)" = $'ok\n200' ]
}

# ---- TLS ----

@test "TLS 1.2 and 1.3, on all but unix sockets" {
	certificate a
	wsd --no-auth --cert a.pem --key a.key --listen unix:s
	[ "$(secure /healthz a.pem --tlsv1.3)" = ok ]
	[ "$(secure /healthz a.pem --tls-max 1.2)" = ok ]
	run ! secure /healthz a.pem --tls-max 1.1
	[ "$(curl -sS --unix-socket s http://localhost/healthz)" = ok ]
}

@test "plain HTTP on a TLS port, and TLS on a plain one, come to nothing" {
	certificate a
	wsd --no-auth --cert a.pem --key a.key
	run ! get /healthz
	[ "$(secure /healthz a.pem)" = ok ]
	wsd --no-auth
	run ! secure /healthz a.pem
	[ "$(get /healthz)" = $'ok\n200' ]
}

@test "SIGHUP: a new certificate for new connections, whatever its kind; those that are there live on" {
	certificate a
	certificate b rsa:2048
	cp a.pem cert
	cp a.key key
	wsd --no-auth --cert cert --key key
	coproc CLIENT { exec openssl s_client -quiet -CAfile a.pem -connect "127.0.0.1:$port" 2>client.err 3>&-; }
	STARTED+=("$CLIENT_PID")
	to=${CLIENT[1]}
	printf '%s\r\n' "GET /ws HTTP/1.1" "Host: localhost" "Upgrade: websocket" "Connection: Upgrade" \
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" "Sec-WebSocket-Version: 13" "" >&"$to"
	read -rt 20 -u "${CLIENT[0]}" line
	[[ $line == "HTTP/1.1 101 "* ]]
	cp b.pem cert
	cp b.key key
	kill -HUP "$daemon"
	until_true grep -q reloaded err
	for version in 1.2 1.3; do
		[ "$(secure /healthz b.pem --tls-max $version)" = ok ]
		run ! secure /healthz a.pem --tls-max $version
	done
	figure sessions 1
}

@test "SIGHUP: a certificate that is no good leaves the one that there is" {
	certificate a
	certificate b
	cp a.pem cert
	wsd --no-auth --cert cert --key a.key
	for wrong in b.pem a.key /dev/null; do
		cat $wrong >cert
		kill -HUP "$daemon"
		until_true grep -q reloaded err
		grep -q 'the certificate stays as it was' err
		[ "$(secure /healthz a.pem)" = ok ]
		: >err
	done
}

@test "--client-ca: only who has a certificate of theirs" {
	certificate a
	openssl req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=ca -keyout ca.key -out ca.pem 2>openssl.err
	openssl req -nodes -newkey rsa:2048 -subj /CN=client -keyout client.key -out client.csr 2>openssl.err
	openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out client.pem 2>openssl.err
	wsd --no-auth --cert a.pem --key a.key --client-ca ca.pem
	for version in 1.2 1.3; do
		[ "$(secure /healthz a.pem --tls-max $version --cert client.pem --key client.key)" = ok ]
		run ! secure /healthz a.pem --tls-max $version
		run ! secure /healthz a.pem --tls-max $version --cert a.pem --key a.key
	done
}

# ---- limits ----

@test "connections over the limit are closed at once, and counted" {
	wsd --no-auth --max-connections 2
	dial
	first=$to
	dial
	until_true figure connections 2
	dial
	ended
	figure 'connections_refused_total{reason="full"}' 1
	exec {first}<&-
	until_true figure connections 1
	[ "$(get /healthz)" = $'ok\n200' ]
}

@test "connections of one address have a limit, those of another and of unix sockets their own" {
	wsd --no-auth --max-connections-per-address 2 --listen unix:s
	dial
	dial
	until_true figure connections 2
	dial
	ended
	figure 'connections_refused_total{reason="address"}' 1
	grep -q '^monitor-wsd: 127.0.0.1:[0-9]*: there are too many connections' err
	[ "$(get /healthz --interface 127.0.0.2)" = $'ok\n200' ]
	[ "$(curl -sS --unix-socket s http://localhost/healthz)" = ok ]
}

@test "behind a trusted proxy the address is that of the header's last stranger" {
	wsd --no-auth --max-connections-per-address 1 --trusted-proxy 127.0.0.1 --trusted-proxy 10.0.0.0/8
	from() {   # STATUS HEADER
		dial
		upgrade /ws "$2"
		[ "$status" = "$1" ] || { echo "$2: $status" >&2; return 1; }
	}
	from 101 "X-Forwarded-For: 203.0.113.7"
	from 429 "X-Forwarded-For: 203.0.113.7"
	from 429 "X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.1.2.3"
	from 429 $'X-Forwarded-For: 198.51.100.2\r\nX-Forwarded-For: 203.0.113.7'
	from 101 "X-Forwarded-For: 198.51.100.1"
	from 429 "Forwarded: for=203.0.113.7;proto=https"
	from 429 'Forwarded: for=192.0.2.1, proto=https;for="203.0.113.7:4711", for=10.0.0.1'
	from 101 'Forwarded: for="[2001:db8::1]:4711"'
	from 429 "X-Forwarded-For: 2001:db8::ffff"
	from 101 "X-Forwarded-For: 2001:db8:0:1::1"
	# Who is not named is the proxy.
	from 101 "X-Forwarded-For: unknown"
	from 101 "Accept: */*"
	from 101 "Accept: */*"
	figure 'connections_refused_total{reason="address"}' 6
}

@test "nobody else is believed about an address" {
	wsd --no-auth --max-connections-per-address 2 --trusted-proxy 10.0.0.0/8 --listen unix:s
	dial
	upgrade /ws "X-Forwarded-For: 203.0.113.7"
	dial
	upgrade /ws "X-Forwarded-For: 203.0.113.8"
	dial
	ended
}

@test "--trusted-proxy unix: the proxy is at the other end of a unix socket" {
	wsd --no-auth --max-connections-per-address 1 --trusted-proxy unix --listen unix:s
	printf '%s\r\n' "GET /ws HTTP/1.1" "Host: localhost" "Upgrade: websocket" "Connection: Upgrade" \
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" "X-Forwarded-For: 203.0.113.7" "" >request
	coproc FIRST { exec sock dial s 3>&-; }
	STARTED+=("$FIRST_PID")
	cat request >&"${FIRST[1]}"
	read -rt 20 -u "${FIRST[0]}" line
	[[ $line == "HTTP/1.1 101 "* ]]
	[[ $(sock dial s <request | head -n 1) == "HTTP/1.1 429 "* ]]
}

@test "out of descriptors, it serves those who are there, and the others later" {
	wsd --no-auth
	prlimit --pid "$daemon" --nofile=24:
	held=()
	for ((i = 0; i < 30; i++)); do
		dial
		held+=("$to")
	done
	until_true grep -q 'cannot take in a connection: Too many open files' err
	to=${held[0]}
	upgrade /ws
	[ "$status" = 101 ]
	for to in "${held[@]:1}"; do exec {to}<&-; done
	[ "$(get /healthz)" = $'ok\n200' ]
}

@test "a limit of open files that is too low for all connections is told" {
	: >err
	start bash -c 'ulimit -n 1000 && exec monitor-wsd --no-auth --listen unix:s' 2>err
	until_true grep -q 'listening on' err
	grep -q 'limit of open files, 1000, leaves room for 744' err
}

# ---- standard streams ----

@test "without a sink it ends when nobody reads its records any more" {
	mkfifo pipe
	: >err
	start bash -c 'exec monitor-wsd --no-auth --listen unix:s >pipe 2>err'
	exec {from}<pipe
	until_true grep -q 'listening on' err
	exec {from}<&-
	status=0
	wait "$pid" || status=$?
	[ "$status" = 1 ]
	grep -q 'nobody reads' err
}

@test "lines from elsewhere that are none do no harm, nor does the end of input" {
	mkfifo in
	: >err
	start bash -c 'exec monitor-wsd --no-auth --listen 127.0.0.1:0 --metrics 127.0.0.1:0 -- cat <in >out 2>err'
	exec {input}>in
	until_true grep -q 'metrics on' err
	metrics=$(sed -n 's/^monitor-wsd: metrics on //p' err)
	echo nonsense >&"$input"
	until_true figure foreign_bad_total 1
	{ head -c 5000000 /dev/zero | tr '\0' x; echo; } >&"$input"
	until_true figure foreign_bad_total 2
	echo '{"kind":"notification","watchdog":"w1","level":1,"time":1,"sender":"s","message":"m"}' >&"$input"
	until_true figure foreign_lines_total 2
	figure foreign_bad_total 2
	exec {input}>&-
	kill -0 "$pid"
}

# ---- the service manager, signals ----

@test "the service manager is told when it is ready, reloads and stops" {
	start sock notified "$PWD/notify" >told
	until_true test -S notify
	NOTIFY_SOCKET=$PWD/notify wsd --no-auth
	until_true grep -qx READY=1 told
	kill -HUP "$daemon"
	again() { [ "$(grep -cx READY=1 told)" = 2 ]; }
	until_true again
	until_true grep -qx RELOADING=1 told
	grep -Eqx 'MONOTONIC_USEC=[0-9]+' told
	kill "$daemon"
	wait "$daemon"
	until_true grep -qx STOPPING=1 told
	! grep -q WATCHDOG told
}

@test "the service manager's watchdog is fed" {
	start sock notified "$PWD/notify" >told
	until_true test -S notify
	NOTIFY_SOCKET=$PWD/notify WATCHDOG_USEC=200000 wsd --no-auth
	fed() { [ "$(grep -cx WATCHDOG=1 told)" -ge 5 ]; }
	until_true fed
}

@test "where journald reads its log, lines have a priority" {
	: >err
	JOURNAL_STREAM=$(stat -c %d:%i err) start monitor-wsd --no-auth --listen unix:s --sink unix:nobody 2>>err
	until_true grep -qx '<6>listening on unix:s' err
	until_true grep -q '^<[34]>nobody: ' err
	JOURNAL_STREAM=1:1 start monitor-wsd --no-auth --listen unix:t 2>other
	until_true grep -qx 'monitor-wsd: listening on unix:t' other
}

@test "a log that nobody reads holds nothing up; what is lost of it is counted" {
	mkfifo pipe
	exec {log}<>pipe
	start monitor-wsd --no-auth --max-connections 1 --listen 127.0.0.1:0 2>pipe </dev/null
	read -rt 20 -u "$log" line
	port=${line##*:}
	run ! dd if=/dev/zero of=pipe bs=4096 oflag=nonblock status=none   # until it is full
	dial
	for i in 1 2 3; do
		dial
		ended
	done
	run ! dd if=pipe of=drained bs=4096 iflag=nonblock status=none
	dial
	ended
	read -rt 20 -u "$log" line
	[ "$line" = 'monitor-wsd: 3 lines before this are lost: the log was not read' ]
	read -rt 20 -u "$log" line
	[[ $line == *'too many connections'* ]]
}

@test "a signal ends it: the sockets are closed, the sessions told, status 0" {
	for signal in TERM INT; do
		: >err
		# The shell lets what runs in the background ignore SIGINT.
		start env --default-signal=INT monitor-wsd --no-auth --listen 127.0.0.1:0 --listen unix:s \
			>out 2>err </dev/null
		until_true grep -q 'listening on unix' err
		port=$(sed -n 's/^monitor-wsd: listening on 127.0.0.1://p' err)
		dial
		upgrade /ws
		kill -s $signal "$pid"
		# A close frame with 1001 and a reason; the same is wanted back.
		[ "$(timeout 20 head -c 4 <&"$to" | od -An -tx1)" = " 88 0c 03 e9" ]
		printf '\x88\x82\0\0\0\0\x03\xe9' >&"$to"
		wait "$pid"
		gone s
	done
}

@test "a second signal ends it at once" {
	wsd --no-auth --stop-timeout 1h
	dial
	upgrade /ws
	kill "$daemon"
	until_true grep -q stopping err
	kill "$daemon"
	wait "$daemon"
}
