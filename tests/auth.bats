load helper
load tokens

# Who is there (lib/auth), through tests/tools/identify. Tokens are signed by
# openssl's own command line; keys come from files and from real servers: answer,
# which gives whatever a test puts in a file, and openssl's own for TLS.

NOW=1732280000
WATCHDOG=0000000000000004

# ask OPTION...: what identify says to the lines on standard input, now being NOW.
ask() {
	identify --now $NOW "$@"
}

# talk OPTION...: have identify beside the test; then `say LINE` and `hear`.
talk() {
	mkfifo to from
	start bash -c 'exec identify "$@" <to >from' identify --now $NOW "$@"
	exec {to}<>to {from}<>from
}
say() { printf '%s\n' "$*" >&"$to"; }
hear() { IFS= read -rt 20 heard <&"$from"; echo "$heard"; }

# ---- signed tokens ---------------------------------------------------------

@test "a token that openssl signed lets a watchdog in, until 36 hours after it was issued" {
	keypair a
	run -0 ask --key a.pem < <(token a $WATCHDOG 17 $NOW null 0)
	[ "$output" = "watchdog $WATCHDOG until 1732409600" ]
}

@test "a user acts for the first watchdog that belongs to them" {
	keypair a
	run -0 ask --key a.pem < <(token a ann@example.com 17 $NOW \
		'["000000000000000B","000000000000000A"]' 1 "['000000000000000B', '000000000000000A']")
	[ "$output" = "user 000000000000000B (ann@example.com) until 1732409600" ]
}

@test "strings are signed in Python's quotes, a time with a fraction as Python prints it" {
	keypair a
	signature=$(sign a "${WATCHDOG}171732279999.25[\"it's\", 'a \"b\" \\'', '\\\\\\n']0")
	cat >token <<-END
		{"code":"$WATCHDOG","id":17,"time":1732279999.250,"perm":0,"signature":"$signature",
		"belongs":["it's","a \"b\" '","\\\\\n"]}
	END
	tr -d '\n' <token >line
	run -0 ask --key a.pem <line
	[ "$output" = "watchdog $WATCHDOG until 1732409599.25" ]
}

@test "the text that is signed is Python's, token by random token" {
	python3 - 5000 >cases 2>expected <<-'END'
		import json, random, sys
		random.seed(7)
		chars = "aZ09 '\"\\\t\n\r\0\x1f\x7f\x80\x9f\xa0\xad\u00e9\u0600\u061c\u1680\u180e\u2000\u200b" \
		    "\u2028\u202f\u205f\u2064\u3000\u20ac\ue000\uf8ff\ufeff\ufffb\ufffd\U0001f600\U000e0001\U000e0100" \
		    "\U000f0000\U0010fffd[],@/{}"
		for i in range(int(sys.argv[1])):
		    time = 1732280000 + random.choice([0, -1, 1]) * random.randrange(300)
		    if random.random() < 0.8:
		        time = random.choice([time + random.random(), float(time), time + 1 / 3,
		            round(time + random.random(), random.randrange(8))])
		    t = {"code": "%016x" % random.getrandbits(64),
		         "id": random.choice([0, 1, -1]) * random.getrandbits(random.randrange(1, 200)),
		         "time": time,
		         "belongs": random.choice([None, ["".join(random.choices(chars, k=random.randrange(9)))
		             for _ in range(random.randrange(4))]]),
		         "perm": random.randrange(-5, 100), "signature": "AAAA"}
		    print("!text", json.dumps(t, ensure_ascii=random.random() < 0.5))
		    print("".join(str(t[k]) for k in ("code", "id", "time", "belongs", "perm")), file=sys.stderr)
	END
	[ "$(wc -l <expected)" = 5000 ]
	ask --none <cases | diff expected -
}

