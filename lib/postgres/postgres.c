#include "postgres/postgres.h"

#include <stdlib.h>

#include "again.h"

/* How long to wait before an attempt, in seconds: at first, and at most. */
#define AGAIN 0.1
#define AGAIN_MOST 5.0

static const char *const programs[] = {
	[STORE_READ] = "monitor reader",
	[STORE_WRITE] = "monitor writer",
	[STORE_PURGE] = "monitor purger",
};

/* ---- the connection -------------------------------------------------------------- */

void
postgres_disconnect(struct postgres *s)
{
	pq_close(&s->pq);
}

/* A batch that is tried again waits for the server's process of the first attempt: that is to
 * notice soon that nobody is there any more. (A pooler sees to that itself.) */
static int
notice_loss(struct postgres *s, struct error *e)
{
	int pooled;

	if (s->mode == STORE_READ)
		return 0;
	if ((pooled = pq_pooled(s->pq, e)) != 0)
		return pooled == -1 ? -1 : 0;
	return pq_query(s->pq, "SELECT set_config('tcp_keepalives_idle', '30', false),"
	    " set_config('tcp_keepalives_interval', '10', false),"
	    " set_config('tcp_keepalives_count', '3', false)", NULL, NULL, e);
}

int
postgres_connect(struct postgres *s, struct error *e)
{
	if (s->pq != NULL && !pq_lost(s->pq))
		return 0;
	postgres_disconnect(s);
	s->pq = pq_open(s->conninfo, programs[s->mode], s->mode != STORE_READ, s->trouble.stop_fd, e);
	if (s->pq == NULL)
		return -1;
	if (postgres_check(s, e) == 0 && notice_loss(s, e) == 0)
		return 0;
	postgres_disconnect(s);
	return -1;
}

int
postgres_query(struct postgres *s, const char *sql, const struct pq_params *p,
    struct pq_rows **rows, struct error *e)
{
	for (int i = 0; i < 2; i++) {
		if (postgres_connect(s, e) == -1)
			return -1;
		if (pq_query(s->pq, sql, p, rows, e) == 0)
			return 0;
		if (!pq_lost(s->pq))
			return -1;
	}
	return -1;
}

/* ---- trying again ------------------------------------------------------------------ */

static void
tell(struct postgres *s, const char *why)
{
	if (s->trouble.tell != NULL && s->told != (why != NULL))
		s->trouble.tell(s->trouble.arg, why);
	s->told = why != NULL;
}

int
postgres_again(struct postgres *s, unsigned *tries, struct error *e)
{
	int rc;

	if (e->kind != ERROR_BUSY)
		return -1;
	tell(s, e->text);
	rc = again_wait(++*tries, AGAIN, AGAIN_MOST, s->trouble.stop_fd, e);
	return rc == 1 ? error_set(e, ERROR_NONE, "stopped") : rc;
}

void
postgres_well(struct postgres *s, unsigned *tries)
{
	tell(s, NULL);
	*tries = 0;
}

static void
postgres_trouble(void *impl, const struct store_trouble *t)
{
	struct postgres *s = impl;

	s->trouble = *t;
	if (s->pq != NULL)
		pq_stop_fd(s->pq, t->stop_fd);
	else if (s->away.text[0] != '\0')
		tell(s, s->away.text);
}

/* ---- opening ------------------------------------------------------------------------ */

static bool
postgres_claims(const char *url, const char **rest)
{
	*rest = url;
	return pq_claims(url);
}

void
postgres_close(void *impl)
{
	struct postgres *s = impl;

	if (s == NULL)
		return;
	postgres_news_free(&s->news);
	postgres_adder_free(&s->adder);
	postgres_disconnect(s);
	free(s->conninfo);
	free(s);
}

/* Who adds need not find the server there: store_add() waits for it. */
static void *
postgres_open(const char *conninfo, enum store_mode mode, int stop_fd, struct error *e)
{
	struct postgres *s = calloc(1, sizeof(*s));

	if (s == NULL || (s->conninfo = strdup(conninfo)) == NULL) {
		postgres_close(s);
		error_memory(e);
		return NULL;
	}
	s->mode = mode;
	s->trouble.stop_fd = stop_fd;
	pq_describe(conninfo, s->where, sizeof(s->where));
	if (postgres_connect(s, &s->away) == 0 || (mode == STORE_WRITE && s->away.kind == ERROR_BUSY))
		return s;
	if (e != NULL)
		*e = s->away;
	postgres_close(s);
	return NULL;
}

struct postgres *
postgres_beside(const struct postgres *s)
{
	struct postgres *other = postgres_open(s->conninfo, STORE_READ, s->trouble.stop_fd, NULL);

	if (other != NULL)
		other->trouble = s->trouble;
	return other;
}

/* ---- what PostgreSQL has its own tools for ---------------------------------------------- */

static int
postgres_backup(void *impl, const char *path, struct error *e)
{
	(void)path;
	return error_set(e, ERROR_USAGE, "%s: pg_dump and pg_basebackup make backups of PostgreSQL",
	    ((struct postgres *)impl)->where);
}

static int
postgres_salvage(void *impl, const char *path, struct store_salvaged *out, struct error *e)
{
	(void)path;
	(void)out;
	return error_set(e, ERROR_USAGE, "%s: salvage into a file, then pipe that here",
	    ((struct postgres *)impl)->where);
}

const struct store_backend store_postgres = {
	.name = "postgresql",
	.claims = postgres_claims,
	.open = postgres_open,
	.close = postgres_close,
	.create_schema = postgres_create_schema,
	.schema = postgres_schema,
	.distant = true,
	.trouble = postgres_trouble,
	.batch = 32768,   /* the server waits for the disk, and for us, once in a batch */
	.add = postgres_add,
	.ask = postgres_ask,
	.next = postgres_next,
	.position = postgres_position,
	.end_ask = postgres_end_ask,
	.by_arrival = postgres_by_arrival,
	.end = postgres_end,
	.watch = postgres_watch,
	.watched = postgres_watched,
	.await = postgres_await,
	.tally = postgres_tally,
	.span = postgres_span,
	.stats = postgres_stats,
	.backup = postgres_backup,
	.verify = postgres_verify,
	.salvage = postgres_salvage,
	.purge = postgres_purge,
};
