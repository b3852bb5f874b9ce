/*
 * pages_file.h - the bytes under pages.h: the pages of an SQLite file by number, each as the last
 * transaction that its write-ahead log holds whole left it.
 *
 * It has the same bounds, and trusts as little.
 */
#ifndef MONITOR_SQLITE_PAGES_FILE_H
#define MONITOR_SQLITE_PAGES_FILE_H

#include "sqlite/pages.h"

struct pages_file {
	uint32_t size, usable;     /* of a page, in bytes; without what is reserved at its end */
	uint32_t count;            /* of pages */
	bool mapped;               /* there are map pages */
	struct pages_header header;

	/* The rest is its own. */
	int fd, wal;               /* -1: there is no WAL */
	uint32_t *frames;          /* by page: its last frame in the WAL, from 1; 0: none */
	unsigned char *page;       /* while it is opened */
};

/* To be followed by pages_file_close(), also on failure. */
int pages_file_open(struct pages_file *f, const char *path, struct error *e);
void pages_file_close(struct pages_file *f);

/* A page of 1..count to `to`, which has room for `size` bytes. False, and zeros, where it cannot be
 * read; false, too, where it holds nothing but zeros. */
bool pages_file_read(const struct pages_file *f, uint32_t page, unsigned char *to);

/* Numbers as they stand on pages: big-endian. */
static inline uint32_t
page_u32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint32_t
page_u16(const unsigned char *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

#endif
