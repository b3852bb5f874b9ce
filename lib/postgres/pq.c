#include "postgres/pq.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "when.h"

#define CONNECT_SECONDS 10
#define WHERE_SIZE 256

struct pq {
	PGconn *conn;
	char where[WHERE_SIZE];
	char state[6];
	bool pooled;
	bool warned;    /* by the server, since it was last asked */
	int stop_fd;
	bool stopped;   /* while something was under way: the connection is of no use any more, */
	bool broken;    /* as it is when libpq has trouble with it of its own */
};

/* ---- errors ----------------------------------------------------------------- */

/* What an SQLSTATE, or the beginning of one, means to the caller; the first that fits. */
static const struct {
	const char *state;
	enum error_kind kind;
} kinds[] = {
	{ "08", ERROR_BUSY },       /* the connection */
	{ "25006", ERROR_BUSY },    /* a standby, which may be promoted */
	{ "28", ERROR_DENIED },     /* who are you? */
	{ "3D", ERROR_ABSENT },     /* no such database */
	{ "3F", ERROR_ABSENT },     /* no such schema, */
	{ "42P01", ERROR_ABSENT },  /* table, */
	{ "42883", ERROR_ABSENT },  /* or function */
	{ "42501", ERROR_DENIED },
	{ "40", ERROR_BUSY },       /* deadlock, serialization */
	{ "53100", ERROR_FULL },
	{ "53", ERROR_BUSY },       /* too many connections, memory */
	{ "55P03", ERROR_BUSY },    /* lock timeout */
	{ "57", ERROR_BUSY },       /* cancelled, shutting down, starting up */
	{ "22021", ERROR_INVALID },
	{ "XX001", ERROR_CORRUPT },
	{ "XX002", ERROR_CORRUPT },
};

static enum error_kind
kind_of(const char *state)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(state, kinds[i].state, strlen(kinds[i].state)) == 0)
			return kinds[i].kind;
	return ERROR_SYSTEM;
}

/* libpq's messages have several lines, and prefixes; the first line says it. */
static int
first_line(const char *text)
{
	return (int)strcspn(text, "\n");
}

static const char *
without_severity(const char *text)
{
	static const char *const words[] = { "ERROR:  ", "FATAL:  ", "PANIC:  " };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *at = strstr(text, words[i]);
		if (at != NULL)
			return at + strlen(words[i]);
	}
	return text;
}

/* The connection's own trouble. */
static int
conn_error(struct pq *q, struct error *e)
{
	const char *text = without_severity(PQerrorMessage(q->conn));

	q->state[0] = '\0';
	q->broken = true;
	if (q->stopped)
		return error_set(e, ERROR_NONE, "stopped");
	return error_set(e, ERROR_BUSY, "%s: %.*s", q->where, first_line(text), text);
}

static int
result_error(struct pq *q, const PGresult *r, struct error *e)
{
	const char *state = r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (state == NULL || text == NULL)
		return conn_error(q, e);
	snprintf(q->state, sizeof(q->state), "%s", state);
	return error_set(e, kind_of(state), "%s: %.*s", q->where, first_line(text), text);
}

const char *
pq_state(const struct pq *q)
{
	return q->state;
}

/* ---- connecting --------------------------------------------------------------- */

/* A file may have '=' in its name: only a keyword of libpq's before it counts. */
bool
pq_claims(const char *url)
{
	size_t n = strcspn(url, "= ");
	PQconninfoOption *all, *o;
	bool known = false;

	if (strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0)
		return true;
	if (url[n + strspn(url + n, " ")] != '=' || (all = PQconndefaults()) == NULL)
		return false;
	for (o = all; o->keyword != NULL && !known; o++)
		known = strlen(o->keyword) == n && strncmp(o->keyword, url, n) == 0;
	PQconninfoFree(all);
	return known;
}

static const char *
option(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val;
	return NULL;
}

