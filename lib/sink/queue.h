/*
 * queue.h - the parcels of a sink (sink.h, whose part this is): what has been
 * offered, how much of it is sent, and what an answer means for it.
 *
 * Parcels hang in two lists: that of all, in the order in which they were offered, and
 * that of their source. Those before `unsent` have been sent whole since the last
 * sink_queue_rewind(), of `unsent` itself the first `written` bytes.
 */
#ifndef MONITOR_SINK_QUEUE_H
#define MONITOR_SINK_QUEUE_H

#include <sys/uio.h>

#include "sink.h"
#include "sink/sources.h"

struct sink_queue {
	struct sink_sources sources;
	struct sink_parcel *first, *last, *unsent;
	size_t written;
	uint64_t bytes, beside, parcels;
};

/* All parcels have been freed. */
void sink_queue_free(struct sink_queue *q);

/* A new one, not yet in the queue; and free one that is not in it (any more). */
struct sink_parcel *sink_queue_new_parcel(struct sink_queue *q, struct str source,
    struct error *e);
void sink_queue_free_parcel(struct sink_queue *q, struct sink_parcel **p);

void sink_queue_add(struct sink_queue *q, struct sink_parcel *p);

/* What is to be sent next, in up to `max` pieces, or as much as may be taken at once; and that
 * `n` bytes of it were. */
#define SINK_QUEUE_PIECE ((size_t)1 << 20)
size_t sink_queue_gather(const struct sink_queue *q, struct iovec *iov, size_t max);
void sink_queue_advance(struct sink_queue *q, size_t n);

/* Nothing counts as sent any more. How many lines had been? */
uint64_t sink_queue_rewind(struct sink_queue *q);

/* The next parcel that is settled: by an acknowledgement of its source up to `seq`; or,
 * where there are none, by being written. NULL: there is none (left). */
struct sink_parcel *sink_queue_settled(const struct sink_queue *q, struct str source, int64_t seq);
struct sink_parcel *sink_queue_written(const struct sink_queue *q);

/* Take it out. */
void sink_queue_take(struct sink_queue *q, struct sink_parcel *p);

/* The first parcel that holds a number which was refused; NULL: none. */
struct sink_parcel *sink_queue_find(struct sink_queue *q, struct str source, int64_t seq);

/* Note that a line of a parcel was refused. 1; 0: that was known; -1: no memory. And the numbers
 * of those that were, rising. */
int sink_parcel_refuse(struct sink_parcel *p, int64_t seq, struct str reason);
const int64_t *sink_parcel_refused(const struct sink_parcel *p, size_t *count);

#endif
