/*
 * A copy of the store as of one moment, while writers and purges run. A copy
 * page by page would have to hold one read transaction from beginning to end,
 * and the WAL could not be reset for so long. But rows never change: the store
 * as of a moment is what had arrived by then. So the moment is fixed in one
 * short slice, with the marks that belong to it, and the rows are copied in
 * bounded slices, blocks with their indexes. What a purge removes meanwhile may
 * or may not be in the copy; nothing is in it in part.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "file.h"
#include "sqlite/sqlite.h"

enum {
	SLICE_NAMES = 65536,
	SLICE_MOMENTS = 65536,
	SLICE_ROWS = 65536,
	SLICE_BYTES = 16 << 20,
};

struct backup {
	struct sqlite *s;               /* the store */
	struct sqlite to;               /* the copy: its connection, path and statements only;
	                                 * `s` is attached to it, as `old`, for each slice */
	int64_t copied[RECORD_KINDS];   /* blocks up to here are in the copy */
	int64_t sealed[RECORD_KINDS];   /* and those up to here will be; the tail is */
};

/* A piece of a kind: what lies behind `after`, up to `last`. */
static int
copy_piece(struct backup *b, enum sql what, enum record_kind kind, int64_t after, int64_t last,
    struct error *e)
{
	struct stmt *st = sqlite_sql(&b->to, what, e);

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, kind);
	stmt_bind_int(st, 2, after);
	stmt_bind_int(st, 3, last);
	return stmt_run(st, e);
}

/* The next rows of a table that the copy holds the beginning of. 1: there may
 * be more, 0: it is whole, -1. */
static int
copy_next(struct backup *b, enum sql what, int64_t most, struct error *e)
{
	struct stmt *st = sqlite_sql(&b->to, what, e);

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, most);
	if (stmt_run(st, e) == -1)
		return -1;
	return db_changes(b->to.db) == most;
}

/* ---- the steps: 1 there is more to do, 0 done, -1 ------------------------------ */

static int
copy_watchdogs(struct backup *b, struct error *e)
{
	return copy_next(b, SQL_COPY_WATCHDOGS, SLICE_NAMES, e);
}

static int
copy_senders(struct backup *b, struct error *e)
{
	return copy_next(b, SQL_COPY_SENDERS, SLICE_NAMES, e);
}

/* The moment: its counters and marks, the names that came since the first steps
 * (one that was purged and is back replaces its old self), and the tails. */
static int
copy_moment(struct backup *b, struct error *e)
{
	struct stmt *st;

	if ((st = sqlite_sql(&b->to, SQL_COPY_HEAD, e)) == NULL || stmt_run(st, e) == -1 ||
	    (st = sqlite_sql(&b->to, SQL_COPY_MARKS, e)) == NULL || stmt_run(st, e) == -1 ||
	    copy_next(b, SQL_COPY_WATCHDOGS, INT64_MAX, e) == -1 ||
	    copy_next(b, SQL_COPY_SENDERS, INT64_MAX, e) == -1)
		return -1;
	for (int k = 0; k < RECORD_KINDS; k++) {
		if ((st = sqlite_sql(&b->to, SQL_COPY_SEALED, e)) == NULL)
			return -1;
		stmt_bind_int(st, 1, k);
		if (stmt_step(st, e) == -1)
			return -1;
		b->sealed[k] = stmt_int(st, 0);
		stmt_reset(st);
		if (copy_piece(b, SQL_OF(SQL_COPY_LOG, k), k, b->sealed[k], INT64_MAX, e) == -1)
			return -1;
	}
	return 0;
}

/* How far the next blocks go that are enough for a slice. */
static int
choose_blocks(struct backup *b, enum record_kind kind, int64_t *last, struct error *e)
{
	struct stmt *st = sqlite_sql(&b->to, SQL_COPY_NEXT, e);
	int64_t rows = 0, bytes = 0;
	int rc = 1;

	*last = b->copied[kind];
	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, kind);
	stmt_bind_int(st, 2, b->copied[kind]);
	stmt_bind_int(st, 3, b->sealed[kind]);
	while (rows < SLICE_ROWS && bytes < SLICE_BYTES && (rc = stmt_step(st, e)) == 1) {
		*last = stmt_int(st, 0);
		rows += stmt_int(st, 1);
		bytes += stmt_int(st, 2);
	}
	stmt_reset(st);
	return rc;
}

