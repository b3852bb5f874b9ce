#include "sqlite/known.h"

#include <stdlib.h>
#include <string.h>

#include "sqlite/block.h"

enum {
	BLOCKS = 8192,         /* that are remembered at most: 67 million rows, 4 MB */
	BITS = 4096,           /* of each: a Bloom filter */
	WATCHDOGS = 1024,      /* in a block, at most: of more the bits would tell little */
};

struct slot {
	struct known_block block;
	bool known;            /* it was looked into twice: `bits` tell who is in it */
	uint64_t bits[BITS / 64];
};

struct known {
	struct slot slots[BLOCKS];
};

/* Full blocks that follow one another are in slots that follow one another. */
static size_t
slot_of(int64_t first)
{
	return (size_t)(first / BLOCK_ROWS % BLOCKS);
}

/* A watchdog's two bits. */
static void
places(uint32_t watchdog, unsigned at[2])
{
	uint64_t h = watchdog * UINT64_C(0x9e3779b97f4a7c15);

	at[0] = (unsigned)(h >> 32 & (BITS - 1));
	at[1] = (unsigned)(h >> 48 & (BITS - 1));
}

static bool
is_of(const struct slot *s, const struct known_block *b)
{
	return s->block.first == b->first && s->block.tmin == b->tmin && s->block.tmax == b->tmax;
}

static bool
has(const struct slot *s, uint32_t watchdog)
{
	unsigned at[2];

	places(watchdog, at);
	return (s->bits[at[0] / 64] >> at[0] % 64 & s->bits[at[1] / 64] >> at[1] % 64 & 1) != 0;
}

static void
add(struct slot *s, uint32_t watchdog)
{
	unsigned at[2];

	places(watchdog, at);
	for (int i = 0; i < 2; i++)
		s->bits[at[i] / 64] |= UINT64_C(1) << at[i] % 64;
}

void
known_note(struct known **k, const struct known_block *b, struct str watchdogs)
{
	struct slot *s;
	uint32_t id;
	size_t rows;

	if (watchdogs.len > WATCHDOGS * BLOCK_WATCHDOG ||
	    (*k == NULL && (*k = calloc(1, sizeof(**k))) == NULL))
		return;
	s = &(*k)->slots[slot_of(b->first)];
	if (!is_of(s, b)) {
		if (s->block.first <= b->first) {
			s->block = *b;
			s->known = false;
		}
		return;
	}
	if (s->known)
		return;
	s->known = true;
	memset(s->bits, 0, sizeof(s->bits));
	for (size_t i = 0; block_watchdog(watchdogs, i, &id, &rows); i++)
		add(s, id);
}

void
known_free(struct known **k)
{
	free(*k);
	*k = NULL;
}

bool
known_without(const struct known *k, const struct known_block *b, const uint32_t *watchdogs,
    size_t n)
{
	const struct slot *s;

	if (k == NULL)
		return false;
	s = &k->slots[slot_of(b->first)];
	if (!s->known || !is_of(s, b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (has(s, watchdogs[i]))
			return false;
	return true;
}
