/*
 * writers - what one gets without a grouping writer, as a yardstick:
 *
 *   writers PRODUCERS SECONDS DB
 *
 * PRODUCERS processes, each with its own connection, insert one row a
 * transaction into an index-free SQLite table (WAL, synchronous=FULL) for
 * SECONDS. Prints "COMMITS-A-SECOND P50 P99 MAX", latencies in seconds.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "percentile.h"

static sqlite3 *
open_db(const char *path)
{
	sqlite3 *db;

	if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_busy_timeout(db, 60000) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	    "CREATE TABLE IF NOT EXISTS log (watchdog TEXT, level INTEGER, time REAL, sender TEXT,"
	    " message TEXT)", NULL, NULL, NULL) != SQLITE_OK)
		errx(1, "%s: %s", path, sqlite3_errmsg(db));
	return db;
}

static void
insert(sqlite3 *db, sqlite3_stmt *st)
{
	sqlite3_bind_text(st, 1, "0000000000000001", -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, 30);
	sqlite3_bind_double(st, 3, 1700000000.5);
	sqlite3_bind_text(st, 4, "bench", -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 5, "One record of a trickle, as long as such messages are on average"
	    " in the field, give or take a word or two", -1, SQLITE_STATIC);
	if (sqlite3_step(st) != SQLITE_DONE)
		errx(1, "insert: %s", sqlite3_errmsg(db));
	sqlite3_reset(st);
}

/* One producer: its latencies go to `out`, one double each. */
static void
produce(const char *path, double end, FILE *out)
{
	sqlite3 *db = open_db(path);
	sqlite3_stmt *st;
	double start, took;

	if (sqlite3_prepare_v2(db, "INSERT INTO log VALUES (?, ?, ?, ?, ?)", -1, &st, NULL) != SQLITE_OK)
		errx(1, "%s: %s", path, sqlite3_errmsg(db));
	while ((start = monotonic()) < end) {
		insert(db, st);
		took = monotonic() - start;
		if (fwrite(&took, sizeof(took), 1, out) != 1)
			err(1, "fwrite");
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
}

int
main(int argc, char **argv)
{
	struct latencies all = { 0 };
	int producers, status, failed = 0;
	double seconds, start, took;
	FILE **out;

	if (argc != 4 || (producers = atoi(argv[1])) < 1 || (seconds = atof(argv[2])) <= 0)
		errx(2, "usage: writers PRODUCERS SECONDS DB");
	if ((out = calloc((size_t)producers, sizeof(*out))) == NULL)
		err(1, NULL);
	sqlite3_close(open_db(argv[3]));
	start = monotonic();
	for (int i = 0; i < producers; i++) {
		if ((out[i] = tmpfile()) == NULL)
			err(1, "tmpfile");
		switch (fork()) {
		case -1:
			err(1, "fork");
		case 0:
			produce(argv[3], start + seconds, out[i]);
			_exit(fflush(out[i]) == EOF);
		}
	}
	while (wait(&status) != -1)
		failed |= status;
	for (int i = 0; i < producers; i++) {
		rewind(out[i]);
		while (fread(&took, sizeof(took), 1, out[i]) == 1)
			latencies_add(&all, took);
		fclose(out[i]);
	}
	printf("%.1f %.6f %.6f %.6f\n", (double)all.count / seconds, latencies_at(&all, 0.5),
	    latencies_at(&all, 0.99), latencies_at(&all, 1));
	free(all.seconds);
	free(out);
	return failed != 0;
}
