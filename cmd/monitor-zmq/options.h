/*
 * options.h - what stands behind the options of verbs. What is wrong with it ends the
 * program, status 2.
 */
#ifndef MONITOR_ZMQ_OPTIONS_H
#define MONITOR_ZMQ_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_LONGEST 1e6              /* seconds */
#define OPTIONS_LARGEST (SIZE_MAX / 8)   /* bytes */

/* Of a sink there must be one, or (unless `must`) none: the path, or the command. */
void options_check_sink(const char *path, char *const *command, bool must);

#endif
