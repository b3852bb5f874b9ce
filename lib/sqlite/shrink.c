/*
 * Bytes on disk. The database file only becomes smaller when its last pages
 * are moved into free ones in front of them, and then the WAL, through which
 * they go, is moved into the file. That is done in short steps, too.
 */
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#include "sqlite/purge.h"

enum {
	STEP_PAGES = 256,          /* given back at a time */
	LEAST = 1 << 20,           /* bytes: less is not worth a start, where some are kept */
	WAL_TRIES = 100,           /* to move the WAL, */
	LAST_TRIES = 300,          /* or to be rid of it: on a busy disk a sync takes its time; */
	NAP_MS = 2,                /* with so much time between them; */
	FEW_PAGES = 256,           /* no more than these are moved while writers wait, */
	WAIT_MS = 25,              /* which they are waited for so long */
};

static uint64_t
file_size(const char *path, const char *suffix)
{
	char name[4096];
	struct stat st;
	uint64_t blocks, bytes;

	if ((size_t)snprintf(name, sizeof(name), "%s%s", path, suffix) >= sizeof(name) ||
	    stat(name, &st) == -1)
		return 0;
	/* Blocks beyond the end are the filesystem's own precaution. */
	blocks = (uint64_t)st.st_blocks * 512;
	bytes = ((uint64_t)st.st_size + 4095) / 4096 * 4096;
	return blocks < bytes ? blocks : bytes;
}

uint64_t
shrink_on_disk(const struct sqlite *s)
{
	return file_size(s->path, "") + file_size(s->path, "-wal");
}

static int
get_int(struct purging *pg, enum sql id, uint64_t *value, struct error *e)
{
	struct stmt *st = sqlite_sql(pg->s, id, e);

	if (st == NULL || stmt_step(st, e) == -1)
		return -1;
	*value = (uint64_t)stmt_int(st, 0);
	stmt_reset(st);
	return 0;
}

int
shrink_free_bytes(struct purging *pg, uint64_t *bytes, struct error *e)
{
	uint64_t pages, size;

	if (get_int(pg, SQL_FREE_PAGES, &pages, e) == -1 ||
	    get_int(pg, SQL_PAGE_SIZE, &size, e) == -1)
		return -1;
	*bytes = pages * size;
	return 0;
}

int
shrink_wal(struct purging *pg, enum db_checkpoint how, struct error *e)
{
	struct timespec nap = { 0, NAP_MS * 1000000 };
	struct db *db = pg->s->db;
	int rc = 0, tries = how == DB_TRUNCATE ? LAST_TRIES : WAL_TRIES;

	db_busy_timeout(db, WAIT_MS);
	for (int i = 0; i < tries && rc == 0 && !purging_stopped(pg); i++) {
		if (i > 0)
			nanosleep(&nap, NULL);
		if ((rc = db_checkpoint(db, DB_PASSIVE, e)) == -1 || db_wal_left(db) > FEW_PAGES)
			continue;
		turn_take(pg->s);
		rc = db_checkpoint(db, how, e);
		turn_leave(pg->s);
	}
	db_busy_timeout(db, sqlite_busy_ms(pg->s));
	return rc;
}

/* Room to be kept for the next records: where the store is small, less. */
static uint64_t
spare(const struct purge *p)
{
	return p->max_size > 0 && p->spare > p->max_size / 8 ? p->max_size / 8 : p->spare;
}

