/*
 * trail.h - the rows of a kind that may match, in the order of their arrival, by the
 * indexes: where few watchdogs are asked for, most rows need not be read, and most
 * blocks of another time not even their index.
 *
 * Called inside a slice, and good from slice to slice, as merge.h is.
 */
#ifndef MONITOR_SQLITE_TRAIL_H
#define MONITOR_SQLITE_TRAIL_H

#include "sqlite/sqlite.h"

struct trail {
	struct sqlite *s;
	const struct filter *f;
	enum record_kind kind;
	int64_t sealed, upto;      /* as of the plan: what is in blocks, and in the tail */
	size_t work;               /* grows with what is read, about one a row; the caller's to reset */

	int64_t first, last;       /* the part of the store whose rows we hold; 0: none */
	int64_t *rows;             /* in the walk's direction */
	size_t count, cap, at;
	struct buf scratch;
};

/* Begin (again). A zeroed struct is one that holds nothing. */
int trail_plan(struct trail *t, struct sqlite *s, const struct filter *f, enum record_kind kind,
    int64_t upto, struct error *e);

/* What comes at or behind `from` in the walk's direction. -1: failed. */
enum {
	TRAIL_END = 0,    /* nothing */
	TRAIL_ROW = 1,    /* this row, if it is still there */
	TRAIL_LOOK = 2,   /* nothing before this place: look again from there */
};
int trail_next(struct trail *t, int64_t from, int64_t *to, struct error *e);

void trail_free(struct trail *t);

#endif
