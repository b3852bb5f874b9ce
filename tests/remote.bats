load helper

# monitor-query and monitor-ingest with --url, as far as it needs no daemon.

prepare() {
	unset MONITOR_TOKEN
}

# A port on which nobody listens.
nobody() {
	echo ws://127.0.0.1:1
}

# tls_server [OPTION]...: a server with TLS, no WebSocket, and a certificate for
# localhost (cert.pem) that nobody vouches for; its port is in $port.
tls_server() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 \
		-subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
	start openssl s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -www "$@" >server 2>&1
	until_true grep -q '^ACCEPT' server
	port=$(sed -n 's/^ACCEPT .*://p' server)
}

@test "a store and a daemon are two places" {
	run -2 monitor-query -d x.db --url "$(nobody)"
	[[ $output == *"--store and --url"* ]]
	run -2 monitor-ingest -d x.db --url "$(nobody)" </dev/null
}

@test "MONITOR_STORE is nothing to --url" {
	MONITOR_STORE=x.db run -3 monitor-query --url "$(nobody)"
	[ "$output" = "monitor-query: ws://127.0.0.1:1: Connection refused" ]
	[ ! -e x.db ]
}

@test "options of a daemon without one make no sense" {
	for option in --token-file=x --ca=x --cert=x --key=x --insecure; do
		run -2 monitor-query "$option"
		run -2 monitor-ingest "$option" </dev/null
	done
}

@test "what only a local store can do is not asked of a daemon" {
	for option in --stats --backup=x --verify; do
		run -2 monitor-query --url "$(nobody)" "$option"
		[[ $output == *"local store"* ]]
	done
	run -2 monitor-ingest --url "$(nobody)" --salvage x
	[[ $output == *"local store"* ]]
}

@test "a URL that is none is a mistake on the command line" {
	for url in localhost http://localhost ws:// ws://localhost:0 wss://me:secret@localhost; do
		run -2 monitor-query --url "$url"
		run -2 monitor-ingest --url "$url" </dev/null
		[[ $output != *secret* ]]
	done
}

@test "a token is shown to another host only through TLS, or with --insecure" {
	MONITOR_TOKEN=secret run -2 monitor-query --url ws://192.0.2.1
	[[ $output == *"read the token"* ]] && [[ $output != *secret* ]]
	# A name that nobody can have: it was tried.
	MONITOR_TOKEN=secret run -3 monitor-query --url ws://no..host --insecure
	[[ $output == *"ws://no..host: "* ]]
	# Without a token there is nothing to hide.
	run -3 monitor-query --url ws://no..host
}

@test "a token comes from a file, and is not in any message" {
	run -3 monitor-query --url "$(nobody)" --token-file token
	[ "$output" = "monitor-query: token: No such file or directory" ]
	echo '{"code": "secret' >token
	run -3 monitor-query --url "$(nobody)" --token-file token
	[[ $output == *"token: not valid JSON" ]]
	: >token
	run -2 monitor-query --url "$(nobody)" --token-file token
	[[ $output == *"there is no token" ]]
}

@test "a server whose certificate nobody vouches for is not talked to" {
	tls_server
	MONITOR_TOKEN=secret run -3 monitor-query --url "wss://localhost:$port"
	[[ $output == *"certificate is not accepted: self-signed certificate" ]]
	MONITOR_TOKEN=secret run -1 monitor-ingest --url "wss://localhost:$port" <<<'{}'
	[[ $output == *"certificate is not accepted: self-signed certificate" ]]
}

@test "--ca vouches for a server, but for no other name" {
	tls_server
	run -3 monitor-query --url "wss://localhost:$port" --ca cert.pem
	[[ $output == *"no WebSocket there: HTTP status 200" ]]
	run -3 monitor-query --url "wss://127.0.0.1:$port" --ca cert.pem
	[[ $output == *"certificate is not accepted: IP address mismatch" ]]
}

@test "--cert and --key show a certificate to a server that wants one" {
	tls_server -Verify 1
	run -3 monitor-query --url "wss://localhost:$port" --ca cert.pem
	[[ $output != *"HTTP status"* ]]
	run -3 monitor-query --url "wss://localhost:$port" --ca cert.pem --cert cert.pem --key key.pem
	[[ $output == *"HTTP status 200" ]]
	run -2 monitor-query --url "wss://localhost:$port" --cert cert.pem
}

@test "TLS and no TLS do not talk to each other" {
	tls_server
	run -3 monitor-query --url "ws://localhost:$port"
	[[ $output == *"the handshake failed"* ]]
}

@test "monitor-query -f waits for a daemon, and says so once" {
	start monitor-query --url "$(nobody)" -f 2>said
	until_true grep -q . said
	kill "$pid"
	wait "$pid"
	[ "$(cat said)" = "monitor-query: ws://127.0.0.1:1: Connection refused; trying again" ]
}

@test "monitor-ingest waits for a daemon, and a second signal ends that at once" {
	echo '{"level":0,"time":0,"sender":"s","message":"m"}' >lines
	start monitor-ingest --url "$(nobody)" lines 2>said
	until_true grep -q 'refused; trying again' said
	kill "$pid"
	until_true eval "kill $pid 2>/dev/null; ! kill -0 $pid 2>/dev/null"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 143 ]
}

@test "a signal gives a daemon a few seconds, then what was not stored is an error" {
	echo '{"level":0,"time":0,"sender":"s","message":"m"}' >lines
	start monitor-ingest --url "$(nobody)" lines 2>said
	until_true grep -q 'refused; trying again' said
	kill "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 1 ]
	grep -q 'stopped before all of it was stored' said
	grep -q '0 records (0 refused)' said
}
