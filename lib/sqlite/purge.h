/*
 * purge.h - the parts of a purge, seen by its own files only.
 *
 *   purge.c   what goes: by age, by size; marks and moments
 *   expire.c  rows out of a block or a tail
 *   sweep.c   names that no row has any more
 *   shrink.c  bytes on disk, and giving them back
 *
 * A purge is many transactions, each of bounded work: what it plans in a slice
 * of reading it does in a write transaction, after a look at whether it is
 * still so. Nothing is assumed from one transaction to the next, so that two
 * purges at once only do a part of the work each.
 */
#ifndef MONITOR_SQLITE_PURGE_H
#define MONITOR_SQLITE_PURGE_H

#include "sqlite/sqlite.h"

/* Which records of a kind are too old. */
struct expiry {
	double time;       /* those from before this */
	int64_t arrival;   /* and those that had arrived by this; */
	int64_t after;     /* but of all these only the ones that arrived after this, */
	const struct expiry *counted;   /* and not those that these are (NULL: none) */
};

/* The rows of one block or tail; memory that is used again. */
struct rows {
	struct entry *entries;
	size_t n, room;
};

struct purging {
	struct sqlite *s;
	const struct purge *p;
	const volatile int *stop;
	struct purged *out;
	struct filter only;                    /* what the purge is restricted to */
	struct expiry expired[RECORD_KINDS];   /* by the windows */
	int64_t first, last;                   /* among these arrivals rows went; first > last: none did */
	struct rows rows;
	struct buf scratch;
	int wal_limit;                         /* pages: with more the WAL is moved on */
	uint64_t free_pages;                   /* as the transaction began */
	uint64_t giving, given_back;           /* bytes, in this transaction and in all before */
};

/* Told to stop? */
static inline bool
purging_stopped(const struct purging *pg)
{
	return pg->stop != NULL && *pg->stop;
}

/* Run `work` in a slice of reading, or in a write transaction, where it may be
 * run more than once: it starts from nothing each time. On a full disk the
 * reserve is spent. */
typedef int purging_work(struct purging *pg, void *arg, struct error *e);
int purging_read(struct purging *pg, purging_work *work, void *arg, struct error *e);
int purging_write(struct purging *pg, purging_work *work, void *arg, struct error *e);

/* expire.c: of the block that begins at `first` (gone: nothing happens), or of
 * the tail, the rows that `x` and pg->only say; of the tail, no more than `most`
 * of them, the oldest, and x->after is moved behind them. They are counted in
 * pg->out; on a dry run that is all. */
int expire_block(struct purging *pg, enum record_kind kind, int64_t first,
    const struct expiry *x, struct error *e);
int expire_tail(struct purging *pg, enum record_kind kind, struct expiry *x, size_t most,
    struct error *e);

/* All that exists of the block that begins at `first`, strays last, into
 * pg->rows; inside a transaction. 1, or 0 if there is no such block. */
int expire_load(struct purging *pg, enum record_kind kind, int64_t first, struct error *e);

/* sweep.c: delete the names that no row has, if there may be many. */
int sweep_names(struct purging *pg, struct error *e);

/* shrink.c */
int shrink_free_bytes(struct purging *pg, uint64_t *bytes, struct error *e);
uint64_t shrink_on_disk(const struct sqlite *s);   /* of the database and its WAL */
/* How many bytes of free pages there must be for the bounds on size to hold. */
int shrink_wanted(struct purging *pg, uint64_t *bytes, struct error *e);
/* Move the WAL into the database, so that it begins anew or is empty: most of it
 * while others write, the rest at one go. 1, or 0 if others were in the way each
 * time. */
int shrink_wal(struct purging *pg, enum db_checkpoint how, struct error *e);
/* Around the work of a write transaction. The pages that it frees are given back
 * in it, as far as that is wanted: other pages are moved into them before they
 * are ever written as free ones, which is half of what it costs later. */
int shrink_begin(struct purging *pg, struct error *e);
int shrink_freed(struct purging *pg, struct error *e);
void shrink_done(struct purging *pg);
/* Give free pages back, but those that are to be kept. */
int shrink_store(struct purging *pg, struct error *e);

#endif
