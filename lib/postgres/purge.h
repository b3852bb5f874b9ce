/*
 * purge.h - the parts of a purge, seen by its own files only.
 *
 *   purge.c       what goes: by age, by size; marks and batches
 *   partitions.c  whole partitions
 *   expire.c      rows
 *
 * A partition whose every arrival is too old goes as a whole: detached without a lock that a
 * writer or a reader would wait for, then dropped. Other rows are deleted, some thousands a
 * transaction. Nothing is assumed from one statement to the next: several purges at once
 * only do a part of the work each, and what one left half done the next one ends.
 */
#ifndef MONITOR_POSTGRES_PURGE_H
#define MONITOR_POSTGRES_PURGE_H

#include "postgres/postgres.h"

enum { PURGE_PATIENCE = 10 };   /* seconds to wait for others */

struct partition {
	char name[132];       /* as SQL has it: quoted, if need be */
	int64_t first, end;   /* its arrivals: first <= arrival < end */
	bool gone;            /* dropped; on a dry run: would be */
};

struct partitions {
	struct partition *v;
	size_t n;
};

struct purging {
	struct postgres *s;
	const struct purge *p;
	const volatile int *stop;
	struct purged *out;
	int64_t closed;       /* nobody writes to partitions that end by this arrival any more */
	struct partitions partitions[RECORD_KINDS];   /* by arrival */
	uint64_t dropped;     /* bytes */
	bool in_use;          /* a partition could not be dropped: */
	struct error why;
};

/* Told to stop? */
static inline bool
purging_stopped(const struct purging *pg)
{
	return pg->stop != NULL && *pg->stop;
}

/* ---- partitions.c --------------------------------------------------------------- */

/* All that there are, of each kind. */
int partitions_list(struct purging *pg, struct error *e);
void partitions_free(struct purging *pg);

/* End what an earlier purge was interrupted at. */
int partitions_finish(struct purging *pg, struct error *e);

/* Drop it, with all its rows, which are counted; on a dry run that is all. If others keep it
 * in use for too long, that is noted in pg->in_use, and no other is tried: no reader sees it any
 * more, and the next partitions_finish() ends it. */
int partition_drop(struct purging *pg, enum record_kind kind, struct partition *part,
    struct error *e);

/* ---- expire.c -------------------------------------------------------------------- */

/* Which rows are too old. */
struct expiry {
	double time;       /* those from before this, */
	int64_t arrival;   /* and those that arrived before this */
};

/* Of these, and of those among them that the purge is restricted to, delete the ones in the
 * partition, or (NULL) among the strays of the kind. They are counted; on a dry run that
 * is all. */
int expire_rows(struct purging *pg, enum record_kind kind, const struct partition *part,
    const struct expiry *x, struct error *e);

#endif
