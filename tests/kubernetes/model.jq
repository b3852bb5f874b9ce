# What the tests ask of manifests. Input of each definition: the list that manifests.py makes.

def kind($kind): .[] | select(.kind == $kind);

# What runs pods, each with its pod's template in .pod.
def workloads:
	.[] | select(.kind | IN("Deployment", "StatefulSet", "Job", "CronJob"))
	| {kind, name: .metadata.name, stays: (.kind | IN("Deployment", "StatefulSet")), spec,
		pod: (.spec.jobTemplate.spec // .spec).template};

# Containers, with what they are in: .at to show, .pod, .stays: runs until the pod is ended.
def containers:
	workloads as $w
	| ($w.pod.spec.initContainers // [] | .[] | {c: ., stays: (.restartPolicy == "Always"), sidecar: true}),
		($w.pod.spec.containers[] | {c: ., stays: $w.stays, sidecar: false})
	| .c + {at: "\($w.name)/\(.c.name)", workload: $w.name, pod: $w.pod, stays, sidecar};

# Does the selector (input) select these labels?
def selects($labels):
	(.matchLabels // {} | to_entries | all(.value == $labels[.key]))
	and (.matchExpressions // [] | all(
		if .operator == "In" then .values as $v | $labels[.key] | IN($v[]) else error("operator \(.operator)") end));

# The ports of a pod: {name, number}.
def pod_ports: [.spec | (.initContainers // [])[], .containers[] | .ports // [] | .[] | {name, number: .containerPort}];

# What its variables stand for: a container's, with all of the list in $all. Secrets that are not in it are "secret".
def variables($all):
	([.envFrom // [] | .[].configMapRef.name as $name | $all | kind("ConfigMap") | select(.metadata.name == $name).data] | add // {})
	+ ([.env // [] | .[] | {(.name): (.value // (.valueFrom.secretKeyRef as $ref
		| [$all | kind("Secret") | select(.metadata.name == $ref.name).data[$ref.key] | @base64d][0] // "secret"))}] | add // {});

# A container's argument vector, as the kubelet makes it.
def argv($all):
	variables($all) as $v
	| (.command // []) + (.args // [])
	| map(gsub("\\$\\((?<name>[A-Z_]+)\\)"; $v[.name] // error("no \(.name)")));
