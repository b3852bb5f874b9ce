#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto.h"
#include "schema_sqlite.h"
#include "sqlite/sqlite.h"
#include "when.h"

/* What a new file is set to before its first table: freed pages can be given
 * back, and readers never wait. */
static const char new_file[] =
	"PRAGMA auto_vacuum = INCREMENTAL;"
	"PRAGMA journal_mode = WAL;";

int
sqlite_fill(struct db *db, struct error *e)
{
	char sql[256];
	uint64_t id;

	if (crypto_random(&id, sizeof(id), e) == -1)
		return -1;
	snprintf(sql, sizeof(sql), "INSERT INTO head VALUES (1, %lld, 0, 0);"
	    "PRAGMA application_id = %d; PRAGMA user_version = %d;",
	    (long long)(id >> 1 | 1), SQLITE_APPLICATION_ID, SQLITE_SCHEMA_VERSION);
	if (db_exec(db, new_file, e) == -1 || db_exec(db, "BEGIN IMMEDIATE", e) == -1 ||
	    db_exec(db, schema_sqlite, e) == -1 || db_exec(db, sql, e) == -1)
		return -1;
	return db_exec(db, "COMMIT", e);
}

/* A store that did not come to be, and what was beside it. */
static void
discard(const char *made)
{
	static const char *const parts[] = { "", "-wal", "-shm" };
	char name[4096];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if ((size_t)snprintf(name, sizeof(name), "%s%s", made, parts[i]) < sizeof(name))
			unlink(name);
}

/*
 * A new store is made whole beside its place and linked there, so that nobody
 * ever meets half of one, and of two that make it at once one wins and both go
 * on. It is readable by its owner and group only. (Who opens it to write sees to it that its
 * name is on the disk.)
 */
int
sqlite_create(const char *path, struct error *e)
{
	size_t size = strlen(path) + 32;
	char *made = malloc(size);
	struct db *db = NULL;
	int fd, moved, rc = -1;

	if (made == NULL)
		return error_memory(e);
	snprintf(made, size, "%s.new-%ld", path, (long)getpid());
	discard(made);   /* of a process that died with our number */
	if ((fd = open(made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640)) == -1) {
		error_errno(e, errno, "%s: cannot be made", path);
		goto out;
	}
	close(fd);
	if ((db = db_open(made, DB_WRITE, e)) == NULL || sqlite_fill(db, e) == -1)
		goto out;
	/* To close it would do the same, but not say when it fails: and it goes to
	 * its place without the WAL. */
	if ((moved = db_checkpoint(db, DB_TRUNCATE, e)) != 1) {
		if (moved == 0)
			error_set(e, ERROR_BUSY, "%s: somebody else has it open", made);
		goto out;
	}
	db_close(&db);
	if (link(made, path) == -1 && errno != EEXIST) {
		error_errno(e, errno, "%s", path);
		goto out;
	}
	rc = 0;
out:
	db_close(&db);
	discard(made);
	free(made);
	return rc;
}

/*
 * Older schemas, oldest first: what leads from version `i + 1` to the next.
 *   1: head.arrival was written with every batch. That is right still, but who goes by it alone
 *      must not come after us.
 */
static const char *const migrations[SQLITE_SCHEMA_VERSION] = { "" };

static int
migrate(struct db *db, int64_t from, struct error *e)
{
	char sql[64];

	if (db_exec(db, "BEGIN IMMEDIATE", e) == -1)
		return -1;
	for (; from < SQLITE_SCHEMA_VERSION; from++) {
		snprintf(sql, sizeof(sql), "PRAGMA user_version = %lld", (long long)from + 1);
		if (db_exec(db, migrations[from - 1], e) == -1 || db_exec(db, sql, e) == -1) {
			db_rollback(db);
			return -1;
		}
	}
	return db_exec(db, "COMMIT", e);
}

/*
 * A back-up has its first writer. The store that it was made of gave numbers since, and so may
 * have another restored copy of it: whoever has seen these must not miss records that get the same.
 * So the next one is above all of them, as far as nobody stores a million records a second.
 */
static int
take_into_use(struct db *db, struct error *e)
{
	char sql[160];

	snprintf(sql, sizeof(sql), "UPDATE head SET arrival = max(arrival, %lld), epoch = epoch + 1;"
	    "PRAGMA application_id = %d;", (long long)(when_now() * (1 << 20)), SQLITE_APPLICATION_ID);
	if (db_exec(db, "BEGIN IMMEDIATE", e) == -1)
		return -1;
	if (db_exec(db, sql, e) == -1 || db_exec(db, "COMMIT", e) == -1) {
		db_rollback(db);
		return -1;
	}
	return 0;
}

int
sqlite_check_schema(struct db *db, const char *path, bool write, struct error *e)
{
	int64_t version, application, tables;

	if (db_get_int(db, "PRAGMA user_version", &version, e) == -1 ||
	    db_get_int(db, "PRAGMA application_id", &application, e) == -1 ||
	    db_get_int(db, "SELECT count(*) FROM sqlite_schema", &tables, e) == -1)
		return -1;
	if (application != SQLITE_APPLICATION_ID && application != SQLITE_COPY_ID)
		return tables == 0 && version == 0 ?
		    error_set(e, ERROR_INVALID, "%s: an empty database, not a monitor store", path) :
		    error_set(e, ERROR_INVALID, "%s: not a monitor store", path);
	if (version > SQLITE_SCHEMA_VERSION)
		return error_set(e, ERROR_NEWER, "%s: made by a newer monitor (schema %lld, this one"
		    " knows %d)", path, (long long)version, SQLITE_SCHEMA_VERSION);
	if (version < 1)
		return error_set(e, ERROR_CORRUPT, "%s: damaged: no schema version", path);
	if (version < SQLITE_SCHEMA_VERSION && !write)
		return error_set(e, ERROR_INVALID, "%s: made by an older monitor (schema %lld):"
		    " run monitor-ingest on it once", path, (long long)version);
	if (version < SQLITE_SCHEMA_VERSION && migrate(db, version, e) == -1)
		return -1;
	return write && application == SQLITE_COPY_ID ? take_into_use(db, e) : 0;
}
