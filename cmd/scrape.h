/*
 * scrape.h - a page of figures over HTTP/1.0, for a program that has no other use for it:
 * GET /metrics is answered, everything else is not.
 *
 * Does not block, and belongs to an event loop. There are a few connections at most; a new
 * one takes the place of the one that has been there for longest.
 */
#ifndef MONITOR_SCRAPE_H
#define MONITOR_SCRAPE_H

#include "buf.h"
#include "error.h"

struct scrape;

/* Listen on `where` (see listen.h; not systemd:). `figures` appends the text; -1: no memory. */
struct scrape *scrape_new(const char *where, int (*figures)(void *arg, struct buf *text),
    void *arg, struct error *e);
void scrape_free(struct scrape **s);

/* Where it listens: ADDR:PORT. */
const char *scrape_name(const struct scrape *s);

/* When this is readable, call scrape_work(). */
int scrape_fd(const struct scrape *s);
void scrape_work(struct scrape *s);

#endif
