/*
 * input.h - lines from a descriptor that an event loop says is ready.
 */
#ifndef MONITOR_ZMQ_INPUT_H
#define MONITOR_ZMQ_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "str.h"

/* A zeroed struct with `fd` and `max` set; to be followed by input_free(). */
struct input {
	int fd;
	size_t max;            /* bytes of a line; a longer one is cut there, and counts as one */
	struct buf text;       /* what was read, from `at` on not yet handed out */
	size_t at;
	size_t searched;       /* so much of that has no newline */
	bool skipping;         /* the rest of a line that was too long */
	bool ended;
	uint64_t lines;        /* handed out */
};

/* Read once. `piece` is what came, until the next call; empty at the end, and when there was
 * nothing after all. -1: it cannot be read. */
int input_read(struct input *in, struct str *piece, struct error *e);

/* The next line, whole, without its newline; the last one need not have any. Good until
 * input_read(). `*cut`: it was too long, and this is how it begins. False: there is none yet. */
bool input_line(struct input *in, struct str *line, bool *cut);

void input_free(struct input *in);

#endif
