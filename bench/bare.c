/*
 * bare - the least that any ingester on SQLite does, as a yardstick:
 *
 *   bare FILE DB
 *
 * reads all records of FILE (NDJSON) into memory, and only then takes the time
 * of a plain loop that inserts these rows into a new database: one table of
 * the plain columns without an index, 10,000 rows a transaction, WAL,
 * synchronous=FULL, one thread. Prints "SECONDS BYTES", from before the
 * database is made until it is closed, and its size.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "buf.h"
#include "ndjson.h"
#include "percentile.h"

#define BATCH 10000

/* One parsed row; the strings stand one behind the other at `text`. */
struct row {
	size_t text;
	uint32_t watchdog, sender, message;
	int64_t level;
	double time;
};

struct rows {
	struct row *row;
	size_t count, room;
	struct buf text;
};

static void
keep(struct rows *rows, const struct record *r)
{
	struct row row = { rows->text.len, (uint32_t)r->watchdog.len, (uint32_t)r->sender.len,
		(uint32_t)r->message.len, r->level, r->time };

	if (rows->count == rows->room) {
		rows->room = rows->room > 0 ? rows->room * 2 : 1 << 16;
		if ((rows->row = realloc(rows->row, rows->room * sizeof(row))) == NULL)
			err(1, NULL);
	}
	if (buf_add_str(&rows->text, r->watchdog) == -1 || buf_add_str(&rows->text, r->sender) == -1 ||
	    buf_add_str(&rows->text, r->message) == -1)
		err(1, NULL);
	rows->row[rows->count++] = row;
}

static void
read_rows(struct rows *rows, const char *path)
{
	const struct ndjson_defaults defaults = { .kind = RECORD_LOG, .watchdog = str_of("local") };
	struct ndjson_line line;
	struct ndjson *reader;
	char *text = NULL;
	size_t size = 0;
	struct error e;
	ssize_t len;
	FILE *f;

	if ((f = fopen(path, "r")) == NULL)
		err(1, "%s", path);
	if ((reader = ndjson_new(&defaults, &e)) == NULL)
		errx(1, "%s", e.text);
	while ((len = getline(&text, &size, f)) != -1) {
		len -= text[len - 1] == '\n';
		if (ndjson_read(reader, (struct str){ text, (size_t)len }, &line, &e) == -1)
			errx(1, "%s:%zu: %s", path, rows->count + 1, e.text);
		keep(rows, &line.record);
	}
	ndjson_free(&reader);
	free(text);
	fclose(f);
}

static void
run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		errx(1, "%s: %s", sql, sqlite3_errmsg(db));
}

static void
insert(sqlite3 *db, sqlite3_stmt *st, const struct row *r, const char *text)
{
	sqlite3_bind_text(st, 1, text, (int)r->watchdog, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, r->level);
	sqlite3_bind_double(st, 3, r->time);
	text += r->watchdog;
	sqlite3_bind_text(st, 4, text, (int)r->sender, SQLITE_STATIC);
	text += r->sender;
	sqlite3_bind_text(st, 5, text, (int)r->message, SQLITE_STATIC);
	if (sqlite3_step(st) != SQLITE_DONE)
		errx(1, "insert: %s", sqlite3_errmsg(db));
	sqlite3_reset(st);
}

static void
insert_all(const struct rows *rows, const char *path)
{
	sqlite3_stmt *st;
	sqlite3 *db;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		errx(1, "%s: %s", path, sqlite3_errmsg(db));
	run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
	    "CREATE TABLE log (watchdog TEXT, level INTEGER, time REAL, sender TEXT, message TEXT)");
	if (sqlite3_prepare_v2(db, "INSERT INTO log VALUES (?, ?, ?, ?, ?)", -1, &st, NULL) != SQLITE_OK)
		errx(1, "%s: %s", path, sqlite3_errmsg(db));
	for (size_t i = 0; i < rows->count; i++) {
		if (i % BATCH == 0)
			run(db, i == 0 ? "BEGIN" : "COMMIT; BEGIN");
		insert(db, st, &rows->row[i], rows->text.data + rows->row[i].text);
	}
	run(db, "COMMIT");
	sqlite3_finalize(st);
	if (sqlite3_close(db) != SQLITE_OK)
		errx(1, "%s: %s", path, sqlite3_errmsg(db));
}

int
main(int argc, char **argv)
{
	struct rows rows = { 0 };
	struct stat st;
	double start;

	if (argc != 3)
		errx(2, "usage: bare FILE DB");
	read_rows(&rows, argv[1]);
	if (rows.count == 0)
		errx(1, "%s: no records", argv[1]);
	start = monotonic();
	insert_all(&rows, argv[2]);
	printf("%.6f ", monotonic() - start);
	if (stat(argv[2], &st) == -1)
		err(1, "%s", argv[2]);
	printf("%jd\n", (intmax_t)st.st_size);
	free(rows.row);
	buf_free(&rows.text);
	return 0;
}
