/*
 * relay.h - what `monitor-zmq push` and `monitor-zmq pull` say to each other: the sink
 * contract (monitor-record(5)) for a network that loses whatever a broken connection held.
 *
 * A message is one frame. The pusher greets, and names the first batch of lines that will
 * follow; the puller welcomes it, and says how many bytes of lines it may send. Batches
 * are numbered without a gap, and the puller takes them in this order or not at all: a
 * later line must not be settled before an earlier one was, or that would count as settled
 * too. It says how far it has settled them, with the answers of its sink, and gives new
 * credit. Answers are counted as well: an acknowledgement must not be taken where the refusal
 * before it was lost. Whoever misses something has the pusher greet anew, and then it sends
 * all that is not settled, again.
 *
 *     byte 0    "mzr", and the version, '1'
 *          4    what it is: enum relay_type
 *          5    three zeroes
 *          8    the greeting that it belongs to, counted by the pusher
 *         16    the members that struct relay_frame has for its type, in the order there;
 *               numbers have eight bytes, the first is the highest
 */
#ifndef MONITOR_RELAY_H
#define MONITOR_RELAY_H

#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "str.h"

#define RELAY_RUN_SIZE 16             /* random bytes that stand for one run of a program */
/* Bytes of lines in a batch, but for a longer line: so many, or a 16th of the credit at a welcome,
 * but not beyond the second. */
#define RELAY_CREDIT_BATCHES 16
#define RELAY_BATCH ((size_t)64 << 10)
#define RELAY_BATCH_MOST ((size_t)256 << 10)
#define RELAY_LINES_HEAD 24           /* bytes in front of a batch */

enum relay_type {
	RELAY_GREETING,    /* pusher: number, run */
	RELAY_LINES,       /* pusher: number, text */
	RELAY_BYE,         /* pusher: all is settled, and there is no more */
	RELAY_WELCOME,     /* puller: credit, run */
	RELAY_ANSWERS,     /* puller: number, credit, nth, text (which may be empty) */
	RELAY_AGAIN,       /* puller: greet me again */
	RELAY_TYPES
};

struct relay_frame {
	enum relay_type type;
	uint64_t greeting;
	uint64_t number;      /* GREETING: of the first batch to follow; LINES: of this batch;
	                       * ANSWERS: of the first batch that is not settled */
	uint64_t credit;      /* bytes of text that may be sent in this greeting, in all. Who has
	                       * some left may send a whole batch. */
	uint64_t nth;         /* how many answers there were before, in this greeting */
	unsigned char run[RELAY_RUN_SIZE];   /* the sender's */
	struct str text;      /* lines, each with its newline */
};

/* Read a message; the text points into it. ERROR_INVALID: it is none of ours, ERROR_NEWER:
 * of another version. */
int relay_read(struct str message, struct relay_frame *out, struct error *e);

/* Append a message. -1: no memory. */
int relay_write(struct buf *b, const struct relay_frame *f);

/* The same of what stands in front of a batch. */
void relay_write_lines_head(char head[RELAY_LINES_HEAD], uint64_t greeting, uint64_t number);

#endif
