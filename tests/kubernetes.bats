load helper
load tokens
load wsd
load zmq
load kubernetes

# The manifests, as kustomize renders them: is all in them that should be, does all that they name exist; and
# their pods, run as processes of this machine, with the programs under test.

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	render_all
}

prepare() {
	declare -gA pids=()
	outside=(MONITOR_STORE="$PWD/m.db")
	cp -a "$BATS_FILE_TMPDIR"/{*.json,secrets} .
}

@test "every kustomization renders, into what the API of Kubernetes knows" {
	for directory in server base database overlays/dev overlays/prod; do
		rendered "$directory" | jq -e 'length > 0'
	done
}

@test "the fleet is the daemon, the broker, the database, and the purge" {
	run -0 ask prod.json 'workloads | "\(.kind) \(.name) \(.spec.replicas)"'
	diff <(sort <<<"$output") - <<-'END'
		CronJob monitor-purge null
		Deployment monitor-broker 1
		Deployment monitor-wsd 3
		Job monitor-schema null
		StatefulSet monitor-db 1
	END
	run -0 ask dev.json 'workloads | "\(.kind) \(.name) \(.spec.replicas)"'
	[ "$output" = "Deployment monitor-wsd 1" ]
}

@test "every program that is named is in the image" {
	there=$(sed -n 's/^APPLETS="\(.*\)"/\1/p' "$PROJECT/deploy/image/build"; cd "$BUILD"; ls -d monitor-*)
	everywhere 'containers | select(.image | startswith("monitor:"))
		| .command[0], (.readinessProbe, .livenessProbe, .startupProbe, .lifecycle.preStop | .exec.command[0]? | values)
		| select(IN("'"${there//[[:space:]]/'","'}"'") | not)'
}

@test "images have a version, ours that of the programs, and no registry's name" {
	version=$(monitor-wsd --version | sed 's/.* //')
	for file in prod.json base.json dev.json; do
		nothing "$file" 'containers.image | select(IN("monitor:" + $version, "postgres:15") | not)' --arg version "$version"
	done
}

@test "every container is nobody who matters, and can write only to its volumes" {
	everywhere 'containers
		| (.pod.spec.securityContext + .securityContext) as $s
		| select($s.runAsNonRoot and $s.runAsUser > 0 and $s.readOnlyRootFilesystem
			and $s.allowPrivilegeEscalation == false and $s.capabilities == {drop: ["ALL"]}
			and $s.seccompProfile.type == "RuntimeDefault" and $s.privileged == null
			and .pod.spec.automountServiceAccountToken == false | not).at'
	everywhere 'workloads | select(.pod.spec | .hostNetwork or .hostPID or .hostIPC or any(.volumes[]?; .hostPath)).name'
}

@test "the daemon is another user than who stores, and each has the role of the database that it needs" {
	run -0 ask base.json 'containers | select(.at == "monitor-wsd/wsd" or .at == "monitor-wsd/ingest")
		| "\(.at) \(.securityContext.runAsUser // .pod.spec.securityContext.runAsUser)"'
	diff <(sort <<<"$output") - <<-'END'
		monitor-wsd/ingest 10001
		monitor-wsd/wsd 10002
	END
	run -0 ask base.json 'containers | .at as $at | .env // [] | .[] | "\($at) \(.name) \(.valueFrom.secretKeyRef | "\(.name).\(.key)")"'
	diff <(sort <<<"$output") - <<-'END'
		monitor-purge/purge PGPASSWORD monitor-db-purger.password
		monitor-purge/purge PGUSER monitor-db-purger.username
		monitor-schema/schema PGPASSWORD monitor-db-owner.password
		monitor-schema/schema PGUSER monitor-db-owner.username
		monitor-wsd/ingest PGPASSWORD monitor-db-writer.password
		monitor-wsd/ingest PGUSER monitor-db-writer.username
		monitor-wsd/wsd PGPASSWORD monitor-db-reader.password
		monitor-wsd/wsd PGUSER monitor-db-reader.username
	END
}

@test "every container says what it needs, and has a bound to its memory" {
	everywhere 'containers | select(.resources | .requests.cpu and .requests.memory and .limits.memory | not).at'
}

@test "what listens has probes, at ports that it has, and what others wait for is asked whether it is ready" {
	everywhere 'containers | select(.stays and .ports != null and .livenessProbe == null).at'
	everywhere '([kind("Service").spec.selector]) as $selectors
		| containers | .pod.metadata.labels as $labels
		| select(.sidecar | not) | select(.ports != null)
		| select(any($selectors[]; {matchLabels: .} | selects($labels)) and .readinessProbe == null).at'
	everywhere 'containers | . as $c | .readinessProbe, .livenessProbe, .startupProbe | .httpGet? // empty
		| select(.port as $p | any($c.ports[]; .name == $p) | not) | "\($c.at): \(.port)"'
	for probe in readiness:/readyz liveness:/healthz; do
		for file in prod.json dev.json; do
			ask $file "containers | select(.at == \"monitor-wsd/wsd\").${probe%:*}Probe | tostring" | grep "${probe#*:}\""
		done
	done
}

@test "every ConfigMap, Secret, claim and volume that is named is there, with the keys that are asked for" {
	everywhere '. as $all | [$secrets[0][], ($all | kind("ConfigMap")) | {name: "\(.kind) \(.metadata.name)", keys: (.data | keys)}]
		as $data | containers as $c
		| ($c.envFrom // [] | .[] | {name: "ConfigMap \(.configMapRef.name)"}),
			($c.env // [] | .[].valueFrom.secretKeyRef | values | {name: "Secret \(.name)", key}),
			($c.pod.spec.volumes // [] | .[] | .secret | values | {name: "Secret \(.secretName)"}),
			($c.pod.spec.volumes // [] | .[] | .configMap | values | {name: "ConfigMap \(.name)"})
		| . as $need | select($data | any(.[]; .name == $need.name and ($need.key == null or ($need.key | IN($data[].keys[])))) | not)
		| "\($c.at): \(.name) \(.key)"'
	everywhere '. as $all | workloads as $w
		| [($w.pod.spec.volumes // [])[].name, ($w.spec.volumeClaimTemplates // [])[].metadata.name] as $volumes
		| (($w.pod.spec.volumes // [])[].persistentVolumeClaim | values | .claimName
			| select(IN($all | kind("PersistentVolumeClaim").metadata.name) | not)),
		([$all | containers | select(.workload == $w.name).volumeMounts // [] | .[].name]
			| ($volumes - .)[], (. - $volumes)[])
		| "\($w.name): \(.)"'
	everywhere '. as $all | containers as $c | $c | argv($all) | empty'
}

@test "the only Secret that others have to make is the certificate" {
	for file in prod.json base.json; do
		run -0 ask $file 'kind("Ingress").spec | .tls[].secretName, (.tls[].hosts == [.rules[].host])'
		[ "$output" = $'monitor-tls\ntrue' ]
	done
}

@test "files with keys are for their owner and group alone" {
	everywhere 'workloads | .name as $n | .pod.spec.volumes // [] | .[] | select(.secret)
		| select(.secret.defaultMode != 288) | "\($n): \(.name)"'
}

@test "every selector selects, and only what it should" {
	everywhere 'workloads | select(.spec.selector) | .pod.metadata.labels as $l | select(.spec.selector | selects($l) | not).name'
	everywhere '[workloads] as $w | kind("Service") as $s
		| [$w[] | select(.pod.metadata.labels as $l | {matchLabels: $s.spec.selector} | selects($l))] as $behind
		| select(($behind | map(.name)) != [$s.metadata.name]
			or any($s.spec.ports[]; .targetPort as $p | any($behind[].pod | pod_ports[]; .name == $p and .number) | not))
		| $s.metadata.name'
	everywhere '[workloads.pod.metadata.labels] as $labels | kind("PodDisruptionBudget", "NetworkPolicy")
		| (.spec.selector // .spec.podSelector) as $s | select(any($labels[]; . as $l | $s | selects($l)) | not).metadata.name'
	everywhere '. as $all | kind("Ingress").spec.rules[].http.paths[].backend.service
		| . as $b | select(any($all | kind("Service"); .metadata.name == $b.name and any(.spec.ports[]; .name == $b.port.name)) | not)'
	everywhere '. as $all | kind("StatefulSet").spec.serviceName | select(IN($all | kind("Service").metadata.name) | not)'
}

# who_reaches FILE: lines "FROM TO PORT", of what the policies allow: from a workload of ours that may go out to there, or
# from a namespace.
who_reaches() {
	ask "$1" '[workloads | {name, labels: .pod.metadata.labels, ports: (.pod | pod_ports)}] as $pods
		| [kind("NetworkPolicy").spec] as $policies
		| $pods[] as $to
		| def numbers: [.ports[].port | . as $p | if type == "number" then . else $to.ports[] | select(.name == $p).number end];
		def goes_out($from; $port): any($policies[] | select(.podSelector | selects($from.labels)) | .egress // [] | .[];
			(.to == null or any(.to[]; .podSelector | selects($to.labels))) and (numbers | index($port)) != null);
		$policies[] | select(.podSelector | selects($to.labels)) | .ingress // [] | .[] | . as $rule
		| numbers[] as $port | $rule.from[]
		| (.namespaceSelector.matchLabels // {} | .[]),
			(.podSelector | values | . as $s | $pods[] | . as $from | select(.labels as $l | $s | selects($l))
				| select(goes_out($from; $port)).name)
		| "\(.) \($to.name) \($port)"' | sort
}

@test "policies let in at each port whom it is for, and nobody else" {
	who_reaches prod.json >reached
	diff reached - <<-'END'
		ingress-nginx monitor-wsd 9000
		monitor-purge monitor-db 5432
		monitor-schema monitor-db 5432
		monitor-wsd monitor-broker 9101
		monitor-wsd monitor-broker 9102
		monitor-wsd monitor-db 5432
		monitoring monitor-broker 9100
		monitoring monitor-wsd 9100
		monitoring monitor-wsd 9103
		monitoring monitor-wsd 9104
	END
	run -0 ask prod.json 'workloads as $w | $w.pod | pod_ports[].number | "\($w.name) \(.)"'
	diff <(cut -d ' ' -f 2,3 reached | sort -u) <(sort <<<"$output")
	for file in prod.json base.json; do
		nothing "$file" '[kind("NetworkPolicy").spec] as $policies | workloads | .pod.metadata.labels as $l
			| select(["Ingress", "Egress"] - [$policies[] | select(.podSelector | selects($l)) | .policyTypes[]] != []).name'
	done
}

@test "addresses in arguments and variables are those of Services" {
	nothing prod.json '. as $all
		| [kind("Service") | .metadata.name as $n | .spec.ports[] | "\($n):\(.port)"] as $there
		| (containers | argv($all)[] | select(startswith("tcp://") and (contains("*") | not)) | ltrimstr("tcp://")),
			(kind("ConfigMap").data.PGHOST | values | . + ":5432")
		| select(IN($there[]) | not)'
}

# ---- run ----

@test "what is uploaded to one pod is stored, and heard at the others; all that runs ends well" {
	fleet one two
	listen_at one
	listen_at two
	until_true heard one two hello
	until_true heard two one hallo
	[ "$(monitor-query -d m.db -W $WATCHDOG -g hello --count)" -ge 1 ]
	for pod in one two; do
		end_pod base.json $pod
	done
	kill -TERM "${pids[broker-proxy]}"
	wait "${pids[broker-proxy]}"
}

@test "each container of a pod is started again without the others, and all goes on" {
	fleet one two
	listen_at two
	until_true heard one two first
	for end in one-pub two-sub broker-proxy; do
		kill -KILL "${pids[$end]}"
		wait "${pids[$end]}" || true
		case $end in
		broker-proxy) container base.json monitor-broker/proxy broker ;;
		*) container base.json "monitor-wsd/${end#*-}" "${end%-*}" ;;
		esac
		until_true heard one two "after $end"
	done
	kill -KILL "${pids[one-ingest]}"
	container base.json monitor-wsd/ingest one
	say one stored | grep '"success":true'
	for name in wsd sub pub ingest; do kill -0 "${pids[one-$name]}"; kill -0 "${pids[two-$name]}"; done
}

@test "the broker takes nobody whose key is not in its list" {
	fleet one
	monitor-zmq keygen link >stranger
	mv -f link.key secrets/monitor-link/
	container base.json monitor-wsd/sub two
	until_true figure_exceeds broker-proxy.err backend_handshakes_failed_total 0
}

@test "the pod to develop with stores, answers and purges, without a token" {
	pod dev.json dev
	echo '{"level":30,"time":1,"sender":"me","message":"long ago"}' |
		monitor-ingest -q --url "ws://127.0.0.1:$port"
	[ "$(monitor-query --url "ws://127.0.0.1:$port" -o cat)" = "long ago" ]
	container dev.json monitor-wsd/purge dev --interval 20ms --logs-timewindow 30d
	until_true empty
	end_pod dev.json dev
}
empty() { [ "$(monitor-query -d m.db --count)" = 0 ]; }

@test "the purge's command line is one that it takes, and keeps logs for as long as the ConfigMap says" {
	{ records 1; records 2 "$(date +%s)"; } | monitor-ingest -q -d m.db
	container base.json monitor-purge/purge purge
	wait "$pid"
	[ "$(monitor-query -d m.db --count)" = 2 ]
}

@test "the Tiltfile builds the image that the pod to develop with is of, and forwards its port" {
	cd "$PROJECT"
	run -0 "$PYTHON" - Tiltfile <<-'END'
		import os, sys
		calls = {}
		def record(name):
		    return lambda *a, **k: calls.setdefault(name, (a, k))
		names = ("custom_build", "kustomize", "k8s_yaml", "k8s_resource")
		exec(open(sys.argv[1]).read(), {name: record(name) for name in names})
		assert all(os.path.exists(d) for d in calls["custom_build"][1]["deps"]), calls
		assert os.path.isdir(calls["kustomize"][0][0]), calls
		print(calls["custom_build"][0][0], calls["k8s_resource"][0][0], calls["k8s_resource"][1]["port_forwards"])
	END
	[ "$output" = "monitor monitor-wsd 9000:9000" ]
	ask "$BATS_TEST_TMPDIR/dev.json" 'containers | select(.at == "monitor-wsd/wsd") | .image, .args[]' |
		grep -c -e '^monitor:' -e '^--listen=127.0.0.1:9000$' | grep -x 2
}
