/*
 * reads_watch.h - a thread that waits for news in a store, whether there is one already or
 * not, and through its being replaced.
 *
 * It tells once, and then rests until reads_watch_again(): who is busy is not told
 * again and again.
 */
#ifndef MONITOR_READS_WATCH_H
#define MONITOR_READS_WATCH_H

#include "error.h"

struct reads_watch;

/* `note` is called from the thread with each failure to look at the store, and with NULL
 * when it can be. The URL is copied. */
struct reads_watch *reads_watch_new(const char *url, void (*note)(void *arg, const struct error *e),
    void *arg, struct error *e);
void reads_watch_free(struct reads_watch **w);

/* Polls readable when there are news. */
int reads_watch_fd(const struct reads_watch *w);

/* Take that back, and look again. */
void reads_watch_again(struct reads_watch *w);

#endif