/* Of these only what says where it is. */
void
pq_describe(const char *conninfo, char *text, size_t size)
{
	PQconninfoOption *o = PQconninfoParse(conninfo, NULL);
	const char *host = o == NULL ? NULL : option(o, "host");
	const char *database = o == NULL ? NULL : option(o, "dbname");
	const char *service = o == NULL ? NULL : option(o, "service");

	if (service != NULL)
		snprintf(text, size, "postgresql service %s", service);
	else
		snprintf(text, size, "postgresql://%s%s%s", host != NULL ? host : "",
		    database != NULL ? "/" : "", database != NULL ? database : "");
	PQconninfoFree(o);
}

/* Add what was not said otherwise. `keywords` and `values` end in NULL. */
static size_t
add_default(const PQconninfoOption *said, const char **keywords, const char **values, size_t n,
    const char *keyword, const char *value)
{
	if (option(said, keyword) != NULL)
		return n;
	keywords[n] = keyword;
	values[n] = value;
	return n + 1;
}

/* PQconndefaults() knows what the environment says, PQconninfoParse() what the text does;
 * a service's settings are known to neither. */
static PGconn *
start(const char *conninfo, const char *program, bool write, struct error *e)
{
	const char *keywords[12] = { "dbname" }, *values[12] = { conninfo };
	PQconninfoOption *env = PQconndefaults();
	char *why = NULL;
	PQconninfoOption *said = PQconninfoParse(conninfo, &why);
	PGconn *conn = NULL;
	size_t n = 1;

	if (said == NULL)
		error_set(e, ERROR_USAGE, "not a connection string: %.*s",
		    why != NULL ? first_line(why) : 0, why != NULL ? why : "");
	else if (env == NULL)
		error_memory(e);
	else {
		n = add_default(said, keywords, values, n, "fallback_application_name", program);
		n = add_default(said, keywords, values, n, "client_encoding", "UTF8");
		/* A host that has vanished is noticed within a minute. */
		n = add_default(said, keywords, values, n, "keepalives_idle", "30");
		n = add_default(said, keywords, values, n, "keepalives_interval", "10");
		n = add_default(said, keywords, values, n, "keepalives_count", "3");
		n = add_default(said, keywords, values, n, "tcp_user_timeout", "60000");
		if (write && option(env, "target_session_attrs") != NULL &&
		    strcmp(option(env, "target_session_attrs"), "any") == 0)
			n = add_default(said, keywords, values, n, "target_session_attrs", "read-write");
		if ((conn = PQconnectStartParams(keywords, values, 1)) == NULL)
			error_memory(e);
	}
	PQfreemem(why);
	PQconninfoFree(said);
	PQconninfoFree(env);
	return conn;
}

/* How long a connection may take to come about. */
static double
patience(PGconn *conn)
{
	PQconninfoOption *all = PQconninfo(conn);
	const char *text = all == NULL ? NULL : option(all, "connect_timeout");
	int seconds = text != NULL ? atoi(text) : 0;

	PQconninfoFree(all);
	return seconds > 0 ? seconds : CONNECT_SECONDS;
}

/* Wait until the connection is there, or has failed. */
static int
establish(struct pq *q, int stop_fd, struct error *e)
{
	double end = when_ticks() + patience(q->conn), left;
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (PQstatus(q->conn) != CONNECTION_BAD && status != PGRES_POLLING_OK &&
	    status != PGRES_POLLING_FAILED) {
		struct pollfd fds[] = {
			{ .fd = PQsocket(q->conn),
			    .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT },
			{ .fd = stop_fd, .events = POLLIN },
		};
		if ((left = end - when_ticks()) <= 0)
			return error_set(e, ERROR_BUSY, "%s: no answer", q->where);
		if (poll(fds, 2, (int)(left * 1000) + 1) == -1 && errno != EINTR)
			return error_errno(e, errno, "poll");
		if (fds[1].revents != 0)
			return error_set(e, ERROR_NONE, "stopped");
		if (fds[0].revents != 0)
			status = PQconnectPoll(q->conn);
	}
	return PQstatus(q->conn) == CONNECTION_OK ? 0 : -1;
}

