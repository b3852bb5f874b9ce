#!/bin/sh
# make deb: the Debian packages of the tarball TAR, in the directory OUT, which must not be
# there. With RELEASE=VERSION they are of that version, for a test of an upgrade.
#
#   scripts/deb.sh TAR OUT [RELEASE]
set -eu
mkdir -p "$2"
mkdir "$2/source"
tar -xz --strip-components=1 -C "$2/source" -f "$1"
cd "$2/source"
[ $# -lt 3 ] || sed -i "1s/(.*)/($3)/" debian/changelog
dpkg-buildpackage -us -uc -b >../log 2>&1 || { tail -n 30 ../log >&2; exit 1; }
cd ..
rm -rf source
ls "$PWD"/*.deb
