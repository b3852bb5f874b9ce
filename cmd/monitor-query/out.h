/*
 * out.h - standard output: one buffer, written out when it is full, when what
 * is in it has waited for a while, and when asked.
 *
 * The first piece goes out at once, and none waits longer than a moment, even
 * while the program is busy looking for the next one: a timer writes out what
 * is whole. Errors are kept until somebody asks. A reader who has gone away
 * (a closed pipe) is not an error, but the end: out_end() says so.
 */
#ifndef MONITOR_QUERY_OUT_H
#define MONITOR_QUERY_OUT_H

#include <stdbool.h>

#include "buf.h"
#include "error.h"

enum out_status {
	OUT_OK,
	OUT_CLOSED,    /* nobody reads any more */
	OUT_FAILED,    /* see out_error() */
};

/* Once, first. `stop`, if not NULL, is set by a signal: then nothing waits for
 * a slow reader any more. */
int out_open(const volatile int *stop, struct error *e);

/* Between these two, append one piece (a record) to the buffer; `failed`: that
 * did not work, for want of memory. */
struct buf *out_begin(void);
enum out_status out_end(bool failed);

/* Write out everything. OUT_OK with bytes left over only where `stop` is set. */
enum out_status out_flush(void);

/* Is everything out? */
bool out_empty(void);

/* Flush and close standard output. */
enum out_status out_close(void);

/* What went wrong; only after OUT_FAILED. */
void out_error(struct error *e);

#endif
