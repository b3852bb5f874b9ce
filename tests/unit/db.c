/* The SQLite library behind db.h: what it does not take is an error, not NULL. */
#include "sqlite/db.h"

#include <stdlib.h>

#include "tap.h"

/* Nobody reads it: SQLite looks at the length first. */
#define TOO_LONG ((struct str){ "text", (size_t)1 << 30 })

static struct db *db;
static struct stmt *put;
static struct error e;

static int64_t
number(const char *sql)
{
	int64_t n = -1;

	db_get_int(db, sql, &n, NULL);
	return n;
}

static void
refused(void (*bind)(struct stmt *, int, struct str), const char *what)
{
	bind(put, 1, TOO_LONG);
	bind(put, 2, str_of("b"));
	tap_ok(stmt_run(put, &e) == -1 && strstr(e.text, "too big") != NULL, "%s: %s", what, e.text);
	tap_ok(stmt_run(put, &e) == -1, "and stays an error");
	tap_ok(number("SELECT count(*) FROM t") == 0, "nothing was put in its place");
	stmt_reset(put);
}

int
main(void)
{
	if ((db = db_open(":memory:", DB_CREATE, &e)) == NULL ||
	    db_exec(db, "CREATE TABLE t (a, b)", &e) == -1 ||
	    (put = db_prepare(db, "INSERT INTO t VALUES (?1, ?2)", &e)) == NULL) {
		printf("Bail out! %s\n", e.text);
		return 1;
	}
	refused(stmt_bind_text, "a text that is too long is an error");
	refused(stmt_bind_blob, "and so is a blob");
	stmt_bind_text(put, 1, str_of("a"));
	stmt_bind_text(put, 2, str_of("b"));
	tap_ok(stmt_run(put, &e) == 0 && number("SELECT a = 'a' AND b = 'b' FROM t") == 1,
	    "reset, the statement takes what is shorter");
	stmt_free(&put);
	db_close(&db);
	return tap_done();
}
