/*
 * notify.h - what the service manager is told, if there is one that wants to know
 * (sd_notify(3); the protocol is a few lines, so nothing is linked for it).
 */
#ifndef MONITOR_NOTIFY_H
#define MONITOR_NOTIFY_H

/* "READY=1", "STOPPING=1", ... Best effort: the manager has timeouts of its own. */
void notify_send(const char *state);

/* "RELOADING=1", to be followed by "READY=1". */
void notify_reloading(void);

/* How often "WATCHDOG=1" is expected, in seconds; 0: it is not. */
double notify_watchdog(void);

#endif
