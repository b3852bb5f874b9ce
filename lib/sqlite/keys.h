/*
 * keys.h - where rows stand in the order of an answer: (time, arrival), both
 * negated for an answer that goes backwards, so that every walk goes up.
 */
#ifndef MONITOR_SQLITE_KEYS_H
#define MONITOR_SQLITE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key {
	double time;
	int64_t arrival;
	int64_t level;              /* the rest of what the index knows of the row */
	uint32_t watchdog, sender;
};

static inline bool
key_before(struct key a, struct key b)
{
	return a.time < b.time || (a.time == b.time && a.arrival < b.arrival);
}

/* Sort n keys; `spare` holds as many. Fast where they are nearly in order, as
 * the rows of a block are: a merge sort of the runs that are there. */
void keys_sort(struct key *keys, struct key *spare, size_t n);

#endif
