#!/bin/bash
# A PostgreSQL cluster of one's own, from Debian's package: on a unix socket, for this run only.
#
#   tests/postgres.sh start DIR [SETTING=VALUE]...   make it in DIR (new), start it, print its URL
#   tests/postgres.sh database DIR [NAME]            a new database with a store in it; print its URL
#   tests/postgres.sh stop DIR                       stop it and remove DIR
#   tests/postgres.sh halt DIR [fast|immediate]      stop it, and keep DIR
#   tests/postgres.sh resume DIR
#   tests/postgres.sh restart DIR [fast|immediate]
#   tests/postgres.sh run DIR COMMAND...             run one of PostgreSQL's programs as its user
#
# PostgreSQL refuses to run as root: then it runs as the package's user.
set -eu
unset "${!PG@}"

programs=$(find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -V | tail -n 1)
[ -n "$programs" ] || { echo "postgres.sh: no PostgreSQL server is installed" >&2; exit 1; }

as_server() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --clear-groups --reset-env "$@"
	else
		"$@"
	fi
}

verb=$1 dir=$2
shift 2
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
data=$dir/data
project=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${BUILD:-$project/build}
case $BUILD in /*) ;; *) BUILD=$project/$BUILD ;; esac

url() {
	echo "postgresql://monitor@/$1?host=${dir//\//%2F}"
}

case $verb in
start)
	mkdir -p "$dir"
	chmod 755 "$dir"
	[ "$(id -u)" != 0 ] || chown postgres "$dir"
	cd "$dir"
	as_server "$programs/initdb" -D "$data" -U monitor --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/initdb.log"
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$dir'"
		echo "timezone = 'UTC'"
		for setting; do echo "${setting%%=*} = '${setting#*=}'"; done
	} | as_server tee -a "$data/postgresql.conf" >"$dir/settings"
	as_server "$programs/pg_ctl" -D "$data" -l "$dir/log" -w -t 60 start >"$dir/start.log" 3>&-
	"$programs/createdb" -h "$dir" -U monitor monitor
	url monitor
	;;
database)
	name=${1-store$$_${RANDOM}}
	"$programs/createdb" -h "$dir" -U monitor "$name"
	"$programs/psql" -q -v ON_ERROR_STOP=1 -1 -d "$(url "$name")" -f "$project/lib/schema/postgres.sql" \
		-f "$project/lib/schema/postgres_roles.sql" -c "INSERT INTO monitor.store VALUES
			(true, 1, (random() * 1e15)::bigint, 86400, 86400, 86400)"
	url "$name"
	;;
stop)
	cd /
	as_server "$programs/pg_ctl" -D "$data" -m immediate -w stop >"$dir/stop.log" || true
	rm -rf "$dir"
	;;
halt)
	cd /
	as_server "$programs/pg_ctl" -D "$data" -m "${1-fast}" -w -t 60 stop >"$dir/stop.log"
	;;
resume)
	cd /
	as_server "$programs/pg_ctl" -D "$data" -l "$dir/log" -w -t 60 start >"$dir/start.log" 3>&-
	;;
restart)
	cd /
	as_server "$programs/pg_ctl" -D "$data" -l "$dir/log" -m "${1-fast}" -w -t 60 restart >"$dir/start.log" 3>&-
	;;
run)
	cd /
	program=$1
	shift
	as_server "$programs/$program" "$@"
	;;
esac
