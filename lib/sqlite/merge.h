/*
 * merge.h - the keys of the rows that match, in order of time, from indexes
 * alone.
 *
 * Every sealed block that may hold something is a source of keys; so are the
 * strays and the unsealed tail of each kind. A heap of the open sources gives
 * their keys in order. A block is opened only when the walk comes to its time
 * range, so that what is held in memory are the blocks that overlap in time,
 * and of each of them, if they are many or few keys are wanted, only the next few.
 *
 * All of it is called inside a slice (sqlite_begin), and stays good from slice
 * to slice: rows that are purged in between are simply not found any more, and
 * rows that come in between are behind `upto`.
 */
#ifndef MONITOR_SQLITE_MERGE_H
#define MONITOR_SQLITE_MERGE_H

#include "sqlite/keys.h"
#include "sqlite/sqlite.h"

struct source;
struct span;

struct merge {
	struct sqlite *s;
	const struct filter *f;
	bool back;                 /* newest first */
	int64_t upto;              /* what arrived behind it does not count */
	bool resumed;              /* only what comes behind `resume` */
	struct key resume;
	size_t wanted;             /* keys that will be taken, at most */
	int64_t sealed[RECORD_KINDS];   /* behind it is the tail */
	size_t work;               /* grows with what is read, about one a row */

	struct span *spans;        /* blocks and tails still to open, nearest first */
	size_t span_count, next_span, span_cap;
	struct source **heap;      /* open sources, by their next key */
	size_t heap_count, heap_cap;
	size_t window;             /* keys a source may hold in memory */
	struct key *gather, *spare;
	size_t gathered, gather_cap;
	struct buf scratch;
};

/* See what there is. The first members, up to `wanted`, are set by the caller. */
int merge_plan(struct merge *m, struct error *e);

/* The next key without taking it, and its kind: 1, or 0 at the end, or -1. */
int merge_peek(struct merge *m, struct key *k, enum record_kind *kind, struct error *e);
int merge_advance(struct merge *m, struct error *e);

void merge_free(struct merge *m);

/* Where a row stands in the walk, and back. */
static inline struct key
merge_key(const struct merge *m, const struct entry *en)
{
	struct key k = { en->time, en->arrival, en->level, en->watchdog, en->sender };

	if (m->back) {
		k.time = -k.time;
		k.arrival = -k.arrival;
	}
	return k;
}

static inline struct entry
merge_entry(const struct merge *m, const struct key *k)
{
	struct entry en = { k->arrival, k->time, k->level, k->watchdog, k->sender };

	if (m->back) {
		en.time = -en.time;
		en.arrival = -en.arrival;
	}
	return en;
}

#endif