static uint64_t
fs_free(const struct sqlite *s)
{
	struct statvfs v;

	return statvfs(s->path, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize : UINT64_MAX;
}

/* What counts against max_size: the database and its WAL. The WAL comes and
 * goes, so no record dies for the sake of more of it than half of that. A dry
 * run, which may not move it, goes by what the database would be with it. */
static int
measure(struct purging *pg, uint64_t *bytes, struct error *e)
{
	uint64_t most = pg->p->max_size / 2, wal = file_size(pg->s->path, "-wal"), pages, size;

	*bytes = file_size(pg->s->path, "") + (wal < most ? wal : most);
	if (!pg->p->dry_run)
		return 0;
	if (get_int(pg, SQL_PAGES, &pages, e) == -1 || get_int(pg, SQL_PAGE_SIZE, &size, e) == -1)
		return -1;
	*bytes = pages * size;
	return 0;
}

static int
wanted_now(struct purging *pg, uint64_t *wanted, struct error *e)
{
	const struct purge *p = pg->p;
	uint64_t disk, avail;

	*wanted = 0;
	if (measure(pg, &disk, e) == -1)
		return -1;
	if (p->max_size > 0 && disk + spare(p) > p->max_size)
		*wanted = disk + spare(p) - p->max_size;
	if (p->keep_free > 0 && (avail = fs_free(pg->s)) < p->keep_free + spare(p) &&
	    p->keep_free + spare(p) - avail > *wanted)
		*wanted = p->keep_free + spare(p) - avail;
	return 0;
}

int
shrink_wanted(struct purging *pg, uint64_t *bytes, struct error *e)
{
	uint64_t have;

	if (wanted_now(pg, bytes, e) == -1 || shrink_free_bytes(pg, &have, e) == -1)
		return -1;
	if (have >= *bytes || pg->p->dry_run)
		return 0;
	shrink_wal(pg, DB_TRUNCATE, NULL);
	return wanted_now(pg, bytes, e);
}

/* Move the last pages into free ones: so many of them. */
static int
vacuum(struct purging *pg, uint64_t pages, struct error *e)
{
	struct stmt *st = sqlite_sql(pg->s, SQL_VACUUM, e);
	int rc = st == NULL ? -1 : 1;

	while (rc == 1 && pages-- > 0)   /* a page a step */
		rc = stmt_step(st, e);
	if (st != NULL)
		stmt_reset(st);
	return rc == -1 ? -1 : 0;
}

int
shrink_begin(struct purging *pg, struct error *e)
{
	pg->giving = 0;
	return pg->p->shrink ? get_int(pg, SQL_FREE_PAGES, &pg->free_pages, e) : 0;
}

int
shrink_freed(struct purging *pg, struct error *e)
{
	uint64_t now, size, freed, kept;

	if (!pg->p->shrink)
		return 0;
	if (get_int(pg, SQL_FREE_PAGES, &now, e) == -1 || get_int(pg, SQL_PAGE_SIZE, &size, e) == -1)
		return -1;
	freed = now > pg->free_pages ? now - pg->free_pages : 0;
	kept = spare(pg->p) / size;
	if (now < kept + freed)
		freed = now > kept ? now - kept : 0;
	pg->giving = freed * size;
	return freed > 0 ? vacuum(pg, freed, e) : 0;
}

void
shrink_done(struct purging *pg)
{
	pg->given_back += pg->giving;
}

/* How many free pages are to go back: all but those that are to be kept, unless
 * the bounds want more. */
static int
to_give_back(struct purging *pg, uint64_t *pages, struct error *e)
{
	const struct purge *p = pg->p;
	uint64_t have, total, size, give, avail, bytes;

	if (get_int(pg, SQL_FREE_PAGES, &have, e) == -1 ||
	    get_int(pg, SQL_PAGES, &total, e) == -1 ||
	    get_int(pg, SQL_PAGE_SIZE, &size, e) == -1)
		return -1;
	bytes = have * size;
	give = bytes > spare(p) ? bytes - spare(p) : 0;
	if (spare(p) > 0 && give < LEAST)
		give = 0;
	if (p->max_size > 0 && total * size > p->max_size && total * size - p->max_size > give)
		give = total * size - p->max_size;
	if (p->keep_free > 0 && (avail = fs_free(pg->s)) < p->keep_free &&
	    p->keep_free - avail > give)
		give = p->keep_free - avail;
	*pages = give < bytes ? (give + size - 1) / size : have;
	return 0;
}

static int
give_some(struct purging *pg, void *arg, struct error *e)
{
	const uint64_t *pages = arg;

	return vacuum(pg, *pages < STEP_PAGES ? *pages : STEP_PAGES, e);
}

int
shrink_store(struct purging *pg, struct error *e)
{
	uint64_t pages, before, after;

	if (to_give_back(pg, &pages, e) == -1 || get_int(pg, SQL_FREE_PAGES, &before, e) == -1)
		return -1;
	if (pages == 0 && pg->given_back == 0 && pg->p->spare > 0)
		return 0;
	while (pages > 0 && !purging_stopped(pg)) {
		if (purging_write(pg, give_some, &pages, e) == -1 ||
		    get_int(pg, SQL_FREE_PAGES, &after, e) == -1)
			return -1;
		if (after >= before)   /* somebody frees as fast, or it cannot be done */
			break;
		before = after;
		pages -= pages < STEP_PAGES ? pages : STEP_PAGES;
	}
	return shrink_wal(pg, DB_TRUNCATE, e) == -1 ? -1 : 0;
}
