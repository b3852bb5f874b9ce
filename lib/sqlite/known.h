/*
 * known.h - which watchdogs are in the blocks that a reader has looked into: pure data, no
 * database.
 *
 * To look into a block for a watchdog that has nothing in it costs as much as to look for one
 * that has, and of most watchdogs most blocks hold nothing. So a reader remembers, of the newest
 * blocks of a kind, a few bits for each watchdog: enough to pass over most of them. It does so
 * when it looks into a block for the second time: who asks but once has nothing of it.
 *
 * The index of a block is written anew, under its old number, when some of its rows are purged.
 * Then rows that were strays may come into it; but a stray lies outside the range of times that
 * the block had without it (block_split()). So what was known of a block stays true for as long
 * as its range stays the same.
 */
#ifndef MONITOR_SQLITE_KNOWN_H
#define MONITOR_SQLITE_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "str.h"

struct known;
struct known_block {
	int64_t first;         /* its number, more than 0 */
	double tmin, tmax;     /* its range of times */
};

/* A block was looked into: its watchdogs, as they stand in its index (block.h). `*k` is NULL in the
 * beginning. Without memory nothing is known; of many blocks the older ones are not known any more. */
void known_note(struct known **k, const struct known_block *b, struct str watchdogs);
void known_free(struct known **k);

/* Is it known that none of these watchdogs has a row in the block? (NULL: nothing is.) */
bool known_without(const struct known *k, const struct known_block *b, const uint32_t *watchdogs,
    size_t n);

#endif
