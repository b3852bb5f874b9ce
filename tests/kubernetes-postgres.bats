load helper
load tokens
load wsd
load zmq
load postgres
load kubernetes

# The fleet of the manifests, on PostgreSQL: with the roles and the passwords that its parts are given there.

prepare() {
	declare -gA pids=()
	outside=(PGHOST="$CLUSTER")
	URL="postgresql://monitor@/monitor?host=${CLUSTER//\//%2F}"
	render_all
	printf 'local all monitor trust\nlocal all all scram-sha-256\n' >"$CLUSTER/data/pg_hba.conf"
	sql 'SELECT pg_reload_conf()'
}

# as_the_database COMMAND...: with the variables that its container has.
as_the_database() {
	local environment
	mapfile -d '' -t environment < <(argv prod.json monitor-db/postgres db 'variables($all) | to_entries | map("\(.key)=\(.value)")')
	env "${environment[@]}" "$@"
}

@test "each has the role that it needs: the tables are made, what is uploaded is stored, read, and purged" {
	as_the_database psql -Xq -v ON_ERROR_STOP=1 -d "$URL" -f "$KUBERNETES/database/roles.sql"
	for again in 1 2; do
		container base.json monitor-schema/schema schema
		wait "$pid"
	done
	fleet one two
	listen_at two
	until_true heard one two hello
	port=${ports[one]} as "$(token a $WATCHDOG 17 "$(date +%s)" null 0)" <<<"$(logs "long ago")" | grep '"success":true'
	ask_logs() { port=${ports[two]} as "$owner" <<<'{"action":"getLogs","since":0}'; }
	[ "$(ask_logs)" = '{"success":true,"action":"getLogs","logs":[["test","long ago",30]]}' ]
	container base.json monitor-purge/purge purge
	wait "$pid"
	[ "$(ask_logs)" = '{"success":true,"action":"getLogs","logs":[]}' ]
	for pod in one two; do
		end_pod base.json $pod
	done
	[ "$(sql 'SELECT DISTINCT kind FROM monitor.records')" = notification ]
}
