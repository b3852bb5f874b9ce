# A machine for check-install.sh: a bare Debian 12 in a directory, with processes, a network
# (loopback alone) and, where that can be had, a booted systemd of its own.

# machine_make ROOT SRV: the bare system, with one user, anna, who may become root, and what is
# in SRV as /srv. What is to be installed later is fetched, so that it needs no network then.
machine_make() {
	mmdebstrap --quiet --variant=apt --include=systemd-sysv,dbus,sudo,cron --skip=cleanup/apt \
		--customize-hook='chroot "$1" useradd --create-home --shell /bin/bash anna' \
		--customize-hook='echo "anna ALL=(ALL) NOPASSWD: ALL" >"$1/etc/sudoers.d/anna"' \
		--customize-hook='echo "APT::Get::Assume-Yes true; Binary::apt::APT::Keep-Downloaded-Packages true;" >"$1/etc/apt/apt.conf.d/yes"' \
		--customize-hook='echo 127.0.0.1 localhost logs.example.org >"$1/etc/hosts"' \
		--customize-hook='echo 192.0.2.1 db db.example.org auth.example.org >>"$1/etc/hosts"' \
		--customize-hook="sync-in $2 /srv" \
		--customize-hook='chroot "$1" sh -eu /srv/fetch' bookworm "$1"
}

# machine_boot ROOT: start it. $BOOTED is set if systemd runs there. Else there are only its
# namespaces: services are run by hand then (by_hand).
machine_boot() {
	ROOT=$1
	BOOTED=
	if [ "${BOOT-yes}" = yes ] && boot_systemd; then
		BOOTED=yes
	else
		machine_halt
		boot_bare
	fi
	nsenter --target "$LEADER" --net ip address add 192.0.2.1 dev lo
}

boot_systemd() {
	systemd-nspawn --quiet --directory="$ROOT" --boot --register=no --keep-unit --private-network \
		--link-journal=no --timezone=off --console=read-only >"$ROOT.console" 2>&1 </dev/null &
	MACHINE=$!
	await 60 machine_is_up && [ -n "$LEADER" ]
}

# Is it up? (Or has it ended: then LEADER is empty.)
machine_is_up() {
	LEADER=$(pgrep -P "$MACHINE") || { ended "$MACHINE"; return; }
	[[ $(inside systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]
}

boot_bare() {
	unshare --mount --pid --net --ipc --uts --fork --kill-child --mount-proc sh -euc '
		ip link set lo up
		mount --bind "$0" "$0"
		mount --rbind /dev "$0/dev"
		mount -t proc proc "$0/proc"
		mount -t tmpfs tmpfs "$0/run"
		exec chroot "$0" sleep infinity' "$ROOT" >"$ROOT.console" 2>&1 </dev/null &
	MACHINE=$!
	await 20 bare_is_up
}
bare_is_up() { LEADER=$(pgrep -P "$MACHINE") && [ "$(cat "/proc/$LEADER/comm")" = sleep ]; }

machine_halt() {
	[ -n "${MACHINE-}" ] || return 0
	if [ -n "$BOOTED" ]; then
		kill -TERM "$MACHINE" 2>/dev/null || true
		await 20 ended "$MACHINE" || true
	fi
	# shellcheck disable=SC2086 # there may be no LEADER
	ended "$MACHINE" || kill -KILL "$MACHINE" $LEADER 2>/dev/null || true
	wait "$MACHINE" 2>/dev/null || true
	MACHINE=
}
ended() { ! readlink -q "/proc/$1/exe" >/dev/null; }   # it may wait to be waited for

# inside COMMAND...: run it there, as root.
inside() {
	nsenter --target "$LEADER" --mount --uts --ipc --net --pid --root \
		env -C / -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# await SECONDS COMMAND...: try it until it succeeds.
await() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || { echo "never true: $*" >&2; return 1; }
		read -rt 0.1 <> <(:) || true
	done
}

# by_hand UNIT: run what its ExecStart= says, as its user and group, with its settings; where
# it has a socket, that is made first, as its file says, and handed over.
by_hand() {
	local unit=$ROOT/lib/systemd/system/$1.service socket=$ROOT/lib/systemd/system/$1.socket listen=
	local run=(setpriv "--reuid=$(value "$unit" User)" "--regid=$(value "$unit" Group)" --init-groups
		sh -c "umask $(value "$unit" UMask); set -af; . $(value "$unit" EnvironmentFile); exec $(value "$unit" ExecStart)")

	if [ -e "$socket" ]; then
		listen=$(value "$socket" ListenStream)
		inside systemd-socket-activate --listen="$listen" "${run[@]}" &
	else
		inside "${run[@]}"
	fi
	case $listen in
	/*)
		await 10 inside test -S "$listen"
		inside chown "$(value "$socket" SocketUser):$(value "$socket" SocketGroup)" "$listen"
		inside chmod "$(value "$socket" SocketMode)" "$listen"
		;;
	esac
}
value() { sed -n "s/^$2=//p" "$1"; }
