/*
 * rows.h - records on their way into a table. Many by COPY, in its binary format (PostgreSQL,
 * "COPY", "Binary Format"); few, in fewer round trips, by a statement with a column an array.
 * Private to lib/postgres/.
 */
#ifndef MONITOR_POSTGRES_ROWS_H
#define MONITOR_POSTGRES_ROWS_H

#include "postgres/pq.h"
#include "record.h"

enum rows_table { ROWS_LOG, ROWS_NOTIFICATION, ROWS_STRAY, ROWS_TABLES };

/* Copy into one table: begin, a row a record, end. After -1 the copy is over. `b` is scratch,
 * the same in all three. */
int rows_begin(struct pq *q, enum rows_table table, struct buf *b, struct error *e);
int rows_add(struct pq *q, enum rows_table table, const struct record *r, int64_t arrival,
    struct buf *b, struct error *e);
int rows_end(struct pq *q, struct buf *b, struct error *e);

#define ROWS_COLUMNS 8   /* the last is the strays' alone */

/* A zeroed struct is empty; reset() empties it again. Owner frees with rows_few_free(). */
struct rows_few {
	struct buf columns[ROWS_COLUMNS], scratch;
	size_t count;
};

void rows_few_reset(struct rows_few *f);
int rows_few_add(struct rows_few *f, const struct record *r, int64_t arrival);   /* -1: no memory */
/* What inserts them, and its parameters: good as long as the rows. */
const char *rows_few_sql(struct rows_few *f, enum rows_table table, struct pq_params *p);
void rows_few_free(struct rows_few *f);

#endif
