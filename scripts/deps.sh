#!/bin/sh
# Install, through apt, what the named purposes need and this machine lacks:
#
#   scripts/deps.sh [-n] PURPOSE...     build, check, bench, fuzz, deb, check-install, image
#
# Nothing is touched, and nobody's password asked for, when nothing is missing.
# With -n only say what is missing (status 1 if anything is).
set -eu

# unless_there COMMAND PACKAGE: a package that would be in the way of another's command of that name.
unless_there() {
	command -v "$1" >/dev/null || echo "$2"
}

# shellcheck disable=SC2046 # a name or none
packages() {
	case $1 in
	build) echo gcc libc6-dev libcurl4-openssl-dev libev-dev libjansson-dev libpq-dev libsqlite3-dev libssl-dev libwebsockets-dev libzmq3-dev ;;
	check) echo bash-completion bats curl fish iproute2 jq mandoc openssl pgbouncer postgresql procps prometheus python3 python3-kubernetes python3-zmq sqlite3 tzdata zsh $(unless_there kubectl kubernetes-client) ;;
	bench) echo jq openssl postgresql python3 ripgrep sqlite-utils sqlite3 systemd-journal-remote ;;
	fuzz) echo clang libclang-rt-dev ;;
	deb) echo build-essential debhelper git lintian ;;
	check-install) echo git iproute2 mmdebstrap openssl procps systemd-container ;;
	image) echo buildah podman runc ;;
	*)
		echo "deps.sh: $1: no such purpose (build, check, bench, fuzz, deb, check-install, image)" >&2
		exit 2
		;;
	esac
}

all_packages() {
	for purpose; do packages "$purpose" || exit; done
}

missing() {
	for p; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) in
		installed) ;;
		*) printf '%s ' "$p" ;;
		esac
	done
}

dry_run=
if [ "${1-}" = -n ]; then
	dry_run=yes
	shift
fi
[ $# -gt 0 ] || set -- build check
needed=$(all_packages "$@") || exit
if ! command -v dpkg-query >/dev/null; then
	# The compiler will say what it misses.
	echo "deps.sh: this is not Debian; needed are: $needed" >&2
	exit 0
fi
# shellcheck disable=SC2086 # a list of names
wanted=$(missing $needed)
[ -n "$wanted" ] || exit 0
if [ -n "$dry_run" ]; then
	echo "missing: $wanted"
	exit 1
fi

if [ "$(id -u)" = 0 ]; then
	as_root=
elif command -v sudo >/dev/null; then
	as_root=sudo
else
	echo "deps.sh: to install $wanted" >&2
	echo "deps.sh: this must run as root, or sudo must be there. Or let somebody run, as root:" >&2
	echo "    apt-get install --no-install-recommends $wanted" >&2
	exit 1
fi
apt_get() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@"
}

echo "installing: $wanted"
apt_get update

# Debian's package makes a cluster and starts it, for good: tests start servers of their own.
no_cluster=/etc/postgresql-common/createcluster.d/monitor-tests.conf
case " $wanted" in
*" postgresql "*)
	trap '$as_root rm -f $no_cluster' EXIT
	$as_root mkdir -p "${no_cluster%/*}"
	echo "create_main_cluster = false" | $as_root tee $no_cluster
	;;
esac
# shellcheck disable=SC2086 # a list of names
apt_get install --no-install-recommends $wanted
case " $wanted" in
*" pgbouncer "*) [ ! -d /run/systemd/system ] || $as_root systemctl disable --now pgbouncer ;;
esac