@test "a signature with any length of salt verifies" {
	keypair a
	for salt in max digest 0 20; do
		token a $WATCHDOG 17 $NOW null 0 None $salt
	done >tokens
	run -0 ask --key a.pem <tokens
	[ "$(uniq <<<"$output")" = "watchdog $WATCHDOG until 1732409600" ]
	[ "${#lines[@]}" = 4 ]
}

@test "keys from 1024 to 4096 bits verify" {
	for bits in 1024 3072 4096; do
		keypair a $bits
		run -0 ask --key a.pem < <(token a $WATCHDOG 17 $NOW null 0)
		[ "$output" = "watchdog $WATCHDOG until 1732409600" ]
	done
}

@test "another key's signature, another hash, PKCS#1 padding and no signature at all are refused" {
	keypair a
	keypair b
	text=${WATCHDOG}17${NOW}None0
	for signature in "$(sign b "$text")" "$(sign a "$text" max sha512)" "$(sign a "$text" digest sha1)" \
		"$(printf %s "$text" | openssl dgst -sha256 -sign a.key | base64 -w 0)" \
		"$(sign a "$text" | base64 -d | head -c 255 | base64 -w 0)" \
		"$( { sign a "$text" | base64 -d; printf x; } | base64 -w 0)" \
		"$(head -c 256 /dev/zero | base64 -w 0)" "" AAAA 'not base64'; do
		printf '{"code":"%s","id":17,"time":%s,"belongs":null,"perm":0,"signature":"%s"}\n' \
			$WATCHDOG $NOW "$signature"
	done >tokens
	run -0 ask --key a.pem <tokens
	[ "$(uniq <<<"$output")" = "Invalid signature: the signature does not verify" ]
	[ "${#lines[@]}" = 10 ]
}

@test "no member of a token can be changed" {
	keypair a
	token a $WATCHDOG 17 $NOW '[]' 0 '[]' >token
	for change in '.code = "0000000000000005"' '.id = 18' ".time = $NOW - 1" ".time = $NOW.5" \
		'.belongs = null' '.belongs = ["0000000000000005"]' '.perm = 1' \
		'.id = 1 | .perm = 70' '.signature |= sub("^.."; "AA")'; do
		jq -c "$change" token
	done >tokens
	run -0 ask --key a.pem <tokens
	[ "$(uniq <<<"$output")" = "Invalid signature: the signature does not verify" ]
	[ "${#lines[@]}" = 9 ]
}

@test "members that are not signed are ignored" {
	keypair a
	token a $WATCHDOG 17 $NOW null 0 | jq -c '. + {role: "admin", watchdog: "0000000000000009"}' >token
	run -0 ask --key a.pem <token
	[ "$output" = "watchdog $WATCHDOG until 1732409600" ]
}

@test "a token expires, one from the future is invalid, and their clock may be 5 minutes ahead" {
	keypair a
	{
		token a $WATCHDOG 17 $((NOW - 129599)) null 0
		token a $WATCHDOG 17 $((NOW - 129600)) null 0
		token a $WATCHDOG 17 $((NOW + 300)) null 0
		token a $WATCHDOG 17 $((NOW + 301)) null 0
	} >tokens
	run -0 ask --key a.pem <tokens
	[ "${lines[0]}" = "watchdog $WATCHDOG until 1732280001" ]
	[[ ${lines[1]} == "Expired: "* ]]
	[ "${lines[2]}" = "watchdog $WATCHDOG until 1732409900" ]
	[[ ${lines[3]} == "Invalid token: "* ]]
}

