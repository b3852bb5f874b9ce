/*
 * sources.h - the sources that a sink (sink.h, whose part this is) has parcels of.
 *
 * There may be as many as parcels: every client may count for itself. So one is here
 * only while it is held: by each of its parcels, from its making to its end.
 */
#ifndef MONITOR_SINK_SOURCES_H
#define MONITOR_SINK_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "str.h"

struct sink_parcel;
struct sink_source {
	struct sink_parcel *first, *last;   /* offered and unsettled, in their order */
	struct sink_parcel *refused;        /* where the last rejected line was: the next
	                                     * is there, or behind it. NULL: not known */
	int64_t highest;                    /* number of a line of these */
	bool overlaps;                      /* some of these numbers are in two of them */
	struct sink_source *next;           /* the table's from here on */
	uint64_t hash;
	size_t holds;
	unsigned char len;
	char name[];
};

/* A zeroed table but for the seed is an empty one. The seed is a secret: names
 * come from clients, who shall not know which of them collide. */
struct sink_sources {
	uint64_t seed;
	struct sink_source **buckets;
	size_t size, count;                 /* size: 0 or a power of two */
};

/* Find one; NULL: it has no parcels. */
struct sink_source *sink_source_find(const struct sink_sources *t, struct str name);

/* Find or make one, and hold it. NULL: no memory. */
struct sink_source *sink_source_hold(struct sink_sources *t, struct str name);
void sink_source_release(struct sink_sources *t, struct sink_source *source);

/* All have been released. */
void sink_sources_free(struct sink_sources *t);

#endif
