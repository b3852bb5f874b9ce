/*
 * rounds.h - purging once, or again and again.
 */
#ifndef MONITOR_PURGE_ROUNDS_H
#define MONITOR_PURGE_ROUNDS_H

#include "report.h"
#include "store.h"

struct rounds {
	const char *store;        /* its URL */
	struct purge purge;       /* but for `now` and `spare`, which each round has its own of */
	double interval;          /* seconds from the beginning of one round to the next; 0: once */
	report_format *report;    /* NULL: says nothing */
};

/* Returns the program's exit status. Errors are reported; with an interval, those
 * that may pass do not end it. SIGTERM, SIGINT and SIGHUP do, with status 0. */
int rounds_run(const struct rounds *r);

#endif