# The signature is good in each of these: only their cut is another.
@test "bytes moved from one signed part to the next let nobody in" {
	keypair a
	moved() {   # SIGNED-TEXT MEMBERS
		printf '{%s,"signature":"%s"}\n' "$2" "$(sign a "$1")"
	}
	{
		# an address that begins with somebody's code
		moved "${WATCHDOG}1@example.com5${NOW}None0" \
			'"code":"'$WATCHDOG'","id":"1@example.com5","time":'$NOW',"belongs":null,"perm":0'
		moved "${WATCHDOG}1${NOW}['x@b.c5${NOW}['0000000000000009']0" \
			'"code":"'$WATCHDOG'","id":1,"time":'$NOW',"belongs":["x@b.c5'$NOW'['"'0000000000000009'"'"],"perm":0'
		# an expired token, made new with a digit of its id
		moved "${WATCHDOG}51732000000None0" \
			'"code":"'$WATCHDOG'","id":"","time":51732000000,"belongs":null,"perm":0'
		moved "${WATCHDOG}51732000000None0" \
			'"code":"'$WATCHDOG'","id":5,"time":1732000000,"belongs":null,"perm":0'
		# an old one that never ends
		moved "${WATCHDOG}5${NOW}None0" \
			'"code":"'$WATCHDOG'","id":"","time":5'$NOW',"belongs":null,"perm":0'
		# another's code from the digits behind one's own
		moved "000000000000000${NOW}${NOW}None0" \
			'"code":"000000000000000'${NOW:0:1}'","id":'${NOW:1}',"time":'$NOW',"belongs":null,"perm":"0"'
		# a name that brings a watchdog along
		moved "x@b.c1${NOW}['0000000000000004']05${NOW}None0" \
			'"code":"x@b.c","id":1,"time":'$NOW',"belongs":["0000000000000004"],"perm":"05'$NOW'None0"'
		moved "x@b.c1${NOW}['0000000000000004']05${NOW}None0" \
			'"code":"x@b.c1'$NOW"['0000000000000004']"'0","id":5,"time":'$NOW',"belongs":null,"perm":0'
		# a user to whom nothing belongs
		moved "ann@example.com5${NOW}[]0" \
			'"code":"ann@example.com","id":5,"time":'$NOW',"belongs":[],"perm":0'
		moved "ann@example.com5${NOW}None0" \
			'"code":"ann@example.com","id":5,"time":'$NOW',"belongs":null,"perm":0'
		# a neighbour's name
		moved "ann@example.com15${NOW}['0000000000000009']0" \
			'"code":"ann@example.com1","id":5,"time":'$NOW',"belongs":["0000000000000009"],"perm":0'
		# what is true to Python is also 1
		moved "${WATCHDOG}True${NOW}NoneTrue" \
			'"code":"'$WATCHDOG'","id":true,"time":'$NOW',"belongs":null,"perm":true'
	} >tokens
	run -0 ask --key a.pem <tokens
	[ "${#lines[@]}" = 12 ]
	[[ ${lines[3]} == "Expired: "* ]]
	unset 'lines[3]'
	for line in "${lines[@]}"; do
		[[ $line == "Invalid token: "* ]] || [[ $line == "Invalid signature: "* ]]
	done
}

@test "what is no key refuses to start, and says which file" {
	keypair a
	openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null | openssl ec -pubout -out ec.pem 2>/dev/null
	openssl rsa -in a.key -aes128 -passout pass:x -traditional -out locked.pem 2>/dev/null
	keypair small 512
	head -c 70000 /dev/zero >long.pem
	: >empty.pem
	mkdir directory.pem
	for bad in "a.key: no public key" "ec.pem: the public key is not RSA" "locked.pem: no public key" \
		"small.pem: an RSA key of 512 bits" "empty.pem: no public key" "long.pem: is too long" \
		"absent.pem: cannot be opened: No such file" "directory.pem: cannot be read: Is a directory"; do
		run -1 ask --key "${bad%%:*}" </dev/null
		[[ $output == "identify: $bad"* ]]
	done
}

