/*
 * ending.h - how a follower learns that it is over: by a signal, or because
 * nobody reads its output any more.
 */
#ifndef MONITOR_QUERY_ENDING_H
#define MONITOR_QUERY_ENDING_H

#include "error.h"

/* Catch SIGINT, SIGTERM and SIGHUP, and watch standard output. Returns a file
 * descriptor that polls readable once it is over; -1: failed. */
int ending_open(struct error *e);

/* Set once one of the signals has come. */
const volatile int *ending_signalled(void);

#endif
