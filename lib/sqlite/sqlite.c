#include "sqlite/known.h"
#include "sqlite/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "file.h"

/* How long to wait for another writer's lock (store.h), by mode. A reader only
 * ever waits while a crashed writer's WAL is being read anew. */
static const int busy_ms[] = {
	[STORE_READ] = 5000,
	[STORE_WRITE] = 30000,
	[STORE_PURGE] = 10000,
};

/* A page cache of 32 MB; what a writer acknowledges is synced; deleted text is
 * not overwritten with zeros (Debian's default: it doubles a purge). Readers
 * keep SQLite's own small cache: filling a larger one costs them more than it
 * saves. */
static const char writer_settings[] =
	"PRAGMA cache_size = -32768;"
	"PRAGMA synchronous = FULL;"
	"PRAGMA journal_size_limit = 33554432;"
	"PRAGMA secure_delete = OFF;";

int
sqlite_busy_ms(const struct sqlite *s)
{
	return busy_ms[s->mode];
}

struct stmt *
sqlite_sql(struct sqlite *s, enum sql id, struct error *e)
{
	if (s->stmts[id] == NULL)
		s->stmts[id] = db_prepare(s->db, sql_text[id], e);
	else
		stmt_reset(s->stmts[id]);
	return s->stmts[id];
}

static int
run(struct sqlite *s, enum sql id, struct error *e)
{
	struct stmt *st = sqlite_sql(s, id, e);

	return st == NULL ? -1 : stmt_run(st, e);
}

static bool
has_wal(const struct sqlite *s)
{
	char name[4096];
	struct stat st;

	if ((size_t)snprintf(name, sizeof(name), "%s-wal", s->path) >= sizeof(name))
		return true;
	return stat(name, &st) == 0 || errno != ENOENT;
}

static void
disconnect(struct sqlite *s)
{
	for (size_t i = 0; i < SQL_COUNT; i++)
		stmt_free(&s->stmts[i]);
	sqlite_unsealed_free(s);   /* what was read without locks may not have been true */
	for (int k = 0; k < RECORD_KINDS; k++)
		known_free(&s->known[k]);
	db_close(&s->db);
}

/* What is there. SQLite's words for a directory are about the disk. */
static int
find_file(struct sqlite *s, struct error *e)
{
	if (stat(s->path, &s->file) == -1)
		return error_errno(e, errno, "%s", s->path);
	return S_ISDIR(s->file.st_mode) ? error_errno(e, EISDIR, "%s", s->path) : 0;
}

/* Readers: through the WAL where there is one; where there is none the file
 * alone is the store, and is read without the lock files that a reader may not
 * be allowed to make. */
static int
connect_reader(struct sqlite *s, struct error *e)
{
	disconnect(s);
	if (find_file(s, e) == -1)
		return -1;
	s->immutable = !has_wal(s);
	if ((s->db = db_open(s->path, s->immutable ? DB_IMMUTABLE : DB_READ, e)) == NULL)
		return -1;
	db_busy_timeout(s->db, busy_ms[STORE_READ]);
	return 0;
}

static int
connect_writer(struct sqlite *s, struct error *e)
{
	if (find_file(s, e) == -1 && (e->kind != ERROR_ABSENT || s->mode != STORE_WRITE ||
	    sqlite_create(s->path, e) == -1 || find_file(s, e) == -1))
		return -1;
	/* Whoever made it may not have come so far: what we commit is to be found again. */
	if (s->mode == STORE_WRITE && file_sync_directory(s->path, e) == -1)
		return -1;
	if ((s->db = db_open(s->path, DB_WRITE, e)) == NULL)
		return -1;
	db_busy_timeout(s->db, busy_ms[s->mode]);
	db_persist_wal(s->db);
	return db_exec(s->db, writer_settings, e);
}

static void
sqlite_close(void *impl)
{
	struct sqlite *s = impl;

	if (s == NULL)
		return;
	checkpointer_free(&s->checkpointer);
	sqlite_writer_free(&s->writer);
	sqlite_watch_free(&s->watch);
	names_free(&s->watchdogs);
	names_free(&s->senders);
	disconnect(s);
	if (s->turn_fd != -1)
		close(s->turn_fd);
	free(s->path);
	free(s);
}