@test "a key file is read again on request; who came with the old key is told apart" {
	keypair a
	keypair b
	cp a.pem key.pem
	talk --key key.pem
	say "$(token a $WATCHDOG 17 $NOW null 0)"
	[ "$(hear)" = "watchdog $WATCHDOG until 1732409600" ]
	say '!holds'
	[ "$(hear)" = yes ]
	{ echo; cat a.pem; } >key.pem   # the same key, written otherwise
	say '!reload'
	[ "$(hear)" = done ]
	say '!holds'
	[ "$(hear)" = yes ]
	cp b.pem key.pem
	say "$(token b $WATCHDOG 17 $NOW null 0)"
	[ "$(hear)" = "Invalid signature: the signature does not verify" ]
	say '!reload'
	[ "$(hear)" = done ]
	say '!holds'
	[ "$(hear)" = no ]
	say "$(token b $WATCHDOG 17 $NOW null 0)"
	[ "$(hear)" = "watchdog $WATCHDOG until 1732409600" ]
	echo nonsense >key.pem
	say '!reload'
	[ "$(hear)" = "failed: key.pem: no public key in PEM form" ]
	say '!holds'
	[ "$(hear)" = yes ]
}

# ---- keys from the auth service --------------------------------------------

@test "the key is fetched from the auth service when the first token comes, once" {
	keypair a
	give_key a
	serve
	talk --url "$url/auth/"
	say '!ready'
	[ "$(hear)" = no ]
	say '!due'
	[ "$(hear)" = yes ]
	say "$(token a $WATCHDOG 17 $NOW null 0)"
	[ "$(hear)" = later ]
	[ "$(hear)" = done ]
	[ "$(hear)" = "watchdog $WATCHDOG until 1732409600" ]
	say '!due'
	[ "$(hear)" = no ]
	say '!ready'
	[ "$(hear)" = yes ]
	say "$(token a $WATCHDOG 18 $NOW null 0)"
	[ "$(hear)" = "watchdog $WATCHDOG until 1732409600" ]
	[ "$(sed 1d requests)" = "GET /auth/requestPublicKey HTTP/1.1" ]
}

@test "a rotated key is fetched at once when a signature does not verify" {
	keypair a
	keypair b
	give_key a
	serve
	talk --url "$url" --retry 0
	say '!refresh'
	[ "$(hear)" = done ]
	say '!due'
	[ "$(hear)" = no ]
	give_key b
	say "$(token b $WATCHDOG 17 $NOW null 0)"
	[ "$(hear)" = later ]
	[ "$(hear)" = done ]
	[ "$(hear)" = "watchdog $WATCHDOG until 1732409600" ]
	[ "$(fetches)" = 2 ]
}

@test "however many signatures do not verify, the service is not asked before its time" {
	keypair a
	keypair b
	give_key a
	serve
	token b $WATCHDOG 17 $NOW null 0 >bad
	{ for i in {1..50}; do cat bad; done; token a $WATCHDOG 17 $NOW null 0; } >tokens
	run -0 ask --url "$url" --retry 1000000 <tokens
	[ "${lines[0]} ${lines[1]}" = "later done" ]
	[ "$(grep -c '^Invalid signature: ' <<<"$output")" = 50 ]
	[ "${lines[52]}" = "watchdog $WATCHDOG until 1732409600" ]
	[ "$(fetches)" = 1 ]
}

@test "a token that is invalid, expired or has no real signature asks for no key" {
	serve
	{
		echo '{"code":1}'
		echo '{"code":"'$WATCHDOG'","id":1,"time":1,"belongs":null,"perm":0,"signature":"AAAA"}'
		echo '{"code":"'$WATCHDOG'","id":1,"time":'$NOW',"belongs":null,"perm":0,"signature":"?"}'
	} >tokens
	run -0 ask --url "$url" <tokens
	[[ ${lines[0]} == "Invalid token: "* ]]
	[[ ${lines[1]} == "Expired: "* ]]
	[[ ${lines[2]} == "Invalid signature: "* ]]
	[ "$(fetches)" = 0 ]
}

