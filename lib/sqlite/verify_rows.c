#include <math.h>
#include <stdio.h>

#include "sqlite/verify.h"

/* "3 rows ...", "1 row ...". */
static const char *const fault_text[FAULTS] = {
	[ROW_TYPE] = "with a value of the wrong type",
	[ROW_TIME] = "with a time that is not finite",
	[ROW_WATCHDOG] = "of a watchdog without a name",
	[ROW_SENDER] = "of a sender without a name",
	[ROW_ALONE] = "before it, in no block",
	[ROW_UNKNOWN] = "unknown to its index",
	[ROW_DIFFERS] = "known otherwise to its index",
	[ENTRY_ALONE] = "in its index that cannot be found",
};

struct block {
	int64_t first, last, rows, strays;
	double tmin, tmax;
};

/* ---- faults: a line for each sort, not for each row --------------------------- */

static void
blame(struct verify *v, enum fault f, int64_t arrival)
{
	if (v->faults[f].n++ == 0)
		v->faults[f].first = arrival;
}

static void
report_faults(struct verify *v)
{
	for (int f = 0; f < FAULTS; f++)
		if (v->faults[f].n > 0)
			verify_report(v, "%lld row%s %s (the first is %lld)", (long long)v->faults[f].n,
			    v->faults[f].n == 1 ? "" : "s", fault_text[f],
			    (long long)v->faults[f].first);
	memset(v->faults, 0, sizeof(v->faults));
}

/* Has this number a name? One that is new since we read them has one by now. */
static int
check_id(struct verify *v, struct known_ids *known, int64_t id)
{
	const uint64_t *page = id > 0 && id <= UINT32_MAX ? known->pages[id / IDS_PAGE] : NULL;
	struct stmt *st;
	int rc;

	if (page != NULL && (page[id % IDS_PAGE / 64] >> id % 64 & 1) != 0)
		return 1;
	if (id <= 0 || id > UINT32_MAX)
		return 0;
	if ((st = sqlite_sql(v->s, known->find, v->e)) == NULL)
		return -1;
	stmt_bind_int(st, 1, id);
	if ((rc = stmt_step(st, v->e)) == 1 && verify_learn(v, known, (uint32_t)id) == -1)
		rc = -1;
	stmt_reset(st);
	return rc;
}

/* ---- the index of a block ------------------------------------------------------- */

/* Take it apart into `entries` and `place`. NULL, or what does not fit. */
static const char *
decode(struct verify *v, const struct block *b, struct str watchdogs, struct str entries)
{
	size_t total = entries.len / BLOCK_ENTRY, at = 0, count;
	uint32_t id, before = 0;

	if (watchdogs.len % BLOCK_WATCHDOG != 0 || entries.len % BLOCK_ENTRY != 0)
		return "a part of it is cut off";
	if (total > BLOCK_SPAN + 1 || (int64_t)total != b->rows)
		return "it has another number of rows than the block says";
	for (size_t i = 0; block_watchdog(watchdogs, i, &id, &count); i++) {
		if (id <= before || count == 0 || count > total - at)
			return "its watchdogs are out of order";
		for (size_t j = at; j < at + count; j++) {
			struct entry *en = &v->entries[j];
			block_entry(entries.data + j * BLOCK_ENTRY, b->first, en);
			en->watchdog = id;
			if (en->arrival > b->last || (j > at && en->arrival <= en[-1].arrival) ||
			    v->place[en->arrival - b->first] != 0)
				return "its rows are out of order";
			v->place[en->arrival - b->first] = (int32_t)j + 1;
		}
		at += count;
		before = id;
	}
	if (at != total)
		return "it has rows of no watchdog";
	v->entry_count = total;
	return NULL;
}

