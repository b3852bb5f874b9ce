#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "serve/internal.h"

static void next_slice(struct session *s);

/* ---- requests in their turn --------------------------------------------- */

static struct ask *
ask_new(struct session *s, const struct proto_request *r)
{
	struct ask *a = calloc(1, sizeof(*a) + r->id.len);

	if (a == NULL) {
		session_close(s, SERVE_CLOSE_ERROR, "out of memory", ENDS);
		return NULL;
	}
	a->action = r->action;
	a->bytes = r->message.len;
	a->id_len = r->id.len;
	if (r->id.len > 0)
		memcpy(a->id, r->id.data, r->id.len);
	return a;
}

static void
ask_free(struct ask *a)
{
	read_free(&a->read);
	buf_free(&a->whole);
	free(a->failure);
	free(a);
}

static void
pop(struct session *s)
{
	struct ask *a = STAILQ_FIRST(&s->asks);

	STAILQ_REMOVE_HEAD(&s->asks, next);
	s->ask_count--;
	s->owed -= a->bytes;
	s->serve->whole_bytes -= a->whole.len;
	ask_free(a);
}

static void
append(struct session *s, struct ask *a)
{
	STAILQ_INSERT_TAIL(&s->asks, a, next);
	s->ask_count++;
	s->owed += a->bytes;
	if (STAILQ_FIRST(&s->asks) == a)
		next_slice(s);
}

/* Answer the first request: it has failed. It is taken off before that: for whom too much
 * waits already, this is the end of it and of all that it has asked for. */
static void
answer_failed(struct session *s, const char *comment)
{
	const struct ask *a = STAILQ_FIRST(&s->asks);
	struct proto_request r = { .action = a->action,
	    .name = str_of(proto_action_name(a->action)) };
	struct message *m = message_new();

	if (a->id_len > 0)
		r.id = (struct str){ a->id, a->id_len };
	if (m != NULL && proto_reply(&m->text, &r, false, comment) == -1) {
		message_unref(m);
		m = NULL;
	}
	pop(s);
	session_send(s, m);
}

void
answer_fail(struct session *s, const struct proto_request *r, const char *comment)
{
	struct ask *a = ask_new(s, r);

	if (a == NULL)
		return;
	a->failure = strdup(comment);   /* or without a comment */
	append(s, a);
}

void
answer_handle(struct session *s, const struct proto_request *r)
{
	struct serve *serve = s->serve;
	struct ask *a;
	struct error e;

	if (serve->settings.reads == NULL) {
		action_fail(s, r, REJECT_STORE, "No store to read from");
		return;
	}
	if ((a = ask_new(s, r)) == NULL)
		return;
	a->read = read_new(serve->settings.reads, r, str_of(s->tenant->code), false,
	    serve->settings.max_answer, SERVE_HEADROOM, &e);
	if (a->read == NULL) {
		ask_free(a);
		session_close(s, SERVE_CLOSE_ERROR, "out of memory", ENDS);
		return;
	}
	append(s, a);
}

/* ---- slices of answers -------------------------------------------------- */

/* A slice is no longer being looked for: somebody else of this watchdog may. */
static void
give_turn(struct serve *serve, struct tenant *t)
{
	struct session *next = TAILQ_FIRST(&t->readers);

	t->reading--;
	if (next == NULL || t->reading >= serve->settings.max_reads)
		return;
	TAILQ_REMOVE(&t->readers, next, of_readers);
	next->ask_waits = false;
	next_slice(next);
}

/* A piece of an answer is there: it is sent when its turn comes. */
static void
take_piece(struct session *s, struct read_result *result)
{
	STAILQ_FIRST(&s->asks)->begun = true;
	s->serve->stats.read_records += result->records;
	s->piece = message_of(&result->text);
	s->piece_first = result->first;
	s->piece_last = result->state == READ_END;
	if (s->piece == NULL) {
		session_close(s, SERVE_CLOSE_ERROR, "out of memory", ENDS);
		return;
	}
	if (s->piece_last) {
		s->serve->stats.reads++;
		pop(s);
	}
}