@test "the last good key serves while the service is down" {
	keypair a
	give_key a
	serve
	talk --url "$url" --fresh 0 --retry 0
	say '!refresh'
	[ "$(hear)" = done ]
	say '!due'
	[ "$(hear)" = yes ]
	kill -KILL "${STARTED[0]}"
	wait "${STARTED[0]}" || true
	say '!refresh'
	[[ $(hear) == "failed: $url/requestPublicKey: "* ]]
	say "$(token a $WATCHDOG 17 $NOW null 0)"
	[ "$(hear)" = "watchdog $WATCHDOG until 1732409600" ]
	say '!due'
	[ "$(hear)" = yes ]
}

@test "an answer that is no key changes nothing" {
	keypair a
	keypair b
	serve
	give_key a
	talk --url "$url"
	say '!refresh'
	[ "$(hear)" = done ]
	bad() {
		say '!refresh'
		local got
		got=$(hear)
		[[ $got == "failed: $url/requestPublicKey: $1"* ]] || { echo "$got" >&2; return 1; }
		say "$(token a $WATCHDOG 17 $NOW null 0)"
		[ "$(hear)" = "watchdog $WATCHDOG until 1732409600" ]
	}
	jq -n --rawfile pem b.pem '{publickey: $pem}' | respond "500 Internal Server Error"
	bad "HTTP status 500"
	jq -n --rawfile pem b.pem '{publickey: $pem}' | respond "404 Not Found"
	bad "HTTP status 404"
	respond <b.pem
	bad "not valid JSON"
	echo '[]' | respond
	bad 'no "publickey" in the answer'
	echo '{"publickey":7}' | respond
	bad 'no "publickey" in the answer'
	echo '{"publickey":"-----BEGIN PUBLIC KEY-----"}' | respond
	bad "no public key in PEM form"
	: | respond
	bad "not valid JSON"
	printf 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"publickey":' >answer
	bad ""
	: >answer
	bad ""
	rm answer
	bad ""
	{ printf '{"x":"'; head -c 70000 /dev/zero | tr '\0' x; printf '","publickey":'; jq -Rs . b.pem; echo '}'; } | respond
	bad "an answer of more than 65536 bytes"
	# the service is itself again
	give_key b
	say '!refresh'
	[ "$(hear)" = done ]
	say "$(token b $WATCHDOG 17 $NOW null 0)"
	[ "$(hear)" = "watchdog $WATCHDOG until 1732409600" ]
}

@test "a redirect is not followed" {
	keypair b
	give_key b
	mv answer there
	serve
	start answer there >others
	until_true [ -s others ]
	other=http://127.0.0.1:$(head -n 1 others)/requestPublicKey
	printf 'HTTP/1.1 302 Found\r\nLocation: %s\r\nConnection: close\r\n\r\n' "$other" >answer
	run -0 ask --url "$url" <<<'!refresh'
	[[ $output == *"HTTP status 302 (redirects are not followed)" ]]
	printf 'HTTP/1.1 302 Found\r\nLocation: file://%s\r\nConnection: close\r\n\r\n' "$PWD/there" >answer
	run -0 ask --url "$url" <<<'!refresh'
	[[ $output == *"HTTP status 302 (redirects are not followed)" ]]
	[ "$(wc -l <others)" = 1 ]
}

@test "a service that says nothing is given up in time" {
	echo HOLD >answer
	serve
	run -0 ask --url "$url" --timeout 0.3 <<<'!refresh'
	[[ $output == "failed: $url/requestPublicKey: "*[Tt]"imed out"* ]]
	until_true grep -qx gone requests
}

@test "a fetch that is on its way can be cancelled, and none begins any more" {
	echo HOLD >answer
	serve
	talk --url "$url" --timeout 1000
	say '!begin'
	until_true grep -q '^GET' requests
	say '!cancel'
	[[ $(hear) == "failed: $url/requestPublicKey: "* ]]
	until_true grep -qx gone requests
	say '!refresh'
	[[ $(hear) == "failed: $url/requestPublicKey: "* ]]
}

