#include <stdlib.h>
#include <string.h>

#include "serve/internal.h"

/* ---- messages ----------------------------------------------------------- */

struct message *
message_of(struct buf *text)
{
	struct message *m = malloc(sizeof(*m));

	if (m == NULL) {
		buf_free(text);
		return NULL;
	}
	m->refs = 1;
	m->text = *text;
	*text = (struct buf){ 0 };
	return m;
}

struct message *
message_new(void)
{
	struct buf text = { 0 };

	if (buf_reserve(&text, SERVE_HEADROOM + 128) == -1)
		return NULL;
	text.len = SERVE_HEADROOM;
	return message_of(&text);
}

void
message_unref(struct message *m)
{
	if (m == NULL || --m->refs > 0)
		return;
	buf_free(&m->text);
	free(m);
}

/* ---- waiting ------------------------------------------------------------ */

/* Put it at the end of a queue: it is not read from until it is taken out. */
static void
begin_wait(struct session *s, enum wait what)
{
	s->wait = what;
	TAILQ_INSERT_TAIL(&s->serve->waiters[what], s, of_waiters);
	s->serve->stats.waiting++;
	session_wake(s);
}

static void
end_wait(struct session *s)
{
	if (s->wait == WAIT_NOTHING)
		return;
	TAILQ_REMOVE(&s->serve->waiters[s->wait], s, of_waiters);
	s->serve->stats.waiting--;
	s->wait = WAIT_NOTHING;
	session_wake(s);
}

/* Permits are counted for the tenant, or for all strangers: so nobody who begins many messages
 * and ends none of them keeps the others from being read. */
static unsigned *
permits_of(const struct session *s)
{
	return s->tenant != NULL ? &s->tenant->permits : &s->serve->strangers;
}

static bool
take_permit(struct session *s)
{
	unsigned *had = permits_of(s);

	if (!s->permit && s->serve->permits > 0 && *had < s->serve->permits_each) {
		s->serve->permits--;
		++*had;
		s->permit = true;
	}
	return s->permit;
}

/* Hand a permit back, or on to who has waited longest of those that may have it. */
static void
release_permit(struct session *s)
{
	struct serve *serve = s->serve;
	struct session *next;

	if (!s->permit)
		return;
	s->permit = false;
	serve->permits++;
	--*permits_of(s);
	TAILQ_FOREACH(next, &serve->waiters[WAIT_PERMIT], of_waiters) {
		if (take_permit(next)) {
			end_wait(next);
			break;
		}
	}
}

/* ---- input -------------------------------------------------------------- */

/* What was held is handled, or not wanted any more. */
static void
let_go(struct session *s)
{
	s->serve->stats.held_bytes -= s->in.len;
	if (s->in.len > 0 && s->in.len <= SHORT_MESSAGE)
		explicit_bzero(s->in.data, s->in.len);   /* it may be a token */
	buf_free(&s->in);
	s->whole = false;
	release_permit(s);
}

static int
hold(struct session *s, struct str piece)
{
	if (buf_add_str(&s->in, piece) == -1) {
		session_close(s, SERVE_CLOSE_ERROR, "out of memory", ENDS);
		return -1;
	}
	s->serve->stats.held_bytes += piece.len;
	return 0;
}

/* A message is there; it stands in s->in, or in the transport's memory. */
static void
handle(struct session *s, struct str text)
{
	bool held = s->in.len > 0;
	enum wait what = action_handle(s, text, s->binary);

	if (s->close_code != 0)
		what = WAIT_NOTHING;
	if (what == WAIT_NOTHING) {
		let_go(s);
	} else if (held || hold(s, text) == 0) {
		s->whole = true;
		begin_wait(s, what);
	}
}

void
session_go_on(struct session *s)
{
	end_wait(s);
	if (s->whole)
		handle(s, (struct str){ s->in.data, s->in.len });
	session_wake(s);
}

static void
receive(struct session *s, struct str piece, bool first, bool last, bool binary)
{
	struct serve *serve = s->serve;

	serve->stats.bytes += piece.len;
	if (first) {
		s->binary = binary;
		s->begun_at = s->alive_at;
	}
	if (s->in.len + piece.len > serve->settings.max_message) {
		serve->stats.rejects[REJECT_TOO_BIG]++;
		session_close(s, SERVE_CLOSE_TOO_BIG, "message too big", END_PROTOCOL);
		return;
	}
	if (!(first && last) && hold(s, piece) == -1)
		return;
	if (last) {
		serve->stats.messages++;
		s->message_at = s->alive_at;
		handle(s, first ? piece : (struct str){ s->in.data, s->in.len });
	} else if (s->in.len > SHORT_MESSAGE && !take_permit(s)) {
		begin_wait(s, WAIT_PERMIT);
	}
}

