#!/bin/sh
# make dist: what is committed, as BUILD/monitor-VERSION.tar.gz; the same bytes each time.
set -eu
cd "$(dirname "$0")/.."
name=monitor-$VERSION
mkdir -p "$BUILD"
git archive --prefix="$name/" HEAD | gzip -n >"$BUILD/$name.tar.gz"
[ -z "$(git status --porcelain)" ] || echo "dist.sh: what is not committed is not in it" >&2
echo "$BUILD/$name.tar.gz"
