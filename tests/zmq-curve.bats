#!/usr/bin/env bats
# monitor-zmq: keys, who may connect, and who must go.
# shellcheck disable=SC2046,SC2086 # options and endpoints are words

load helper
load zmq

LOCAL="tcp://127.0.0.1:0 tcp://127.0.0.1:0"

prepare() {
	keys server
	keys anna
	keys bert
}

# allow NAME...: write the list anew.
allow() {
	local name
	for name; do echo "${!name} $name"; done >list
}

# as NAME: the options to connect to the broker as that.
as() {
	echo "--curve-key $1.key --curve-server-key $server"
}

# A broker for whoever is in the file `list`.
curve_broker() {
	broker --curve-key server.key --curve-allow list $LOCAL
}

reload() {
	kill -HUP "$broker"
	until_true says broker.err "the allow list is read again$1"
}

# ---- keys ----

@test "keygen writes the secret key to a file that is not for others, and shows the public one" {
	umask 022
	run -0 --separate-stderr monitor-zmq keygen carl
	[[ $output =~ ^[^\ ]{40}\ carl$ ]]
	[ -z "$stderr" ]
	[ "$(stat -c %a carl.key)" = 640 ]
	secret=$(grep -v '^#' carl.key)
	[ "${#secret}" = 40 ]
	[[ $output != *"$secret"* ]]
	umask 077
	mkdir sub
	run -0 monitor-zmq keygen sub/dora
	[[ $output == *" dora" ]]
	[ "$(stat -c %a sub/dora.key)" = 600 ]
	run -0 monitor-zmq keygen
	[ -e monitor-zmq.key ]
}

@test "keygen never overwrites a key, and leaves none behind that is not whole" {
	cp anna.key before
	run -1 monitor-zmq keygen anna
	[[ $output == *"anna.key: is there already"* ]]
	cmp before anna.key
	ln -s nowhere emil.key
	run -1 monitor-zmq keygen emil
	[ ! -e nowhere ]
	run -1 bash -c 'ulimit -f 0; trap "" XFSZ; monitor-zmq keygen full'
	[ ! -e full.key ]
	run -2 monitor-zmq keygen 'a b'
	run -2 monitor-zmq keygen a b
	run -2 monitor-zmq keygen ''
}

@test "a secret key that others may use is refused, as is what is none" {
	chmod o+r anna.key
	run -1 monitor-zmq sub $(as anna) ipc://x
	[[ $output == *"anna.key: others may use it"* ]]
	chmod 600 anna.key
	sed -i '/^[^#]/s/.$//' anna.key
	run -1 monitor-zmq sub $(as anna) ipc://x
	[[ $output == *"anna.key: has no key"* ]]
	[[ $output != *"$(grep -v '^#' anna.key)"* ]]
	run -1 monitor-zmq sub --curve-key bert.key --curve-server-key nothing ipc://x
	[[ $output == *"nothing: No such file"* ]]
	echo "short bert" >list
	run -1 monitor-zmq sub --curve-key bert.key --curve-allow list --bind ipc://x
	[[ $output == *"list: line 1: must begin with a public key"* ]]
}

@test "options that need one another are asked for" {
	run -2 monitor-zmq sub --curve-server-key "$server" ipc://x
	[[ $output == *"--curve-server-key goes with --curve-key"* ]]
	run -2 monitor-zmq sub --curve-allow list --bind ipc://x
	[[ $output == *"--curve-allow goes with --curve-key"* ]]
	run -2 monitor-zmq sub --curve-key anna.key ipc://x
	[[ $output == *"--curve-server-key"* ]]
	run -2 monitor-zmq sub --curve-key anna.key --curve-server-key "$server" --bind ipc://x
	[[ $output == *"--curve-server-key is for connecting"* ]]
	run -2 monitor-zmq sub $(as anna) --curve-allow list ipc://x
	[[ $output == *"--curve-allow is for who connects to us"* ]]
}

# ---- who may come in ----

@test "whose key is on the list may publish and subscribe, from whatever host" {
	allow anna bert
	curve_broker
	subscribe sub $(as anna)
	# A file with the public key does as well.
	echo "$server the-broker" >broker.pub
	series 1 100 | publish --curve-key bert.key --curve-server-key broker.pub
	until_true has_lines sub.out 100
	series 1 100 | cmp - sub.out
	allow anna bert
	feed open monitor-zmq pub --curve-key server.key --curve-allow list --bind 'tcp://*:0'
	until_true endpoint_is_there open.err
}

@test "without an allowed key nobody gets anything, or is heard; it is told and counted" {
	allow anna
	curve_broker
	subscribe anna $(as anna)
	beside bert monitor-zmq sub --retry 20ms --metrics 127.0.0.1:0 $(as bert) "$back"
	until_true says bert.err "$back: our key is not allowed there"
	until_true says broker.err "a peer at 127.0.0.1 is refused: its key $bert is not allowed"
	until_true figure_exceeds broker.err backend_handshakes_failed_total 0
	until_true figure_exceeds bert.err handshakes_failed_total 0
	record 1 | publish --wait 300ms --linger 0 $(as bert)
	until_true figure_exceeds broker.err frontend_handshakes_failed_total 0
	record 2 | publish $(as anna)
	until_true has_lines anna.out 1
	record 2 | cmp - anna.out
	[ ! -s bert.out ]
	[ "$(figure broker.err backend_connections_total)" = 1 ]
	[ "$(figure bert.err connections_total)" = 0 ]
}

