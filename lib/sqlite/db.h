/*
 * db.h - the SQLite library, as much of it as the store needs. db.c is the
 * only file that includes <sqlite3.h>.
 *
 * A `struct db` is one connection, a `struct stmt` one prepared statement of
 * it. Both belong to one thread at a time. Failures fill the error with the
 * file's name and SQLite's own words, and a kind that follows from its result
 * code (https://www.sqlite.org/rescode.html).
 */
#ifndef MONITOR_SQLITE_DB_H
#define MONITOR_SQLITE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "str.h"

struct db;
struct stmt;

enum db_mode {
	DB_READ,       /* never writes; needs a WAL file to be there */
	DB_IMMUTABLE,  /* never writes nor locks; right only while there is no WAL file */
	DB_WRITE,      /* must exist */
	DB_CREATE,
};

/* Caller owns the connection; its statements are freed before db_close(). */
struct db *db_open(const char *path, enum db_mode mode, struct error *e);
void db_close(struct db **d);

/* Another database, seen through the same connection as schema `name`; outside
 * a transaction. It is read only. */
int db_attach(struct db *d, const char *path, enum db_mode mode, const char *name,
    struct error *e);

/* How long a call waits for another connection's lock before ERROR_BUSY. */
void db_busy_timeout(struct db *d, int ms);

/* Keep the WAL file and its index when the last connection closes, so that a
 * reader without write permission can open the store between writers. */
void db_persist_wal(struct db *d);

/* Run SQL text; rows are thrown away. */
int db_exec(struct db *d, const char *sql, struct error *e);
/* The first column of the first row, as an integer; 0 if there is no row. */
int db_get_int(struct db *d, const char *sql, int64_t *value, struct error *e);

/* Roll back if a transaction is open; a failure in it has been reported already. */
void db_rollback(struct db *d);

/* Prepared once and used often. */
struct stmt *db_prepare(struct db *d, const char *sql, struct error *e);
void stmt_free(struct stmt **st);

/* Parameters count from 1. Text and blobs are not copied: they must stay until
 * the statement is reset or bound anew. What could not be bound (a text of a GB)
 * the next stmt_step() says, and each until the statement is reset. */
void stmt_bind_int(struct stmt *st, int i, int64_t v);
void stmt_bind_double(struct stmt *st, int i, double v);
void stmt_bind_text(struct stmt *st, int i, struct str v);
void stmt_bind_blob(struct stmt *st, int i, struct str v);
void stmt_bind_null(struct stmt *st, int i);

int stmt_step(struct stmt *st, struct error *e);   /* 1 a row, 0 the end, -1 */
int stmt_run(struct stmt *st, struct error *e);    /* to the end, then reset */
void stmt_reset(struct stmt *st);

/* Columns count from 0, and are good until the next step or reset. */
int64_t stmt_int(struct stmt *st, int i);
double stmt_double(struct stmt *st, int i);
struct str stmt_text(struct stmt *st, int i);
struct str stmt_blob(struct stmt *st, int i);

/* Another number after each commit to the database, by this connection or by others, that it
 * knows of: in a transaction, of all before it. */
uint32_t db_version(const struct db *d);

int64_t db_last_rowid(const struct db *d);   /* of the row that was inserted last */
int64_t db_changes(const struct db *d);      /* rows that the last statement changed */

/* Part of a blob, without reading the rest. The handle stays open for the next
 * read (and with it a read transaction) until db_blob_done(). -1 with
 * ERROR_ABSENT: no such row. */
int db_blob_read(struct db *d, const char *table, const char *column, int64_t rowid,
    size_t offset, void *to, size_t n, struct error *e);
void db_blob_done(struct db *d);

enum db_checkpoint { DB_PASSIVE, DB_RESTART, DB_TRUNCATE };
/* Move the WAL into the database file. 1: all of it, 0: not all (somebody reads
 * or writes), -1: failed. */
int db_checkpoint(struct db *d, enum db_checkpoint how, struct error *e);
/* Pages that the last checkpoint of this connection left in the WAL. */
int db_wal_left(const struct db *d);
/* Pages in the WAL after this connection's last commit. */
int db_wal_pages(const struct db *d);

#endif
