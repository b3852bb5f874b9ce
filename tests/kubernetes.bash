# For the tests of the manifests under deploy/kubernetes: what they say, and their pods as processes of
# this machine. Loaded behind helper.bash, tokens.bash, wsd.bash and zmq.bash.

KUBERNETES=$PROJECT/deploy/kubernetes

# rendered DIRECTORY: what kustomize makes of it, as a list of JSON.
rendered() {
	kubectl kustomize "$KUBERNETES/$1" 2>kustomize.err | "$PYTHON" "$PROJECT/tests/kubernetes/manifests.py"
}

# The fleet: with its own database, and with one elsewhere; and the pod to develop with.
render_all() {
	rendered overlays/prod >prod.json
	rendered base >base.json
	rendered overlays/dev >dev.json
	secrets
}

# secrets: what the script makes, in secrets.json, and as the directories secrets/NAME that the kubelet would mount.
secrets() {
	local name key
	"$KUBERNETES/secrets" | "$PYTHON" "$PROJECT/tests/kubernetes/manifests.py" >secrets.json
	jq -r '.[] | .metadata.name as $n | .data | keys[] | "\($n) \(.)"' secrets.json | while read -r name key; do
		mkdir -p "secrets/$name"
		jq -r --arg n "$name" --arg k "$key" '.[] | select(.metadata.name == $n).data[$k]' secrets.json |
			base64 -d >"secrets/$name/$key"
		chmod 440 "secrets/$name/$key"
	done
}

# ask FILE FILTER [OPTION]...: of a list of manifests.
ask() {
	jq -r -L "$PROJECT/tests/kubernetes" "${@:3}" "include \"model\"; $2" "$1"
}

# nothing FILE FILTER [OPTION]...: what the filter finds is wrong; show it.
nothing() {
	run -0 ask "$@"
	[ -z "$output" ] || { printf '%s: %s\n' "$1" "$output" >&2; return 1; }
}

# everywhere FILTER: nothing, in any of them.
everywhere() {
	local file
	for file in prod.json base.json dev.json; do
		nothing "$file" "$1" --slurpfile secrets secrets.json
	done
}

# ---- pods, as processes ----

# argv FILE WORKLOAD/CONTAINER POD [FILTER]: its arguments, or what the filter finds, ended by NUL; the cluster's paths and
# addresses are replaced by ours: POD is a directory for its volumes, a port is any that is free.
argv() {
	ask "$1" "(. + \$secrets[0]) as \$all | containers | select(.at == \$at) | ${4-argv(\$all)}"' | map(
			gsub("/run/monitor|/var/lib/monitor"; $pod) | gsub("/etc/monitor/(?<s>[a-z]+)"; "\($dir)/secrets/monitor-\(.s)")
			| sub("https://auth.example.org"; $auth)
			| sub("tcp://([*]|monitor-broker):9101"; $front) | sub("tcp://([*]|monitor-broker):9102"; $back)
			| sub("^(?<o>--(listen|metrics)=)([*]|127[.]0[.]0[.]1):[0-9]+$"; "\(.o)127.0.0.1:0")
			| . + "\u0000") | add // empty' -j --slurpfile secrets secrets.json --arg at "$2" --arg dir "$PWD" --arg pod "$PWD/$3" \
		--arg auth "${url-}" --arg front "${front-tcp://127.0.0.1:0}" --arg back "${back-tcp://127.0.0.1:0}"
}

# container FILE WORKLOAD/CONTAINER POD [ARGUMENT]...: run it beside, with the variables of the array `outside`, too.
# Its messages are in POD-CONTAINER.err, its pid is in pids[POD-CONTAINER].
container() {
	local name=$3-${2##*/} vector environment
	mapfile -d '' -t vector < <(argv "$1" "$2" "$3")
	mkdir -p "$3"
	mapfile -d '' -t environment < <(argv "$1" "$2" "$3" 'variables($all) | to_entries | map("\(.key)=\(.value)")')
	beside "$name" env -C "$PWD/$3" "${environment[@]}" "${outside[@]}" "${vector[@]}" "${@:4}"
	pids[$name]=$pid
}

# pod FILE POD: the pod of monitor-wsd, its containers begun in order as the kubelet does; where the daemon listens
# is in $port then.
pod() {
	local at stays extra startup
	while read -r at stays; do
		extra=()
		[ "$at" != monitor-wsd/wsd ] || extra=(--listen 127.0.0.1:0)
		container "$1" "$at" "$2" "${extra[@]}"
		[ "$stays" = true ] || wait "$pid"
		mapfile -d '' -t startup < <(argv "$1" "$at" "$2" '.startupProbe.exec.command // [":"]')
		until_true "${startup[@]}"
	done < <(ask "$1" 'containers | select(.workload == "monitor-wsd") | "\(.at) \(.stays)"')
	the_port "$2-wsd.err"
	until_true curl -s --fail-with-body "http://127.0.0.1:$port/readyz"
}

# end_pod FILE POD: end it as the kubelet does, sidecars last, in the other order; each has to end well.
end_pod() {
	local at
	for at in $(ask "$1" '[containers | select(.workload == "monitor-wsd" and .stays)]
			| (map(select(.sidecar | not)) + (map(select(.sidecar)) | reverse))[].at'); do
		kill -TERM "${pids[$2-${at##*/}]}"
		wait "${pids[$2-${at##*/}]}"
	done
}

# ---- a fleet of them ----

WATCHDOG=0000000000000004

# fleet POD...: who signs tokens, the broker, and pods of the base; where each listens is in ports[POD].
fleet() {
	keypair a
	give_key a
	serve
	container base.json monitor-broker/proxy broker
	until_true endpoint_is_there broker-proxy.err 2
	front=$(endpoint broker-proxy.err 1) back=$(endpoint broker-proxy.err 2)
	chmod u+w secrets/monitor-tokens/tokens
	owner=$(monitor-wsd --new-token $WATCHDOG --role user --tokens secrets/monitor-tokens/tokens)
	declare -gA ports=()
	for pod; do
		pod base.json "$pod"
		ports[$pod]=$port
	done
}

# listen_at POD: the owner is connected there; what they are told is in POD.heard.
listen_at() {
	port=${ports[$1]} begin as "$owner" -w -T 100 </dev/null >"$1.heard"
}

# say POD TEXT: the watchdog does, with a token that was signed for it.
say() {
	port=${ports[$1]} as "$(token a $WATCHDOG 17 "$(date +%s)" null 0)" <<<"$(notifications "$2")"
}

# heard FROM TO TEXT: is it, at TO? If not it is said again at FROM: a subscriber may not be there yet.
heard() {
	say "$1" "$3" >/dev/null
	grep -qF "\"$3\"" "$2.heard"
}
