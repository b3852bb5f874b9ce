#!/bin/bash
# A PostgreSQL cluster of one's own, from Debian's package: on a unix socket, for this run only.
#
#   tests/postgres.sh start DIR [SETTING=VALUE]...   make it in DIR (new), start it, print its URL
#   tests/postgres.sh database DIR [NAME]            a new database with a store in it; print its URL
#   tests/postgres.sh stop DIR                       stop it and remove DIR
#   tests/postgres.sh halt DIR [fast|immediate]      stop it, and keep DIR
#   tests/postgres.sh kill DIR                       end all its processes at once, with SIGKILL
#   tests/postgres.sh resume DIR                     and start it again, unless it runs
#   tests/postgres.sh restart DIR [fast|immediate]
#   tests/postgres.sh standby DIR OF [SETTING=VALUE]...   make in DIR a standby of the cluster in OF
#   tests/postgres.sh promote DIR                    and a primary of it
#   tests/postgres.sh pool DIR [N]                   a pooler, in transaction mode, before it: on port 6432
#                                                    of the same socket's directory, with N connections (4)
#   tests/postgres.sh run DIR COMMAND...             run one of PostgreSQL's programs as its user
#
# PostgreSQL refuses to run as root: then it runs as the package's user. SERVER_ENV holds variables
# that a server is started with, NAME=VALUE...
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

verb=$1 dir=${2:?}
shift 2
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
data=$dir/data
read -ra server_env <<<"${SERVER_ENV-}"
project=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${BUILD:-$project/build}
case $BUILD in /*) ;; *) BUILD=$project/$BUILD ;; esac
cd /   # the server's user may not be where we are

url() {
	echo "postgresql://monitor@/$1?host=${dir//\//%2F}"
}

# ctl VERB [OPTION]...: pg_ctl, and wait; what fails shows what the server did. (Nobody's descriptor 3 stays
# open in a server.)
ctl() {
	as_server env "${server_env[@]}" "$programs/pg_ctl" -D "$data" -w -t 60 "$@" >"$dir/$1.log" 3>&- || {
		tail -n 20 "$dir/log" >&2
		[ ! -s "$data/postmaster.pid" ] ||
			ps -o pid,stat,wchan:24,args --ppid "$(head -n 1 "$data/postmaster.pid")" >&2
		return 1
	}
}

# new: the directory, and what is to be in its settings.
new() {
	mkdir -p "$dir"
	chmod 755 "$dir"
	[ "$(id -u)" != 0 ] || chown postgres "$dir"
}
settings() {
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$dir'"
		echo "timezone = 'UTC'"
		for setting; do echo "${setting%%=*} = '${setting#*=}'"; done
	} | as_server tee -a "$data/postgresql.conf" >"$dir/settings"
}

case $verb in
start)
	new
	as_server "$programs/initdb" -D "$data" -U monitor --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/initdb.log"
	settings "$@"
	ctl start -l "$dir/log"
	"$programs/createdb" -h "$dir" -U monitor monitor
	url monitor
	;;
database)
	name=${1-store$$_${RANDOM}}
	"$programs/createdb" -h "$dir" -U monitor "$name"
	"$BUILD/monitor-ingest" --quiet --create-schema -d "$(url "$name")" >&2
	url "$name"
	;;
stop)
	[ -d "$data" ] || { echo "postgres.sh: $dir: no cluster there" >&2; exit 1; }
	[ ! -e "$dir/pooler.pid" ] || kill "$(cat "$dir/pooler.pid")" || true
	ctl stop -m immediate || true
	rm -rf "$dir"
	;;
kill)
	postmaster=$(head -n 1 "$data/postmaster.pid")
	mapfile -t processes < <(pgrep -P "$postmaster")
	kill -KILL "$postmaster" "${processes[@]}"
	while kill -0 "$postmaster" "${processes[@]}"; do sleep 0.02; done 2>/dev/null
	;;
halt) ctl stop -m "${1-fast}" ;;
resume) as_server "$programs/pg_ctl" -D "$data" status >/dev/null || ctl start -l "$dir/log" ;;
restart) ctl restart -l "$dir/log" -m "${1-fast}" ;;
standby)
	primary=$1
	shift
	new
	as_server "$programs/pg_basebackup" -h "$primary" -U monitor -D "$data" -R -X stream -c fast --no-sync
	settings "$@"
	ctl start -l "$dir/log"
	url monitor
	;;
promote) ctl promote ;;
pool)
	echo '"monitor" ""' >"$dir/pooler.users"
	cat >"$dir/pooler.ini" <<-END
		[databases]
		* = host=$dir
		[pgbouncer]
		listen_addr =
		listen_port = 6432
		unix_socket_dir = $dir
		auth_type = trust
		auth_file = $dir/pooler.users
		pool_mode = transaction
		default_pool_size = ${1-4}
		logfile = $dir/pooler.log
		pidfile = $dir/pooler.pid
	END
	as_server /usr/sbin/pgbouncer -q -d "$dir/pooler.ini" 3>&-
	;;
run)
	program=$1
	shift
	as_server "$programs/$program" "$@"
	;;
esac
