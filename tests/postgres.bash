# A PostgreSQL server for a bats file, loaded after helper.bash: one cluster a file, started in
# setup_file and removed in teardown_file; a new store, empty, for each test, in $URL.
# A file with a prepare() of its own calls new_store in it.
# shellcheck shell=bash

# What the cluster is to be started with, beside fsync=off: CLUSTER_SETTINGS=(NAME=VALUE...), set
# where the file is loaded.
CLUSTER_SETTINGS=("${CLUSTER_SETTINGS[@]}")

setup_file() {
	start_server
}

start_server() {
	CLUSTER=$(mktemp -d "${TMPDIR:-/tmp}/monitor-cluster.XXXXXX")
	export CLUSTER
	server start fsync=off "${CLUSTER_SETTINGS[@]}"
}

teardown_file() {
	server stop || rm -rf "$CLUSTER"
}

prepare() {
	new_store
}

# server VERB [ARGUMENT]...: of tests/postgres.sh, for this file's cluster.
server() {
	local verb=$1
	shift
	"$PROJECT/tests/postgres.sh" "$verb" "$CLUSTER" "$@" 3>&-
}

# new_store: its URL is in $URL.
new_store() {
	URL=$(server database)
}

# sql STATEMENT: in the store's database; columns are separated by '|'.
sql() {
	psql -XAtq -v ON_ERROR_STOP=1 -d "$URL" -c "$1"
}