static int
open_names(struct sqlite *s, struct error *e)
{
	if ((s->watchdogs = names_new(SQL_WATCHDOG_CODE, e)) == NULL ||
	    (s->senders = names_new(SQL_SENDER_NAME, e)) == NULL)
		return -1;
	return 0;
}

/* SQLite keeps the WAL beside the file itself, not beside a link to it. Every
 * other path stays as it was given: messages show it. Caller frees. */
static char *
follow_link(const char *path)
{
	struct stat st;
	char *real = NULL;

	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		real = realpath(path, NULL);
	return real != NULL ? real : strdup(path);
}

static struct sqlite *
open_once(const char *path, enum store_mode mode, struct error *e)
{
	struct sqlite *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->turn_fd = -1;
	if (s == NULL || (s->path = follow_link(path)) == NULL) {
		error_memory(e);
		goto fail;
	}
	s->mode = mode;
	if ((mode == STORE_READ ? connect_reader(s, e) : connect_writer(s, e)) == -1 ||
	    sqlite_check_schema(s->db, s->path, mode != STORE_READ, e) == -1 ||
	    db_get_int(s->db, "SELECT store FROM head", &s->id, e) == -1 ||
	    open_names(s, e) == -1)
		goto fail;
	if (s->id == 0) {
		error_set(e, ERROR_CORRUPT, "%s: damaged: its counters are gone", s->path);
		goto fail;
	}
	if (mode == STORE_WRITE && (s->checkpointer = checkpointer_new(s->path, busy_ms[mode], e)) == NULL)
		goto fail;
	return s;
fail:
	sqlite_close(s);
	return NULL;
}

/* A disk may be so full that there is no room for the WAL's index. */
static void *
sqlite_open(const char *path, enum store_mode mode, int stop_fd, struct error *e)
{
	(void)stop_fd;
	struct error why;
	struct sqlite *s = open_once(path, mode, &why);

	if (s == NULL && mode == STORE_PURGE && why.kind == ERROR_FULL && reserve_release(path))
		s = open_once(path, mode, &why);
	if (s == NULL && e != NULL)
		*e = why;
	if (s != NULL && mode == STORE_WRITE)
		reserve_make(path);
	return s;
}

/* Is the file at our path still the one that we opened, unchanged where that
 * matters? A store without a WAL may have got one. */
static int
same_file(struct sqlite *s, bool *stale, struct error *e)
{
	struct stat st;

	*stale = false;
	if (stat(s->path, &st) == -1)
		return errno == ENOENT ? error_set(e, ERROR_GONE, "%s: was removed", s->path) :
		    error_errno(e, errno, "%s", s->path);
	if (st.st_ino != s->file.st_ino || st.st_dev != s->file.st_dev)
		return error_set(e, ERROR_GONE, "%s: was replaced by another store", s->path);
	if (s->immutable)
		*stale = has_wal(s) || st.st_size != s->file.st_size ||
		    st.st_mtim.tv_sec != s->file.st_mtim.tv_sec ||
		    st.st_mtim.tv_nsec != s->file.st_mtim.tv_nsec;
	return 0;
}

/* A reader through the WAL, whose WAL was taken away by somebody's last close
 * (an admin's sqlite3 shell), may not make a new one. */
static bool
lost_wal(const struct sqlite *s)
{
	return s->mode == STORE_READ && !s->immutable && !has_wal(s);
}

int
sqlite_begin(struct sqlite *s, struct error *e)
{
	struct head h;
	bool stale;

	if (same_file(s, &stale, e) == -1)
		return -1;
	if ((stale || lost_wal(s)) && connect_reader(s, e) == -1)
		return -1;
	if (run(s, SQL_BEGIN, e) == -1)
		return -1;
	if (sqlite_head(s, &h, e) == 0)   /* the first read fixes what we see */
		return 0;
	sqlite_abort(s);
	return -1;
}

