#include "sqlite/db.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "when.h"

struct db {
	sqlite3 *handle;
	char *path;
	sqlite3_blob *blob;        /* kept open between db_blob_read() calls */
	const char *blob_table, *blob_column;
	int wal_pages, wal_left;
	int busy_ms;
	double busy_since;         /* of a wait for a lock: when_ticks() */
};

struct stmt {
	sqlite3_stmt *handle;
	struct db *db;
	int unbound;               /* why a value could not be bound; SQLITE_OK: all were */
};

static enum error_kind
kind_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERROR_BUSY;
	case SQLITE_FULL:
		return ERROR_FULL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERROR_CORRUPT;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return ERROR_DENIED;
	case SQLITE_NOMEM:
		return ERROR_MEMORY;
	default:
		return ERROR_SYSTEM;
	}
}

static int
fail(const struct db *d, struct error *e)
{
	int code = d->handle != NULL ? sqlite3_extended_errcode(d->handle) : SQLITE_NOMEM;
	int last = errno, sys = d->handle != NULL ? sqlite3_system_errno(d->handle) : 0;

	/* Where a commit fails, SQLite keeps its code only. */
	if (sys == 0 && (code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_TRUNCATE ||
	    code == SQLITE_IOERR_FSYNC))
		sys = last;
	if ((code & 0xff) == SQLITE_CANTOPEN && (sys == EACCES || sys == EPERM || sys == EROFS))
		return error_set(e, ERROR_DENIED, "%s: %s", d->path, strerror(sys));
	if ((code & 0xff) == SQLITE_IOERR && (sys == ENOSPC || sys == EFBIG || sys == EDQUOT))
		return error_errno(e, sys, "%s", d->path);
	if ((code & 0xff) == SQLITE_IOERR && sys != 0)
		return error_set(e, ERROR_SYSTEM, "%s: %s (%s)", d->path,
		    sqlite3_errmsg(d->handle), strerror(sys));
	if ((code & 0xff) == SQLITE_NOTADB)
		return error_set(e, ERROR_CORRUPT, "%s: not a monitor store, or damaged: %s", d->path,
		    sqlite3_errmsg(d->handle));
	if (kind_of(code) == ERROR_CORRUPT)
		return error_set(e, ERROR_CORRUPT, "%s: damaged: %s", d->path,
		    sqlite3_errmsg(d->handle));
	return error_set(e, kind_of(code), "%s: %s", d->path,
	    d->handle != NULL ? sqlite3_errmsg(d->handle) : "out of memory");
}

static int
count_wal(void *arg, sqlite3 *handle, const char *name, int pages)
{
	struct db *d = arg;

	(void)handle;
	(void)name;
	d->wal_pages = pages;
	return SQLITE_OK;
}

/* A path as the file: URI that carries our parameters: what is not plain is
 * written %XX. Caller frees. */
static char *
uri_of(const char *path, const char *parameters)
{
	static const char hex[] = "0123456789ABCDEF";
	char *uri = malloc(strlen(path) * 3 + strlen(parameters) + 8), *p = uri;

	if (uri == NULL)
		return NULL;
	p += sprintf(p, "file:");
	for (; *path != '\0'; path++) {
		unsigned char c = (unsigned char)*path;
		if (c > ' ' && c < 0x7f && strchr("?#%&=", c) == NULL) {
			*p++ = (char)c;
		} else {
			*p++ = '%';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		}
	}
	strcpy(p, parameters);
	return uri;
}

/* Before the library is used at all: its count of all memory in use takes a
 * lock around every allocation, and nobody reads it. */
