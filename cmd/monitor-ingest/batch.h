/*
 * batch.h - what goes to the store in one transaction.
 *
 * A batch owns everything in it: strings are copied into its memory, which
 * never moves and is used again after batch_clear(). It knows which sources of
 * which producers it settles, and up to which number (its marks). A batch is
 * used by one thread at a time; see pipeline.h for whose turn it is.
 */
#ifndef MONITOR_BATCH_H
#define MONITOR_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "ndjson.h"
#include "store.h"

/* A batch of so many records is full when they take so many bytes each. */
#define BATCH_RECORD_BYTES 512

struct producer; /* producer.h; only carried here */
struct chunk;

/* One for each source of each producer. */
struct batch_mark {
	struct producer *producer;
	struct str stored;   /* the source's name in the store */
	struct str source;   /* its tail: the name that the producer gave */
	int64_t seq;         /* the highest offered */
};

struct batch {
	struct store_offer *offers;
	size_t count, room;
	struct batch_mark *marks;
	size_t mark_count, mark_room;
	bool refusals;              /* some offers are of refused lines */
	struct store_added added;   /* once it is settled */
	struct batch *next;         /* for whoever holds it */

	uint32_t *index;            /* marks by hash: place + 1; 0 is free */
	size_t index_size;          /* a power of two */
	struct chunk *chunks, *current, *longs;
	size_t bytes;
};

/* Caller owns the result and frees it with batch_free(). */
struct batch *batch_new(struct error *e);
void batch_free(struct batch **b);

/* Empty it, keeping its memory for the next round. */
void batch_clear(struct batch *b);

/* Does it hold so many records, or the bytes of so many? What is added to a full batch is
 * still taken, so that a piece of input is never split between two. */
bool batch_full(const struct batch *b, size_t records);

/* Add a line (not numbered where line->source.data is NULL), or with `refused`
 * only its number. The source goes to the store as `prefix` + its name. On
 * failure (no memory) the batch is as it was. */
int batch_add(struct batch *b, struct producer *p, struct str prefix,
    const struct ndjson_line *line, bool refused, struct error *e);

#endif
