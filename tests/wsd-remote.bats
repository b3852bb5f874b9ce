load helper
load wsd

# monitor-query and monitor-ingest over a real daemon: the same as on the store itself.

prepare() {
	"$PROJECT/scripts/sample.sh" | jq -c '.watchdog = "w1"' >sample.ndjson
	monitor-ingest -q -d m.db sample.ndjson
	printf 'w1\n' >token
}

remote() { monitor-query --url "ws://127.0.0.1:$port" --token-file token -W w1 "$@"; }
local_() { monitor-query -d m.db -W w1 "$@"; }

@test "every question gets the same answer over the daemon as from the store" {
	records 20 | sed 's/"w1"/"w2"/' | monitor-ingest -q -d m.db   # somebody else's
	stored
	while read -r question; do
		# shellcheck disable=SC2086 # several options
		eval "local_ $question" >want || true
		# shellcheck disable=SC2086
		eval "remote $question" >got || true
		cmp want got || { echo "differs: $question" >&2; return 1; }
	done <<-'END'

		-n 20
		-n 20 -r
		-r
		-w 3h
		-S -2h -U -1h
		-l warning
		-l 10..30
		-s Boiler -s Pump
		-k notification
		-k log -n 7 -r
		-g 'door|camera' -n 5
		-g Temperature --case-sensitive
		-o csv -n 50
		-o text -n 50 --utc
		-o cat -k notification
		-o wire -n 5
		--count
		--count -l error
		--senders
		--watchdogs
		--top 3 --senders
		--histogram=1h
		--histogram=10m -l warning -o text
		-s nobody
	END
	[ "$(remote --count)" -gt 800 ]
}

@test "the exit status tells found, not found and failed apart" {
	stored
	run -0 remote --count
	run -1 remote -s nobody
	for whole in --stats --verify '--backup x.db'; do
		# shellcheck disable=SC2086 # two words
		run -2 monitor-query --url "ws://127.0.0.1:$port" --token-file token $whole
		[[ $output == *local* ]] || { echo "$output"; return 1; }
	done
	stop_wsd
	run -3 remote --count
	[[ $output == *"127.0.0.1:$port"* ]]
}

@test "a cursor file goes on where the last look ended" {
	stored
	run -0 remote -q --cursor-file seen
	[ "${#lines[@]}" -gt 800 ]
	as w1 <<<"$(logs "something new")"
	run -0 remote -q --cursor-file seen -o cat
	[ "$output" = "something new" ]
	run -1 remote -q --cursor-file seen -o cat
}

@test "a follower sees what arrives, through a restart of the daemon, nothing twice" {
	stored
	begin monitor-query --url "ws://127.0.0.1:$port" --token-file token -f -n 1 -o cat >got 2>query.err
	until_true [ -s got ]
	as w1 <<<"$(logs first)"
	until_true grep -qx first got
	stop_wsd
	old=$port
	wsd -d m.db --no-auth --listen "127.0.0.1:$old" -- monitor-ingest --quiet --ack -d m.db
	as w1 <<<"$(logs second)"
	until_true grep -qx second got
	as w1 <<<"$(logs third)"
	until_true grep -qx third got
	[ "$(tail -n +2 got | xargs)" = "first second third" ]
}

@test "what is uploaded through monitor-ingest is stored as it would be directly" {
	stored
	printf w3 >token
	run -0 monitor-ingest --url "ws://127.0.0.1:$port" --token-file token sample.ndjson
	diff <(monitor-query -d m.db -W w3 | sed 's/"w3"/"w1"/') <(monitor-query -d m.db -W w1)
}

@test "numbered lines are acknowledged by the daemon, and stored once however often they are sent" {
	stored
	printf w3 >token
	for i in 1 2 3; do echo "{\"source\":\"s\",\"seq\":$i,\"level\":1,\"time\":$i,\"sender\":\"a\",\"message\":\"$i\"}"; done >lines
	for again in 1 2; do
		run -0 --separate-stderr monitor-ingest --ack -q --url "ws://127.0.0.1:$port" --token-file token lines
		[ "${lines[-1]}" = '{"ack":{"source":"s","seq":3}}' ]
	done
	[ "$(monitor-query -d m.db -W w3 -o cat | xargs)" = "1 2 3" ]
}

