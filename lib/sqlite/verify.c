/*
 * Looking through everything: what SQLite itself can tell of the file, then
 * what this store promises on top - that no number can be given twice,
 * that names resolve, and that the indexes know exactly the rows that are there.
 *
 * SQLite's own check reads the whole file in one transaction; the rest goes in
 * slices, a few blocks each. What a slice finds it has seen in one transaction,
 * so that a writer or a purge at work is not mistaken for damage.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sqlite/verify.h"

enum { FINDINGS = 100 };   /* told one by one; the others are counted */

/* ---- findings --------------------------------------------------------------- */

void
verify_report(struct verify *v, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (v->count + v->pending++ >= FINDINGS)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)   /* out of damaged text */
			*p = '?';
	if (buf_printf(&v->lines, "%s: %s", v->where, text) == -1 || buf_add(&v->lines, "", 1) == -1)
		v->memory_failed = true;
}

static void
forget_findings(struct verify *v)
{
	v->lines.len = 0;
	v->pending = 0;
}

/* The slice holds: tell what it found. */
static void
tell_findings(struct verify *v)
{
	for (size_t i = 0; i < v->lines.len; i += strlen(v->lines.data + i) + 1)
		v->found(v->arg, v->lines.data + i);
	v->count += v->pending;
	forget_findings(v);
}

/* ---- names -------------------------------------------------------------------- */

int
verify_learn(struct verify *v, struct known_ids *known, uint32_t id)
{
	uint64_t **page = &known->pages[id / IDS_PAGE];

	if (*page == NULL && (*page = calloc(IDS_PAGE / 64, sizeof(**page))) == NULL)
		return error_memory(v->e);
	(*page)[id % IDS_PAGE / 64] |= UINT64_C(1) << id % 64;
	return 0;
}

static int
check_names(struct verify *v, struct known_ids *known, enum sql list, bool codes)
{
	struct stmt *st = sqlite_sql(v->s, list, v->e);
	int rc = 1;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, v->progress.at);
	for (size_t n = 0; n < VERIFY_ROWS && rc == 1 && (rc = stmt_step(st, v->e)) == 1; n++) {
		int64_t id = stmt_int(st, 0);
		v->progress.at = id;
		if (id <= 0 || id > UINT32_MAX) {
			verify_report(v, "number %lld is out of range", (long long)id);
			continue;
		}
		if (codes && !record_watchdog_valid(stmt_text(st, 1)))
			verify_report(v, "number %lld has a code that is none", (long long)id);
		if (verify_learn(v, known, (uint32_t)id) == -1)
			rc = -1;
	}
	stmt_reset(st);
	return rc;
}

static int
check_watchdogs(struct verify *v)
{
	return check_names(v, &v->watchdogs, SQL_CHECK_WATCHDOGS, true);
}

static int
check_senders(struct verify *v)
{
	return check_names(v, &v->senders, SQL_CHECK_SENDERS, false);
}

/* ---- what is not of one block ---------------------------------------------------- */

/* Every row's stray has been seen; are there others? */
static int
check_strays(struct verify *v)
{
	struct stmt *st = sqlite_sql(v->s, SQL_CHECK_STRAYS, v->e);
	int64_t strays, counted;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, v->kind);
	if (stmt_step(st, v->e) == -1)
		return -1;
	strays = stmt_int(st, 0);
	counted = stmt_int(st, 1);
	stmt_reset(st);
	if (strays != counted)
		verify_report(v, "there are %lld, but the blocks have %lld", (long long)strays,
		    (long long)counted);
	return 0;
}

static int
check_indexes(struct verify *v)
{
	struct stmt *st = sqlite_sql(v->s, SQL_CHECK_INDEXES, v->e);
	int rc;

	if (st == NULL)
		return -1;
	while ((rc = stmt_step(st, v->e)) == 1)
		verify_report(v, "there is one of a block %lld that there is not",
		    (long long)stmt_int(st, 0));
	stmt_reset(st);
	return rc;
}

static int
check_moments(struct verify *v)
{
	struct stmt *st = sqlite_sql(v->s, SQL_CHECK_MOMENTS, v->e);
	int rc = 1;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, v->progress.at);
	for (size_t n = 0; n < VERIFY_ROWS && rc == 1 && (rc = stmt_step(st, v->e)) == 1; n++) {
		int64_t arrival = stmt_int(st, 0);
		double time = stmt_double(st, 1);
		if (!isfinite(time) || (v->progress.at > 0 && time <= v->progress.time))
			verify_report(v, "%.17g, at %lld, is not after %.17g", time, (long long)arrival,
			    v->progress.time);
		v->progress.at = arrival;
		v->progress.time = time;
	}
	stmt_reset(st);
	return rc;
}

static int
check_marks(struct verify *v)
{
	struct stmt *st = sqlite_sql(v->s, SQL_CHECK_MARKS, v->e);
	int rc;

	if (st == NULL)
		return -1;
	while ((rc = stmt_step(st, v->e)) == 1) {
		struct str source = stmt_text(st, 0);
		if (stmt_int(st, 3) == 0)
			verify_report(v, "that of '%.*s' makes no sense",
			    source.len < 64 ? (int)source.len : 64, source.len > 0 ? source.data : "");
	}
	stmt_reset(st);
	return rc;
}

/* ---- the file as a whole ---------------------------------------------------------------- */

/* SQLite's own findings: several lines may come as one row, "ok" is none, and
 * one only says which file it is. */
