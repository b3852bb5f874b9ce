load helper
load tokens
load wsd

# Who may, over real sockets: with plain listeners and with TLS. The rules of tokens
# themselves are tested in auth.bats.

WATCHDOG=0000000000000004

# fresh NAME CODE [BELONGS PYTHON]: a token of now.
fresh() {
	token "$1" "$2" 17 "$(date +%s)" "${3-null}" 0 "${4-None}"
}

user() { fresh "$1" ann@example.com "[\"$2\"]" "['$2']"; }

@test "a signed token lets a watchdog upload and read, and tells the timeout" {
	keypair a
	wsd -d m.db --auth-key a.pem -- monitor-ingest -q --ack -d m.db
	run -0 ws "ws://127.0.0.1:$port/ws" <<-END
		{"action":"auth","token":$(fresh a $WATCHDOG)}
		!expect 1
		$(logs one)
		!expect 2
		{"action":"getLogs","since":0}
	END
	[ "${lines[0]}" = '{"success":true,"action":"auth","timeout":30}' ]
	[ "${lines[2]}" = '{"success":true,"action":"getLogs","logs":[["test","one",30]]}' ]
	[ "$(monitor-query -d m.db -W $WATCHDOG --count)" = 1 ]
}

@test "a user reads what its first watchdog sent, hears its notifications, and may not upload" {
	keypair a
	wsd -d m.db --auth-key a.pem -- monitor-ingest -q --ack -d m.db
	begin ws -t "$(user a $WATCHDOG)" -n 4 "ws://127.0.0.1:$port/ws" <<-END >user
		$(logs no)
		$(notifications no)
		{"action":"getLogs","since":0}
	END
	until_true grep -q getLogs user
	ws -t "$(fresh a $WATCHDOG)" "ws://127.0.0.1:$port/ws" <<<"$(notifications fire)"
	until_true grep -q fire user
	diff <(sort user) - <<-'END'
		{"action":"uploadNotifications","notifications":[{"level":30,"time":1732280000.5,"sender":"test","message":"fire"}],"success":true}
		{"success":false,"action":"uploadLogs","comment":"Only wds can upload logs."}
		{"success":false,"action":"uploadNotifications","comment":"Only wds can upload notifications."}
		{"success":true,"action":"getLogs","logs":[]}
	END
}

@test "a token that is expired, altered or none is refused with its reason, and the connection closed" {
	keypair a
	keypair b
	wsd --auth-key a.pem -- monitor-ingest -q --ack -d m.db
	old=$(token a $WATCHDOG 17 "$(($(date +%s) - 130000))" null 0)
	for case in "Expired|$old" "Invalid signature|$(fresh b $WATCHDOG)" \
		"Invalid token|{\"code\":\"$WATCHDOG\"}" 'Invalid token|"opaque"' 'Invalid token|7'; do
		run -0 ws -C "ws://127.0.0.1:$port/ws" <<<"{\"action\":\"auth\",\"token\":${case#*|}}"
		[ "${lines[0]}" = "{\"success\":false,\"action\":\"auth\",\"comment\":\"${case%%|*}\"}" ]
		[[ ${lines[1]} == close\ 1000* ]]
	done
	[[ $(cat wsd.err) != *"$(jq -r .signature <<<"$old")"* ]]
}

@test "a first message that is no auth is refused and the connection closed" {
	keypair a
	wsd --auth-key a.pem -- monitor-ingest -q --ack -d m.db
	for message in '{"action":"ping"}' "$(logs one)" 'nonsense' '{"action":"auth"}'; do
		run -0 ws -C "ws://127.0.0.1:$port/ws" <<<"$message"
		[[ ${lines[0]} == '{"success":false,'* ]]
		[[ ${lines[1]} == close* ]]
	done
	[ ! -s m.db ] || [ "$(monitor-query -d m.db --count)" = 0 ]
}

@test "a second auth is an error, and the connection lives on as who it was" {
	keypair a
	wsd -d m.db --auth-key a.pem -- monitor-ingest -q --ack -d m.db
	run -0 ws -t "$(fresh a $WATCHDOG)" "ws://127.0.0.1:$port/ws" <<-END
		{"action":"auth","token":$(fresh a 000000000000000B)}
		$(logs one)
	END
	grep '"success":false,"action":"auth"' <<<"$output"
	[ "$(monitor-query -d m.db -W $WATCHDOG --count)" = 1 ]
}

@test "who does not authenticate in time is closed" {
	keypair a
	wsd --auth-key a.pem --auth-timeout 1 -- monitor-ingest -q --ack -d m.db
	run -0 ws -w -C "ws://127.0.0.1:$port/ws"
	[[ $output == close\ 1000* ]]
}

