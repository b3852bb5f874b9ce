/*
 * block.h - the index of a block of rows: pure data, no database.
 *
 * Rows lie in the order of their arrival; a block is up to BLOCK_ROWS of them
 * of one kind. Its index is two blobs, little-endian, packed:
 *
 *   watchdogs  for each watchdog in it, by rising id: id u32, rows u16
 *   entries    for each row, sorted by (watchdog, arrival):
 *              place u16 (arrival - first), level i8, sender u32, time f64
 *
 * so that the rows of one watchdog are one slice of the entries, and whatever
 * is asked of time, level, sender or number is answered without touching a row.
 * A row that would spoil this - its time far from the others', or its level
 * beyond an i8 - is a stray: it is kept in a table of its own instead.
 */
#ifndef MONITOR_SQLITE_BLOCK_H
#define MONITOR_SQLITE_BLOCK_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

enum {
	BLOCK_ROWS = 8192,
	BLOCK_SPAN = 65535,              /* last - first at most */
	BLOCK_BYTES = 32 * 1024 * 1024,  /* of text: a block that has as much is full */
	BLOCK_ENTRY = 15,                /* bytes an entry takes */
	BLOCK_WATCHDOG = 6,              /* bytes a watchdog takes */
};

/* What the index knows of a row. */
struct entry {
	int64_t arrival;
	double time;
	int64_t level;
	uint32_t watchdog, sender;
};

/* Put the strays behind the others, both in their old order; returns how many
 * are not strays. At most an eighth of the rows are strays for their time.
 * -1: out of memory. */
int64_t block_split(struct entry *entries, size_t n);

/* Write the index of entries that are no strays (any order, n > 0; they are
 * sorted in place by (watchdog, arrival)) onto the two buffers. -1: out of
 * memory. */
int block_encode(struct entry *entries, size_t n, int64_t first, struct buf *watchdogs,
    struct buf *blob);

/* One watchdog's slice: how many entries stand before it, and in it. false:
 * it has none. */
bool block_find(struct str watchdogs, uint32_t id, size_t *before, size_t *count);

/* The `i`-th watchdog and its rows; false behind the last. */
bool block_watchdog(struct str watchdogs, size_t i, uint32_t *id, size_t *count);

/* One entry, at `p` (BLOCK_ENTRY bytes); the watchdog is the caller's to know. */
static inline void
block_entry(const char *p, int64_t first, struct entry *out)
{
	uint16_t place;
	uint32_t sender;
	uint64_t bits;

	memcpy(&place, p, sizeof(place));
	memcpy(&sender, p + 3, sizeof(sender));
	memcpy(&bits, p + 7, sizeof(bits));
	bits = le64toh(bits);
	out->arrival = first + le16toh(place);
	out->level = (int8_t)p[2];
	out->sender = le32toh(sender);
	memcpy(&out->time, &bits, sizeof(bits));
}

/* The lowest and highest time of n > 0 entries. */
void block_range(const struct entry *entries, size_t n, double *tmin, double *tmax);

#endif
