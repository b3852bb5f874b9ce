#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "postgres/pq_inside.h"
#include "when.h"

/* ---- rows ----------------------------------------------------------------------- */

/* There is no struct pq_rows: it is libpq's PGresult. */
static const PGresult *
result_of(const struct pq_rows *r)
{
	return (const PGresult *)r;
}

void
pq_free(struct pq_rows **r)
{
	PQclear((PGresult *)*r);
	*r = NULL;
}

size_t
pq_count(const struct pq_rows *r)
{
	return (size_t)PQntuples(result_of(r));
}

size_t
pq_size(const struct pq_rows *r)
{
	return PQresultMemorySize(result_of(r));
}

uint64_t
pq_affected(const struct pq_rows *r)
{
	return strtoull(PQcmdTuples((PGresult *)(uintptr_t)r), NULL, 10);
}

bool
pq_is_null(const struct pq_rows *r, size_t row, int column)
{
	return PQgetisnull(result_of(r), (int)row, column);
}

int64_t
pq_get_int(const struct pq_rows *r, size_t row, int column)
{
	const unsigned char *p = (const unsigned char *)PQgetvalue(result_of(r), (int)row, column);
	int n = PQgetlength(result_of(r), (int)row, column);
	uint64_t bits = n > 1 && p[0] & 0x80 ? UINT64_MAX : 0;   /* a bool is one byte */

	if (n == sizeof(bits)) {
		memcpy(&bits, p, sizeof(bits));
		return (int64_t)be64toh(bits);
	}
	for (int i = 0; i < n; i++)
		bits = bits << 8 | p[i];
	return (int64_t)bits;
}

double
pq_get_double(const struct pq_rows *r, size_t row, int column)
{
	uint64_t bits = (uint64_t)pq_get_int(r, row, column);
	double d;

	memcpy(&d, &bits, sizeof(d));
	return d;
}

struct str
pq_get_text(const struct pq_rows *r, size_t row, int column)
{
	size_t n = (size_t)PQgetlength(result_of(r), (int)row, column);

	if (n == 0 && PQgetisnull(result_of(r), (int)row, column))
		return (struct str){ NULL, 0 };
	return (struct str){ PQgetvalue(result_of(r), (int)row, column), n };
}

/* ---- waiting ----------------------------------------------------------------------- */

/* Until what was put in is sent (`result`: and the next result is there), and take what comes for
 * `beside` meanwhile. False: stopped, or it is `end`. A connection that is lost ends the wait, and
 * shows in what is done next. */
static bool
wait_until(struct pq *q, bool result, double end, struct pq *beside)
{
	double left;

	while (!q->stopped) {
		int unsent = PQflush(q->conn);
		struct pollfd fds[] = {
			{ .fd = PQsocket(q->conn), .events = unsent == 1 ? POLLIN | POLLOUT : POLLIN },
			{ .fd = q->stop_fd, .events = POLLIN },
			{ .fd = beside != NULL ? PQsocket(beside->conn) : -1, .events = POLLIN },
		};

		if (unsent == -1 || (result ? PQisBusy(q->conn) == 0 : unsent == 0))
			return true;
		if ((left = end - when_ticks()) <= 0)
			return false;
		if (poll(fds, 3, isfinite(left) ? (int)(left * 1000) + 1 : -1) == -1)
			continue;   /* EINTR */
		if (fds[2].revents != 0)
			pq_look(beside);
		if (fds[1].revents != 0)
			q->stopped = true;
		else if ((fds[0].revents & ~POLLOUT) != 0 && PQconsumeInput(q->conn) != 1)
			return true;
	}
	return false;
}

static bool
wait_for(struct pq *q, bool result)
{
	return wait_until(q, result, INFINITY, NULL);
}

static PGresult *
next_result(struct pq *q)
{
	return wait_for(q, true) ? PQgetResult(q->conn) : NULL;
}

/* ---- cancelling --------------------------------------------------------------------- */

/* PQcancel() connects and waits for the server, which may be as long as TCP tries: so it has a thread
 * of its own, which is left alone with it when it is not done in time. */
