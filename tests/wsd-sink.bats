load helper
load wsd

# The sink behind the daemon: gone, stopped, slow, refusing; and what clients see of it.

ingester() {
	start monitor-ingest --quiet --ack --listen unix:sink -d m.db "$@" 2>>ingest.err
	ingester=$pid
	until_true [ -S sink ]
}

ready() { [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/readyz")" = "$1" ]; }

# figure NAME: as the daemon shows it.
figure() {
	curl -sf "http://$(sed -n 's/.*metrics on //p' wsd.err)/metrics" | sed -n "s/^monitor_wsd_$1 //p"
}
figure_is() { [ "$(figure "$1")" = "$2" ]; }

@test "with --sink unix:PATH records go to an ingester that serves many" {
	ingester
	wsd -d m.db --no-auth --sink unix:sink
	run -0 as w1 <<<"$(logs one)"
	[[ $output == *"Inserted 1"* ]]
	[ "$(monitor-query -d m.db -o cat)" = one ]
}

@test "a sink that is not there yet is waited for, and what came meanwhile is stored" {
	wsd -d m.db --no-auth --sink unix:sink
	until_true ready 503
	begin as w1 <<<"$(logs one)" >out
	client=$pid
	run -0 as w2 <<<'{"action":"getLogs","timewindow":60}'
	[ "$output" = '{"success":true,"action":"getLogs","logs":[]}' ]
	[ ! -s out ]
	ingester
	wait "$client"
	grep -q "Inserted 1" out
	until_true ready 200
}

@test "a sink that is killed is started again and resent what it had not settled; nothing is lost or doubled" {
	stored
	converse out as w1 -T 100
	client=$pid
	for i in {1..30}; do
		tell out "$(logs "record $i")"
		[ $((i % 10)) != 0 ] || pkill -KILL -P "$wsd" || true
	done
	hush out
	wait "$client"
	[ "$(grep -c 'Inserted 1' out)" = 30 ]
	[ "$(monitor-query -d m.db -o cat | xargs)" = "$(printf 'record %d ' {1..30} | xargs)" ]
	grep -i killed wsd.err || grep -i 'signal 9' wsd.err
}

@test "an ingester on a socket that is killed and comes again is resent the rest" {
	ingester
	wsd -d m.db --no-auth --sink unix:sink
	as w1 <<<"$(logs one)"
	kill -STOP "$ingester"
	begin as w1 -T 60 <<<"$(logs two three)" >out
	client=$pid
	kill -KILL "$ingester"
	wait "$ingester" || true
	ingester
	wait "$client"
	grep -q "Inserted 2" out
	[ "$(monitor-query -d m.db -o cat | xargs)" = "one two three" ]
}

@test "a stopped sink slows uploads and nobody else, and memory stays where it is" {
	ingester
	wsd -d m.db --no-auth --sink unix:sink --max-unsettled 64k --timeout 5 --ping-interval 1
	as w1 <<<"$(logs before)"
	kill -STOP "$ingester"
	for i in {1..20}; do echo '!upload 100 1000'; done >flood
	for i in 1 2 3 4; do
		begin as w$i -T 100 <flood >out.$i
		clients+=("$pid")
	done
	before=$(resident)
	# For longer than timeout and pings would have allowed a silent peer.
	begin as w8 -w -C -T 60 </dev/null >silent
	until grep -q close silent; do
		run -0 as w9 -T 20 <<<'{"action":"ping"}
!expect 1
{"action":"getLogs","since":0}'
	done
	grown_by_less "$before" 20000
	kill -CONT "$ingester"
	wait "${clients[@]}"
	for i in 1 2 3 4; do
		[ "$(grep -c 'Inserted 100 ' out.$i)" = 20 ]
	done
	[ "$(monitor-query -d m.db --count)" = 8001 ]
}

@test "a record that the sink refuses fails its request" {
	wsd -d m.db --no-auth -- monitor-ingest -q --ack -d m.db --max-future 1h
	run -0 as w1 <<-END
		{"action":"uploadLogs","logs":[{"level":1,"time":99999999999,"sender":"a","message":"future"}]}
		!expect 1
		$(logs now)
	END
	[[ ${lines[0]} == '{"success":false,"action":"uploadLogs","comment":"time'* ]]
	[[ ${lines[1]} == *"Inserted 1"* ]]
	[ "$(monitor-query -d m.db -o cat)" = now ]
}