@test "opaque tokens let in whoever the file names, in the role it gives; a new one is shown once" {
	key=$(monitor-wsd --new-token w1 --tokens tokens)
	reader=$(monitor-wsd --new-token w1 --role user --tokens tokens)
	! grep -e "$key" -e "$reader" tokens
	[ "$(stat -c %a tokens)" = 640 ]
	wsd -d m.db --tokens tokens -- monitor-ingest -q --ack -d m.db
	run -0 as "$key" <<<"$(logs one)"
	[[ $output == *"Inserted 1"* ]]
	run -0 as "$reader" <<<"$(logs two)"
	[[ $output == *"Only wds can upload logs."* ]]
	run -1 as "${key}x" <<<"$(logs three)"
	[ "$(monitor-query -d m.db -W w1 --count)" = 1 ]
	! grep -e "$key" -e "$reader" wsd.err
}

@test "the key is fetched from the auth service; who comes while it is down is let in when it is back" {
	keypair a
	give_key a
	serve
	wsd -d m.db --auth-url "$url" -- monitor-ingest -q --ack -d m.db
	run -0 ws -t "$(fresh a $WATCHDOG)" "ws://127.0.0.1:$port/ws" <<<'{"action":"ping"}'
	[ "$output" = '{"success":true,"action":"ping"}' ]
	respond "500 Down" </dev/null
	run -0 ws -t "$(fresh a $WATCHDOG)" "ws://127.0.0.1:$port/ws" <<<'{"action":"ping"}'
	[ "$output" = '{"success":true,"action":"ping"}' ]
}

@test "a key that is rotated is fetched when a token does not verify" {
	keypair a
	keypair b
	give_key a
	serve
	wsd --auth-url "$url" -- monitor-ingest -q --ack -d m.db
	give_key b
	run -0 ws -t "$(fresh b $WATCHDOG)" "ws://127.0.0.1:$port/ws" <<<'{"action":"ping"}'
	[ "$output" = '{"success":true,"action":"ping"}' ]
}

@test "on SIGHUP who has a token that is gone is closed, and the others live on" {
	gone=$(monitor-wsd --new-token w1 --tokens tokens)
	mv tokens gone
	stays=$(monitor-wsd --new-token w2 --tokens tokens)
	cp tokens stays
	cat gone >>tokens
	wsd --tokens tokens -- monitor-ingest -q --ack -d m.db
	converse staying as "$stays"
	tell staying '{"action":"ping"}'
	until_true grep -q ping staying
	converse going as "$gone" -C
	tell going '{"action":"ping"}'
	until_true grep -q ping going
	mv stays tokens
	kill -HUP "$wsd"
	until_true grep -q 'close 1008' going
	tell staying '{"action":"ping","id":2}'
	until_true grep -q '"id":2' staying
	run -1 as "$gone" <<<'{"action":"ping"}'
	new=$(monitor-wsd --new-token w3 --tokens tokens)
	kill -HUP "$wsd"
	until_true as "$new" <<<'{"action":"ping"}'
}

@test "a connection closes when its signed token expires" {
	keypair a
	wsd --auth-key a.pem -- monitor-ingest -q --ack -d m.db
	# It has two seconds to live.
	token=$(token a $WATCHDOG 17 "$(($(date +%s) - 129600 + 3))" null 0)
	run -0 ws -t "$token" -w -C "ws://127.0.0.1:$port/ws"
	[[ $output == "close 1008"* ]]
}

@test "without authentication a string is the code, an object's code is believed, and nobody is local" {
	stored
	as w1 <<<"$(logs one)"
	as '{"code":"w2","id":1}' <<<"$(logs two)"
	ws "ws://127.0.0.1:$port/ws" <<<"$(logs three)"
	[ "$(monitor-query -d m.db | jq -r '.watchdog + " " + .message' | xargs)" = "w1 one w2 two local three" ]
}

@test "a listener without authentication refuses web pages" {
	stored
	run -0 ws -s 0 -H 'Origin: http://evil.example' "ws://127.0.0.1:$port/ws" <<<'{"action":"ping"}'
	[[ $output == *403* ]]
	token=$(monitor-wsd --new-token w1 --tokens tokens)
	wsd --tokens tokens -- monitor-ingest -q --ack -d m.db
	run -0 as "$token" -H 'Origin: http://app.example' <<<'{"action":"ping"}'
	[[ $output == *true* ]]
}

