/*
 * intervals.h - times counted into the intervals of a histogram, one count for each
 * interval and level (see store_tally()).
 */
#ifndef MONITOR_INTERVALS_H
#define MONITOR_INTERVALS_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "store.h"

struct interval;

#define INTERVALS_MOST (1 << 19)   /* are counted at once, one for each level */

/* The failure for who finds that there are more: -1, ERROR_USAGE. */
int intervals_too_many(struct error *e);

/* Intervals begin at multiples of `length` seconds, shifted by `offset`. With the rest
 * zeroed nothing has been counted; to be followed by intervals_clear(). */
struct intervals {
	double length, offset;
	struct interval *slots, *last;   /* open addressing; the slot of the last time */
	size_t slot_count, used;         /* slot_count a power of two */
};

/* -1: there are too many, or no memory. */
int intervals_count(struct intervals *v, double time, int64_t level, struct error *e);

/* What was counted, by time and level, as store_tally() gives it. Nothing can be counted
 * after this. */
int intervals_give(struct intervals *v, int (*row)(void *arg, const struct tally *t), void *arg);

void intervals_clear(struct intervals *v);

#endif
