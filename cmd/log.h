/*
 * log.h - a daemon's own log: lines on standard error. Where journald reads them
 * ($JOURNAL_STREAM) each has its priority in front, as sd-daemon(3) has it. Nothing ever
 * waits for whoever reads them: what cannot be written at once is lost, and counted.
 */
#ifndef MONITOR_LOG_H
#define MONITOR_LOG_H

#include <stdbool.h>
#include <syslog.h>   /* the priorities, LOG_ERR and so on */

/* What is less severe than `least` is not shown. */
void log_open(const char *program, int least);

void log_say(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for what others can cause: of one kind (a constant) only so many in a
 * while; the others are counted. */
void log_limited(const char *kind, int priority, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* From time to time, and at the end: say how many were not shown. */
void log_rest(bool end);

#endif
