/*
 * refuse.h - what becomes of lines that are no records: a message for the
 * operator, never more than a bounded number a second, and the line itself,
 * byte for byte, in the file that was asked for.
 */
#ifndef MONITOR_REFUSE_H
#define MONITOR_REFUSE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"
#include "str.h"

struct refuse {
	const char *path;      /* of the file; NULL: none */
	int fd;
	bool kept;             /* something was written there */
	uint64_t count;
	int64_t second;        /* messages in this second of the monotonic clock: */
	unsigned said;
	uint64_t unsaid;       /* refused since, without a message */
};

/* Start with no refusals; `path` (NULL: no file) is opened to append to, on a line
 * of its own, and must outlive the struct. */
int refuse_open(struct refuse *r, const char *path, struct error *e);

/* What was kept is on the disk. (On any thread, beside the calls below.) */
int refuse_sync(const struct refuse *r, struct error *e);

/* The same, and then it is closed, whatever comes of that. */
int refuse_close(struct refuse *r, struct error *e);

/* Line `number` of `name` is refused. */
void refuse_say(struct refuse *r, const char *name, uint64_t number, const char *reason);

/* Say how many were refused without a message, once their second is over, or
 * now if it is the end. */
void refuse_say_rest(struct refuse *r, int end);

/* Append a line, and its newline, to the file. Without a file: nothing. */
int refuse_keep(struct refuse *r, struct str line, struct error *e);

/* The same for a line too long for memory, which comes in pieces while other
 * lines are refused: it waits in a temporary file. `*spool` is NULL before the
 * first piece, and again after the whole was kept. */
int refuse_spool(struct refuse *r, FILE **spool, struct str piece, struct error *e);
int refuse_keep_spooled(struct refuse *r, FILE **spool, struct error *e);

#endif