enum { CANCEL_MS = 2000 };

struct canceling {
	PGcancel *what;
	int done;        /* closed when it is */
};

static void
canceling_free(struct canceling *c)
{
	PQfreeCancel(c->what);
	close(c->done);
	free(c);
}

static void *
cancel_apart(void *arg)
{
	struct canceling *c = arg;
	char why[256];

	PQcancel(c->what, why, sizeof(why));
	canceling_free(c);
	return NULL;
}

static int
start_canceling(struct canceling *c)
{
	sigset_t all, before;
	pthread_t thread;
	int rc;

	sigfillset(&all);   /* signals are the program's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if ((rc = pthread_create(&thread, NULL, cancel_apart, c)) == 0)
		pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0 ? 0 : -1;
}

/* The statement that is under way. False: the server may not have heard of it. */
static bool
cancel(struct pq *q)
{
	struct canceling *c = calloc(1, sizeof(*c));
	int ends[2], rc = 0;

	if (c == NULL || pipe2(ends, O_CLOEXEC) == -1) {
		free(c);
		return false;
	}
	*c = (struct canceling){ PQgetCancel(q->conn), ends[1] };
	if (c->what != NULL && start_canceling(c) == 0) {
		struct pollfd done = { .fd = ends[0], .events = POLLIN };
		while ((rc = poll(&done, 1, CANCEL_MS)) == -1 && errno == EINTR)
			continue;
	} else {
		canceling_free(c);
	}
	close(ends[0]);
	return rc == 1;
}

/* ---- statements -------------------------------------------------------------------- */

static const struct pq_params none;

static int
send_params(struct pq *q, const char *sql, const struct pq_params *p, struct error *e)
{
	static const int binary[PQ_PARAMS_MAX] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
		1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };

	if (p == NULL)
		p = &none;
	if (PQsendQueryParams(q->conn, sql, p->n, p->types, p->values, p->lengths, binary, 1) == 1)
		return 0;
	return pq_conn_error(q, e);
}

/* Has the server said that the statement is done? (On a connection that broke libpq may give
 * PGRES_COMMAND_OK for one of which nothing was heard.) */
static bool
is_complete(PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);

	return (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) && *PQcmdStatus(r) != '\0';
}

/* The statement's result: taken, or why it failed. */
static int
keep_result(struct pq *q, PGresult *r, struct pq_rows **rows, struct error *e)
{
	int rc = is_complete(r) ? 0 : pq_result_error(q, r, e);

	if (rc == 0 && rows != NULL)
		*rows = (struct pq_rows *)r;
	else
		PQclear(r);
	return rc;
}

/* To the end of what a statement gives. */
static void
drain(struct pq *q)
{
	PGresult *r;

	while ((r = next_result(q)) != NULL) {
		ExecStatusType status = PQresultStatus(r);
		PQclear(r);
		if (status == PGRES_COPY_IN && PQputCopyEnd(q->conn, "stopped") == -1)
			break;
		if (pq_lost(q))
			break;
	}
}

int
pq_send(struct pq *q, const char *sql, const struct pq_params *p, struct error *e)
{
	return send_params(q, sql, p, e);
}

void
pq_look(struct pq *q)
{
	if (!pq_lost(q))
		PQconsumeInput(q->conn);   /* what is wrong shows when it is fetched */
}

void
pq_await(struct pq *q, struct pq *beside)
{
	wait_until(q, true, INFINITY, beside);
}

int
pq_fetch(struct pq *q, struct pq_rows **rows, struct error *e)
{
	PGresult *r = next_result(q);

	if (rows != NULL)
		*rows = NULL;
	drain(q);
	return keep_result(q, r, rows, e);
}

int
pq_query(struct pq *q, const char *sql, const struct pq_params *p, struct pq_rows **rows,
    struct error *e)
{
	if (rows != NULL)
		*rows = NULL;
	return send_params(q, sql, p, e) == -1 ? -1 : pq_fetch(q, rows, e);
}

