#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "serve/internal.h"
#include "when.h"

const char *const serve_reject_names[REJECTS] = {
	[REJECT_JSON] = "json", [REJECT_ACTION] = "action", [REJECT_MEMBER] = "member",
	[REJECT_RECORD] = "record", [REJECT_ROLE] = "role", [REJECT_AUTH] = "auth",
	[REJECT_UNAUTHENTICATED] = "unauthenticated", [REJECT_TOO_BIG] = "too_big",
	[REJECT_UTF8] = "utf8", [REJECT_BINARY] = "binary", [REJECT_SINK] = "sink",
	[REJECT_STORE] = "store",
};

const char *const serve_end_names[ENDS] = {
	[END_AUTH] = "auth", [END_TIMEOUT] = "timeout", [END_DEAD] = "dead", [END_SLOW] = "slow",
	[END_EXPIRED] = "expired", [END_REVOKED] = "revoked", [END_PROTOCOL] = "protocol",
};

const char *const serve_denial_names[AUTH_LATER] = {
	[AUTH_EXPIRED] = "expired", [AUTH_INVALID_TOKEN] = "token",
	[AUTH_INVALID_SIGNATURE] = "signature", [AUTH_FAILED] = "error",
};

const double serve_latency_bounds[SERVE_LATENCIES] = {
	0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5, INFINITY
};

void
serve_say(struct serve *s, int priority, const char *fmt, ...)
{
	char text[700];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->settings.say(s->settings.arg, priority, text);
}

/* ---- begin and end ------------------------------------------------------ */

struct serve *
serve_new(const struct serve_settings *settings, struct error *e)
{
	struct ndjson_defaults defaults = { .kind = RECORD_LOG };
	struct serve *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		error_memory(e);
		return NULL;
	}
	s->settings = *settings;
	s->ticked_at = when_ticks();
	s->permits = settings->max_message < HOLD ? (unsigned)(HOLD / settings->max_message) : 1;
	s->permits_each = s->permits > HOLDERS ? s->permits / HOLDERS : 1;
	TAILQ_INIT(&s->sessions);
	TAILQ_INIT(&s->subscribers);
	TAILQ_INIT(&s->in_flight);
	for (unsigned i = 0; i < WAITS; i++)
		TAILQ_INIT(&s->waiters[i]);
	if (tenants_new(s, e) == -1 || (s->proto = proto_new(e)) == NULL ||
	    (s->reader = ndjson_new(&defaults, e)) == NULL)
		serve_free(&s);
	return s;
}

void
serve_free(struct serve **sp)
{
	struct serve *s = *sp;
	struct upload *u;

	if (s == NULL)
		return;
	while ((u = TAILQ_FIRST(&s->in_flight)) != NULL) {
		TAILQ_REMOVE(&s->in_flight, u, of_serve);
		upload_free(s, u);
	}
	if (s->tenants != NULL)
		tenants_free(s);
	buf_free(&s->source);
	proto_free(&s->proto);
	ndjson_free(&s->reader);
	free(s);
	*sp = NULL;
}

/* ---- time --------------------------------------------------------------- */

/* Is the other end still there? It shows so by anything that it sends, or takes.
 * While it is not read from, by our own choice, what it sends does not count. */
static void
check_alive(struct session *s, double now)
{
	double interval = s->serve->settings.ping_interval;
	bool pinged = s->pinged_at > s->alive_at;

	if (!session_reads(s) && s->sending == NULL) {
		s->alive_at = now;
	} else if (pinged && now - s->pinged_at >= interval) {
		session_drop(s, END_DEAD);
	} else if (!pinged && now - s->alive_at >= interval) {
		s->pinged_at = now;
		s->want_ping = true;
		session_wake(s);
	}
}

/* Has it been silent for too long? Whoever waits for an answer may be, and whoever
 * is not read from. A message that has begun has a time of its own. */
