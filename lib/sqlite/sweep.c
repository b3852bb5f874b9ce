/*
 * Names that no row has any more. Anybody may invent senders, so their table
 * must not grow for ever; but whether a name is used is only known once all
 * rows have been looked at, so that is done only where there are many names.
 *
 * First the indexes of all blocks are read, then whatever was no part of a block
 * then. Each transaction that deletes reads first what has come since, and
 * raises the epoch, so that no writer goes on with a name that is gone.
 */
#include <stdlib.h>

#include "sqlite/purge.h"

enum {
	MANY = 10000,          /* names; fewer are not worth the reading, */
	NAME_PART = 50,        /* nor names that take less than this part of the store */
	NAME_BYTES = 100,      /* what a name takes, about */
	STEP = 250,            /* names deleted at a time, from as many pages or more */
	STEP_LOOK = 20000,     /* names, or new rows, looked at at a time */
	PAGE_BITS = 16,
	PAGES = 1 << (32 - PAGE_BITS),
};

/* A set of numbers: pages of bits, made where one is set. */
struct set {
	uint64_t *pages[PAGES];
};

struct table {
	enum sql some, drop;
	struct set used;
	int64_t upto;          /* looked at up to this number */
};

struct sweep {
	enum record_kind kind;
	int64_t block;                   /* the block looked at */
	bool more;
	int64_t sealed[RECORD_KINDS];    /* the last arrival in a block as we began, */
	int64_t seen[RECORD_KINDS];      /* and the last of the rows looked at after that */
	struct table tables[2];          /* watchdogs, senders */
	struct table *table;             /* the one deleted from, */
	int64_t upto;                    /* and how far the last step came */
};

static int
set_add(struct set *set, uint32_t n)
{
	uint64_t **page = &set->pages[n >> PAGE_BITS];
	uint32_t bit = n & ((1u << PAGE_BITS) - 1);

	if (*page == NULL && (*page = calloc((1u << PAGE_BITS) / 64, sizeof(**page))) == NULL)
		return -1;
	(*page)[bit / 64] |= UINT64_C(1) << bit % 64;
	return 0;
}

static bool
set_has(const struct set *set, uint32_t n)
{
	const uint64_t *page = set->pages[n >> PAGE_BITS];
	uint32_t bit = n & ((1u << PAGE_BITS) - 1);

	return page != NULL && (page[bit / 64] >> bit % 64 & 1) != 0;
}

static void
sweep_free(struct sweep *w)
{
	for (size_t t = 0; w != NULL && t < 2; t++)
		for (size_t i = 0; i < PAGES; i++)
			free(w->tables[t].used.pages[i]);
	free(w);
}

static int
use(struct sweep *w, uint32_t watchdog, uint32_t sender, struct error *e)
{
	if (set_add(&w->tables[0].used, watchdog) == -1 ||
	    set_add(&w->tables[1].used, sender) == -1)
		return error_memory(e);
	return 0;
}

/* ---- looking ------------------------------------------------------------- */

static int
begin_sweep(struct purging *pg, void *arg, struct error *e)
{
	struct sweep *w = arg;

	for (int k = 0; k < RECORD_KINDS; k++) {
		if (sqlite_sealed(pg->s, k, &w->sealed[k], e) == -1)
			return -1;
		w->seen[k] = w->sealed[k];
	}
	return 0;
}

static int
look_at_block(struct purging *pg, void *arg, struct error *e)
{
	struct sweep *w = arg;
	struct stmt *st = sqlite_sql(pg->s, SQL_NEXT_BLOCK, e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, w->kind);
	stmt_bind_int(st, 2, w->block);
	if ((rc = stmt_step(st, e)) == 1)
		w->block = stmt_int(st, 0);
	stmt_reset(st);
	w->more = rc == 1 && w->block <= w->sealed[w->kind];
	if (rc == -1 || !w->more)
		return rc == -1 ? -1 : 0;
	if (expire_load(pg, w->kind, w->block, e) == -1)
		return -1;
	for (size_t i = 0; i < pg->rows.n; i++)
		if (use(w, pg->rows.entries[i].watchdog, pg->rows.entries[i].sender, e) == -1)
			return -1;
	return 0;
}

/* Rows that are new since the last look, or were in no block at the first. */
static int
look_at_new(struct purging *pg, void *arg, struct error *e)
{
	struct sweep *w = arg;
	int rc;

	w->more = false;
	for (int k = 0; k < RECORD_KINDS; k++) {
		struct stmt *st = sqlite_sql(pg->s, SQL_OF(SQL_NEW_NAMES_LOG, k), e);
		int n = 0;
		if (st == NULL)
			return -1;
		stmt_bind_int(st, 1, w->seen[k]);
		stmt_bind_int(st, 2, STEP_LOOK);
		while ((rc = stmt_step(st, e)) == 1) {
			w->seen[k] = stmt_int(st, 0);
			if (use(w, (uint32_t)stmt_int(st, 1), (uint32_t)stmt_int(st, 2), e) == -1) {
				stmt_reset(st);
				return -1;
			}
			n++;
		}
		stmt_reset(st);
		if (rc == -1)
			return -1;
		w->more = w->more || n == STEP_LOOK;
	}
	return 0;
}