int
pq_query_within(struct pq *q, double seconds, const char *sql, const struct pq_params *p,
    struct pq_rows **rows, struct error *e)
{
	if (rows != NULL)
		*rows = NULL;
	if (send_params(q, sql, p, e) == -1)
		return -1;
	if (!wait_until(q, true, when_ticks() + seconds, NULL) && !cancel(q) && !q->stopped) {
		q->broken = true;
		return error_set(e, ERROR_BUSY, "%s: no answer", q->where);
	}
	return pq_fetch(q, rows, e);
}

int
pq_run(struct pq *q, const char *sql, struct error *e)
{
	PGresult *r;
	int rc = 0;

	if (PQsendQuery(q->conn, sql) != 1)
		return pq_conn_error(q, e);
	while ((r = next_result(q)) != NULL)
		if (keep_result(q, r, NULL, rc == 0 ? e : NULL) == -1)
			rc = -1;
	return rc == 0 && pq_lost(q) ? pq_conn_error(q, e) : rc;
}

/* Each statement's result is followed by a NULL, and all by that of the Sync. */
static int
pipeline_results(struct pq *q, struct pq_step *steps, size_t n, struct error *e)
{
	int rc = 0;

	for (size_t i = 0; i < n && !pq_lost(q); i++) {
		PGresult *r = next_result(q);
		if (r != NULL && PQresultStatus(r) == PGRES_PIPELINE_ABORTED) {
			PQclear(r);
			rc = -1;
		} else if (keep_result(q, r, &steps[i].rows, rc == 0 ? e : NULL) == -1) {
			rc = -1;
		}
		while (!pq_lost(q) && (r = next_result(q)) != NULL)
			PQclear(r);
	}
	if (pq_lost(q))
		return rc == 0 ? pq_conn_error(q, e) : -1;
	PQclear(next_result(q));
	return rc;
}

int
pq_pipeline(struct pq *q, struct pq_step *steps, size_t n, struct error *e)
{
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		steps[i].rows = NULL;
	if (PQenterPipelineMode(q->conn) != 1)
		return pq_conn_error(q, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = send_params(q, steps[i].sql, steps[i].params, e);
	if (rc == 0 && PQpipelineSync(q->conn) != 1)
		rc = pq_conn_error(q, e);
	if (rc == 0)
		rc = pipeline_results(q, steps, n, e);
	if (PQexitPipelineMode(q->conn) != 1 && rc == 0)
		rc = pq_conn_error(q, e);
	return rc;
}

/* ---- COPY -------------------------------------------------------------------------- */

int
pq_copy_begin(struct pq *q, const char *sql, struct error *e)
{
	PGresult *r;
	int rc;

	if (PQsendQuery(q->conn, sql) != 1)
		return pq_conn_error(q, e);
	r = next_result(q);
	if (r != NULL && PQresultStatus(r) == PGRES_COPY_IN)
		rc = 0;
	else {
		rc = pq_result_error(q, r, e);
		drain(q);
	}
	PQclear(r);
	return rc;
}

int
pq_copy(struct pq *q, const void *data, size_t n, struct error *e)
{
	if (PQputCopyData(q->conn, data, (int)n) == 1 && wait_for(q, false))
		return 0;
	pq_conn_error(q, e);
	drain(q);
	return -1;
}

int
pq_copy_end(struct pq *q, uint64_t *rows, struct error *e)
{
	struct pq_rows *done = NULL;

	if (PQputCopyEnd(q->conn, NULL) != 1)
		return pq_conn_error(q, e);
	if (pq_fetch(q, &done, e) == -1)
		return -1;
	*rows = pq_affected(done);
	pq_free(&done);
	return 0;
}

/* ---- notifications -------------------------------------------------------------------- */

int
pq_fd(const struct pq *q)
{
	return PQsocket(q->conn);
}

int
pq_notified(struct pq *q, struct error *e)
{
	PGnotify *n;
	int came = 0;

	if (PQconsumeInput(q->conn) != 1)
		return pq_conn_error(q, e);
	while ((n = PQnotifies(q->conn)) != NULL) {
		PQfreemem(n);
		came = 1;
	}
	return came;
}
