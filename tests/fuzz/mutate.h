/*
 * mutate.h - inputs for a fuzz target that runs by itself: seeds, changed a little.
 */
#ifndef MONITOR_MUTATE_H
#define MONITOR_MUTATE_H

#include "target.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MUTATE_ROOM 2048   /* bytes; inputs are no longer */

struct mutate {
	const char *const *seeds;
	size_t seed_count;
	const char *const *pieces;   /* what to put in, besides random bytes and parts of seeds */
	size_t piece_count;
	uint64_t state;
};

/* xorshift64*: the same inputs for the same seed, everywhere. */
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

/* Give the target a copy of its very size, so that reading behind it is found. */
static void
mutate_try(const char *text, size_t size)
{
	uint8_t *copy = malloc(size + (size == 0));

	require(copy != NULL, "no memory");
	memcpy(copy, text, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

/* A new input: a seed, changed 0 to 4 times. */
__attribute__((unused)) static void
mutate_seed(struct mutate *m)
{
	const char *seed = m->seeds[mutate_pick(m, m->seed_count)];
	size_t size = strlen(seed);
	char text[MUTATE_ROOM];

	memcpy(text, seed, size);
	for (size_t n = mutate_pick(m, 5); n > 0; n--)
		size = mutate_once(m, text, size);
	mutate_try(text, size);
}

/* What main() does: the arguments are [RUNS [SEED]]. Ends with the beginning of a line about it;
 * how many inputs were there? `make_one` makes one and tries it. */
static unsigned long
mutate_main(struct mutate *m, int argc, char **argv, unsigned long runs,
    void (*make_one)(struct mutate *m))
{
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

	if (argc > 1)
		runs = strtoul(argv[1], NULL, 10);
	m->state = seed + 0x9e3779b97f4a7c15u;
	for (unsigned long i = 0; i < runs; i++)
		make_one(m);
	printf("%s: %lu runs from seed %llu", program_invocation_short_name, runs,
	    (unsigned long long)seed);
	return runs;
}

#endif
