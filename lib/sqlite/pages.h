/*
 * pages.h - the pages of an SQLite file, read without SQLite: what can still be
 * told of them when the file is damaged, one page at a time.
 *
 * The format is https://www.sqlite.org/fileformat2.html. What the write-ahead
 * log holds of committed transactions stands for the pages that it replaces.
 * Nothing in the file is trusted: whatever its bytes say, reading it ends, and
 * stays inside memory of bounded size. A page that the disk will not give is a
 * damaged page, not an error. Nobody may write to the file meanwhile.
 */
#ifndef MONITOR_SQLITE_PAGES_H
#define MONITOR_SQLITE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "str.h"

struct pages;

/* Caller owns it and closes it with pages_close(). Fails only where there is no
 * such file, it may not be read, or memory runs out. */
struct pages *pages_open(const char *path, struct error *e);
void pages_close(struct pages **p);

uint32_t pages_count(const struct pages *p);   /* they are numbered from 1 */

struct pages_header {
	bool sound;                /* it is that of an SQLite file; else the rest is a guess */
	bool cut;                  /* the file ends before its last page */
	uint32_t application_id, user_version;
};
const struct pages_header *pages_header(const struct pages *p);

/* A table or an index is a tree of pages. Trees have small numbers, the
 * caller's to give; 0 is "nobody knows". Claim what can be reached from a root
 * page downwards. -1: out of memory. */
int pages_claim(struct pages *p, uint32_t root, uint8_t tree, struct error *e);

/* The tree that a page was claimed for, or, by the file's map from pages to
 * their parents, belongs to. */
uint8_t pages_tree(struct pages *p, uint32_t page);

enum pages_sort {
	PAGES_BAD,       /* should be part of a tree, and makes no sense */
	PAGES_ROWS,      /* records with a rowid */
	PAGES_ENTRIES,   /* records of an index, or of a table without rowids */
	PAGES_INNER,     /* only points to others */
	PAGES_OTHER,     /* in no tree: free, the rest of a long record, the map itself */
};
enum pages_sort pages_sort(struct pages *p, uint32_t page);

enum { PAGES_VALUES = 8 };

struct pages_value {
	enum { PAGES_NULL, PAGES_INTEGER, PAGES_REAL, PAGES_TEXT, PAGES_BLOB } type;
	int64_t integer;
	double real;       /* of an integer, too */
	struct str str;    /* of a text or blob */
};

/* A record; its strings are good until `each` returns. */
struct pages_record {
	int64_t rowid;     /* of a PAGES_ROWS page */
	size_t n;          /* values; if there are more than fit, the first of them */
	struct pages_value values[PAGES_VALUES];
};

/* The records that lie on a page of sort PAGES_ROWS or PAGES_ENTRIES. Returns how
 * many cannot be read, or -1 if `each` returned that. */
int pages_records(struct pages *p, uint32_t page,
    int (*each)(void *arg, const struct pages_record *r), void *arg);

#endif
