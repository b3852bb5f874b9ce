/*
 * push_lines.h - what becomes of the lines that push reads: numbered, if they are not yet, and
 * kept by the relay.
 *
 * With `ack` a line that its producer has numbered goes as it is, be it a record or not: the
 * puller answers for it. All others are numbered here, by their place in the input, so that
 * they, too, are stored once.
 */
#ifndef MONITOR_ZMQ_PUSH_LINES_H
#define MONITOR_ZMQ_PUSH_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "input.h"
#include "ndjson.h"
#include "output.h"
#include "relay_push.h"
#include "str.h"

#define PUSH_SOURCE_SIZE 40

/* A zeroed struct, and then push_lines_begin(); to be followed by push_lines_end(). */
struct push_lines {
	bool ack;
	struct relay_push *relay;
	struct output *answers;    /* to producers */
	struct ndjson *reader;
	struct input input;
	char source[PUSH_SOURCE_SIZE];   /* of what is numbered here */
	struct buf own;            /* those lines, on their way into the relay */
	uint64_t refused;          /* here, or there */
};

int push_lines_begin(struct push_lines *l, const unsigned char run[RELAY_RUN_SIZE],
    const struct ndjson_defaults *defaults, struct error *e);
void push_lines_end(struct push_lines *l);

/* Read once, and take what lines there are. -1: it cannot be read, or there is no memory. */
int push_lines_read(struct push_lines *l, struct error *e);

/* Pass the puller's answers on, but for those to lines that were numbered here. */
int push_lines_answer(struct push_lines *l, struct str answers, struct error *e);

#endif