void
session_receive(struct session *s, struct str piece, bool first, bool last, bool binary)
{
	if (s->close_code != 0)
		return;
	s->receiving = true;
	s->alive_at = when_ticks();
	receive(s, piece, first, last, binary);
	s->receiving = false;
}

bool
session_reads(const struct session *s)
{
	return !s->serve->stopping && s->close_code == 0 && s->wait == WAIT_NOTHING &&
	    s->subscribed == NULL && s->upload_count < UPLOADS_MAX && s->ask_count < ASKS_MAX &&
	    s->owed < REQUESTS_MAX && s->out_bytes < REPLIES_MAX;
}

void
session_alive(struct session *s)
{
	s->alive_at = when_ticks();
}

/* ---- output ------------------------------------------------------------- */

void
session_wake(struct session *s)
{
	if (!s->receiving)
		s->serve->settings.wake(s->transport);
}

void
session_send(struct session *s, struct message *m)
{
	struct serve *serve = s->serve;
	struct output *o;

	if (s->close_code != 0 && s->closed) {
		message_unref(m);
		return;
	}
	if (m == NULL || (o = malloc(sizeof(*o))) == NULL) {
		message_unref(m);
		session_close(s, SERVE_CLOSE_ERROR, "out of memory", ENDS);
		return;
	}
	o->message = m;
	STAILQ_INSERT_TAIL(&s->out, o, next);
	s->out_bytes += m->text.len;
	serve->stats.queued_bytes += m->text.len;
	if (s->out_bytes > serve->settings.max_queue && STAILQ_FIRST(&s->out) != o) {
		serve_say(serve, 5, "%s: too slow: %zu bytes wait for it", s->name, s->out_bytes);
		session_drop(s, END_SLOW);
	}
	session_wake(s);
}

/* Take the first message off the queue. The caller has its reference. */
static struct message *
dequeue(struct session *s)
{
	struct output *o = STAILQ_FIRST(&s->out);
	struct message *m = o->message;

	STAILQ_REMOVE_HEAD(&s->out, next);
	s->out_bytes -= m->text.len;
	s->serve->stats.queued_bytes -= m->text.len;
	free(o);
	return m;
}

/* What is sent next, if it is text: an answer that has begun goes on before
 * anything else, and a new one begins when nothing else waits. */
static void
choose(struct session *s)
{
	s->sending_first = s->sending_last = true;
	if (!s->in_answer && !STAILQ_EMPTY(&s->out)) {
		s->sending = dequeue(s);
	} else if (s->piece != NULL) {
		s->sending = s->piece;
		s->piece = NULL;
		s->sending_first = s->piece_first;
		s->sending_last = s->piece_last;
		s->in_answer = !s->piece_last;
		answer_go_on(s);
	}
}

void
session_output(struct session *s, struct session_output *out)
{
	*out = (struct session_output){ .type = OUTPUT_NONE };
	if (s->closed || s->dropped)
		return;
	if (s->sending == NULL && s->want_ping) {
		out->type = OUTPUT_PING;
		return;
	}
	if (s->sending == NULL)
		choose(s);
	if (s->sending != NULL) {
		out->type = OUTPUT_TEXT;
		out->data = s->sending->text.data + SERVE_HEADROOM;
		out->len = s->sending->text.len - SERVE_HEADROOM;
		out->first = s->sending_first;
		out->last = s->sending_last;
	} else if (s->close_code != 0) {
		out->type = OUTPUT_CLOSE;
		out->code = s->close_code;
		out->reason = s->close_reason;
	}
}

void
session_sent(struct session *s)
{
	if (s->sending != NULL) {
		s->alive_at = when_ticks();
		message_unref(s->sending);
		s->sending = NULL;
		answer_go_on(s);
	} else if (s->want_ping) {
		s->want_ping = false;
	} else {
		s->closed = s->close_code != 0;
	}
	session_settle(s);
}

/* What waits to be sent is not wanted any more. (What is being sent is the
 * transport's until it says so.) */
static void
drop_output(struct session *s)
{
	while (!STAILQ_EMPTY(&s->out))
		message_unref(dequeue(s));
	message_unref(s->piece);
	s->piece = NULL;
}

/* ---- begin and end ------------------------------------------------------ */