static void
check_idle(struct session *s, double now)
{
	const struct serve_settings *set = &s->serve->settings;

	if (s->tenant == NULL) {
		if (s->wait != WAIT_KEY && now - s->opened_at >= set->auth_timeout)
			session_close(s, SERVE_CLOSE_NORMAL, "not authenticated in time", END_AUTH);
		return;
	}
	if (!session_reads(s) || !STAILQ_EMPTY(&s->uploads) || !STAILQ_EMPTY(&s->asks) || s->in_answer)
		s->message_at = now;
	else if (now - s->message_at >= set->timeout &&
	    (s->in.len == 0 || now - s->begun_at >= set->timeout))
		session_close(s, SERVE_CLOSE_NORMAL, "timeout", END_TIMEOUT);
}

static void
check_session(struct session *s, double now, double today)
{
	if (s->close_code != 0) {
		if (!s->dropped && now - s->closing_at >= CLOSE_PATIENCE)
			session_drop(s, ENDS);
		return;
	}
	check_alive(s, now);
	check_idle(s, now);
	if (s->tenant != NULL && today >= s->who.expires)
		session_close(s, SERVE_CLOSE_POLICY, "token expired", END_EXPIRED);
}

/* For so long nobody was listened to, as we, or our machine, stood still: that is not the
 * other end's silence. What has come meanwhile is read after this. */
static void
forgive(struct session *s, double lost, double now)
{
	double *const clocks[] = { &s->opened_at, &s->begun_at, &s->alive_at, &s->message_at,
		&s->pinged_at, &s->closing_at };

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++)
		*clocks[i] = fmin(*clocks[i] + lost, now);
}

/* Those that have waited for their rate may try again, each once: who has to wait
 * on goes to the end. */
static void
retry_rates(struct serve *s)
{
	struct session *next;
	size_t n = 0;

	TAILQ_FOREACH(next, &s->waiters[WAIT_RATE], of_waiters)
		n++;
	while (n-- > 0 && (next = TAILQ_FIRST(&s->waiters[WAIT_RATE])) != NULL)
		session_go_on(next);
}

void
serve_tick(struct serve *s)
{
	double now = when_ticks(), today = when_now();
	double lost = now - s->ticked_at > TICK_LATE ? now - s->ticked_at : 0;
	struct session *each, *next;

	s->ticked_at = now;
	for (each = TAILQ_FIRST(&s->sessions); each != NULL; each = next) {
		next = TAILQ_NEXT(each, of_serve);
		if (lost > 0)
			forgive(each, lost, now);
		check_session(each, now, today);
	}
	retry_rates(s);
	tenants_sweep(s);
	action_refresh(s);
}

void
serve_resume(struct serve *s)
{
	struct session *next;

	s->resuming = true;
	while ((next = TAILQ_FIRST(&s->waiters[WAIT_SINK])) != NULL &&
	    !sink_full(s->settings.sink))
		session_go_on(next);
	s->resuming = false;
	if (!TAILQ_EMPTY(&s->waiters[WAIT_KEY]))
		action_refresh(s);
}

void
serve_recheck(struct serve *s)
{
	struct session *each, *next;

	for (each = TAILQ_FIRST(&s->sessions); each != NULL; each = next) {
		next = TAILQ_NEXT(each, of_serve);
		if (each->tenant != NULL && !auth_holds(s->settings.auth, &each->who))
			session_close(each, SERVE_CLOSE_POLICY, "token revoked", END_REVOKED);
	}
}

/* ---- stopping ----------------------------------------------------------- */

void
serve_stop(struct serve *s)
{
	struct session *each, *next;

	s->stopping = true;
	for (each = TAILQ_FIRST(&s->sessions); each != NULL; each = next) {
		next = TAILQ_NEXT(each, of_serve);
		session_settle(each);
		session_wake(each);
	}
}

bool
serve_busy(const struct serve *s)
{
	return !TAILQ_EMPTY(&s->in_flight) || !TAILQ_EMPTY(&s->sessions);
}

void
serve_stats(const struct serve *s, struct serve_stats *out)
{
	*out = s->stats;
}