@test "an upload that is sent again while its first copy is being refused fails as well" {
	ingester --max-future 1h
	wsd -d m.db --no-auth --sink unix:sink --metrics 127.0.0.1:0
	as w1 <<<"$(logs before)"
	kill -STOP "$ingester"
	printf '{"action":"uploadLogs","source":"s","seq":1,"logs":[%s,%s]}\n' \
		'{"level":1,"time":1,"sender":"a","message":"past"}' \
		'{"level":1,"time":99999999999,"sender":"a","message":"future"}' >talk
	for i in 1 2; do
		begin as w1 -T 30 <talk >out.$i
		clients+=("$pid")
		until_true figure_is sink_unsettled_uploads "$i"
	done
	kill -CONT "$ingester"
	wait "${clients[@]}"
	for i in 1 2; do
		grep -q '"success":false,"action":"uploadLogs","comment":"time' out.$i
	done
	[ "$(monitor-query -d m.db -o cat | sort | xargs)" = "before past" ]
}

@test "a sink that stores and never acknowledges is told of" {
	wsd --no-auth -- monitor-ingest --quiet -d m.db
	begin as w1 <<<"$(logs one)" >replies
	until_true grep -q 'monitor-ingest: takes lines and acknowledges none (monitor-ingest needs --ack)' wsd.err
}

@test "a sink that can't be started at all is told at once, status 1" {
	run -1 monitor-wsd --listen 127.0.0.1:0 --no-auth -- /no/such/sink
	[[ $output == *no/such/sink* ]]
}

@test "at the end what is under way is settled and answered, and connections are closed with 1001" {
	ingester
	wsd -d m.db --no-auth --sink unix:sink --metrics 127.0.0.1:0
	as w1 <<<"$(logs before)"
	kill -STOP "$ingester"
	begin as w1 -C -T 30 <<<"$(logs one)"$'\n''!expect 99' >out
	begin as w2 -C -w -T 30 </dev/null >idle
	until_true figure_is sink_unsettled_uploads 1
	until_true figure_is sessions 2
	kill -TERM "$wsd"
	until_true grep -q 'close 1001' idle
	! grep -q close out
	kill -CONT "$ingester"
	wait "$wsd"
	until_true grep -q 'close 1001' out
	grep -q 'Inserted 1' out
	[ "$(monitor-query -d m.db --count)" = 2 ]
}

@test "a daemon that is killed loses nothing that it has acknowledged, and resent uploads are stored once" {
	ingester
	for round in 1 2 3; do
		wsd -d m.db --no-auth --sink unix:sink
		for i in {1..40}; do
			printf '{"action":"uploadLogs","source":"s","seq":%d,"logs":[{"level":1,"time":%d,"sender":"s","message":"%d"}]}\n' "$i" "$i" "$i"
		done >talk
		begin as w1 -T 30 <talk >out.$round
		client=$pid
		until_true test -s out.$round
		kill -KILL "$wsd"
		wait "$client" || true
	done
	wsd -d m.db --no-auth --sink unix:sink
	run -0 as w1 <talk
	[ "$(grep -c 'Inserted 1' <<<"$output")" = 40 ]
	[ "$(monitor-query -d m.db -o cat | sort -n | xargs)" = "$(echo {1..40})" ]
}

@test "standard output that nobody reads is dropped and counted, and blocks nothing" {
	mkfifo out
	exec 8<>out
	start monitor-wsd --listen 127.0.0.1:0 --no-auth -- monitor-ingest -q --ack -d m.db 2>wsd.err >out
	wsd=$pid
	the_port wsd.err
	for i in {1..12}; do
		big 500000
		echo "!expect $i"
	done >talk
	run -0 as w1 -T 60 <talk
	[ "$(grep -c Inserted <<<"$output")" = 12 ]
	until_true grep -qi dropped wsd.err
	stop_wsd
}
