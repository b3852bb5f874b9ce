/*
 * loop.h - one thread waits for everything: input, connections, settled
 * batches, producers that can take answers again, signals.
 */
#ifndef MONITOR_LOOP_H
#define MONITOR_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "listen.h"
#include "pipeline.h"
#include "producer.h"

/* What to read from: listeners, or else the files ("-" is standard input). */
struct loop_setup {
	struct intake *intake;
	struct pipeline *pipeline;
	struct listener **listeners;   /* closed and emptied when reading stops */
	const char *const *files;
	size_t file_count;
	const sigset_t *signals;       /* end the run, cleanly; blocked by the caller */
	int give_up_fd;                /* an eventfd that ends all waiting for a distant store, to be
	                                * written to when a signal has been patient enough */
};

struct loop_result {
	struct store_added added;
	bool begun;       /* there was something to read from */
	bool stopped;     /* by a signal */
	bool failed;      /* an input or its answers failed; the message is out */
};

/* Run until all input is read, stored and answered, or a signal stops it. -1:
 * it could not go on; what was answered is in the store. */
int loop_run(const struct loop_setup *setup, struct loop_result *result, struct error *e);

#endif
