/*
 * pager.h - standard output through the user's pager.
 */
#ifndef MONITOR_QUERY_PAGER_H
#define MONITOR_QUERY_PAGER_H

/* Put a pager behind standard output: $MONITOR_PAGER, else $PAGER, else less.
 * Does nothing where that is empty or "cat"; one that can't be started is said
 * on standard error, and the next one is taken. When the user leaves the pager,
 * the program ends. */
void pager_start(void);

/* Standard output has been closed: wait until the user has read it all. -1: there
 * was no such pager, as a shell has said. Safe in a signal handler. */
int pager_wait(void);

#endif
