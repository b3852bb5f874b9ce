/*
 * postgres.h - the PostgreSQL engine's own parts, seen by its own files only. What the tables
 * are, and why, says lib/schema/postgres.sql.
 *
 *   postgres.c  opening, closing, connecting again     pq*.c     libpq; params.c its parameters
 *   schema.c    making it, checking it                 text.c    U+0000 in texts
 *   add.c       taking batches                         rows.c    rows for COPY
 *   ask.c       handing out matching rows; course*.c   which come next; where.c  a query, as SQL
 *   watch.c     waiting for news                       tally.c   counting
 *   purge.c     forgetting: what, and                  care.c    statistics
 *   partitions.c  whole partitions of it,              verify.c  verification
 *   expire.c      rows
 */
#ifndef MONITOR_POSTGRES_POSTGRES_H
#define MONITOR_POSTGRES_POSTGRES_H

#include <math.h>

#include "postgres/pq.h"
#include "store_backend.h"

#define POSTGRES_SCHEMA_VERSION 4
#define POSTGRES_WHERE_SIZE 256

struct adder;   /* add.c */
struct news;    /* watch.c */

struct postgres {
	char *conninfo;
	char where[POSTGRES_WHERE_SIZE];   /* for messages, without secrets */
	enum store_mode mode;
	struct pq *pq;                     /* NULL: not connected */
	int64_t id;                        /* store.id; 0 before the first connection */
	int64_t interval[RECORD_KINDS];    /* seconds of arrival in a partition */
	double bound;                      /* seconds between time and arrival */
	struct store_trouble trouble;
	bool told;                         /* that there is some */
	struct error away;                 /* why there was no connection at first */
	struct adder *adder;
	struct news *news;
};

/* Connected to the store that it has always been: at once where there is a connection, by
 * one attempt where there is none. ERROR_ABSENT: there is no store in the database;
 * ERROR_GONE: another one than before. */
int postgres_connect(struct postgres *s, struct error *e);

/* Close a connection that is lost, or whose state nobody knows. */
void postgres_disconnect(struct postgres *s);

/* Another connection to the same store, for who reads: a store of its own, until
 * postgres_close(). NULL: there is none to be had. */
struct postgres *postgres_beside(const struct postgres *s);
void postgres_close(void *impl);

/* One statement by itself, for a reader. On a connection that turns out to be lost it is sent
 * once more, on a new one. */
int postgres_query(struct postgres *s, const char *sql, const struct pq_params *p,
    struct pq_rows **rows, struct error *e);

/* After a failure: wait, longer each time (`*tries` counts them, from 0), and say 0 if it is
 * worth trying again. -1, and the error stays: it is none that passes, or
 * trouble.stop_fd says that it is over (then ERROR_NONE). postgres_well() says, where there was
 * trouble, that it is over. */
int postgres_again(struct postgres *s, unsigned *tries, struct error *e);
void postgres_well(struct postgres *s, unsigned *tries);

/* schema.c: what store there is; fills id, interval, bound. */
int postgres_check(struct postgres *s, struct error *e);
int postgres_create_schema(const char *conninfo, double interval, enum store_made *made,
    struct error *left, struct error *e);
int postgres_schema(double interval, bool roles_only, struct buf *text, struct error *e);

/* care.c: how many rows a partition has, and how many bytes it takes. `from` is the same for
 * SQL: behind FROM monitor. A small one is counted, of a large one the server's own count is taken,
 * which is about right. */
struct postgres_extent {
	uint64_t rows, bytes;
};
int postgres_measure(struct postgres *s, const char *table, const char *from,
    struct postgres_extent *x, struct error *e);

/* care.c: bytes that everything takes. */
int postgres_size(struct postgres *s, uint64_t *bytes, struct error *e);

/* ---- arrivals (lib/schema/postgres.sql) -------------------------------------- */

#define ARRIVAL_EPOCH 1577836800   /* 2020-01-01 */
#define ARRIVAL_SECOND_BITS 32     /* the second stands above these, */
#define ARRIVAL_PLACE_BITS 18      /* the place in the batch in these */
#define ARRIVAL_PLACES (1 << ARRIVAL_PLACE_BITS)

static inline double
arrival_second(int64_t arrival)
{
	return (double)((arrival >> ARRIVAL_SECOND_BITS) + ARRIVAL_EPOCH);
}

/* The first arrival that a record may have that came in second `t`, rounded down; all times
 * have one. */
static inline int64_t
arrival_of(double t)
{
	double second = floor(t) - ARRIVAL_EPOCH;

	return second <= 0 ? 0 : second >= INT32_MAX ? INT64_MAX :
	    (int64_t)second << ARRIVAL_SECOND_BITS;
}

/* Is a record of this time, and this arrival, one for the table of strays? */
static inline bool
arrival_is_stray(const struct postgres *s, double time, int64_t arrival)
{
	return !(fabs(time - arrival_second(arrival)) <= s->bound);
}

/* ---- texts (text.c) -------------------------------------------------------------- */

/* As the tables have it: `s` itself, or written anew behind what is in `b` (which may
 * move: take the slice when all are written). -1: no memory. */
bool text_is_plain(struct str s);
int text_encode(struct buf *b, struct str s);
/* And back, in place: returns the new length. */
size_t text_decode(char *data, size_t len);

/* ---- the backend's functions, by file --------------------------------------------- */

int postgres_add(void *impl, const struct store_offer *, size_t n, struct store_added *, struct error *);
void postgres_adder_free(struct adder **a);
void *postgres_ask(void *impl, const struct query *, struct error *);
int postgres_next(void *answer, struct record *, struct error *);
void postgres_position(const void *answer, struct cursor *);
void postgres_end_ask(void *answer);
int postgres_by_arrival(void *impl, struct cursor *, struct error *);
int postgres_end(void *impl, struct cursor *, struct error *);
int postgres_watch(void *impl, struct error *);
void postgres_watched(void *impl);
int postgres_await(const char *conninfo, int stop_fd, struct error *);
void postgres_news_free(struct news **n);
int postgres_tally(void *impl, const struct query *, enum tally_by, double interval, double offset,
    int (*row)(void *, const struct tally *), void *arg, struct error *);
int postgres_span(void *impl, const struct query *, double *first, double *last, struct error *);
int postgres_stats(void *impl, struct store_stats *, struct error *);
int64_t postgres_verify(void *impl, void (*found)(void *, const char *), void *arg, struct error *);
int postgres_purge(void *impl, const struct purge *, const volatile int *stop, struct purged *,
    struct error *);

#endif