static void
configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct db *
db_open(const char *path, enum db_mode mode, struct error *e)
{
	static const int flags[] = {
		[DB_READ] = SQLITE_OPEN_READONLY,
		[DB_IMMUTABLE] = SQLITE_OPEN_READONLY,
		[DB_WRITE] = SQLITE_OPEN_READWRITE,
		[DB_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
	};
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct db *d = calloc(1, sizeof(*d));
	char *uri = uri_of(path, mode == DB_IMMUTABLE ? "?immutable=1" : "");

	pthread_once(&once, configure);
	if (d == NULL || uri == NULL || (d->path = strdup(path)) == NULL) {
		error_memory(e);
		goto out;
	}
	if (sqlite3_open_v2(uri, &d->handle,
	    flags[mode] | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		fail(d, e);
		goto out;
	}
	/* A file that may not be written SQLite opens to be read, without a word. */
	if ((flags[mode] & SQLITE_OPEN_READWRITE) && sqlite3_db_readonly(d->handle, "main") == 1) {
		error_set(e, ERROR_DENIED, "%s: the file is read-only", path);
		goto out;
	}
	free(uri);
	sqlite3_extended_result_codes(d->handle, 1);
	sqlite3_wal_hook(d->handle, count_wal, d);   /* in place of the automatic checkpoint */
	return d;
out:
	free(uri);
	db_close(&d);
	return NULL;
}

void
db_close(struct db **dp)
{
	struct db *d = *dp;

	if (d == NULL)
		return;
	db_blob_done(d);
	sqlite3_close(d->handle);
	free(d->path);
	free(d);
	*dp = NULL;
}

int
db_attach(struct db *d, const char *path, enum db_mode mode, const char *name, struct error *e)
{
	char *uri = uri_of(path, mode == DB_IMMUTABLE ? "?immutable=1" : "?mode=ro");
	struct stmt *st = NULL;
	int rc = -1;

	if (uri == NULL)
		return error_memory(e);
	if ((st = db_prepare(d, "ATTACH ?1 AS ?2", e)) != NULL) {
		stmt_bind_text(st, 1, str_of(uri));
		stmt_bind_text(st, 2, str_of(name));
		rc = stmt_run(st, e);
	}
	stmt_free(&st);
	free(uri);
	return rc;
}

/* SQLite's own way is to sleep longer each time, up to 100 ms, and so to miss
 * the gaps that somebody with many short transactions leaves. */
static int
wait_for_lock(void *arg, int times)
{
	struct db *d = arg;
	struct timespec nap = { 0, 200000 };
	double now = when_ticks();

	if (times == 0)
		d->busy_since = now;
	if ((now - d->busy_since) * 1000 >= d->busy_ms)
		return 0;
	nanosleep(&nap, NULL);
	return 1;
}

void
db_busy_timeout(struct db *d, int ms)
{
	d->busy_ms = ms;
	sqlite3_busy_handler(d->handle, wait_for_lock, d);
}

void
db_persist_wal(struct db *d)
{
	int on = 1;

	sqlite3_file_control(d->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
}

int
db_exec(struct db *d, const char *sql, struct error *e)
{
	return sqlite3_exec(d->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(d, e);
}

int
db_get_int(struct db *d, const char *sql, int64_t *value, struct error *e)
{
	struct stmt *st = db_prepare(d, sql, e);
	int rc;

	if (st == NULL)
		return -1;
	if ((rc = stmt_step(st, e)) != -1)
		*value = rc == 1 ? stmt_int(st, 0) : 0;
	stmt_free(&st);
	return rc == -1 ? -1 : 0;
}

void
db_rollback(struct db *d)
{
	if (sqlite3_get_autocommit(d->handle) == 0)
		sqlite3_exec(d->handle, "ROLLBACK", NULL, NULL, NULL);
}

struct stmt *
db_prepare(struct db *d, const char *sql, struct error *e)
{
	struct stmt *st = calloc(1, sizeof(*st));

	if (st == NULL) {
		error_memory(e);
		return NULL;
	}
	st->db = d;
	if (sqlite3_prepare_v3(d->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->handle,
	    NULL) != SQLITE_OK) {
		fail(d, e);
		free(st);
		return NULL;
	}
	return st;
}

void
stmt_free(struct stmt **stp)
{
	if (*stp == NULL)
		return;
	sqlite3_finalize((*stp)->handle);
	free(*stp);
	*stp = NULL;
}

static void
note_bound(struct stmt *st, int code)
{
	if (code != SQLITE_OK)
		st->unbound = code;
}

void
stmt_bind_int(struct stmt *st, int i, int64_t v)
{
	note_bound(st, sqlite3_bind_int64(st->handle, i, v));
}

void
stmt_bind_double(struct stmt *st, int i, double v)
{
	note_bound(st, sqlite3_bind_double(st->handle, i, v));
}

void
stmt_bind_text(struct stmt *st, int i, struct str v)
{
	note_bound(st, sqlite3_bind_text64(st->handle, i, v.len > 0 ? v.data : "", v.len,
	    SQLITE_STATIC, SQLITE_UTF8));
}

void
stmt_bind_blob(struct stmt *st, int i, struct str v)
{
	note_bound(st, sqlite3_bind_blob64(st->handle, i, v.len > 0 ? v.data : "", v.len,
	    SQLITE_STATIC));
}

void
stmt_bind_null(struct stmt *st, int i)
{
	note_bound(st, sqlite3_bind_null(st->handle, i));
}

int
stmt_step(struct stmt *st, struct error *e)
{
	if (st->unbound != SQLITE_OK)   /* SQLite would take NULL in its place */
		return error_set(e, kind_of(st->unbound), "%s: %s", st->db->path,
		    sqlite3_errstr(st->unbound));
	switch (sqlite3_step(st->handle)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		fail(st->db, e);
		sqlite3_reset(st->handle);
		return -1;
	}
}

int
stmt_run(struct stmt *st, struct error *e)
{
	int rc;

	while ((rc = stmt_step(st, e)) == 1)
		;
	sqlite3_reset(st->handle);
	return rc;
}

void
stmt_reset(struct stmt *st)
{
	st->unbound = SQLITE_OK;
	sqlite3_reset(st->handle);
}

int64_t
stmt_int(struct stmt *st, int i)
{
	return sqlite3_column_int64(st->handle, i);
}

double
stmt_double(struct stmt *st, int i)
{
	return sqlite3_column_double(st->handle, i);
}

struct str
stmt_text(struct stmt *st, int i)
{
	const void *data = sqlite3_column_text(st->handle, i);

	return (struct str){ data, data != NULL ? (size_t)sqlite3_column_bytes(st->handle, i) : 0 };
}

struct str
stmt_blob(struct stmt *st, int i)
{
	const void *data = sqlite3_column_blob(st->handle, i);

	return (struct str){ data, data != NULL ? (size_t)sqlite3_column_bytes(st->handle, i) : 0 };
}

uint32_t
db_version(const struct db *d)
{
	unsigned version = 0;

	sqlite3_file_control(d->handle, "main", SQLITE_FCNTL_DATA_VERSION, &version);
	return version;
}

int64_t
db_last_rowid(const struct db *d)
{
	return sqlite3_last_insert_rowid(d->handle);
}

int64_t
db_changes(const struct db *d)
{
	return sqlite3_changes64(d->handle);
}

int
db_blob_read(struct db *d, const char *table, const char *column, int64_t rowid,
    size_t offset, void *to, size_t n, struct error *e)
{
	int rc;

	if (d->blob != NULL && (d->blob_table != table || d->blob_column != column))
		db_blob_done(d);
	if (d->blob == NULL) {
		rc = sqlite3_blob_open(d->handle, "main", table, column, rowid, 0, &d->blob);
		d->blob_table = table;
		d->blob_column = column;
	} else {
		rc = sqlite3_blob_reopen(d->blob, rowid);
	}
	if ((rc & 0xff) == SQLITE_ERROR) {
		db_blob_done(d);
		return error_set(e, ERROR_ABSENT, "%s: no %s %lld", d->path, table,
		    (long long)rowid);
	}
	if (rc == SQLITE_OK && offset + n > (size_t)sqlite3_blob_bytes(d->blob))
		return error_set(e, ERROR_CORRUPT, "%s: damaged: %s %lld is too short", d->path,
		    table, (long long)rowid);
	if (rc == SQLITE_OK && sqlite3_blob_read(d->blob, to, (int)n, (int)offset) == SQLITE_OK)
		return 0;
	fail(d, e);
	db_blob_done(d);
	return -1;
}

void
db_blob_done(struct db *d)
{
	sqlite3_blob_close(d->blob);
	d->blob = NULL;
}

int
db_checkpoint(struct db *d, enum db_checkpoint how, struct error *e)
{
	static const int modes[] = {
		[DB_PASSIVE] = SQLITE_CHECKPOINT_PASSIVE,
		[DB_RESTART] = SQLITE_CHECKPOINT_RESTART,
		[DB_TRUNCATE] = SQLITE_CHECKPOINT_TRUNCATE,
	};
	int log = 0, done = 0;
	int rc = sqlite3_wal_checkpoint_v2(d->handle, "main", modes[how], &log, &done);

	d->wal_left = log < 0 ? d->wal_pages : log - done;   /* < 0: somebody else is at it */
	if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
		return 0;
	if (rc != SQLITE_OK)
		return fail(d, e);
	return log == done;
}

int
db_wal_left(const struct db *d)
{
	return d->wal_left;
}

int
db_wal_pages(const struct db *d)
{
	return d->wal_pages;
}
