/*
 * output.h - bytes to a descriptor that must not make us wait. It may be shared with others, so
 * it stays as it is: it is written to when it is ready, in pieces that a pipe then takes.
 */
#ifndef MONITOR_ZMQ_OUTPUT_H
#define MONITOR_ZMQ_OUTPUT_H

#include <stddef.h>

#include "buf.h"
#include "error.h"
#include "str.h"

#define OUTPUT_ROOM ((size_t)1 << 20)   /* from so many bytes on there should come no more */

/* A zeroed struct with `fd` set; to be followed by output_free(). */
struct output {
	int fd;
	struct buf buf;
	size_t written;        /* of that */
};

static inline size_t
output_pending(const struct output *o)
{
	return o->buf.len - o->written;
}

/* Append. -1: no memory. */
int output_add(struct output *o, struct str s);

/* Write what can be written now. -1: it cannot be written to; ERROR_GONE if nobody reads. */
int output_flush(struct output *o, struct error *e);

void output_free(struct output *o);

#endif