static int
copy_blocks(struct backup *b, enum record_kind kind, struct error *e)
{
	const enum sql pieces[] = { SQL_OF(SQL_COPY_LOG, kind), SQL_COPY_BLOCKS, SQL_COPY_INDEXES,
		SQL_COPY_STRAYS };
	int64_t last;
	int rc = choose_blocks(b, kind, &last, e);

	for (size_t i = 0; rc != -1 && i < sizeof(pieces) / sizeof(pieces[0]); i++)
		if (copy_piece(b, pieces[i], kind, b->copied[kind], last, e) == -1)
			rc = -1;
	b->copied[kind] = last;
	return rc;
}

static int
copy_logs(struct backup *b, struct error *e)
{
	return copy_blocks(b, RECORD_LOG, e);
}

static int
copy_notifications(struct backup *b, struct error *e)
{
	return copy_blocks(b, RECORD_NOTIFICATION, e);
}

static int
copy_moments(struct backup *b, struct error *e)
{
	return copy_next(b, SQL_COPY_MOMENTS, SLICE_MOMENTS, e);
}

/* Names before the rows that use them: a purge takes them in the other order. */
static int (*const steps[])(struct backup *b, struct error *e) = {
	copy_watchdogs, copy_senders, copy_moment, copy_logs, copy_notifications, copy_moments,
};

/* ---- the copy ------------------------------------------------------------------- */

/* One slice of a step, with the store attached and found to be the same one. */
static int
copy_attached(struct backup *b, int (*step)(struct backup *, struct error *), struct error *e)
{
	int64_t id, copied[RECORD_KINDS];
	int rc, end;

	memcpy(copied, b->copied, sizeof(copied));
	if (db_exec(b->to.db, "BEGIN", e) == -1 ||
	    db_get_int(b->to.db, "SELECT store FROM old.head", &id, e) == -1)
		return -1;
	if (id != b->s->id)
		return error_set(e, ERROR_GONE, "%s: was replaced by another store", b->s->path);
	if ((rc = step(b, e)) == -1 || (end = sqlite_end(b->s, e)) == -1)
		return -1;
	if (end == 1) {   /* not to be trusted: once more */
		memcpy(b->copied, copied, sizeof(copied));
		return db_exec(b->to.db, "ROLLBACK", e) == -1 ? -1 : 1;
	}
	return db_exec(b->to.db, "COMMIT", e) == -1 ? -1 : rc;
}

static int
copy_slice(struct backup *b, int (*step)(struct backup *, struct error *), struct error *e)
{
	int rc;

	if (sqlite_begin(b->s, e) == -1)
		return -1;
	if (db_attach(b->to.db, b->s->path, b->s->immutable ? DB_IMMUTABLE : DB_READ, "old", e) == -1 ||
	    (rc = copy_attached(b, step, e)) == -1) {
		sqlite_abort(b->s);
		return -1;
	}
	return db_exec(b->to.db, "DETACH old", e) == -1 ? -1 : rc;
}

/* Until it is whole the file does not say that it is a store, and is not made to
 * survive a power loss. */
static const char begin_copy[] =
	"PRAGMA application_id = 0;"
	"PRAGMA journal_mode = MEMORY;"
	"PRAGMA synchronous = OFF;"
	"PRAGMA cache_size = -16384;";

static int
finish_copy(struct db *db, struct error *e)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "PRAGMA synchronous = FULL; PRAGMA application_id = %d;"
	    "PRAGMA journal_mode = WAL;", SQLITE_COPY_ID);
	return db_exec(db, sql, e);
}

static int
copy_store(struct backup *b, const char *path, struct error *e)
{
	int rc = -1;

	if ((b->to.db = db_open(path, DB_WRITE, e)) == NULL || sqlite_fill(b->to.db, e) == -1 ||
	    db_exec(b->to.db, begin_copy, e) == -1)
		goto out;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		while ((rc = copy_slice(b, steps[i], e)) == 1)
			;
		if (rc == -1)
			goto out;
	}
	rc = finish_copy(b->to.db, e);
out:
	for (size_t i = 0; i < SQL_COUNT; i++)
		stmt_free(&b->to.stmts[i]);
	db_close(&b->to.db);
	return rc;
}

static void
remove_all(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	char name[4096];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if ((size_t)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]) < sizeof(name))
			unlink(name);
}

int
sqlite_backup(void *impl, const char *path, struct error *e)
{
	struct backup *b;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640), rc = -1;

	if (fd == -1)
		return error_errno(e, errno, "%s", path);
	if ((b = calloc(1, sizeof(*b))) == NULL) {
		error_memory(e);
		goto out;
	}
	b->s = impl;
	b->to.path = (char *)(uintptr_t)path;
	if (copy_store(b, path, e) == -1)
		goto out;
	if (fsync(fd) == -1)
		error_errno(e, errno, "%s", path);
	else
		rc = file_sync_directory(path, e);
out:
	free(b);
	close(fd);
	if (rc == -1)
		remove_all(path);
	return rc;
}
