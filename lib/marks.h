/*
 * marks.h - the sources that a batch has met, and how far each is settled: what decides which
 * offers are new.
 */
#ifndef MONITOR_MARKS_H
#define MONITOR_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "str.h"

struct mark {
	struct str source;       /* the offer's own */
	int64_t seq;             /* settled up to here; -1: not at all */
	bool known;              /* the owner's: it has asked the store */
	bool moved;              /* by this batch */
};

/* A zeroed struct holds none. Owner frees with marks_free(). */
struct marks {
	struct mark *list;       /* in the order in which they were met */
	size_t count, room;
	uint32_t *index;         /* by hash: place + 1; 0 is free */
	size_t index_size;       /* a power of two */
	size_t last;             /* lines of one source tend to follow one another */
};

/* The mark of this source, made if it is not there (seq -1). Good until the next
 * call. NULL: no memory. */
struct mark *marks_get(struct marks *m, struct str source);

/* Is `seq` new? Then the mark moves there. */
bool mark_move(struct mark *m, int64_t seq);

void marks_clear(struct marks *m);
void marks_free(struct marks *m);

#endif
