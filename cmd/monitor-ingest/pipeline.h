/*
 * pipeline.h - the thread that writes, and the batches that go to and fro.
 *
 * Whoever reads takes a batch, fills it and gives it; the writer takes what
 * was given as soon as it is free, so whatever arrived while it wrote is the
 * next transaction. What it has written comes back as settled. There are few
 * batches: when all are full there is none to take, and reading must wait.
 *
 * A few records that find the writer idle are written by pipeline_give() itself:
 * a lone record need not wait for a thread to wake up.
 *
 * All calls are made by one thread, the reader, but what they share with the
 * writer is behind a lock. A batch belongs to the reader between take and
 * give, and between settled and recycle.
 */
#ifndef MONITOR_PIPELINE_H
#define MONITOR_PIPELINE_H

#include <stdbool.h>

#include "batch.h"
#include "error.h"
#include "refuse.h"
#include "store.h"

struct pipeline;

/* Start the writer. The pipeline is the only user of `store` from now on. What
 * `refuse` kept is brought to the disk before a batch with refused lines is
 * settled. To a distant store pipeline_give() writes nothing: that may take for ever.
 * Caller owns the result and ends it with pipeline_free(). */
struct pipeline *pipeline_new(struct store *store, const struct refuse *refuse,
    struct error *e);

/* Writes what was given, waits for it and ends the writer. */
void pipeline_free(struct pipeline **p);

/* A batch to add to, in the order of the batches before it: a new one or the
 * last one given, while the writer has not begun it. NULL: none is free. */
struct batch *pipeline_take(struct pipeline *p);
void pipeline_give(struct pipeline *p, struct batch *b);

/* A descriptor that polls readable when the writer has settled a batch, or failed: of what
 * pipeline_give() wrote itself it says nothing, so pipeline_settled() is asked after that, too. */
int pipeline_fd(const struct pipeline *p);

/* 1: `*b` is the next settled batch, durable, to be recycled; 0: none yet.
 * -1: writing has failed; nothing more will be settled. */
int pipeline_settled(struct pipeline *p, struct batch **b, struct error *e);
void pipeline_recycle(struct pipeline *p, struct batch *b);

/* Is anything given and not yet recycled? */
bool pipeline_busy(struct pipeline *p);

#endif
