load helper
load tokens
load wsd
load zmq

# The alert rules, their own tests, and monitor-operations(7), which tells of every alert and of
# every figure, against what the programs really export.

RULES=$PROJECT/deploy/prometheus/monitor.rules.yml
MANUAL=$PROJECT/man/monitor-operations.7

alerts() {
	sed -n 's/^ *- alert: //p' "$RULES" | sort
}

# exported: the names of all figures of all programs, of a histogram with what is behind it, in
# the file names.
exported() {
	openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2 -subj /CN=localhost \
		-keyout key.pem -out cert.pem 2>openssl.err
	wsd --no-auth --metrics 127.0.0.1:0 --cert cert.pem --key key.pem
	beside proxy monitor-zmq proxy --metrics 127.0.0.1:0 tcp://127.0.0.1:0 tcp://127.0.0.1:0
	feed pub monitor-zmq pub --metrics 127.0.0.1:0 --bind tcp://127.0.0.1:0
	beside sub monitor-zmq sub --metrics 127.0.0.1:0 --bind tcp://127.0.0.1:0
	feed push monitor-zmq push --metrics 127.0.0.1:0 --connect tcp://127.0.0.1:1
	beside pull monitor-zmq pull --metrics 127.0.0.1:0 tcp://127.0.0.1:0 -- monitor-ingest --ack -d m.db
	beside serve monitor-zmq serve --metrics 127.0.0.1:0 -d m.db tcp://127.0.0.1:0 -- monitor-ingest --ack -d m.db
	{
		curl -sSf "http://$(sed -n 's/.*metrics on //p' wsd.err)/metrics"
		for verb in proxy pub sub push pull serve; do
			until_true says $verb.err 'figures are at'
			curl -sSf "$(sed -n 's/.*figures are at //p' $verb.err)"
		done
	} >figures
	sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' figures | sort -u >names
}

# told: the same, as the manuals have them: what a proxy's two sockets have alike, once.
told() {
	exported
	sed -i 's/^monitor_zmq_\(frontend\|backend\)_/monitor_zmq_/' names
	sort -uo names names
}

# log_lines FILE...: what these say in a log: of each message the longest piece that is fixed.
log_lines() {
	python3 - "$@" <<-'END'
		import re, sys
		for path in sys.argv[1:]:
		    for name, call in re.findall(r'\b(cli_warn|log_say|log_limited|serve_say|say)\((.*?)\);', open(path).read(), re.S):
		        if name == 'log_limited':   # what it is limited by comes first
		            call = call.split(',', 1)[1]
		        call = re.sub(r'%"\s*PRI\w+\s*("|(?=,))', lambda m: '%d' + ('' if m[1] else '"'), call)
		        texts = re.findall(r'"((?:[^"\\]|\\.)*)"', re.sub(r'"\s*"', '', call))
		        pieces = re.split(r'%[-.*0-9lz]*[a-z]', texts[0]) if texts else []
		        longest = max((p.strip(' :;,') for p in pieces), key=len, default='')
		        if len(longest) > 3:
		            print(longest)
	END
}

@test "promtool finds nothing wrong with the rules, nor with the example that reads them" {
	promtool check rules "$RULES"
	promtool check config "$PROJECT/deploy/prometheus/prometheus.yml"
}

@test "each alert is raised by what it is for, and by nothing else" {
	promtool test rules "${RULES%.yml}.test.yml"
}

@test "the tests of the rules see every alert raised" {
	sed -n 's/.*{alertname="\([A-Za-z]*\)"}.*/\1/p' "${RULES%.yml}.test.yml" | sort | diff - <(alerts)
}

@test "the rules name only figures that the programs export" {
	exported
	[ "$(wc -l <names)" -gt 80 ]
	grep -oE 'monitor_(wsd|zmq)_[a-z_]+' "$RULES" | sed 's/_bucket$//' | sort -u >used
	[ -s used ]
	run comm -13 names used
	[ -z "$output" ]
}

@test "every figure that the programs export is in monitor-operations(7) and its program's manual, and no other" {
	told
	grep -ohE 'monitor_(wsd|zmq)_[a-z_]+[a-z]' "$MANUAL" |
		grep -vxE 'monitor_zmq_(frontend|backend)' | sort -u | diff names -
	sed -n '/^\.It Li monitor_/p' "$PROJECT"/man/monitor-{wsd,zmq}.8 | grep -oE 'monitor_[a-z_]+' | sort -u | diff names -
}

@test "every alert is in monitor-operations(7), with what to do, and no other" {
	sed -n '/^\.It Li Monitor/p' "$MANUAL" | grep -oE 'Monitor[A-Za-z]+' | sort | diff - <(alerts)
}

@test "every exit status of a program's manual is in monitor-operations(7)" {
	for program in monitor-{ingest,query,purge,wsd,zmq}; do
		sed -n '/^\.Sh EXIT STATUS/,/^\.Sh EXAMPLES/s/^\.It \([0-9]*\)$/\1/p' "$PROJECT/man/$program".[18] >wanted
		sed -n "/^\.Sh EXIT STATUS/,/^\.Sh/s/^\.It Li $program \([0-9]*\)\$/\1/p" "$MANUAL" | diff wanted -
	done
}

@test "every line of the services' logs is in monitor-operations(7)" {
	cd "$PROJECT"
	log_lines cmd/monitor-{ingest,purge,wsd,zmq}/*.c lib/*.c lib/{serve,sink,relay}/*.c | sort -u >"$BATS_TEST_TMPDIR/lines"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/lines")" -gt 30 ]
	while read -r line; do
		grep -qF -- "$line" "$MANUAL" || { echo "not there: $line" >&2; return 1; }
	done <"$BATS_TEST_TMPDIR/lines"
}