static void
report_lines(struct verify *v, struct str text)
{
	for (size_t i = 0, n; i < text.len; i += n + 1) {
		const char *line = text.data + i, *end = memchr(line, '\n', text.len - i);
		n = end != NULL ? (size_t)(end - line) : text.len - i;
		if (n > 0 && strncmp(line, "***", n < 3 ? n : 3) != 0 &&
		    !str_equal((struct str){ line, n }, str_of("ok")))
			verify_report(v, "%.*s", (int)n, line);
	}
}

static int
check_file(struct verify *v)
{
	struct stmt *st = sqlite_sql(v->s, SQL_CHECK_FILE, v->e);
	int rc;

	if (st == NULL)
		return -1;
	while ((rc = stmt_step(st, v->e)) == 1)
		report_lines(v, stmt_text(st, 0));
	stmt_reset(st);
	return rc;
}

static int
check_counters(struct verify *v)
{
	struct stmt *st;
	struct head h;
	int64_t last;

	if (sqlite_head(v->s, &h, v->e) == -1 ||
	    sqlite_sealed(v->s, RECORD_LOG, &v->sealed[RECORD_LOG], v->e) == -1 ||
	    sqlite_sealed(v->s, RECORD_NOTIFICATION, &v->sealed[RECORD_NOTIFICATION], v->e) == -1)
		return -1;
	v->upto = h.arrival;
	if ((st = sqlite_sql(v->s, SQL_CHECK_LAST, v->e)) == NULL || stmt_step(st, v->e) == -1)
		return -1;
	last = stmt_int(st, 0);
	stmt_reset(st);
	if (last > h.arrival)
		verify_report(v, "the last number given is said to be %lld, but %lld is in use",
		    (long long)h.arrival, (long long)last);
	return 0;
}

/* ---- all of it --------------------------------------------------------------------------- */

/* In this order: the names are known when rows are looked at, and how far to
 * look before that. A step returns 1 if there is more to do, 0 if not, -1. */
static const struct step {
	int (*run)(struct verify *v);
	const char *what;
	enum record_kind kind;
} steps[] = {
	{ check_file, "file", 0 },
	{ check_counters, "counters", 0 },
	{ check_watchdogs, "watchdogs", 0 },
	{ check_senders, "senders", 0 },
	{ verify_blocks, "log blocks", RECORD_LOG },
	{ verify_blocks, "notification blocks", RECORD_NOTIFICATION },
	{ verify_tail, "log tail", RECORD_LOG },
	{ verify_tail, "notification tail", RECORD_NOTIFICATION },
	{ check_strays, "log strays", RECORD_LOG },
	{ check_strays, "notification strays", RECORD_NOTIFICATION },
	{ check_indexes, "block indexes", 0 },
	{ check_moments, "moments", 0 },
	{ check_marks, "marks", 0 },
};

/* One slice; as a step, and 1 too if it must be done again. */
static int
check_slice(struct verify *v, const struct step *step)
{
	struct progress from = v->progress;
	int rc, end;

	v->kind = step->kind;
	snprintf(v->where, sizeof(v->where), "%s", step->what);
	memset(v->faults, 0, sizeof(v->faults));
	if (sqlite_begin(v->s, v->e) == -1)
		return -1;
	if ((rc = step->run(v)) == -1) {
		sqlite_abort(v->s);
		if (v->e->kind != ERROR_CORRUPT)
			return -1;
		/* What cannot be read is what we look for; behind it there may be more. */
		verify_report(v, "%s", v->e->text);
		tell_findings(v);
		return v->progress.at > from.at;
	}
	if ((end = sqlite_end(v->s, v->e)) == -1)
		return -1;
	if (v->memory_failed)
		return error_memory(v->e);
	if (end == 1) {
		forget_findings(v);
		v->progress = from;
		return 1;
	}
	tell_findings(v);
	return rc;
}

static int
check_all(struct verify *v)
{
	int rc = 0;

	for (size_t i = 0; rc != -1 && i < sizeof(steps) / sizeof(steps[0]); i++) {
		v->progress = (struct progress){ 0 };
		while ((rc = check_slice(v, &steps[i])) == 1)
			;
	}
	if (rc == 0 || v->e->kind != ERROR_CORRUPT)
		return rc;
	verify_report(v, "%s", v->e->text);   /* so damaged that we cannot go on */
	tell_findings(v);
	return 0;
}

static void
verify_free(struct verify *v)
{
	for (size_t i = 0; i <= UINT32_MAX / IDS_PAGE; i++) {
		free(v->watchdogs.pages[i]);
		free(v->senders.pages[i]);
	}
	buf_free(&v->lines);
	free(v);
}

int64_t
sqlite_verify(void *impl, void (*found)(void *arg, const char *text), void *arg,
    struct error *e)
{
	struct verify *v = calloc(1, sizeof(*v));
	struct error own = { .kind = ERROR_NONE };
	char rest[64];
	int64_t count;

	if (v == NULL)
		return error_memory(e);
	v->s = impl;
	v->found = found;
	v->arg = arg;
	v->e = &own;
	v->watchdogs.find = SQL_WATCHDOG_CODE;
	v->senders.find = SQL_SENDER_NAME;
	v->sealed[RECORD_LOG] = v->sealed[RECORD_NOTIFICATION] = v->upto = INT64_MAX;
	count = check_all(v) == -1 ? error_set(e, own.kind, "%s", own.text) : v->count;
	if (count > FINDINGS) {
		snprintf(rest, sizeof(rest), "and %lld more", (long long)count - FINDINGS);
		found(arg, rest);
	}
	verify_free(v);
	return count;
}
