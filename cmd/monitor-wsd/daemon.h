/*
 * daemon.h - a run of the daemon: its parts made, put together, and ended.
 */
#ifndef MONITOR_WSD_DAEMON_H
#define MONITOR_WSD_DAEMON_H

#include "settings.h"

/* Look at the files that the settings name, and no more: -1 with a message in `e`. */
int daemon_check(const struct settings *s, struct error *e);

/* Run until a signal ends it. -1: it could not begin, or not go on. */
int daemon_run(const struct settings *s, struct error *e);

#endif
