/*
 * follow.h - records in the order of their arrival, from a position on: as
 * they come (--follow), or until now (--cursor-file).
 */
#ifndef MONITOR_QUERY_FOLLOW_H
#define MONITOR_QUERY_FOLLOW_H

#include "error.h"
#include "request.h"
#include "store.h"

/* `ending_fd` polls readable when it is over; `fresh`: the store has come into
 * being while we waited for it, so that all in it is news. Returns an exit
 * status, or -1 (see show.h). */
int follow(struct store *store, const struct request *r, int ending_fd, bool fresh,
    struct error *e);

#endif