/* Put a piece behind those that have come before it. False: no memory. */
static bool
add_piece(struct session *s, struct ask *a, struct read_result *result)
{
	size_t had = a->whole.len;

	if (had == 0) {
		a->whole = result->text;
		result->text = (struct buf){ 0 };
	} else if (buf_add(&a->whole, result->text.data + SERVE_HEADROOM,
	    result->text.len - SERVE_HEADROOM) == -1) {
		return false;
	}
	s->serve->whole_bytes += a->whole.len - had;
	return true;
}

static void
too_long(struct session *s, const struct ask *a)
{
	size_t most = s->serve->settings.whole;
	char comment[80];

	s->serve->stats.rejects[REJECT_STORE]++;
	if (a->whole.len - SERVE_HEADROOM > most)
		snprintf(comment, sizeof(comment), "The answer is longer than %zu bytes, ask for less", most);
	else
		snprintf(comment, sizeof(comment), "Too much is asked for at once, try again");
	answer_failed(s, comment);
}

/* Answers go out whole: this one goes on, or is whole, or has failed. */
static void
take_part(struct session *s, struct read_result *result)
{
	struct serve *serve = s->serve;
	struct ask *a = STAILQ_FIRST(&s->asks);

	if (!add_piece(s, a, result)) {
		session_close(s, SERVE_CLOSE_ERROR, "out of memory", ENDS);
	} else if (a->whole.len - SERVE_HEADROOM > serve->settings.whole ||
	    serve->whole_bytes / WHOLES > serve->settings.whole) {
		too_long(s, a);
	} else if (result->state == READ_END) {
		serve->whole_bytes -= a->whole.len;
		buf_free(&result->text);   /* its piece is copied */
		result->text = a->whole;
		result->first = true;
		a->whole = (struct buf){ 0 };
		take_piece(s, result);
	} else {
		serve->stats.read_records += result->records;
	}
}

static void
slice_failed(struct session *s, const struct read_result *result)
{
	s->serve->stats.rejects[REJECT_STORE]++;
	serve_say(s->serve, LOG_WARNING, "a read for %s failed: %s", s->name, result->error.text);
	if (!STAILQ_FIRST(&s->asks)->begun)
		answer_failed(s, read_comment(&result->error));
	else
		session_close(s, SERVE_CLOSE_ERROR, read_comment(&result->error), ENDS);
}

static void
slice_done(void *arg, struct read_result *result)
{
	struct session *s = arg;

	s->ask_looks = false;
	if (result->state == READ_FAILED)
		slice_failed(s, result);
	else if (s->serve->settings.whole > 0)
		take_part(s, result);
	else
		take_piece(s, result);
	give_turn(s->serve, s->tenant);
	if (s->piece == NULL)
		next_slice(s);
	session_settle(s);
	session_wake(s);
}

/* Look for the next piece of the first request's answer, if there is room for
 * it (nothing may overtake the piece that is there), and if it is this session's turn. */
static void
next_slice(struct session *s)
{
	struct ask *a;

	if (s->piece != NULL || s->ask_looks || s->ask_waits)
		return;
	while ((a = STAILQ_FIRST(&s->asks)) != NULL && a->read == NULL)
		answer_failed(s, a->failure);
	if (a == NULL)
		return;
	if (s->tenant->reading >= s->serve->settings.max_reads) {
		s->ask_waits = true;
		TAILQ_INSERT_TAIL(&s->tenant->readers, s, of_readers);
		return;
	}
	s->tenant->reading++;
	s->ask_looks = true;
	read_slice(a->read, PIECE, slice_done, s);
}

/* ---- subscriptions ------------------------------------------------------ */

/* The reply to the request goes out, if it has not. It is the output's alone from then on: to send
 * it may be the end of the session, and of the subscription. */
static void
reply_subscribed(struct session *s)
{
	struct message *m = s->subscribed;

	s->subscribed = NULL;
	if (m != NULL && s->close_code == 0)
		session_send(s, m);
	else
		message_unref(m);
}