static int
load_index(struct verify *v, const struct block *b)
{
	struct stmt *st = sqlite_sql(v->s, SQL_BLOCK_INDEX, v->e);
	const char *wrong;
	double tmin, tmax;
	int rc;

	memset(v->place, 0, sizeof(v->place));
	v->entry_count = 0;
	v->indexed = false;
	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, b->first);
	if ((rc = stmt_step(st, v->e)) == -1)
		return -1;
	wrong = rc == 0 ? "it is not there" : decode(v, b, stmt_blob(st, 0), stmt_blob(st, 1));
	stmt_reset(st);
	if (wrong != NULL)
		verify_report(v, "its index is damaged: %s", wrong);
	v->indexed = wrong == NULL;
	if (!v->indexed || v->entry_count == 0)
		return 0;
	block_range(v->entries, v->entry_count, &tmin, &tmax);
	if (tmin != b->tmin || tmax != b->tmax)
		verify_report(v, "its times go from %.17g to %.17g, not from %.17g to %.17g",
		    tmin, tmax, b->tmin, b->tmax);
	return 0;
}

/* ---- rows ------------------------------------------------------------------------ */

static bool
same_entry(const struct entry *a, const struct entry *b)
{
	return a->watchdog == b->watchdog && a->sender == b->sender && a->level == b->level &&
	    memcmp(&a->time, &b->time, sizeof(a->time)) == 0;
}

/* Is it a stray? 1, 0 no, -1. */
static int
check_stray(struct verify *v, const struct entry *en)
{
	struct stmt *st = sqlite_sql(v->s, SQL_CHECK_STRAY, v->e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, v->kind);
	stmt_bind_double(st, 2, en->time);
	stmt_bind_int(st, 3, en->arrival);
	if ((rc = stmt_step(st, v->e)) == 1 && (stmt_int(st, 0) != en->watchdog ||
	    stmt_int(st, 1) != en->level || stmt_int(st, 2) != en->sender))
		blame(v, ROW_DIFFERS, en->arrival);
	stmt_reset(st);
	return rc;
}

/* The row that `st` stands on, by itself. */
static int
check_row(struct verify *v, struct stmt *st, struct entry *en)
{
	int64_t watchdog = stmt_int(st, 1), sender = stmt_int(st, 4);
	int rc;

	*en = (struct entry){ .arrival = stmt_int(st, 0), .time = stmt_double(st, 2),
		.level = stmt_int(st, 3), .watchdog = (uint32_t)watchdog, .sender = (uint32_t)sender };
	if (stmt_int(st, 5) != 1)
		blame(v, ROW_TYPE, en->arrival);
	if (!isfinite(en->time))
		blame(v, ROW_TIME, en->arrival);
	if ((rc = check_id(v, &v->watchdogs, watchdog)) == 0)
		blame(v, ROW_WATCHDOG, en->arrival);
	if (rc != -1 && (rc = check_id(v, &v->senders, sender)) == 0)
		blame(v, ROW_SENDER, en->arrival);
	return rc == -1 ? -1 : 0;
}

/* The rows behind the previous block, to the end of this one. */
static int
check_rows(struct verify *v, const struct block *b, int64_t previous)
{
	struct stmt *st = sqlite_sql(v->s, SQL_OF(SQL_CHECK_ROWS_LOG, v->kind), v->e);
	int64_t strays = 0;
	struct entry en;
	int rc, stray;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, previous < b->first ? previous : b->first - 1);
	stmt_bind_int(st, 2, b->last);
	while ((rc = stmt_step(st, v->e)) == 1) {
		int32_t *place;
		if ((rc = check_row(v, st, &en)) == -1)
			break;
		if (en.arrival < b->first) {
			blame(v, ROW_ALONE, en.arrival);
			continue;
		}
		place = &v->place[en.arrival - b->first];
		if (v->indexed && *place != 0) {
			if (!same_entry(&en, &v->entries[*place - 1]))
				blame(v, ROW_DIFFERS, en.arrival);
			*place = 0;
			continue;
		}
		if ((stray = check_stray(v, &en)) == -1) {
			rc = -1;
			break;
		}
		if (stray == 0 && v->indexed)
			blame(v, ROW_UNKNOWN, en.arrival);
		strays += stray;
	}
	stmt_reset(st);
	for (size_t i = 0; rc == 0 && v->indexed && i <= BLOCK_SPAN; i++)
		if (v->place[i] != 0)
			blame(v, ENTRY_ALONE, b->first + (int64_t)i);
	if (rc == 0 && strays != b->strays)
		verify_report(v, "%lld of its rows are strays, not %lld", (long long)strays,
		    (long long)b->strays);
	report_faults(v);
	return rc;
}

