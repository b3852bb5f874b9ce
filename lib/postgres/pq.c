#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "postgres/pq_inside.h"
#include "when.h"

#define CONNECT_SECONDS 10
#define STATE_SIZE 5   /* of an SQLSTATE */

/* ---- errors ----------------------------------------------------------------- */

/* What an SQLSTATE, or the beginning of one, means to the caller; the first that fits. */
static const struct {
	const char *state;
	enum error_kind kind;
} kinds[] = {
	{ "08", ERROR_BUSY },       /* the connection */
	{ "23505", ERROR_BUSY },    /* another one was faster */
	{ "25006", ERROR_BUSY },    /* a standby, which may be promoted */
	{ "25P0", ERROR_BUSY },     /* idle, or under way, for longer than a transaction may be */
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

int
pq_conn_error(struct pq *q, struct error *e)
{
	const char *text = without_severity(PQerrorMessage(q->conn));

	q->state[0] = '\0';
	q->broken = true;
	if (q->stopped)
		return error_set(e, ERROR_NONE, "stopped");
	return error_set(e, ERROR_BUSY, "%s: %.*s", q->where, first_line(text), text);
}

int
pq_result_error(struct pq *q, const PGresult *r, struct error *e)
{
	const char *state = r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (state == NULL || text == NULL)
		return pq_conn_error(q, e);
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

#define ESCAPE_THEM "(a '/' in a password is written %2F, an '@' %40)"

/* A URI in which nobody can tell what is password and what is host. */
static bool
is_ambiguous(const char *conninfo)
{
	const char *at = strncmp(conninfo, "postgres", 8) == 0 ? strstr(conninfo, "://") : NULL;

	if (at == NULL || (at = strchr(at, '@')) == NULL)
		return false;
	return at[1 + strcspn(at + 1, "@?")] == '@';
}

/* In a URI whose password has a '/' or '@' that is not escaped, libpq takes a part of the password for
 * one of a name: what stands before an '@' is shown to nobody. */
static const char *
shown(const PQconninfoOption *options, const char *keyword)
{
	const char *value = options == NULL ? NULL : option(options, keyword);
	const char *at = value == NULL ? NULL : strrchr(value, '@');

	return at != NULL ? at + 1 : value;
}

/* Of these only what says where it is. */
void
pq_describe(const char *conninfo, char *text, size_t size)
{
	PQconninfoOption *o = PQconninfoParse(conninfo, NULL);
	const char *host = shown(o, "host"), *database = shown(o, "dbname"), *service = shown(o, "service");

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

/* What libpq says of a text that it cannot take quotes parts of it, and these may be a password:
 * how much of it may be shown, which is all but what is quoted, if that is more than a sign. */
static int
public_length(const char *why)
{
	size_t n = strcspn(why, "\"\n");

	while (why[n] == '"' && why[n + 1] != '\0' && why[n + 2] == '"')
		n += 3 + strcspn(why + n + 3, "\"\n");
	return (int)n;
}

/* Behind the first n of a list; what is one for all stays. */
static const char *
behind(const char *list, size_t n)
{
	const char *comma;

	for (; n > 0 && (comma = strchr(list, ',')) != NULL; n--)
		list = comma + 1;
	return list;
}

static size_t
count_entries(const char *list)
{
	size_t n = list != NULL;

	for (; list != NULL && (list = strchr(list, ',')) != NULL; list++)
		n++;
	return n;
}

/* How many hosts have been tried, of those that an attempt began with: libpq goes on by itself from
 * one that refuses, and says which it is at. */
static size_t
count_tried(const PGconn *conn, const PQconninfoOption *all)
{
	const char *hosts = option(all, "host") != NULL ? option(all, "host") : option(all, "hostaddr");
	const char *ports = option(all, "port"), *host = PQhost(conn), *port = PQport(conn);

	for (size_t i = 0; i < count_entries(hosts); i++) {
		const char *h = behind(hosts, i), *p = ports != NULL ? behind(ports, i) : "";
		if (host != NULL && strcspn(h, ",") == strlen(host) && strncmp(h, host, strlen(host)) == 0 &&
		    (count_entries(ports) < 2 || (strcspn(p, ",") == strlen(port) && strncmp(p, port, strlen(port)) == 0)))
			return i + 1;
	}
	return 1;
}

/* What a connection is to be. */
struct wish {
	const char *conninfo, *program;
	bool write;
};

/* PQconndefaults() knows what the environment says, PQconninfoParse() what the text does;
 * a service's settings are known to neither. `last`: those of an attempt whose first `tried` hosts are
 * not to be tried again; NULL: there was none. */
static PGconn *
start(const struct wish *w, const PQconninfoOption *last, size_t tried, struct error *e)
{
	static const char *const hosts[] = { "host", "hostaddr", "port" };
	/* What comes behind the text counts more: all texts here are of UTF-8. */
	const char *keywords[16] = { "dbname", "client_encoding" }, *values[16] = { w->conninfo, "UTF8" };
	PQconninfoOption *env = PQconndefaults();
	char *why = NULL;
	PQconninfoOption *said = PQconninfoParse(w->conninfo, &why);
	PGconn *conn = NULL;
	size_t n = 2;

	if (said == NULL)
		error_set(e, ERROR_USAGE, "not a connection string: %.*s...",
		    why != NULL ? public_length(why) : 0, why != NULL ? why : "");
	else if (is_ambiguous(w->conninfo))
		error_set(e, ERROR_USAGE, "not a connection string: more than one '@' %s", ESCAPE_THEM);
	else if (env == NULL)
		error_memory(e);
	else {
		n = add_default(said, keywords, values, n, "fallback_application_name", w->program);
		/* A host that has vanished is noticed within a minute. */
		n = add_default(said, keywords, values, n, "keepalives_idle", "30");
		n = add_default(said, keywords, values, n, "keepalives_interval", "10");
		n = add_default(said, keywords, values, n, "keepalives_count", "3");
		n = add_default(said, keywords, values, n, "tcp_user_timeout", "60000");
		if (w->write && option(env, "target_session_attrs") != NULL &&
		    strcmp(option(env, "target_session_attrs"), "any") == 0)
			n = add_default(said, keywords, values, n, "target_session_attrs", "read-write");
		for (size_t i = 0; last != NULL && i < sizeof(hosts) / sizeof(hosts[0]); i++) {
			if (option(last, hosts[i]) == NULL)
				continue;
			keywords[n] = hosts[i];
			values[n++] = behind(option(last, hosts[i]), tried);
		}
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
patience(const PQconninfoOption *all)
{
	const char *text = option(all, "connect_timeout");
	int seconds = text != NULL ? atoi(text) : 0;

	return seconds > 0 ? seconds : CONNECT_SECONDS;
}

static bool
has_more_hosts(const PQconninfoOption *all, size_t tried)
{
	return count_entries(option(all, "host")) > tried || count_entries(option(all, "hostaddr")) > tried;
}

enum outcome { CONNECTED, REFUSED, SILENT, STOPPED };

/* Wait until the connection is there, or has failed. */
static enum outcome
establish(struct pq *q, double seconds)
{
	double end = when_ticks() + seconds, left;
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (PQstatus(q->conn) != CONNECTION_BAD && status != PGRES_POLLING_OK &&
	    status != PGRES_POLLING_FAILED) {
		struct pollfd fds[] = {
			{ .fd = PQsocket(q->conn),
			    .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT },
			{ .fd = q->stop_fd, .events = POLLIN },
		};
		if ((left = end - when_ticks()) <= 0)
			return SILENT;
		if (poll(fds, 2, (int)(left * 1000) + 1) == -1)
			continue;   /* EINTR */
		if (fds[1].revents != 0)
			return STOPPED;
		if (fds[0].revents != 0)
			status = PQconnectPoll(q->conn);
	}
	return PQstatus(q->conn) == CONNECTION_OK ? CONNECTED : REFUSED;
}

/* Where a message has the server's SQLSTATE: "SEVERITY:  STATE: text", which was asked for because
 * the words may be in any language. NULL: it is none of the server's. */
static const char *
find_state(const char *text)
{
	for (const char *p = text; (p = strstr(p, ":  ")) != NULL; p++)
		if (strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == STATE_SIZE &&
		    strncmp(p + 3 + STATE_SIZE, ": ", 2) == 0)
			return p + 3;
	return NULL;
}

/* What cannot pass by itself, and has no SQLSTATE that says so. */
static const struct {
	const char *words, *and;
	enum error_kind kind;
	bool quotes;   /* what may be a piece of a password */
} refusals[] = {
	{ "authentication failed", "", ERROR_DENIED, false },         /* a pooler's */
	{ "database \"", "does not exist", ERROR_ABSENT, false },
	{ "no password supplied", "", ERROR_DENIED, false },          /* libpq's own */
	{ "certificate verify failed", "", ERROR_DENIED, false },
	{ "server certificate", "", ERROR_DENIED, false },
	{ "certificate file", "", ERROR_DENIED, false },
	{ "SSL was required", "", ERROR_DENIED, false },
	{ "definition of service", "", ERROR_USAGE, false },
	{ "invalid ", " for connection option \"", ERROR_USAGE, true },
	{ "invalid ", " value: \"", ERROR_USAGE, true },
	{ "invalid port number: \"", "", ERROR_USAGE, true },
	{ "could not match ", " to ", ERROR_USAGE, false },           /* as many ports as hosts */
};

/* Why it did not come about. What is not known may pass. */
static int
connect_error(struct pq *q, struct error *e)
{
	const char *text = PQerrorMessage(q->conn), *state = find_state(text);
	enum error_kind kind = state != NULL ? kind_of(state) : ERROR_BUSY;
	bool quotes = false;

	if (kind == ERROR_SYSTEM)
		kind = ERROR_BUSY;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (strstr(text, refusals[i].words) == NULL || strstr(text, refusals[i].and) == NULL)
			continue;
		kind = refusals[i].kind;
		quotes = state == NULL && refusals[i].quotes;
	}
	if (state != NULL)
		text = state + STATE_SIZE + 2;
	return error_set(e, kind, "%s: %.*s%s", q->where, quotes ? public_length(text) : first_line(text), text,
	    quotes ? "... " ESCAPE_THEM : "");
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

/* Try the hosts one after the other. libpq goes on to the next where one refuses; where one is
 * silent that is left to its caller. 0, or -1. */
static int
try_hosts(struct pq *q, const struct wish *w, struct error *e)
{
	PQconninfoOption *all = NULL;
	enum outcome outcome = SILENT;
	size_t tried = 0;

	while (outcome == SILENT && (all == NULL || has_more_hosts(all, tried))) {
		PQfinish(q->conn);
		q->conn = start(w, all, tried, e);
		PQconninfoFree(all);
		if (q->conn == NULL)
			return -1;
		if ((all = PQconninfo(q->conn)) == NULL)
			return error_memory(e);
		PQsetNoticeReceiver(q->conn, take_notice, q);
		PQsetErrorVerbosity(q->conn, PQERRORS_VERBOSE);
		outcome = establish(q, patience(all));
		tried = count_tried(q->conn, all);
	}
	PQconninfoFree(all);
	switch (outcome) {
	case CONNECTED:
		PQsetErrorVerbosity(q->conn, PQERRORS_DEFAULT);
		return PQsetnonblocking(q->conn, 1) == 0 ? 0 : pq_conn_error(q, e);
	case REFUSED:
		return connect_error(q, e);
	case SILENT:
		return error_set(e, ERROR_BUSY, "%s: no answer", q->where);
	default:
		return error_set(e, ERROR_NONE, "stopped");
	}
}

struct pq *
pq_open(const char *conninfo, const char *program, bool write, int stop_fd, struct error *e)
{
	struct pq *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		error_memory(e);
		return NULL;
	}
	q->stop_fd = stop_fd;
	pq_describe(conninfo, q->where, sizeof(q->where));
	if (try_hosts(q, &(struct wish){ conninfo, program, write }, e) == -1)
		pq_close(&q);
	return q;
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

/* A pooler invents the process that can be cancelled. */
int
pq_pooled(struct pq *q, struct error *e)
{
	struct pq_rows *rows = NULL;
	int pooled;

	if (pq_query(q, "SELECT pg_backend_pid()", NULL, &rows, e) == -1)
		return -1;
	pooled = pq_get_int(rows, 0, 0) != PQbackendPID(q->conn);
	pq_free(&rows);
	return pooled;
}