static void
subscription_failed(struct session *s, const struct read_result *result)
{
	struct proto_request r = { .action = PROTO_SUBSCRIBE, .name = str_of("subscribe") };

	serve_say(s->serve, LOG_WARNING, "a subscription of %s failed: %s", s->name,
	    result->error.text);
	if (s->subscribed == NULL)
		return;   /* with the next news it is tried again */
	if (s->subscribe_id.len > 0)
		r.id = (struct str){ s->subscribe_id.data, s->subscribe_id.len };
	message_unref(s->subscribed);   /* this is the reply */
	s->subscribed = NULL;
	action_fail(s, &r, REJECT_STORE, read_comment(&result->error));
	answer_unsubscribe(s);
}

static void look_for_news(struct session *s);

static void
news_done(void *arg, struct read_result *result)
{
	struct session *s = arg;
	struct message *text = NULL;
	bool some;

	s->subscription_looks = false;
	if (result->state == READ_FAILED) {
		subscription_failed(s, result);
		session_wake(s);
		return;
	}
	s->news = s->news || result->state == READ_MORE;
	some = result->text.len > 0;
	if (some) {
		s->serve->stats.read_records += result->records;
		text = message_of(&result->text);
	}
	reply_subscribed(s);   /* the result may be gone with it */
	if (some)
		session_send(s, text);
	look_for_news(s);
	session_wake(s);
}

/* Not before all that was sent is out: a slow reader is sent less often. */
static void
look_for_news(struct session *s)
{
	if (s->subscription == NULL || s->subscription_looks || !s->news ||
	    !STAILQ_EMPTY(&s->out) || s->sending != NULL || s->close_code != 0 || s->serve->stopping)
		return;
	s->news = false;
	s->subscription_looks = true;
	read_slice(s->subscription, PIECE, news_done, s);
}

static int
prepare_subscribed(struct session *s, const struct proto_request *r)
{
	s->subscribe_id.len = 0;
	if ((r->id.data != NULL && buf_add_str(&s->subscribe_id, r->id) == -1) ||
	    (s->subscribed = message_new()) == NULL)
		return -1;
	return proto_reply(&s->subscribed->text, r, true, NULL);
}

void
answer_subscribe(struct session *s, const struct proto_request *r)
{
	struct serve *serve = s->serve;
	struct error e;

	if (serve->settings.reads == NULL) {
		action_fail(s, r, REJECT_STORE, "No store to read from");
		return;
	}
	answer_unsubscribe(s);
	s->subscription = read_new(serve->settings.reads, r, str_of(s->tenant->code), true,
	    SIZE_MAX, SERVE_HEADROOM, &e);
	if (s->subscription == NULL) {
		session_close(s, SERVE_CLOSE_ERROR, "out of memory", ENDS);
		return;
	}
	TAILQ_INSERT_TAIL(&serve->subscribers, s, of_subscribers);
	serve->stats.subscriptions++;
	if (prepare_subscribed(s, r) == -1) {
		session_close(s, SERVE_CLOSE_ERROR, "out of memory", ENDS);
		return;
	}
	s->news = true;
	s->subscription_looks = true;
	read_slice(s->subscription, PIECE, news_done, s);
}

void
answer_unsubscribe(struct session *s)
{
	/* Who asks for the next before it has the reply to this one gets it now. */
	reply_subscribed(s);
	buf_free(&s->subscribe_id);
	s->subscription_looks = s->news = false;
	if (s->subscription == NULL)
		return;
	read_free(&s->subscription);
	TAILQ_REMOVE(&s->serve->subscribers, s, of_subscribers);
	s->serve->stats.subscriptions--;
}

bool
serve_wants_news(const struct serve *serve)
{
	return !TAILQ_EMPTY(&serve->subscribers);
}

void
serve_news(struct serve *serve)
{
	struct session *s;

	TAILQ_FOREACH(s, &serve->subscribers, of_subscribers) {
		s->news = true;
		look_for_news(s);
	}
}

/* ---- */

void
answer_go_on(struct session *s)
{
	next_slice(s);
	look_for_news(s);
}

void
answer_end_all(struct session *s)
{
	struct tenant *t = s->tenant;

	answer_unsubscribe(s);
	if (s->ask_waits)
		TAILQ_REMOVE(&t->readers, s, of_readers);
	s->ask_waits = false;
	while (!STAILQ_EMPTY(&s->asks))
		pop(s);
	if (s->ask_looks) {
		s->ask_looks = false;
		give_turn(s->serve, t);
	}
}
