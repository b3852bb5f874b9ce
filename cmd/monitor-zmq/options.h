/*
 * options.h - what stands behind the options of verbs. What is wrong with it ends the
 * program, status 2.
 */
#ifndef MONITOR_ZMQ_OPTIONS_H
#define MONITOR_ZMQ_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "ndjson.h"

#define OPTIONS_LONGEST 1e6              /* seconds */
#define OPTIONS_LARGEST (SIZE_MAX / 8)   /* bytes */

/* --kind and --watchdog: what stands in for a label that a line lacks. False: it is neither. */
#define OPTIONS_LABELS \
	{ 'k', "kind", "KIND", "of records without one: log (default) or notification" }, \
	{ 'W', "watchdog", "CODE", "of records without one (default: local)" }
bool options_label(int key, const char *text, struct ndjson_defaults *defaults);

/* unix:PATH: the path. */
const char *options_sink(const char *text);

/* Of a sink there must be one, or (unless `must`) none: the path, or the command. */
void options_check_sink(const char *path, char *const *command, bool must);

#endif
