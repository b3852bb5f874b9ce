/*
 * sums.h - records counted one by one, into the groups of store_tally(): for engines that
 * cannot, or cannot always, count where the records are.
 */
#ifndef MONITOR_SUMS_H
#define MONITOR_SUMS_H

#include "intervals.h"
#include "record.h"
#include "store.h"

struct sums_name;

/* With `by`, and for TALLY_BY_TIME intervals.length and .offset, and the rest zeroed nothing has
 * been counted. To be followed by sums_free(). */
struct sums {
	enum tally_by by;
	uint64_t kinds[RECORD_KINDS];
	struct intervals intervals;
	struct sums_name *names, *last;   /* open addressing; the last record's */
	size_t slots, used;               /* `slots` a power of two */
};

/* -1: there are too many intervals, or no memory. */
int sums_count(struct sums *s, const struct record *r, struct error *e);

/* What was counted, as store_tally() gives it. Nothing can be counted after this. */
int sums_give(struct sums *s, int (*row)(void *arg, const struct tally *t), void *arg);

void sums_free(struct sums *s);

#endif
