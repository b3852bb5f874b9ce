/*
 * newest.h - the newest few records: they are found newest first, kept, and handed out oldest first.
 *
 * A zeroed struct keeps nothing yet. What is added is copied, and there is a bound on it. First all
 * are added, then they are taken. Owner frees with newest_free().
 */
#ifndef MONITOR_NEWEST_H
#define MONITOR_NEWEST_H

#include "buf.h"
#include "query.h"

#define NEWEST_RECORDS 1000
#define NEWEST_BYTES ((size_t)4 << 20)   /* of text */

struct newest {
	struct newest_record *records;
	size_t count, room;
	struct buf texts;
};

/* 1; or 0 where one more is too much; or -1. */
int newest_add(struct newest *n, const struct record *r, const struct cursor *at, struct error *e);

/* The oldest that has not been taken, its strings good until newest_free(): false if there is none. */
bool newest_take(struct newest *n, struct record *r, struct cursor *at);

void newest_free(struct newest *n);

#endif
