/*
 * mutate.h - inputs for a fuzz target that runs by itself: seeds, changed a little.
 */
#ifndef MONITOR_MUTATE_H
#define MONITOR_MUTATE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUTATE_ROOM 2048   /* bytes; inputs are no longer */

struct mutate {
	const char *const *seeds;
	size_t seed_count;
	const char *const *pieces;   /* what to put in, besides random bytes and parts of seeds */
	size_t piece_count;
	uint64_t state;              /* not 0: the same inputs for the same one, everywhere */
};

/* xorshift64*. */
static size_t
mutate_pick(struct mutate *m, size_t below)
{
	m->state ^= m->state >> 12;
	m->state ^= m->state << 25;
	m->state ^= m->state >> 27;
	return (size_t)((m->state * 2685821657736338717u) >> 33) % below;
}

/* Put `n` bytes in the place of `cut` bytes at `at`. */
static size_t
mutate_splice(char *text, size_t len, size_t at, size_t cut, const char *with, size_t n)
{
	if (cut > len - at)
		cut = len - at;
	if (len - cut + n > MUTATE_ROOM)
		return len;
	memmove(text + at + n, text + at + cut, len - at - cut);
	memcpy(text + at, with, n);
	return len - cut + n;
}

static size_t
mutate_once(struct mutate *m, char *text, size_t len)
{
	size_t at = mutate_pick(m, len + 1), cut = 0, from;
	const char *with = m->pieces[mutate_pick(m, m->piece_count)];
	char byte = (char)mutate_pick(m, 256);

	if (mutate_pick(m, 4) == 0)
		cut = mutate_pick(m, 24);
	switch (mutate_pick(m, 4)) {
	case 0:
		return mutate_splice(text, len, at, 1, &byte, 1);
	case 1:
		return mutate_splice(text, len, at, 1 + cut, "", 0);
	case 2:
		with = m->seeds[mutate_pick(m, m->seed_count)];
		from = mutate_pick(m, strlen(with));
		return mutate_splice(text, len, at, cut, with + from,
		    mutate_pick(m, strlen(with) - from));
	default:
		return mutate_splice(text, len, at, cut, with, strlen(with));
	}
}

/* A new input: a seed, changed 0 to 4 times. It is the caller's to free, and of its
 * very size, so that reading behind it is found. NULL: no memory. */
static uint8_t *
mutate_input(struct mutate *m, size_t *size)
{
	const char *seed = m->seeds[mutate_pick(m, m->seed_count)];
	char text[MUTATE_ROOM];
	uint8_t *copy;

	*size = strlen(seed);
	memcpy(text, seed, *size);
	for (size_t n = mutate_pick(m, 5); n > 0; n--)
		*size = mutate_once(m, text, *size);
	if ((copy = malloc(*size + (*size == 0))) != NULL)
		memcpy(copy, text, *size);
	return copy;
}

#endif