/* 0, or 1 if it was told to stop: then too little was seen to delete anything. */
static int
look(struct purging *pg, struct sweep *w, struct error *e)
{
	if (purging_read(pg, begin_sweep, w, e) == -1)
		return -1;
	for (int k = 0; k < RECORD_KINDS; k++) {
		w->kind = (enum record_kind)k;
		w->block = 0;
		do {
			if (purging_stopped(pg))
				return 1;
			if (purging_read(pg, look_at_block, w, e) == -1)
				return -1;
		} while (w->more);
	}
	do {
		if (purging_read(pg, look_at_new, w, e) == -1)
			return -1;
	} while (w->more && !purging_stopped(pg));
	return purging_stopped(pg);
}

/* ---- deleting ------------------------------------------------------------ */

static int
drop_name(struct sqlite *s, enum sql drop, uint32_t number, struct error *e)
{
	struct stmt *st = sqlite_sql(s, drop, e);

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, number);
	return stmt_run(st, e);
}

/* Up to so many unused numbers behind `*upto`: how many, with `*upto` moved on. */
static int
find_unused(struct purging *pg, const struct table *t, int64_t *upto, uint32_t unused[STEP],
    bool *more, struct error *e)
{
	struct stmt *st = sqlite_sql(pg->s, t->some, e);
	int n = 0, looked = 0, rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, *upto);
	while ((rc = stmt_step(st, e)) == 1) {
		*upto = stmt_int(st, 0);
		if (!set_has(&t->used, (uint32_t)*upto))
			unused[n++] = (uint32_t)*upto;
		if (n == STEP || ++looked == STEP_LOOK)
			break;
	}
	stmt_reset(st);
	*more = rc == 1;
	return rc == -1 ? -1 : n;
}

static int
drop_names(struct purging *pg, void *arg, struct error *e)
{
	struct sweep *w = arg;
	struct table *t = w->table;
	struct stmt *st;
	uint32_t unused[STEP];
	int64_t upto = t->upto;
	bool more;
	int n;

	do {
		if (look_at_new(pg, w, e) == -1)
			return -1;
	} while (w->more);
	if ((n = find_unused(pg, t, &upto, unused, &more, e)) == -1)
		return -1;
	if (n > 0 && ((st = sqlite_sql(pg->s, SQL_RAISE_EPOCH, e)) == NULL ||
	    stmt_run(st, e) == -1))
		return -1;
	for (int i = 0; i < n; i++)
		if (drop_name(pg->s, t->drop, unused[i], e) == -1)
			return -1;
	w->upto = upto;
	w->more = more;
	return 0;
}

/* 0, or 1 if it was told to stop. */
static int
drop_unused(struct purging *pg, struct sweep *w, struct error *e)
{
	for (size_t t = 0; t < 2; t++) {
		w->table = &w->tables[t];
		do {
			if (purging_stopped(pg))
				return 1;
			if (purging_write(pg, drop_names, w, e) == -1)
				return -1;
			w->table->upto = w->upto;
		} while (w->more);
	}
	return 0;
}

static int
count_names(struct purging *pg, int64_t *n, int64_t *bytes, struct error *e)
{
	struct stmt *st = sqlite_sql(pg->s, SQL_NAMES, e);

	if (st == NULL || stmt_step(st, e) == -1)
		return -1;
	*n = stmt_int(st, 0);
	*bytes = stmt_int(st, 1);
	stmt_reset(st);
	return 0;
}

int
sweep_names(struct purging *pg, struct error *e)
{
	struct sweep *w;
	int64_t names, bytes;
	int rc;

	if (pg->first > pg->last)
		return 0;
	if (count_names(pg, &names, &bytes, e) == -1)
		return -1;
	if (names <= MANY || names < 2 * pg->s->names_used ||
	    names * NAME_BYTES < bytes / NAME_PART)
		return 0;
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return error_memory(e);
	w->tables[0].some = SQL_SOME_WATCHDOGS;
	w->tables[0].drop = SQL_DROP_WATCHDOG;
	w->tables[1].some = SQL_SOME_SENDERS;
	w->tables[1].drop = SQL_DROP_SENDER;
	if ((rc = look(pg, w, e)) == 0)
		rc = drop_unused(pg, w, e);
	if (rc == 0)
		rc = count_names(pg, &pg->s->names_used, &bytes, e);
	sweep_free(w);
	return rc == -1 ? -1 : 0;
}
