/*
 * pq.h - a connection to PostgreSQL, and what is sent over it. Private to
 * lib/postgres/; nothing else there knows libpq.
 *
 * Values go and come in binary (PostgreSQL, "Frontend/Backend Protocol"), so that
 * a double comes back as it went. No statement is prepared under a name, and
 * nothing is set for a session: in between may stand a pooler that gives each
 * transaction another server process.
 *
 * An error that may pass by itself (the connection is lost, the server starts or
 * stops or is a standby, a lock, a deadlock, too many connections) is ERROR_BUSY:
 * the caller may begin again.
 */
#ifndef MONITOR_POSTGRES_PQ_H
#define MONITOR_POSTGRES_PQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "str.h"

struct pq;

/* Is this text for libpq: a URI, or "keyword=value ..."? */
bool pq_claims(const char *url);

/* `conninfo` as libpq takes it; environment and password files count as ever. Unless
 * they say otherwise the program's name is `program`, and with `write` only a
 * server that can be written to will do. Waits for the connection, 10 s a host unless told
 * otherwise, or until `stop_fd` (-1: none) polls readable (then ERROR_NONE). Owner
 * closes it with pq_close(). */
struct pq *pq_open(const char *conninfo, const char *program, bool write, int stop_fd,
    struct error *e);
void pq_close(struct pq **q);

/* From now on that is what `stop_fd` is: whatever waits for the server gives up once it polls
 * readable (ERROR_NONE), and the connection is lost. */
void pq_stop_fd(struct pq *q, int fd);

/* Whether nothing can be sent any more: to be closed. */
bool pq_lost(const struct pq *q);

/* Its name for messages: where it is, never a secret. "postgresql://host/database" */
const char *pq_where(const struct pq *q);
/* The same of a text that has not been opened. */
void pq_describe(const char *conninfo, char *text, size_t size);

/* Does a pooler stand between us and the server? Then what a session is told (LISTEN) may not
 * last. Asks the server: 1 or 0; -1: failed. */
int pq_pooled(struct pq *q, struct error *e);

/* ---- statements ----------------------------------------------------------- */

/* What stands for $1, $2, ... Texts and buffers are not copied: they must last until
 * the statement has been sent. */
#define PQ_PARAMS_MAX 24
struct pq_params {
	int n;
	unsigned types[PQ_PARAMS_MAX];       /* OIDs */
	const char *values[PQ_PARAMS_MAX];
	int lengths[PQ_PARAMS_MAX];
	unsigned char numbers[PQ_PARAMS_MAX][8];
};
void pq_int(struct pq_params *p, int64_t n);        /* bigint */
void pq_double(struct pq_params *p, double d);
void pq_text(struct pq_params *p, struct str s);    /* data NULL: null */

/* An array: made in a buffer, piece by piece, then given. begin() empties the buffer. -1: no
 * memory (buf_add()'s). */
enum pq_array { PQ_TEXTS, PQ_INTS, PQ_DOUBLES };
int pq_array_begin(struct buf *b, enum pq_array of);
int pq_array_text(struct buf *b, struct str s);   /* data NULL: null */
int pq_array_int(struct buf *b, int64_t n);
int pq_array_double(struct buf *b, double d);
void pq_array(struct pq_params *p, struct buf *b, enum pq_array of);

/* What came: all rows, in memory. */
struct pq_rows;
void pq_free(struct pq_rows **r);
size_t pq_count(const struct pq_rows *r);
size_t pq_size(const struct pq_rows *r);           /* of memory, in bytes */
uint64_t pq_affected(const struct pq_rows *r);     /* by INSERT, UPDATE, DELETE */
bool pq_is_null(const struct pq_rows *r, size_t row, int column);
int64_t pq_get_int(const struct pq_rows *r, size_t row, int column);   /* int2, int4, int8, bool; null: 0 */
double pq_get_double(const struct pq_rows *r, size_t row, int column);
/* Good until pq_free(). Null: data NULL. */
struct str pq_get_text(const struct pq_rows *r, size_t row, int column);

/* One statement; in a transaction of its own unless one was begun. `rows` may be NULL. */
int pq_query(struct pq *q, const char *sql, const struct pq_params *p, struct pq_rows **rows,
    struct error *e);

/* The same, but cancelled when it is not done after so many seconds (ERROR_BUSY; INFINITY: never), or
 * when it is over (ERROR_NONE): for what may wait for others' locks where no transaction can be told
 * for how long, and is not to wait on at the server when nobody does here. A server that cannot be told
 * either, since it is silent, is given up after 2 s. */
int pq_query_within(struct pq *q, double seconds, const char *sql, const struct pq_params *p,
    struct pq_rows **rows, struct error *e);

/* Several, without parameters or results, as one text. */
int pq_run(struct pq *q, const char *sql, struct error *e);

/* Several in one round trip. The results of all, each to be freed (NULL where an earlier one
 * failed); -1, and why the first that failed did. */
struct pq_step {
	const char *sql;
	const struct pq_params *params;   /* may be NULL */
	struct pq_rows *rows;
};
int pq_pipeline(struct pq *q, struct pq_step *steps, size_t n, struct error *e);

/* One statement, without waiting: send, do something else, then fetch. Nothing else may
 * be sent in between. A long answer waits at the server for whoever reads it: pq_look() now and
 * then takes what has come. pq_await() waits until all has, and takes what comes over another
 * connection meanwhile (NULL: there is none). */
int pq_send(struct pq *q, const char *sql, const struct pq_params *p, struct error *e);
void pq_look(struct pq *q);
void pq_await(struct pq *q, struct pq *beside);
int pq_fetch(struct pq *q, struct pq_rows **rows, struct error *e);

/* Has the server warned since this was last asked? */
bool pq_warned(struct pq *q);

/* The SQLSTATE of the last statement that failed ("" if the server gave none). */
const char *pq_state(const struct pq *q);

/* ---- COPY ----------------------------------------------------------------- */

/* COPY ... FROM STDIN: begin, data in any pieces, end. After -1 the copy is over. */
int pq_copy_begin(struct pq *q, const char *sql, struct error *e);
int pq_copy(struct pq *q, const void *data, size_t n, struct error *e);
int pq_copy_end(struct pq *q, uint64_t *rows, struct error *e);

/* ---- notifications --------------------------------------------------------- */

int pq_fd(const struct pq *q);
/* Read what has come without waiting: 1 if the server has notified, 0 if not, -1: lost. */
int pq_notified(struct pq *q, struct error *e);

#endif
