/*
 * rows.h - records on their way into a table: COPY's binary format (PostgreSQL, "COPY", "Binary
 * Format"). Private to lib/postgres/.
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

#endif
