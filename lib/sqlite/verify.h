/*
 * verify.h - the parts of a verification, seen by its own files only.
 *
 *   verify.c  the steps, and what they find     verify_rows.c  rows, and their indexes
 */
#ifndef MONITOR_SQLITE_VERIFY_H
#define MONITOR_SQLITE_VERIFY_H

#include "sqlite/sqlite.h"

enum { VERIFY_ROWS = 65536 };   /* in a slice, or names, or moments */

/* What may be wrong with a row, or with what the index has of it. */
enum fault {
	ROW_TYPE, ROW_TIME, ROW_WATCHDOG, ROW_SENDER, ROW_ALONE, ROW_UNKNOWN, ROW_DIFFERS,
	ENTRY_ALONE, FAULTS
};

/* Numbers that are known to have a name: one bit each, in pages. */
enum { IDS_PAGE = 1 << 16 };
struct known_ids {
	enum sql find;
	uint64_t *pages[UINT32_MAX / IDS_PAGE + 1];
};

/* How far a step has come. */
struct progress {
	int64_t at;       /* the last number, arrival or block that it took */
	int64_t behind;   /* the last arrival of the last block */
	double time;      /* of the last moment */
};

struct verify {
	struct sqlite *s;
	void (*found)(void *arg, const char *text);
	void *arg;
	struct error *e;
	int64_t count;                /* findings that hold */
	int64_t pending;              /* of this slice */
	struct buf lines;             /* theirs, as many as are told */
	bool memory_failed;           /* for one of them */

	enum record_kind kind;        /* of the step */
	struct progress progress;
	char where[64];               /* what is being looked at, for a finding */
	int64_t sealed[RECORD_KINDS]; /* blocks behind these came after we began */
	int64_t upto;                 /* rows likewise */

	struct known_ids watchdogs, senders;
	struct { int64_t n, first; } faults[FAULTS];   /* of the current block or tail */
	bool indexed;                 /* `entries` is the index of the current block */
	size_t entry_count;
	int32_t place[BLOCK_SPAN + 1];      /* 1 + the entry of the row at first + i; 0: none */
	struct entry entries[BLOCK_SPAN + 1];
};

/* One thing that is wrong, at v->where. */
__attribute__((format(printf, 2, 3))) void verify_report(struct verify *v, const char *fmt, ...);

/* Remember that this number has a name. */
int verify_learn(struct verify *v, struct known_ids *known, uint32_t id);

/* Steps: 1 there is more to do, 0 done, -1. */
int verify_blocks(struct verify *v);
int verify_tail(struct verify *v);

#endif
