/*
 * walk.h - walking through the rows that match: by time, as merge.h gives their
 * keys; by arrival, as they lie or as trail.h gives them, both kinds merged. A row
 * is read when its turn comes.
 *
 * It goes in slices: a transaction of bounded work that fills a batch of records.
 */
#ifndef MONITOR_SQLITE_WALK_H
#define MONITOR_SQLITE_WALK_H

#include "sqlite/merge.h"
#include "sqlite/trail.h"

struct row {
	struct record record;
	struct cursor at;
};

struct slice {
	struct row *rows;
	size_t count, cap;
	struct buf text;           /* of its records */
};
void slice_free(struct slice *sl);

/* The reading of one kind's rows: where its statement stands. */
struct rows {
	struct stmt *st;           /* NULL: not running */
	int64_t arrival;           /* of the row it stands on; or else, */
	bool blank;                /* nothing comes before that */
	bool ended;                /* in this slice there is nothing further on */
};

struct walk {
	struct sqlite *s;
	const struct query *q;
	struct filter f;
	struct merge m;            /* holds `upto`, and how far we have come, for both orders */
	bool planned;              /* false before a first slice that can be trusted */
	bool finished;             /* there is nothing behind the last slice */
	bool moved;                /* `m.resume` is further on than where we were asked to begin */
	struct rows rows[RECORD_KINDS];
	bool trailed;              /* by arrival, and what the trails say need only be read */
	struct trail trails[RECORD_KINDS];
	size_t slices;             /* read so far, */
	uint64_t taken;            /* records in them, */
	uint64_t work;             /* and rows looked at for them */
	struct slice *slice;       /* the one being filled */
};

/* The query must outlive the walk, and its cursor, if any, be of this store. */
void walk_begin(struct walk *w, struct sqlite *s, const struct query *q);
void walk_free(struct walk *w);

/* Read the next slice, whatever was in `sl` before; it may come out empty. */
int walk_read(struct walk *w, struct slice *sl, struct error *e);

/* How far it has looked, once it has moved. */
void walk_position(const struct walk *w, struct cursor *c);

#endif