some_stored() { [ "$(monitor-query -d m.db -W w3 --count)" -ge "$1" ]; }

@test "an upload outlives the daemon: killed and started again, every record is there once" {
	start monitor-ingest --quiet --ack --listen unix:sink -d m.db
	until_true [ -S sink ]
	wsd -d m.db --no-auth --sink unix:sink
	first=$port
	printf w3 >token
	records 3000 >many
	converse upload monitor-ingest -q --url "ws://127.0.0.1:$first" --token-file token
	uploader=$pid
	for part in 1 2 3; do
		tell upload "$(sed -n "$((part * 1000 - 999)),$((part * 1000))p" many)"
		until_true some_stored $((part * 1000 - 999))
		kill -KILL "$wsd"
		wait "$wsd" || true
		wsd -d m.db --no-auth --sink unix:sink --listen "127.0.0.1:$first"
	done
	until_true some_stored 3000
	kill -TERM "$uploader"
	wait "$uploader"
	[ "$(monitor-query -d m.db -W w3 --count)" = 3000 ]
	[ "$(monitor-query -d m.db -W w3 -o cat | sort -u | wc -l)" = 3000 ]
}

@test "a token that is not accepted is an error that names no token" {
	wsd -d m.db --tokens /dev/null -- monitor-ingest --quiet --ack -d m.db
	echo a-secret-token >token
	run -3 remote --count
	[[ $output == *"Invalid token"* && $output != *a-secret-token* ]]
	run -1 monitor-ingest -q --url "ws://127.0.0.1:$port" --token-file token sample.ndjson
	[[ $output == *"Invalid token"* && $output != *a-secret-token* ]]
	MONITOR_TOKEN=another-secret run -3 monitor-query --url "ws://127.0.0.1:$port" --count
	[[ $output == *"Invalid token"* && $output != *another-secret* ]]
}

@test "who connects again shows the token that the file holds by then" {
	monitor-wsd --new-token w1 --tokens tokens >first
	monitor-wsd --new-token w1 --tokens tokens >second
	wsd -d m.db --tokens tokens -- monitor-ingest --quiet --ack -d m.db
	cp first token
	start monitor-query --url "ws://127.0.0.1:$port" --token-file token -f -o cat >got 2>said
	follower=$pid
	until_true grep -q . got
	cp second token
	sed -i 1d tokens
	kill -HUP "$wsd"
	until_true grep -q reloaded wsd.err
	monitor-ingest -q --url "ws://127.0.0.1:$port" --token-file second \
		<<<'{"level":0,"time":0,"sender":"s","message":"after that"}'
	until_true grep -qx 'after that' got
	kill "$follower"
	wait "$follower"
}

@test "over TLS the daemon must be who it says it is" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2 \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout server.key -out server.crt 2>/dev/null
	stored --cert server.crt --key server.key
	run -3 monitor-query --url "wss://127.0.0.1:$port" --token-file token --count
	[[ $output == *certificate* ]]
	run -0 monitor-query --url "wss://127.0.0.1:$port" --ca server.crt --token-file token --count
	[ "$output" = "$(local_ --count)" ]
}

@test "over TLS, too, a daemon that is full, and ends handshakes, is waited for" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2 \
		-addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.crt 2>/dev/null
	stored --cert server.crt --key server.key --max-connections 1
	exec {held}<>"/dev/tcp/127.0.0.1/$port"
	begin monitor-ingest --url "wss://127.0.0.1:$port" --ca server.crt --token-file token 2>said \
		<<<'{"level":0,"time":0,"sender":"s","message":"patient"}'
	ingest=$pid
	until_true grep -q 'trying again' said
	exec {held}>&-
	wait "$ingest"
	[ "$(local_ -g patient -o cat)" = patient ]
}