@test "proxies in the environment are not used" {
	keypair a
	give_key a
	serve
	export http_proxy=http://127.0.0.1:1 all_proxy=http://127.0.0.1:1
	run -0 ask --url "$url" <<<'!refresh'
	[ "$output" = done ]
}

@test "over https, the service's certificate must be vouched for and its own" {
	keypair a
	for name in localhost elsewhere.example; do
		openssl req -x509 -newkey rsa:2048 -noenc -keyout "$name.key" -out "$name.crt" -days 2 \
			-subj "/CN=$name" -addext "subjectAltName=DNS:$name" 2>/dev/null
	done
	jq -n --rawfile pem a.pem '{publickey: $pem}' >requestPublicKey
	# serve_tls NAME: with its certificate, $url
	serve_tls() {
		start openssl s_server -accept 127.0.0.1:0 -WWW -cert "$1.crt" -key "$1.key" >"$1.log" 2>&1 </dev/null
		until_true grep -q '^ACCEPT' "$1.log"
		url=https://localhost:$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$1.log")
	}
	serve_tls localhost
	run -0 ask --url "$url" --ca localhost.crt <<<'!refresh'
	[ "$output" = done ]
	run -0 ask --url "$url" <<<'!refresh'
	[[ $output == "failed: $url/requestPublicKey: "*certificate* ]]
	run -0 ask --url "$url" --insecure <<<'!refresh'
	[[ $output == "failed: $url/requestPublicKey: "*certificate* ]]
	serve_tls elsewhere.example
	run -0 ask --url "$url" --ca elsewhere.example.crt <<<'!refresh'
	[[ $output == "failed: $url/requestPublicKey: "*elsewhere* || $output == "failed: "*"subject name"* ]]
}

@test "plain http is for loopback, unless insecure is asked for" {
	for good in http://localhost:1 http://127.9.9.9/x 'http://[::1]:1' https://auth.example.com HTTP://LOCALHOST; do
		run -0 ask --url "$good" </dev/null
	done
	for bad in http://auth.example.com http://10.0.0.1 'http://[::2]' http://localhost.example.com \
		http://127.0.0.1.example.com http://127.0.0.1@auth.example.com; do
		run -2 ask --url "$bad" </dev/null
		[[ $output == *"must be"*"https://"* ]]
	done
	run -0 ask --insecure --url http://auth.example.com </dev/null
}

@test "what is no URL of a service, or has a password in it, is a usage error that does not quote it" {
	for bad in auth.example.com ftp://localhost file:///etc/passwd https:// 'https://h h' https://h/?s3cret \
		https://h/#s3cret https://u:s3cret@h https://s3cret@h '' ; do
		run -2 ask --url "$bad" </dev/null
		[[ $output != *s3cret* ]]
	done
}

# ---- opaque tokens ---------------------------------------------------------

@test "a new token lets in whoever shows it, under the code and role of its line" {
	: >tokens
	run -0 ask --tokens tokens <<<'!new w-1 watchdog'
	secret=${lines[0]}
	[[ $secret =~ ^[a-z2-7]{52}$ ]]
	[ "${lines[1]}" = "$(printf %s "$secret" | sha256sum | cut -d ' ' -f 1) w-1 watchdog" ]
	{ echo "# devices"; echo; echo "${lines[1]}"; } >tokens
	printf '  %s\tann_2 user  ' "$(printf geheim | sha256sum | cut -d ' ' -f 1 | tr a-f A-F)" >>tokens
	printf '"%s"\n' "$secret" geheim '\u0067eheim' "${secret}a" "${secret%?}" Geheim "" >asked
	run -0 ask --tokens tokens <asked
	[ "${lines[0]}" = "watchdog w-1" ]
	[ "${lines[1]}" = "user ann_2" ]
	[ "${lines[2]}" = "user ann_2" ]
	for i in 3 4 5 6; do
		[ "${lines[i]}" = "Invalid token: an unknown token" ]
	done
}

