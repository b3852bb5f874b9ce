/*
 * producer.h - somebody who sends lines, and may be told what became of them.
 *
 * Input is read in pieces and cut into lines; each becomes an offer in a batch,
 * or is refused. Under the sink contract (monitor-record(5)) answers go back
 * on another descriptor (a socket's producer has two of the same). A producer
 * knows nothing of who else there is, nor of waiting: loop.c does.
 */
#ifndef MONITOR_PRODUCER_H
#define MONITOR_PRODUCER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "batch.h"
#include "buf.h"
#include "error.h"
#include "ndjson.h"
#include "refuse.h"

/* So much is read at a time. */
#define PRODUCER_PIECE ((size_t)128 << 10)

/* A begun line longer than this needs a permit (below). */
#define PRODUCER_LONG ((size_t)16 << 10)

/* With more unread answers than this, a producer is not read from. */
#define PRODUCER_ANSWERS ((size_t)64 << 10)

/* What all producers of a run share. */
struct intake {
	bool ack;
	size_t max_line;
	double max_future;        /* seconds; infinite: unbounded */
	struct ndjson *reader;
	struct refuse refuse;
	char *piece;              /* PRODUCER_PIECE bytes */
	unsigned permits;         /* how many more may hold a long line: with
	                           * max_line it bounds the memory of all */
	uint64_t bytes;           /* read so far */
};

struct producer {
	int in, out;              /* -1: ended; no answers. Its owner closes them. */
	bool in_socket, out_socket;
	char *name;               /* for messages: "standard input", ... */
	char prefix[24];          /* of its sources' names in the store: "uid:1000/" */
	uint64_t lines;           /* seen in this input */
	bool unanswered;          /* nobody will read answers any more */

	struct buf line;          /* the begun line */
	bool permit;              /* to begin a long one */
	bool waiting;             /* for a permit; until then not to be read from */

	bool overlong;            /* this line is over max_line, and passed by: */
	FILE *spool;              /* what has passed, for the file of refused lines */
	bool numbered;            /* source and seq, if they stood at its head */
	char source[256];
	size_t source_len;
	int64_t seq;

	struct buf answers;       /* to be sent */
	size_t marks;             /* of its, in batches not yet settled */

	void *owner;
};

/* `out` is -1 where no answers are wanted. Caller owns the result and frees it
 * with producer_free(), once none of its marks are in a batch. */
struct producer *producer_new(const char *name, int in, int out, struct error *e);
void producer_free(struct producer **p);

/* Go on with another input. */
int producer_input(struct producer *p, const char *name, int in, struct error *e);

/* Read a piece and put its lines into the batch: 1, 0 at the end of input (all
 * is in the batch then, the line without a newline too; p->in is -1). -1: the
 * run cannot go on. What is wrong with the input alone ends that input, and is
 * told in `fault`, whose kind is ERROR_NONE otherwise. */
int producer_read(struct producer *p, struct intake *in, struct batch *b, struct error *fault,
    struct error *e);

/* End the input and forget the line that has begun. */
void producer_stop(struct producer *p, struct intake *in);

/* Ask again for the permit that it waits for: did it get it? */
bool producer_permit(struct producer *p, struct intake *in);

/* Everything of `source` up to `seq` is settled: an answer for it. */
int producer_ack(struct producer *p, struct str source, int64_t seq, struct error *e);

/* Send what can be sent without waiting. -1: nobody reads there any more
 * (ERROR_GONE), or it cannot be written to; there will be no more answers. */
int producer_flush(struct producer *p, struct error *e);

#endif
