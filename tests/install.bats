load helper

prepare() {
	unset MAKEFLAGS MFLAGS MAKELEVEL
}

run_make() {
	make -s -C "$PROJECT" BUILD="$BUILD" DESTDIR="$PWD/root" PREFIX=/usr "$@"
}

@test "make install puts programs and manuals in their places under DESTDIR and PREFIX" {
	run_make install
	for program in monitor-ingest monitor-query monitor-purge monitor-wsd monitor-zmq; do
		root/usr/bin/$program --version | grep "^$program "
	done
	for page in "$PROJECT"/man/*.[1-8]; do
		cmp "$page" "root/usr/share/man/man${page##*.}/${page##*/}"
	done
}

@test "make install puts completions where bash, zsh and fish look, of Debian or of this machine alone" {
	run_make install
	run_make PREFIX=/usr/local install
	for program in monitor-ingest monitor-query monitor-purge monitor-wsd monitor-zmq; do
		for share in usr usr/local; do
			[ -s "root/$share/share/bash-completion/completions/$program" ]
			[ -s "root/$share/share/fish/vendor_completions.d/$program.fish" ]
		done
		[ -s "root/usr/share/zsh/vendor-completions/_$program" ]
		[ -s "root/usr/local/share/zsh/site-functions/_$program" ]
	done
}

@test "nothing else is installed" {
	run_make install
	run find root -type f ! -path 'root/usr/bin/monitor-*' ! -path 'root/usr/share/man/man[1-8]/monitor-*' \
		! -path 'root/usr/share/*/*completions*/*monitor-*' \
		! -path 'root/usr/lib/systemd/system/monitor-*' ! -path 'root/usr/lib/*.d/monitor*.conf' \
		! -path 'root/usr/share/doc/monitor/examples/*' ! -path root/etc/monitor/monitor.conf
	[ -z "$output" ]
}

@test "units and settings are installed, and name each other and the programs as they are installed" {
	run_make install PREFIX=/opt/monitor SYSCONFDIR=/opt/etc
	for unit in "$PROJECT"/deploy/systemd/*; do
		[ -e "root/opt/monitor/lib/systemd/system/${unit##*/}" ]
	done
	cmp "$PROJECT/deploy/monitor.conf" root/opt/etc/monitor/monitor.conf
	grep -x 'ExecStart=/opt/monitor/bin/monitor-wsd .*' root/opt/monitor/lib/systemd/system/monitor-wsd.service
	grep -x 'EnvironmentFile=/opt/etc/monitor/monitor.conf' root/opt/monitor/lib/systemd/system/monitor-wsd.service
	grep /opt/etc/monitor/tokens root/opt/monitor/lib/tmpfiles.d/monitor-wsd.conf
	run grep -r -e /usr/bin/monitor -e ' /etc/monitor' -e '=/etc/monitor' root/opt/monitor/lib
	[ -z "$output" ]
}

@test "settings that were changed survive make install and make uninstall" {
	run_make install
	echo 'LOGS_TIMEWINDOW=7d' >root/etc/monitor/monitor.conf
	run_make install
	run_make uninstall
	[ "$(cat root/etc/monitor/monitor.conf)" = 'LOGS_TIMEWINDOW=7d' ]
}

@test "installed manuals are readable by all whatever the umask" {
	(umask 077 && run_make install)
	[ "$(stat -c %a root/usr/share/man/man5/monitor-record.5)" = 644 ]
	[ "$(stat -c %a root/usr/bin/monitor-query)" = 755 ]
	[ "$(stat -c %a root/usr/share/man/man5)" = 755 ]
}

@test "make uninstall removes what make install put there and nothing else" {
	run_make install
	touch root/usr/bin/other
	run_make uninstall
	run find root -type f
	[ "$output" = root/usr/bin/other ]
}

@test "make help names every target that README.md and HACKING.md mention" {
	cd "$PROJECT"
	make -s help >"$BATS_TEST_TMPDIR/help"
	grep -ohE '(^|`|&& |    )(sudo )?make [a-z]+' README.md HACKING.md | awk '{ print $NF }' | sort -u >"$BATS_TEST_TMPDIR/named"
	[ -s "$BATS_TEST_TMPDIR/named" ]
	while read -r target; do
		grep "make $target " "$BATS_TEST_TMPDIR/help" || { echo "no target $target" >&2; return 1; }
	done <"$BATS_TEST_TMPDIR/named"
}