@test "it does not start when nothing says who may connect, or when everybody off this machine might" {
	run -2 monitor-wsd --listen 127.0.0.1:0 -- true
	[[ $output == *auth* ]]
	run -2 monitor-wsd --listen 0.0.0.0:0 --no-auth -- true
	[[ $output == *--insecure* ]]
	run -2 monitor-wsd --listen 127.0.0.1:0 --auth-url http://192.0.2.1/ -- true
	[[ $output == *https://* ]]
	monitor-wsd --check --listen 0.0.0.0:0 --no-auth --insecure -- true
}

# ---- TLS ----

# certificate NAME [CA]: NAME.crt and NAME.key for localhost and 127.0.0.1, signed by CA
# (by itself).
certificate() {
	local signer=()
	[ -z "${2-}" ] || signer=(-CA "$2.crt" -CAkey "$2.key")
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -days 2 \
		-addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' "${signer[@]}" -keyout "$1.key" -out "$1.crt" 2>/dev/null
}

secure() {
	${replaced-} ws -A "$ca" "$@" "wss://127.0.0.1:$port/ws"
}

@test "with a certificate everything goes over TLS, and plain clients get nothing" {
	certificate server
	ca=server.crt
	stored --cert server.crt --key server.key
	run -0 secure -t w1 <<<"$(logs one)"
	[[ $output == *"Inserted 1"* ]]
	run -1 ws -T 20 -t w1 "ws://127.0.0.1:$port/ws" <<<"$(logs two)"
	[ "$(monitor-query -d m.db --count)" = 1 ]
	run -0 secure -t w1 <<<"$(logs three)"
}

@test "over TLS, too, who asks for more than is taken at once waits, and nobody else does" {
	certificate server
	ca=server.crt
	stored --cert server.crt --key server.key
	run -0 secure -t w1 <<<"$(logs one)"
	# All at once: records of TLS with many questions in each.
	for i in {1..400}; do
		echo "{\"action\":\"getRecords\",\"kind\":\"all\",\"id\":$i}"
	done >questions
	run -0 secure -t w1 <questions
	[ "${#lines[@]}" = 400 ]
	[[ ${lines[399]} == *'"id":400'* ]]
	run -0 secure -t w2 <<<'{"action":"ping"}'
}

@test "a TLS client on a plain port is refused, and the next plain one served" {
	stored
	run -1 ws -i -T 20 -t w1 "wss://127.0.0.1:$port/ws" <<<"$(logs one)"
	run -0 as w1 <<<"$(logs two)"
}

@test "with --client-ca only who shows a certificate of that authority may connect" {
	certificate server
	certificate authority
	certificate client authority
	certificate stranger
	ca=server.crt
	stored --cert server.crt --key server.key --client-ca authority.crt
	run -0 secure -c client.crt -K client.key -t w1 <<<"$(logs one)"
	[[ $output == *"Inserted 1"* ]]
	run -1 secure -t w1 <<<"$(logs two)"
	run -1 secure -c stranger.crt -K stranger.key -t w1 <<<"$(logs three)"
	[ "$(monitor-query -d m.db --count)" = 1 ]
}

@test "a certificate that has expired is told of at the start, and does not pass --check" {
	certificate server
	openssl req -new -key server.key -subj /CN=server -out server.csr
	openssl x509 -req -in server.csr -signkey server.key -days 0 -out expired.crt 2>/dev/null
	stored --cert expired.crt --key server.key
	[[ $(cat wsd.err) == *"expired.crt: the certificate, or one behind it, has expired"* ]]
	run -1 monitor-wsd --check --no-auth --cert expired.crt --key server.key
	[ "$output" = "monitor-wsd: expired.crt: the certificate, or one behind it, has expired" ]
	monitor-wsd --check --no-auth --cert server.crt --key server.key
}

@test "SIGHUP takes a new certificate for new connections; who is connected stays, a bad one changes nothing" {
	certificate old
	certificate new
	cp old.crt server.crt
	cp old.key server.key
	stored --cert server.crt --key server.key
	ca=old.crt
	converse staying secure -t w1
	tell staying '{"action":"ping"}'
	until_true grep -q ping staying
	cp new.crt server.crt
	cp new.key server.key
	kill -HUP "$wsd"
	ca=new.crt
	until_true secure -t w1 <<<'{"action":"ping"}'
	echo "no certificate" >server.crt
	kill -HUP "$wsd"
	until_true grep -q server.crt wsd.err
	run -0 secure -t w1 <<<'{"action":"ping"}'
	tell staying '{"action":"ping","id":2}'
	until_true grep -q '"id":2' staying
}