int
sqlite_end(struct sqlite *s, struct error *e)
{
	bool stale;

	db_blob_done(s->db);
	if (run(s, SQL_COMMIT, e) == -1) {
		sqlite_abort(s);
		return -1;
	}
	if (!s->immutable)
		return 0;
	return same_file(s, &stale, e) == -1 ? -1 : stale;
}

void
sqlite_abort(struct sqlite *s)
{
	if (s->db == NULL)
		return;
	db_blob_done(s->db);
	for (size_t i = 0; i < SQL_COUNT; i++)
		if (s->stmts[i] != NULL)
			stmt_reset(s->stmts[i]);
	db_rollback(s->db);
}

int
sqlite_begin_write(struct sqlite *s, struct error *e)
{
	struct stat st;
	int rc;

	/* What is committed into a file that nobody will find is not stored. */
	if (stat(s->path, &st) == -1)
		return errno == ENOENT ? error_set(e, ERROR_GONE, "%s: was removed", s->path) :
		    error_errno(e, errno, "%s", s->path);
	if (st.st_ino != s->file.st_ino || st.st_dev != s->file.st_dev)
		return error_set(e, ERROR_GONE, "%s: was replaced by another store", s->path);
	turn_take(s);
	rc = run(s, SQL_BEGIN_WRITE, e);
	turn_leave(s);
	return rc;
}

int
sqlite_commit(struct sqlite *s, struct error *e)
{
	if (run(s, SQL_COMMIT, e) == -1)
		return -1;
	checkpointer_note(s->checkpointer, s->db);
	return 0;
}

int
sqlite_head(struct sqlite *s, struct head *h, struct error *e)
{
	struct stmt *st = sqlite_sql(s, SQL_HEAD, e);
	int rc;

	if (st == NULL || (rc = stmt_step(st, e)) == -1)
		return -1;
	if (rc == 0)
		return error_set(e, ERROR_CORRUPT, "%s: damaged: its counters are gone", s->path);
	h->arrival = stmt_int(st, 0);
	h->epoch = stmt_int(st, 1);
	stmt_reset(st);
	return 0;
}

int
sqlite_keep_last(struct sqlite *s, struct error *e)
{
	return run(s, SQL_KEEP_LAST, e);
}

int
sqlite_sealed(struct sqlite *s, enum record_kind kind, int64_t *last, struct error *e)
{
	struct stmt *st = sqlite_sql(s, SQL_SEALED, e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, kind);
	if ((rc = stmt_step(st, e)) == -1)
		return -1;
	*last = rc == 1 ? stmt_int(st, 0) : 0;
	stmt_reset(st);
	return 0;
}

static int
sqlite_end_cursor(void *impl, struct cursor *c, struct error *e)
{
	struct sqlite *s = impl;
	struct head h;

	if (sqlite_begin(s, e) == -1)
		return -1;
	if (sqlite_head(s, &h, e) == -1) {
		sqlite_abort(s);
		return -1;
	}
	*c = (struct cursor){ .time = 0, .arrival = h.arrival, .store = (uint64_t)s->id };
	return sqlite_end(s, e) == -1 ? -1 : 0;
}

/* "sqlite:PATH", and every plain path: what has no scheme of letters and "://". */
static bool
sqlite_claims(const char *url, const char **rest)
{
	*rest = strncmp(url, "sqlite:", 7) == 0 ? url + 7 : url;
	return *rest != url || strstr(url, "://") == NULL;
}

const struct store_backend store_sqlite = {
	.name = "sqlite",
	.claims = sqlite_claims,
	.open = sqlite_open,
	.close = sqlite_close,
	.batch = BLOCK_ROWS,
	.add = sqlite_add,
	.ask = sqlite_ask,
	.next = sqlite_next,
	.position = sqlite_position,
	.end_ask = sqlite_end_ask,
	.end = sqlite_end_cursor,
	.watch = sqlite_watch,
	.watched = sqlite_watched,
	.await = sqlite_await,
	.tally = sqlite_tally,
	.span = sqlite_span,
	.stats = sqlite_stats,
	.backup = sqlite_backup,
	.verify = sqlite_verify,
	.salvage = sqlite_salvage,
	.purge = sqlite_purge,
};