@test "no two new tokens are the same" {
	: >tokens
	for i in {1..500}; do echo '!new w watchdog'; done >asked
	ask --tokens tokens <asked >made
	[ "$(sort -u made | wc -l)" = 1000 ]
}

@test "the hash of a token is no token" {
	hash=$(printf geheim | sha256sum | cut -d ' ' -f 1)
	echo "$hash w watchdog" >tokens
	run -0 ask --tokens tokens <<<"\"$hash\""
	[ "$output" = "Invalid token: an unknown token" ]
}

@test "any of many tokens is found, and no other" {
	for i in {1..90}; do
		echo "$(printf 's%d' $i | sha256sum | cut -d ' ' -f 1) w$i $([ $((i % 3)) = 0 ] && echo user || echo watchdog)"
	done >tokens
	for i in {1..90}; do printf '"s%d"\n' $i; done >asked
	for i in {1..90}; do echo "$([ $((i % 3)) = 0 ] && echo user || echo watchdog) w$i"; done >expected
	ask --tokens tokens <asked | diff expected -
	run -0 ask --tokens tokens <<<'"s91"'
	[ "$output" = "Invalid token: an unknown token" ]
}

@test "after a reload, whose token is gone is told from whose is not; a broken file changes nothing" {
	hash() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }
	echo "$(hash one) w1 watchdog" >tokens
	talk --tokens tokens
	say '"one"'
	[ "$(hear)" = "watchdog w1" ]
	echo "$(hash two) w2 user" >>tokens
	say '!reload'
	[ "$(hear)" = done ]
	say '!holds'
	[ "$(hear)" = yes ]
	{ cat tokens; echo nonsense; } >broken
	mv tokens good
	mv broken tokens
	say '!reload'
	[[ $(hear) == "failed: tokens: line 3: "* ]]
	say '!holds'
	[ "$(hear)" = yes ]
	for changed in "w2 watchdog" "w1 user"; do
		echo "$(hash one) $changed" >tokens
		say '!reload'
		[ "$(hear)" = done ]
		say '!holds'
		[ "$(hear)" = no ]
	done
	: >tokens
	say '!reload'
	[ "$(hear)" = done ]
	say '"one"'
	[ "$(hear)" = "Invalid token: an unknown token" ]
	say '!holds'
	[ "$(hear)" = no ]
}

@test "a wrong line in the file of tokens is named by its number, and not quoted" {
	hash=$(printf geheim | sha256sum | cut -d ' ' -f 1)
	refuse() {
		{ echo "# first"; printf '%s\n' "$1"; } >tokens
		run -1 ask --tokens tokens </dev/null
		[[ $output == "identify: tokens: $2"* ]]
		[[ $output != *"$hash"* && $output != *geheim* ]]
	}
	refuse "geheim w watchdog" "line 2: must begin with the SHA-256"
	refuse "${hash}0 w watchdog" "line 2: must begin with the SHA-256"
	refuse "${hash%?}g w watchdog" "line 2: must begin with the SHA-256"
	refuse "$hash" "line 2: the second word"
	refuse "$hash a@b.c user" "line 2: the second word"
	refuse "$hash w" "line 2: the third word"
	refuse "$hash w geheim" "line 2: the third word"
	refuse "$hash w user geheim" "line 2: must be three words"
	refuse "$hash w user"$'\n'"${hash^^} v user" "a token is there twice"
	rm tokens
	run -1 ask --tokens tokens </dev/null
	[ "$output" = "identify: tokens: cannot be opened: No such file or directory" ]
	mkdir tokens
	run -1 ask --tokens tokens </dev/null
	[ "$output" = "identify: tokens: cannot be read: Is a directory" ]
}

@test "what is no string is no opaque token, and what is no object no signed one" {
	keypair a
	: >tokens
	printf '%s\n' '{"code":"w"}' '[]' 7 null '"a' 'a"b' '"\ud800"' '' >asked
	run -0 ask --tokens tokens <asked
	[ "$(grep -c '^Invalid token: ' <<<"$output")" = 8 ]
	run -0 ask --key a.pem <<<'"0000000000000004"'
	[ "$output" = "Invalid token: not a signed token: must be an object" ]
}