/* Why it did not come about: libpq says an SQLSTATE of none. What cannot pass by itself is
 * known by the words that no translation changes here (lc_messages is the server's). */
static int
connect_error(struct pq *q, struct error *e)
{
	const char *text = PQerrorMessage(q->conn);
	enum error_kind kind = ERROR_BUSY;

	if (PQconnectionNeedsPassword(q->conn) || PQconnectionUsedPassword(q->conn) ||
	    strstr(text, "authentication failed") != NULL || strstr(text, "pg_hba.conf") != NULL ||
	    (strstr(text, "role \"") != NULL && strstr(text, "does not exist") != NULL))
		kind = ERROR_DENIED;
	else if (strstr(text, "database \"") != NULL && strstr(text, "does not exist") != NULL)
		kind = ERROR_ABSENT;
	else if (strstr(text, "definition of service") != NULL)
		kind = ERROR_USAGE;
	text = without_severity(text);
	return error_set(e, kind, "%s: %.*s", q->where, first_line(text), text);
}

/* Notices ("... does not exist, skipping") are nobody's business, warnings are the caller's. */
static void
take_notice(void *arg, const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

	if (state != NULL && strncmp(state, "01", 2) == 0)
		((struct pq *)arg)->warned = true;
}

bool
pq_warned(struct pq *q)
{
	bool warned = q->warned;

	q->warned = false;
	return warned;
}

struct pq *
pq_open(const char *conninfo, const char *program, bool write, int stop_fd, struct error *e)
{
	struct pq *q = calloc(1, sizeof(*q));
	struct pq_rows *rows = NULL;

	if (q == NULL) {
		error_memory(e);
		return NULL;
	}
	q->stop_fd = stop_fd;
	pq_describe(conninfo, q->where, sizeof(q->where));
	if ((q->conn = start(conninfo, program, write, e)) == NULL)
		goto fail;
	PQsetNoticeReceiver(q->conn, take_notice, q);
	if (PQstatus(q->conn) == CONNECTION_BAD) {
		connect_error(q, e);
		goto fail;
	}
	struct error why = { .text = "" };
	if (establish(q, stop_fd, &why) == -1) {
		if (why.text[0] != '\0' && e != NULL)
			*e = why;
		else if (why.text[0] == '\0')
			connect_error(q, e);
		goto fail;
	}
	if (PQsetnonblocking(q->conn, 1) == -1) {
		conn_error(q, e);
		goto fail;
	}
	/* A pooler invents the process that can be cancelled. */
	if (pq_query(q, "SELECT pg_backend_pid()", NULL, &rows, e) == -1)
		goto fail;
	q->pooled = pq_get_int(rows, 0, 0) != PQbackendPID(q->conn);
	pq_free(&rows);
	return q;
fail:
	pq_close(&q);
	return NULL;
}

void
pq_close(struct pq **q)
{
	if (*q == NULL)
		return;
	PQfinish((*q)->conn);
	free(*q);
	*q = NULL;
}

bool
pq_lost(const struct pq *q)
{
	return q->stopped || q->broken || PQstatus(q->conn) != CONNECTION_OK;
}

void
pq_stop_fd(struct pq *q, int fd)
{
	q->stop_fd = fd;
}

const char *
pq_where(const struct pq *q)
{
	return q->where;
}

bool
pq_pooled(const struct pq *q)
{
	return q->pooled;
}

int
pq_server_version(const struct pq *q)
{
	return PQserverVersion(q->conn);
}

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
	if (PQgetisnull(result_of(r), (int)row, column))
		return (struct str){ NULL, 0 };
	return (struct str){ PQgetvalue(result_of(r), (int)row, column),
	    (size_t)PQgetlength(result_of(r), (int)row, column) };
}

