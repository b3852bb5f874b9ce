/*
 * numbers.h - the last number of each of many names, in memory that is bounded: what has not
 * been asked for for long is forgotten.
 */
#ifndef MONITOR_ZMQ_NUMBERS_H
#define MONITOR_ZMQ_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "str.h"

struct numbers;

/* For about so many names. */
struct numbers *numbers_new(size_t room, struct error *e);
void numbers_free(struct numbers **n);

/* The number of the name that `a` and `b` are together: the caller's to read and to set; 0 if it
 * is new. Good until the next call. `*forgot`: another one had to go for it. */
uint64_t *numbers_of(struct numbers *n, struct str a, struct str b, bool *forgot);

/* Forget all. */
void numbers_clear(struct numbers *n);

#endif
