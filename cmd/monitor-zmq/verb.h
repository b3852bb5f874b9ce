/*
 * verb.h - a verb of monitor-zmq: a file of its own, and a line in the table of main.c.
 */
#ifndef MONITOR_ZMQ_VERB_H
#define MONITOR_ZMQ_VERB_H

#include <stdbool.h>

#include "cli.h"

struct verb {
	const char *name;          /* "pub" */
	const char *synopsis;      /* "[OPTION]... [ENDPOINT]..." */
	const char *about;         /* one sentence */
	const struct cli_option *options;
	bool command;              /* what stands behind "--" is a command, with options of its own */
	/* `cli` is about to be asked for its options; `command` is NULL where there is none.
	 * Returns the exit status. */
	int (*run)(struct cli *cli, char *const *command);
};

extern const struct verb verb_keygen, verb_proxy, verb_pub, verb_pull, verb_push, verb_serve,
    verb_sub;

#endif
