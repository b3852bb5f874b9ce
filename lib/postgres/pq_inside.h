/*
 * pq_inside.h - what pq.c (connections) and pq_query.c (what is sent over them) share: the
 * two users of libpq.
 */
#ifndef MONITOR_POSTGRES_PQ_INSIDE_H
#define MONITOR_POSTGRES_PQ_INSIDE_H

#include <libpq-fe.h>

#include "postgres/pq.h"

#define PQ_WHERE_SIZE 256

struct pq {
	PGconn *conn;
	char where[PQ_WHERE_SIZE];
	char state[6];
	bool warned;    /* by the server, since it was last asked */
	int stop_fd;
	bool stopped;   /* while something was under way: the connection is of no use any more, */
	bool broken;    /* as it is when libpq has trouble with it of its own */
};

/* Why: the connection's own trouble; or that of a statement, whose result says it (NULL: there
 * is none, because of the connection). Both return -1. */
int pq_conn_error(struct pq *q, struct error *e);
int pq_result_error(struct pq *q, const PGresult *r, struct error *e);

#endif