/* ---- blocks ------------------------------------------------------------------------ */

/* The next block: 1, or 0 if there is none, or -1. */
static int
next_block(struct verify *v, struct block *b)
{
	struct stmt *st = sqlite_sql(v->s, SQL_CHECK_BLOCK, v->e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, v->kind);
	stmt_bind_int(st, 2, v->progress.at);
	stmt_bind_int(st, 3, v->sealed[v->kind]);
	if ((rc = stmt_step(st, v->e)) == 1)
		*b = (struct block){ stmt_int(st, 0), stmt_int(st, 1), stmt_int(st, 2),
			stmt_int(st, 3), stmt_double(st, 4), stmt_double(st, 5) };
	stmt_reset(st);
	return rc;
}

/* Do its numbers make sense, by themselves? */
static bool
check_extent(struct verify *v, const struct block *b)
{
	if (b->first <= 0 || b->last < b->first || b->last - b->first > BLOCK_SPAN) {
		verify_report(v, "it goes from %lld to %lld", (long long)b->first, (long long)b->last);
		return false;
	}
	if (b->rows < 0 || b->rows > BLOCK_ROWS || b->strays < 0 || b->strays > BLOCK_ROWS - b->rows) {
		verify_report(v, "it has %lld rows and %lld strays", (long long)b->rows,
		    (long long)b->strays);
		return false;
	}
	return true;
}

static int
check_block(struct verify *v, const struct block *b)
{
	int64_t previous = v->progress.behind;

	snprintf(v->where, sizeof(v->where), "%s block %lld", record_kind_name(v->kind),
	    (long long)b->first);
	v->progress.at = b->first;
	if (b->first <= previous)
		verify_report(v, "it begins before the one before it ends, at %lld",
		    (long long)previous);
	if (!check_extent(v, b))
		return 0;
	if (b->last > previous)
		v->progress.behind = b->last;
	return load_index(v, b) == -1 ? -1 : check_rows(v, b, previous);
}

int
verify_blocks(struct verify *v)
{
	struct block b;
	int rc = 1;

	for (int n = 0; n < VERIFY_ROWS / BLOCK_ROWS && rc == 1; n++)
		if ((rc = next_block(v, &b)) == 1 && check_block(v, &b) == -1)
			rc = -1;
	return rc;
}

/* ---- the tail ------------------------------------------------------------------------ */

static int
check_tail_size(struct verify *v)
{
	struct stmt *st = sqlite_sql(v->s, SQL_OF(SQL_CHECK_TAIL_LOG, v->kind), v->e);
	int64_t sealed, rows, span;

	if (st == NULL || sqlite_sealed(v->s, v->kind, &sealed, v->e) == -1)
		return -1;
	stmt_bind_int(st, 1, sealed);
	if (stmt_step(st, v->e) == -1)
		return -1;
	rows = stmt_int(st, 0);
	span = stmt_int(st, 1);
	stmt_reset(st);
	if (rows >= BLOCK_ROWS || span > BLOCK_SPAN)
		verify_report(v, "%lld rows, %lld numbers apart: they should be in a block",
		    (long long)rows, (long long)span);
	return 0;
}

int
verify_tail(struct verify *v)
{
	struct stmt *st;
	struct entry en;
	int rc = 1;

	if (v->progress.at == 0) {
		v->progress.at = v->sealed[v->kind];
		if (check_tail_size(v) == -1)
			return -1;
	}
	if ((st = sqlite_sql(v->s, SQL_OF(SQL_CHECK_ROWS_LOG, v->kind), v->e)) == NULL)
		return -1;
	stmt_bind_int(st, 1, v->progress.at);
	stmt_bind_int(st, 2, v->upto);
	for (size_t n = 0; n < VERIFY_ROWS && rc == 1 && (rc = stmt_step(st, v->e)) == 1; n++) {
		if (check_row(v, st, &en) == -1)
			rc = -1;
		v->progress.at = en.arrival;
	}
	stmt_reset(st);
	report_faults(v);
	return rc;
}