@test "without CURVE, or with another idea of the broker's key, nobody comes in either" {
	allow anna bert
	curve_broker
	subscribe anna $(as anna)
	beside plain monitor-zmq sub --retry 20ms "$back"
	beside wrong monitor-zmq sub --retry 20ms --curve-key bert.key --curve-server-key "$anna" "$back"
	until_true says plain.err "$back: no handshake with the other end: only one side uses CURVE"
	until_true figure_exceeds broker.err backend_handshakes_failed_total 3
	record 1 | publish $(as anna)
	until_true has_lines anna.out 1
	[ ! -s plain.out ]
	[ ! -s wrong.out ]
	# Nor the other way round: who wants CURVE does not do without it.
	feed open monitor-zmq pub --wait 10s --bind ipc://open
	until_true endpoint_is_there open.err
	beside curve monitor-zmq sub --retry 20ms $(as anna) ipc://open
	until_true says curve.err "only one side uses CURVE"
}

@test "a file with the broker's key is one, even if its path might be a key" {
	path=d/$(printf '%038d' 0)
	[ ${#path} = 40 ]
	mkdir d
	echo "$server" >"$path"
	broker --curve-key server.key $LOCAL
	subscribe sub --curve-key anna.key --curve-server-key "$path"
	record 1 | publish $(as bert)
	until_true has_lines sub.out 1
}

@test "without a list, whoever knows the broker's key comes in" {
	broker --curve-key server.key $LOCAL
	subscribe sub $(as anna)
	record 1 | publish $(as bert)
	until_true has_lines sub.out 1
}

# ---- who must go ----

@test "whose key is taken off the list is cut off at SIGHUP; the others come back by themselves" {
	allow anna bert
	curve_broker
	subscribe anna --kind log $(as anna)
	subscribe bert $(as bert)
	publisher pub $(as anna)
	record 1 >&"$to"
	until_true has_lines anna.out 1
	until_true has_lines bert.out 1

	allow anna
	reload ": a key is gone"
	until_true figure_exceeds bert.err handshakes_failed_total 0
	until_true figure_is anna.err connections_total 2
	until_true figure_is pub.err connections_total 2
	n=1
	until has_lines anna.out 2; do record $((++n)) >&"$to"; done
	[ "$(wc -l <bert.out)" = 1 ]
	[ "$(figure bert.err connections_total)" = 1 ]

	# Put on it again, it is back by itself.
	allow anna bert
	reload ""
	until_true figure_is bert.err connections_total 2
	until has_lines bert.out 2; do record $((++n)) >&"$to"; done
}

@test "of two brokers that are named one is away, the other refuses us for a while: to that we come back" {
	allow anna
	curve_broker
	local away=$broker second=${back/127.0.0.1/localhost}
	mv broker.err away.err
	curve_broker
	subscribe anna $(as anna) --retry 20ms..500ms --connect "$second" --connect "${back/127.0.0.1/localhost}"
	until_true figure_is anna.err connections_total 3
	allow bert
	kill "$away" "$broker"
	wait "$away" "$broker"
	broker --curve-key server.key --curve-allow list "$front" "$back"
	until_true says anna.err "our key is not allowed there"
	allow anna
	reload ""
	until_true figure_is anna.err connections_total 4
}

@test "a broker that is a publisher at another one still is it when somebody had to go" {
	allow anna bert
	curve_broker
	subscribe anna --kind log $(as anna)
	central=$front
	allow anna bert
	cp list edge
	beside edge monitor-zmq proxy --metrics 127.0.0.1:0 --retry 20ms..100ms --curve-key server.key \
		--curve-server-key "$server" --curve-allow edge --bind tcp://127.0.0.1:0 --connect "$central"
	until_true endpoint_is_there edge.err
	allow anna bert
	echo "$server edge" >>list
	reload ""
	front=$(endpoint edge.err)
	until_true figure_exceeds edge.err frontend_sent_total 0
	record 1 | publish $(as bert)
	until_true has_lines anna.out 1

	echo "$anna anna" >edge
	kill -HUP "$pid"
	until_true says edge.err ": a key is gone"
	until_true figure_exceeds edge.err frontend_sent_total 1
	record 2 | publish $(as anna)
	until_true has_lines anna.out 2
	# And the connections that were ended are counted so.
	[ "$(figure edge.err frontend_connections_ended_total)" -ge 1 ]
	[ "$(figure edge.err backend_connections_ended_total)" -ge 1 ]
}

@test "a list that only grew cuts nobody off" {
	allow anna
	curve_broker
	subscribe anna $(as anna)
	allow anna bert
	reload ""
	record 1 | publish $(as bert)
	until_true has_lines anna.out 1
	[ "$(figure broker.err backend_connections_ended_total)" = 0 ]
}

@test "a list that is wrong is told at SIGHUP, and the old one stays" {
	allow anna bert
	curve_broker
	subscribe anna $(as anna)
	echo nonsense >list
	kill -HUP "$broker"
	until_true says broker.err "list: line 1: must begin with a public key, 40 characters of Z85; the list stays as it was"
	rm list
	kill -HUP "$broker"
	until_true says broker.err "list: No such file or directory; the list stays as it was"
	record 1 | publish $(as bert)
	until_true has_lines anna.out 1
	[ "$(figure broker.err backend_connections_ended_total)" = 0 ]
}

ready_again() {
	[ "$(grep -cx READY=1 told)" = 2 ]
}

@test "the service manager is told of a reload" {
	allow anna
	start sock notified "$PWD/notify" >told
	until_true test -S notify
	start env NOTIFY_SOCKET="$PWD/notify" monitor-zmq proxy -q --curve-key server.key --curve-allow list $LOCAL
	until_true grep -qx READY=1 told
	kill -HUP "$pid"
	until_true grep -qx RELOADING=1 told
	until_true grep -q MONOTONIC_USEC= told
	until_true ready_again
}
