# For tests of who may: keys and tokens made with openssl's own command line, and a
# real server for keys (tests/tools/answer).

# keypair NAME [BITS]: NAME.key and NAME.pem. Made once a file, and copied.
keypair() {
	local made=$BATS_FILE_TMPDIR/$1-${2:-2048}
	[ -e "$made.pem" ] || {
		openssl genpkey -quiet -algorithm RSA -pkeyopt "rsa_keygen_bits:${2:-2048}" -out "$made.key"
		openssl pkey -in "$made.key" -pubout -out "$made.pem"
	} 2>/dev/null
	cp "$made.key" "$1.key"
	cp "$made.pem" "$1.pem"
}

# sign NAME TEXT [SALT] [HASH]: base64 of the signature. The salt's length is the
# longest unless said otherwise.
sign() {
	printf %s "$2" | openssl dgst "-${4:-sha256}" -sign "$1.key" -sigopt rsa_padding_mode:pss \
		-sigopt "rsa_pss_saltlen:${3:-max}" -sigopt "rsa_mgf1_md:${4:-sha256}" | base64 -w 0
}

# token NAME CODE ID TIME BELONGS PERM [SIGNED-BELONGS [SALT]]: a whole token. BELONGS
# is JSON; what Python makes of it is SIGNED-BELONGS (None, for null).
token() {
	printf '{"code":"%s","id":%s,"time":%s,"belongs":%s,"perm":%s,"signature":"%s"}\n' \
		"$2" "$3" "$4" "$5" "$6" "$(sign "$1" "$2$3$4${7-None}$6" "${8-}")"
}

# serve: answer what is in the file `answer`; its requests are in the file
# `requests`, and $url is where it is.
serve() {
	start answer answer >requests
	until_true [ -s requests ]
	url=http://127.0.0.1:$(head -n 1 requests)
}
fetches() { grep -c '^GET /requestPublicKey HTTP/1' requests || true; }

# respond [STATUS]: make the file `answer`, all at once, with the body on standard
# input.
respond() {
	{ printf 'HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n' "${1:-200 OK}"
	  cat; } >answer.new
	mv answer.new answer
}
give_key() { jq -n --rawfile pem "$1.pem" '{publickey: $pem}' | respond; }
