#!/usr/bin/env bats
# A few cycles of torture.sh; `make torture` runs hundreds.

load helper

@test "whatever is killed: no acknowledgement before the disk, every record exactly once" {
	export TMPDIR=$PWD
	run -0 "$PROJECT/tests/torture.sh" 8 "$((RANDOM + 1))"
	echo "$output"
	[[ $output == *"torture: 8 cycles survived "* ]]
}
