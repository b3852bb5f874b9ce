load ../helper
load ../zmq
load ../kubernetes

# The container image, made and run: by `make check-image`, not by `make check`. Nothing of it is left.

# As root, without systemd (which would ask for their health every so often), and also where limits cannot be raised or there is no network for
# containers: so there is none, and they share what loopback the first one has.
podman() {
	DISABLE_HC_SYSTEMD=true command podman --root "$BATS_FILE_TMPDIR/storage" --runroot "$BATS_FILE_TMPDIR/run" --storage-driver vfs \
		--cgroup-manager cgroupfs --runtime runc --events-backend file "$@"
}

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	render_all
	chgrp -R 10001 secrets
	chmod -R g+rX secrets
	image_made "$PWD" >build.log 2>&1
}

# image_made DIRECTORY: make it, with containers' storage there.
image_made() {
	BUILDAH="buildah --root $1/storage --runroot $1/run --storage-driver vfs" "$PROJECT/deploy/image/build" monitor:test
}

prepare() {
	ln -s "$BATS_FILE_TMPDIR"/{*.json,secrets} .
}

teardown() {
	# Whose network others share cannot go before them.
	podman rm --all --force --time 0 >/dev/null 2>&1 || podman rm --all --force --time 0 >/dev/null
	podman volume prune --force >/dev/null
}

# run_image OPTION... IMAGE [COMMAND]...: as a cluster would: with as little as it can do with.
run_image() {
	podman run --read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges \
		--ulimit nofile=4096:4096 --ulimit nproc=4096:4096 "$@"
}

# status_of NAME: with which it has ended.
status_of() {
	podman wait "$1"
}

@test "all programs run in it, as nobody who matters" {
	for program in ingest query purge wsd zmq; do
		run -0 run_image --rm --network none monitor:test monitor-$program --version
		[[ $output == "monitor-$program "* ]]
	done
	run -0 run_image --rm --network none monitor:test sh -c 'cat /proc/self/status'
	grep -P '^Uid:\t10001\t10001' <<<"$output"
	grep -P '^CapEff:\t0+$' <<<"$output"
}

@test "it is small, and has nothing that gives somebody more than they had" {
	run -0 podman image inspect monitor:test --format '{{.Size}}'
	[ "$output" -lt 64000000 ]
	tar -tvf "$BUILD/image/root.tar" >files
	run ! grep -E '^-..s|^-.....s|/(apt-get|dpkg|perl|bash)$' files
	grep -c 'var/lib/dpkg/status.d/' files
}

@test "made again, what is in it is the same, byte for byte" {
	podman image inspect monitor:test --format '{{.RootFS.Layers}}' >first
	grep sha256 first
	image_made "$BATS_FILE_TMPDIR" >build.log 2>&1
	podman image inspect monitor:test --format '{{.RootFS.Layers}}' | diff first -
}

@test "by itself it is a daemon with its store on a volume: healthy, and what it stored is there when it is started again" {
	token=$(monitor-wsd --new-token w1 --tokens tokens)
	chmod 644 tokens
	daemon() {
		run_image --detach --name "$1" --network none --volume store:/var/lib/monitor \
			--volume "$PWD/tokens:/etc/monitor/tokens:ro" monitor:test
		until_true podman healthcheck run "$1"
	}
	daemon one
	records 3 | podman exec -i -e MONITOR_TOKEN="$token" one monitor-ingest -q --url ws://127.0.0.1:9000
	podman stop one
	[ "$(status_of one)" = 0 ]
	daemon two
	[ "$(podman exec -e MONITOR_TOKEN="$token" two monitor-query --url ws://127.0.0.1:9000 --count)" = 3 ]
	podman logs two
	podman kill --signal KILL two
	run ! podman healthcheck run two
}

# ---- pods, in containers ----