struct session *
session_new(struct serve *serve, void *transport, const char *name, struct error *e)
{
	struct session *s = calloc(1, sizeof(*s));
	struct identity who;

	if (s == NULL || (s->name = strdup(name)) == NULL)
		goto fail;
	s->serve = serve;
	s->transport = transport;
	STAILQ_INIT(&s->uploads);
	STAILQ_INIT(&s->asks);
	STAILQ_INIT(&s->out);
	s->opened_at = s->alive_at = s->message_at = when_ticks();
	if (auth_local(serve->settings.auth, &who)) {
		if ((s->tenant = tenant_get(serve, who.watchdog)) == NULL)
			goto fail;
		s->who = who;
		TAILQ_INSERT_TAIL(&s->tenant->sessions, s, of_tenant);
		serve->stats.authenticated++;
	}
	TAILQ_INSERT_TAIL(&serve->sessions, s, of_serve);
	serve->stats.sessions++;
	serve->stats.sessions_ever++;
	return s;
fail:
	if (s != NULL)
		free(s->name);
	free(s);
	error_memory(e);
	return NULL;
}

int
session_vouch(struct session *s, const struct identity *who, struct error *e)
{
	s->greeted = true;
	return session_join(s, who) == 0 ? 0 : error_memory(e);
}

static void
leave_tenant(struct session *s)
{
	if (s->tenant == NULL)
		return;
	TAILQ_REMOVE(&s->tenant->sessions, s, of_tenant);
	tenant_unref(s->serve, s->tenant);
	s->tenant = NULL;
	s->serve->stats.authenticated--;
}

int
session_join(struct session *s, const struct identity *who)
{
	struct tenant *t = tenant_get(s->serve, who->watchdog);

	if (t == NULL)
		return -1;
	*permits_of(s) -= s->permit;   /* for the message that says so */
	leave_tenant(s);
	s->tenant = t;
	*permits_of(s) += s->permit;
	s->who = *who;
	TAILQ_INSERT_TAIL(&t->sessions, s, of_tenant);
	s->serve->stats.authenticated++;
	return 0;
}

void
session_free(struct session **sp)
{
	struct session *s = *sp;
	struct upload *u;

	if (s == NULL)
		return;
	*sp = NULL;
	s->receiving = true;   /* nothing there to be woken */
	end_wait(s);
	let_go(s);
	answer_end_all(s);
	while ((u = STAILQ_FIRST(&s->uploads)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->uploads, next);
		u->session = NULL;
		if (u->done)
			upload_free(s->serve, u);
	}
	drop_output(s);
	message_unref(s->sending);
	leave_tenant(s);
	TAILQ_REMOVE(&s->serve->sessions, s, of_serve);
	s->serve->stats.sessions--;
	free(s->name);
	free(s);
}

/* Is anything of it under way? A message that waits for the sink counts, one that
 * is not whole does not. */
static bool
is_busy(const struct session *s)
{
	return !STAILQ_EMPTY(&s->uploads) || !STAILQ_EMPTY(&s->asks) || !STAILQ_EMPTY(&s->out) ||
	    s->piece != NULL || s->sending != NULL || s->wait == WAIT_SINK;
}

bool
session_idle(const struct session *s)
{
	return !is_busy(s);
}

void
session_settle(struct session *s)
{
	if (s->serve->stopping && !is_busy(s))
		session_close(s, SERVE_CLOSE_AWAY, "going away", ENDS);
}

/* From here on nothing comes in, and no more answers go out. */
static void
end(struct session *s, int code, const char *reason, enum serve_end why)
{
	s->close_code = code;
	s->close_reason = reason;
	s->closing_at = when_ticks();
	if (why != ENDS)
		s->serve->stats.ends[why]++;
	end_wait(s);
	answer_end_all(s);
}

void
session_close(struct session *s, int code, const char *reason, enum serve_end why)
{
	if (s->close_code != 0)
		return;
	end(s, code, reason, why);
	/* In the midst of an answer nothing else can be said any more; and one that
	 * has not begun would not come to its end. */
	if (s->in_answer) {
		drop_output(s);
	} else if (!s->piece_last) {
		message_unref(s->piece);
		s->piece = NULL;
	}
	s->in_answer = false;
	session_wake(s);
}

void
session_drop(struct session *s, enum serve_end why)
{
	if (s->dropped)
		return;
	s->dropped = true;
	if (s->close_code == 0)
		end(s, SERVE_CLOSE_POLICY, "dropped", why);
	drop_output(s);
	session_wake(s);
}

bool
session_dropped(const struct session *s)
{
	return s->dropped;
}
