/*
 * answers.h - what a sink says (sink.h, whose part this is): bytes, lines, answers.
 *
 * One answer may come for every line that was sent, so the usual form of an
 * acknowledgement is read by hand, and everything else by ndjson.h.
 */
#ifndef MONITOR_SINK_ANSWERS_H
#define MONITOR_SINK_ANSWERS_H

#include "error.h"
#include "ndjson.h"

struct sink_answers;
struct sink_answers *sink_answers_new(struct error *e);
void sink_answers_free(struct sink_answers **a);

/* Somebody else begins to speak: forget the begun line. */
void sink_answers_reset(struct sink_answers *a);

/* Where to read the next bytes to, `*size` of them (never 0 when all answers have been
 * taken); and that `n` bytes were. */
char *sink_answers_room(struct sink_answers *a, size_t *size);
void sink_answers_add(struct sink_answers *a, size_t n);

/* Take the next answer: 1; 0: there is no whole one; -1: a line that is none
 * (longer than 64 kB is none either), or ERROR_MEMORY. Strings are good until the
 * next call. */
int sink_answers_next(struct sink_answers *a, struct ndjson_answer *out, struct error *e);

#endif
