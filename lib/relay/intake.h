/*
 * intake.h - a batch of lines on its way through the puller's sink (relay_pull.h, whose part this
 * is): read, put under the pusher's name, offered as parcels, acknowledged.
 *
 * A batch becomes a parcel for each source in it. (Where the numbers of a source fall,
 * another one begins.) Its lines are acknowledged when all of it is settled, and all batches
 * before it: what was refused here, and never went to the sink, is covered by that, too.
 */
#ifndef MONITOR_RELAY_INTAKE_H
#define MONITOR_RELAY_INTAKE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "buf.h"
#include "error.h"
#include "ndjson.h"
#include "relay_pull.h"
#include "sink.h"
#include "str.h"

struct relay_part;

struct relay_batch {
	void *owner;               /* whose lines they are */
	TAILQ_ENTRY(relay_batch) next;   /* the user's, */
	uint64_t turn;             /* and this */
	size_t bytes;              /* of its lines, as they came */
	size_t unsettled;          /* of its parcels */
	struct relay_part *parts;  /* one a source */
	size_t part_count, part_room;
	struct buf names;          /* theirs */
};

struct relay_intake;
struct relay_intake *relay_intake_new(struct sink *sink, const struct ndjson_defaults *defaults,
    struct error *e);
void relay_intake_free(struct relay_intake **in);

/* Offer these lines to the sink. `peer` is who sent them, under whose name they count. Those
 * that are refused at once are answered in `answers`. NULL: nothing was offered, or answered: no
 * memory; or ERROR_BUSY: of one of the sources the sink has lines of another owner, which may be the same
 * lines, and an answer to those would be taken for an answer to these. */
struct relay_batch *relay_intake_take(struct relay_intake *in, void *owner, struct str peer,
    struct str lines, struct buf *answers, struct error *e);
void relay_batch_free(struct relay_batch **b);

/* From the sink's `settled` and `rejected`. The first gives the batch. -1: no memory. */
struct relay_batch *relay_batch_settled(struct sink_parcel *p);
struct relay_batch *relay_batch_of(const struct sink_parcel *p);
int relay_batch_reject(const struct sink_parcel *p, int64_t seq, struct str reason,
    struct buf *answers);

/* Append the acknowledgements. -1: no memory. */
int relay_batch_acks(const struct relay_batch *b, struct buf *answers);

void relay_intake_stats(const struct relay_intake *in, struct relay_intake_stats *out);

#endif
