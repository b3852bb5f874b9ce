#include "numbers.h"

#include <stdlib.h>

#include "crypto.h"

#define WAYS 8   /* the places that a name may be in */

struct place {
	uint64_t tag;          /* of the name; 0: free. That two names have the same is not to be
	                        * expected, and nobody can find any. */
	uint64_t number;
	uint64_t used;         /* when, as `clock` counts */
};

struct numbers {
	uint64_t seed, clock;
	size_t sets;           /* of WAYS places; a power of 2 */
	struct place places[];
};

struct numbers *
numbers_new(size_t room, struct error *e)
{
	struct numbers *n;
	size_t sets = 1;

	while (sets * WAYS < room)
		sets *= 2;
	if ((n = calloc(1, sizeof(*n) + sets * WAYS * sizeof(*n->places))) == NULL) {
		error_memory(e);
		return NULL;
	}
	n->sets = sets;
	if (crypto_random(&n->seed, sizeof(n->seed), e) == -1)
		numbers_free(&n);
	return n;
}

void
numbers_free(struct numbers **n)
{
	free(*n);
	*n = NULL;
}

void
numbers_clear(struct numbers *n)
{
	memset(n->places, 0, n->sets * WAYS * sizeof(*n->places));
}

/* FNV-1a, begun at a secret. */
static uint64_t
hash(uint64_t h, struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.data[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

uint64_t *
numbers_of(struct numbers *n, struct str a, struct str b, bool *forgot)
{
	const uint64_t h = hash(hash(n->seed, a) * 0x9e3779b97f4a7c15u + 1, b);
	const uint64_t tag = h != 0 ? h : 1;
	struct place *set = &n->places[(h >> 7 & (n->sets - 1)) * WAYS], *oldest = set, *p;

	*forgot = false;
	for (p = set; p < set + WAYS && p->tag != tag; p++)
		if (p->used < oldest->used)
			oldest = p;
	if (p == set + WAYS) {
		p = oldest;
		*forgot = p->tag != 0;
		*p = (struct place){ .tag = tag };
	}
	p->used = ++n->clock;
	return &p->number;
}