@test "signed and opaque tokens work side by side" {
	keypair a
	echo "$(printf geheim | sha256sum | cut -d ' ' -f 1) admin user" >tokens
	{ token a $WATCHDOG 17 $NOW null 0; echo '"geheim"'; echo '!local'; } >asked
	run -0 ask --key a.pem --tokens tokens <asked
	[ "${lines[0]}" = "watchdog $WATCHDOG until 1732409600" ]
	[ "${lines[1]}" = "user admin" ]
	[ "${lines[2]}" = nobody ]
}

# ---- no authentication -----------------------------------------------------

@test "without authentication a string is the code, an object's code is believed, and nobody is local" {
	printf '%s\n' '"w-1"' '{"code":"w-2"}' '{"code":"ann@example.com","belongs":["w-3","w-4"]}' '!local' >asked
	run -0 ask --none <asked
	[ "${lines[0]}" = "watchdog w-1" ]
	[ "${lines[1]}" = "watchdog w-2" ]
	[ "${lines[2]}" = "user w-3 (ann@example.com)" ]
	[ "${lines[3]}" = "watchdog local" ]
	printf '%s\n' '"w 1"' '""' '"ann@example.com"' '{"code":"ann@example.com"}' '{"code":7}' '{}' 7 \
		'{"code":"ann@example.com","belongs":[]}' '{"code":"ann@example.com","belongs":["a b"]}' \
		'{"code":"ann@example.com","belongs":null}' >asked
	run -0 ask --none <asked
	[ "$(grep -c '^Invalid token: ' <<<"$output")" = 10 ]
}

@test "it does not start without a way to know who is there, nor with two that exclude each other" {
	keypair a
	: >tokens
	run -2 ask </dev/null
	run -2 ask --none --tokens tokens </dev/null
	run -2 ask --none --key a.pem </dev/null
	run -2 ask --key a.pem --url https://localhost </dev/null
}

# ---- no memory -------------------------------------------------------------

@test "without memory there is no verdict, and nobody is let in or turned away" {
	case ${SANITIZE-}$BUILD in *address* | *thread*) skip "a sanitizer has its own allocator" ;; esac
	keypair a
	hash=$(printf geheim | sha256sum | cut -d ' ' -f 1)
	echo "$hash w watchdog" >tokens
	{ token a $WATCHDOG 17 $NOW '["it'"'"'s"]' 0 "[\"it's\"]"; echo '"gehei\u006d"'; } >asked
	ask --key a.pem --tokens tokens <asked >expected
	[ "$(wc -l <expected)" = 2 ]
	# without N: identify whose allocations fail from the Nth on. False: it made fewer.
	without() {
		rm -f hit
		status=0
		FAULT=malloc:$1+ FAULT_HIT=hit LD_PRELOAD=$BUILD/tests/faults.so \
			identify --now $NOW --key a.pem --tokens tokens <asked >got 2>err || status=$?
		[ -e hit ]
	}
	# how many does it make?
	low=1 high=65536
	while [ $((high - low)) -gt 1 ]; do
		middle=$(((low + high) / 2))
		if without $middle; then low=$middle; else high=$middle; fi
	done
	run ! without $high
	[ ! -e hit ]
	diff expected got
	# most of them for OpenSSL's start; the last for the two tokens
	for n in $(seq 1 97 $((low - 120))) $(seq $((low - 120)) $low); do
		without "$n"
		[ "$status" -lt 2 ] || { echo "malloc $n: status $status" >&2; cat got err >&2; return 1; }
		run ! grep -E '^(Expired|Invalid)' got
		echo "$n $status $(head -n 1 got)" >>outcomes
	done
	grep -q 'no verdict: .*out of memory' outcomes
	grep -q ' 1 $' outcomes
}
