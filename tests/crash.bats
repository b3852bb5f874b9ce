#!/usr/bin/env bats
# A few cycles of torture*.sh; `make torture` runs hundreds.

load helper

@test "whatever is killed: no acknowledgement before the disk, every record exactly once" {
	export TMPDIR=$PWD
	"$PROJECT/tests/torture.sh" 8 "$((RANDOM + 1))" >said 2>&1 || { cat said; return 1; }
	grep 'torture: 8 cycles survived ' said
}

@test "the same through daemons and over WebSocket, with their sinks killed, stopped and out of space" {
	export TMPDIR=$PWD
	"$PROJECT/tests/torture-wsd.sh" 8 "$((RANDOM + 1))" >said 2>&1 || { cat said; return 1; }
	grep 'torture: 8 cycles survived ' said
}

@test "whatever is killed between hosts, and the link cut: the same" {
	export TMPDIR=$PWD
	"$PROJECT/tests/torture-zmq.sh" 8 "$((RANDOM + 1))" >said 2>&1 || { cat said; return 1; }
	grep 'torture: 8 cycles survived ' said
}

@test "PostgreSQL's processes and servers killed, and a standby promoted: the same" {
	FAILOVER=4 "$PROJECT/tests/torture-postgres.sh" 8 "$((RANDOM + 1))" >said 2>&1 || { cat said; return 1; }
	grep 'torture: 8 cycles survived ' said
}