# options FILE WORKLOAD/CONTAINER: for podman, what the manifest says of it; ended by NUL.
options() {
	ask "$1" '. as $all | containers | select(.at == $at) | . as $c
		| ["--user", "\(.securityContext.runAsUser // .pod.spec.securityContext.runAsUser):\(.pod.spec.securityContext.runAsGroup)",
			"--workdir", (.workingDir // "/"),
			(variables($all) | to_entries[] | "--env", "\(.key)=\(.value)"),
			(.volumeMounts[] | . as $m | $c.pod.spec.volumes[] | select(.name == $m.name)
				| "--volume", (if .secret then "\($dir)/secrets/\(.secret.secretName)" else .name end)
					+ ":" + $m.mountPath + (if $m.readOnly then ":ro" else "" end))]
		| map(. + "\u0000") | add' -j --arg at "$2" --arg dir "$BATS_FILE_TMPDIR"
}

# command_of FILE WORKLOAD/CONTAINER [FILTER]: its arguments, or what the filter finds; ended by NUL.
command_of() {
	ask "$1" ". as \$all | containers | select(.at == \$at) | ${3-argv(\$all)}"' | map(. + "\u0000") | add' -j --arg at "$2"
}

# contained FILE WORKLOAD/CONTAINER OPTION... [-- ARGUMENT...]: begin it, under its name, in the network of the container `net`.
contained() {
	local file=$1 at=$2 given vector extra=()
	shift 2
	while [ $# -gt 0 ] && [ "$1" != -- ]; do extra+=("$1"); shift; done
	mapfile -d '' -t given < <(options "$file" "$at")
	mapfile -d '' -t vector < <(command_of "$file" "$at")
	run_image --detach --name "${at#*/}" --network container:net --volume "$PWD/hosts:/etc/hosts:ro" "${given[@]}" \
		"${extra[@]}" monitor:test "${vector[@]}" "${@:2}"
}

# contained_pod FILE [OPTION]...: the pod of monitor-wsd, begun in order.
contained_pod() {
	local at stays startup
	while read -r at stays; do
		contained "$1" "$at" "${@:2}"
		[ "$stays" = true ] || [ "$(status_of "${at#*/}")" = 0 ]
		mapfile -d '' -t startup < <(command_of "$1" "$at" '.startupProbe.exec.command // ["sh", "-c", ":"]')
		[ "$stays" != true ] || until_true podman exec "${at#*/}" "${startup[@]}"
	done < <(ask "$1" 'containers | select(.workload == "monitor-wsd") | "\(.at) \(.stays)"')
}

# network: what they share: loopback, and that the broker is there.
network() {
	run_image --detach --name net --network none monitor:test sleep 600
	echo '127.0.0.1 localhost monitor-broker' >hosts
}

@test "the pod to develop with is ready, stores and answers; the daemon cannot write the store; all end well" {
	network
	contained_pod dev.json
	mapfile -d '' -t ready < <(command_of dev.json monitor-wsd/wsd '.readinessProbe.exec.command')
	until_true podman exec wsd "${ready[@]}"
	records 3 | podman exec -i wsd monitor-ingest -q --url ws://127.0.0.1:9000
	[ "$(podman exec wsd monitor-query --url ws://127.0.0.1:9000 --count)" = 3 ]
	run ! podman exec wsd sh -c '>>/var/lib/monitor/monitor.db'
	for name in wsd purge ingest; do
		podman stop "$name"
		[ "$(status_of $name)" = 0 ]
	done
}

@test "a pod of the fleet publishes through the broker, by FIFOs; all end well" {
	token=$(monitor-wsd --new-token w1 --tokens tokens)
	cp tokens "$BATS_FILE_TMPDIR/secrets/monitor-tokens/tokens"
	network
	contained base.json monitor-broker/proxy -- --metrics=127.0.0.1:9105
	contained_pod base.json --env MONITOR_STORE=/run/monitor/m.db
	until_true podman exec wsd wget -q --spider http://127.0.0.1:9000/healthz
	heard() {
		echo '{"kind":"notification","level":30,"time":1,"sender":"me","message":"heard?"}' |
			podman exec -i -e MONITOR_TOKEN="$token" wsd monitor-ingest -q --url ws://127.0.0.1:9000
		podman exec sub wget -qO - http://127.0.0.1:9103/metrics | grep '^monitor_zmq_received_total [1-9]'
	}
	until_true heard
	for name in wsd pub sub ingest proxy; do
		podman stop "$name"
		[ "$(status_of $name)" = 0 ]
	done
}
