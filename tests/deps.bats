load helper

BUILD_PACKAGES="gcc libc6-dev libcurl4-openssl-dev libev-dev libjansson-dev libpq-dev libsqlite3-dev libssl-dev libwebsockets-dev libzmq3-dev"

# A machine as the test wants it: dpkg-query knows the packages in `installed`,
# id is $uid; apt-get and sudo only write down how they were called.
prepare() {
	mkdir bin
	touch installed calls
	export uid=0
	cat >bin/dpkg-query <<-'END'
		#!/bin/sh
		for package; do :; done
		grep -qx "$package" installed && printf installed
	END
	cat >bin/id <<-'END'
		#!/bin/sh
		echo "$uid"
	END
	cat >bin/apt-get <<-'END'
		#!/bin/sh
		echo "$DEBIAN_FRONTEND apt-get $*" >>calls
	END
	chmod +x bin/*
	for tool in sh grep env cat printf; do ln -s "$(command -v $tool)" bin/; done
}

deps() {
	PATH=$PWD/bin "$PROJECT/scripts/deps.sh" "$@"
}

with_sudo() {
	printf '#!/bin/sh\necho "sudo $*" >>calls\n"$@"\n' >bin/sudo
	chmod +x bin/sudo
}

@test "nothing is touched when nothing is missing" {
	tr ' ' '\n' <<<"$BUILD_PACKAGES" >installed
	run -0 deps build
	[ -z "$output" ]
	[ ! -s calls ]
}

@test "only what is missing is installed, as root without sudo" {
	with_sudo
	tr ' ' '\n' <<<"${BUILD_PACKAGES/libjansson-dev /}" >installed
	run -0 deps build
	diff calls - <<-'END'
		noninteractive apt-get -q -y update
		noninteractive apt-get -q -y install --no-install-recommends libjansson-dev
	END
}

@test "an ordinary user installs through sudo" {
	with_sudo
	uid=1000 run -0 deps build
	grep "^sudo env DEBIAN_FRONTEND=noninteractive apt-get .*install .* $BUILD_PACKAGES" calls
}

@test "without root and without sudo it says what is needed and fails" {
	uid=1000 run -1 deps build
	[[ $output == *"apt-get install --no-install-recommends $BUILD_PACKAGES"* ]]
	[ ! -s calls ]
}

@test "a failing apt-get fails the set-up" {
	printf '#!/bin/sh\necho "no network" >&2\nexit 100\n' >bin/apt-get
	run -100 deps build
}

@test "elsewhere than on Debian it names the packages and goes on" {
	rm bin/dpkg-query
	run -0 deps build
	[[ $output == *"not Debian"*libsqlite3-dev* ]]
	[ ! -s calls ]
}

@test "an unknown purpose is a usage error" {
	run -2 deps nonsense
	[[ $output == *"no such purpose"* ]]
}

@test "a dry run only says what is missing" {
	run -1 deps -n build
	[ "$output" = "missing: $BUILD_PACKAGES " ]
	[ ! -s calls ]
}

@test "no PostgreSQL server is left running by its package" {
	for tool in mkdir tee rm; do
		printf '#!/bin/sh\necho "%s $*" >>calls\n' $tool >bin/$tool
		chmod +x bin/$tool
	done
	run -0 deps check
	grep -n . calls >numbered
	conf=/etc/postgresql-common/createcluster.d/monitor-tests.conf
	grep -q "^3:tee $conf" numbered
	grep -q '^4:.*apt-get .*install .* postgresql' numbered
	grep -q "^5:rm -f $conf" numbered
}