/* ---- waiting ----------------------------------------------------------------------- */

/* Until what was put in is sent (`result`: and the next result is there). False: stopped. A
 * connection that is lost ends the wait, and shows in what is done next. */
static bool
wait_for(struct pq *q, bool result)
{
	while (!q->stopped) {
		int unsent = PQflush(q->conn);
		struct pollfd fds[] = {
			{ .fd = PQsocket(q->conn), .events = unsent == 1 ? POLLIN | POLLOUT : POLLIN },
			{ .fd = q->stop_fd, .events = POLLIN },
		};

		if (unsent == -1 || (result ? PQisBusy(q->conn) == 0 : unsent == 0))
			return true;
		if (poll(fds, 2, -1) == -1)
			continue;   /* EINTR */
		if (fds[1].revents != 0)
			q->stopped = true;
		else if ((fds[0].revents & ~POLLOUT) != 0 && PQconsumeInput(q->conn) != 1)
			return true;
	}
	return false;
}

static PGresult *
next_result(struct pq *q)
{
	return wait_for(q, true) ? PQgetResult(q->conn) : NULL;
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
	return conn_error(q, e);
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
	int rc = is_complete(r) ? 0 : result_error(q, r, e);

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

static void
cancel(struct pq *q)
{
	PGcancel *c = PQgetCancel(q->conn);
	char why[256];

	if (c != NULL)
		PQcancel(c, why, sizeof(why));
	PQfreeCancel(c);
}

int
pq_query_within(struct pq *q, double seconds, const char *sql, const struct pq_params *p,
    struct pq_rows **rows, struct error *e)
{
	struct pollfd fd = { .fd = PQsocket(q->conn), .events = POLLIN };
	double end = when_ticks() + seconds, left;

	if (rows != NULL)
		*rows = NULL;
	if (send_params(q, sql, p, e) == -1)
		return -1;
	while (PQisBusy(q->conn) == 1) {
		if ((left = end - when_ticks()) <= 0) {
			cancel(q);
			break;
		}
		poll(&fd, 1, (int)(left * 1000) + 1);
		if (PQconsumeInput(q->conn) != 1)
			break;
	}
	return pq_fetch(q, rows, e);
}

int
pq_run(struct pq *q, const char *sql, struct error *e)
{
	return keep_result(q, PQexec(q->conn, sql), NULL, e);
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
		return rc == 0 ? conn_error(q, e) : -1;
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
		return conn_error(q, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = send_params(q, steps[i].sql, steps[i].params, e);
	if (rc == 0 && PQpipelineSync(q->conn) != 1)
		rc = conn_error(q, e);
	if (rc == 0)
		rc = pipeline_results(q, steps, n, e);
	if (PQexitPipelineMode(q->conn) != 1 && rc == 0)
		rc = conn_error(q, e);
	return rc;
}

void
pq_rollback(struct pq *q)
{
	if (PQtransactionStatus(q->conn) != PQTRANS_IDLE)
		PQclear(PQexec(q->conn, "ROLLBACK"));
}

/* ---- COPY -------------------------------------------------------------------------- */

int
pq_copy_begin(struct pq *q, const char *sql, struct error *e)
{
	PGresult *r;
	int rc;

	if (PQsendQuery(q->conn, sql) != 1)
		return conn_error(q, e);
	r = next_result(q);
	if (r != NULL && PQresultStatus(r) == PGRES_COPY_IN)
		rc = 0;
	else {
		rc = result_error(q, r, e);
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
	conn_error(q, e);
	drain(q);
	return -1;
}

int
pq_copy_end(struct pq *q, uint64_t *rows, struct error *e)
{
	struct pq_rows *done = NULL;

	if (PQputCopyEnd(q->conn, NULL) != 1)
		return conn_error(q, e);
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
		return conn_error(q, e);
	while ((n = PQnotifies(q->conn)) != NULL) {
		PQfreemem(n);
		came = 1;
	}
	return came;
}
