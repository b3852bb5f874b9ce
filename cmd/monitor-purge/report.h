/*
 * report.h - what a purge tells on standard output: a line a round.
 */
#ifndef MONITOR_PURGE_REPORT_H
#define MONITOR_PURGE_REPORT_H

#include <stdbool.h>

#include "store.h"

typedef void report_format(const struct purged *out, double now, bool dry_run);

report_format report_text, report_ndjson;

/* The format of this name, NULL if there is none. */
report_format *report_find(const char *name);

#endif
