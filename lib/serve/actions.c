#include <stdlib.h>
#include <syslog.h>

#include "serve/internal.h"
#include "utf8.h"
#include "when.h"

/* ---- replies ------------------------------------------------------------ */

static void
reply(struct session *s, const struct proto_request *r, bool success, const char *comment)
{
	struct message *m = message_new();

	if (m != NULL && proto_reply(&m->text, r, success, comment) == -1) {
		message_unref(m);
		m = NULL;
	}
	session_send(s, m);
}

/* Which actions have replies that wait for others: their failures wait, too. */
static void (*const fail_in_turn[PROTO_ACTIONS])(struct session *, const struct proto_request *,
    const char *) = {
	[PROTO_UPLOAD_LOGS] = upload_fail,
	[PROTO_UPLOAD_NOTIFICATIONS] = upload_fail,
	[PROTO_GET_LOGS] = answer_fail,
	[PROTO_GET_NOTIFICATIONS] = answer_fail,
	[PROTO_GET_RECORDS] = answer_fail,
};

void
action_fail(struct session *s, const struct proto_request *r, enum serve_reject why,
    const char *comment)
{
	s->serve->stats.rejects[why]++;
	if (fail_in_turn[r->action] != NULL && s->tenant != NULL)
		fail_in_turn[r->action](s, r, comment);
	else
		reply(s, r, false, comment);
}

/* ---- who is there ------------------------------------------------------- */

static enum wait
refuse_token(struct session *s, const struct proto_request *r, enum auth_result result,
    const struct error *e)
{
	const char *comment = auth_comment(result);

	s->serve->stats.denials[result]++;
	serve_say(s->serve, LOG_NOTICE, "%s: %s: %s", s->name, comment, e->text);
	action_fail(s, r, REJECT_AUTH, comment);
	session_close(s, SERVE_CLOSE_NORMAL, "", END_AUTH);
	return WAIT_NOTHING;
}

static void
accept_token(struct session *s, const struct proto_request *r, const struct identity *who)
{
	struct message *m = message_new();

	if (m != NULL && (session_join(s, who) == -1 ||
	    proto_reply_auth(&m->text, r, s->serve->settings.timeout) == -1)) {
		message_unref(m);
		m = NULL;
	}
	s->greeted = m != NULL;
	session_send(s, m);
}

static enum wait
handle_auth(struct session *s, const struct proto_request *r)
{
	struct serve *serve = s->serve;
	enum auth_result result = AUTH_INVALID_TOKEN;
	struct error e = { .text = "there is no token" };
	struct identity who;

	if (s->greeted) {
		action_fail(s, r, REJECT_ACTION, "Already authenticated");
		return WAIT_NOTHING;
	}
	if (r->token.data != NULL)
		result = auth_check(serve->settings.auth, r->token, when_now(), &who, &e);
	switch (result) {
	case AUTH_OK:
		accept_token(s, r, &who);
		return WAIT_NOTHING;
	case AUTH_LATER:
		if (!s->retried && !serve->stopping) {
			s->retried = true;
			return WAIT_KEY;
		}
		return refuse_token(s, r, AUTH_INVALID_SIGNATURE, &e);
	case AUTH_FAILED:
		serve->stats.denials[result]++;
		serve_say(serve, LOG_ERR, "%s: %s", s->name, e.text);
		action_fail(s, r, REJECT_AUTH, "Can't be checked now, try again");
		session_close(s, SERVE_CLOSE_ERROR, "", END_AUTH);
		return WAIT_NOTHING;
	default:
		return refuse_token(s, r, result, &e);
	}
}

/* ---- the key ------------------------------------------------------------ */

static void
fetch_key(struct pool_job *job, void *worker)
{
	struct serve *s = (struct serve *)((char *)job - offsetof(struct serve, refresh));

	(void)worker;
	s->refresh_error.kind = ERROR_NONE;
	if (auth_refresh(s->settings.auth, &s->refresh_error) == -1 &&
	    s->refresh_error.kind == ERROR_NONE)
		s->refresh_error.kind = ERROR_SYSTEM;
}

/* Whatever came of it, who waited for it gets an answer now. */
static void
key_fetched(struct pool_job *job)
{
	struct serve *s = (struct serve *)((char *)job - offsetof(struct serve, refresh));
	struct session *next;

	s->refreshing = false;
	if (s->refresh_error.kind != ERROR_NONE)
		serve_say(s, LOG_WARNING, "%s", s->refresh_error.text);
	while ((next = TAILQ_FIRST(&s->waiters[WAIT_KEY])) != NULL)
		session_go_on(next);   /* nobody waits twice */
}

void
action_refresh(struct serve *s)
{
	if (s->refreshing || s->stopping ||
	    (TAILQ_EMPTY(&s->waiters[WAIT_KEY]) && !auth_due(s->settings.auth)))
		return;
	s->refreshing = true;
	s->refresh = (struct pool_job){ .run = fetch_key, .done = key_fetched, .urgent = true };
	pool_submit(s->settings.pool, &s->refresh);
}

/* ---- the small ones ----------------------------------------------------- */

static enum wait
handle_ping(struct session *s, const struct proto_request *r)
{
	reply(s, r, true, NULL);
	return WAIT_NOTHING;
}

static enum wait
handle_disconnect(struct session *s, const struct proto_request *r)
{
	reply(s, r, true, NULL);
	session_close(s, SERVE_CLOSE_NORMAL, "", ENDS);
	return WAIT_NOTHING;
}

static enum wait
handle_read(struct session *s, const struct proto_request *r)
{
	answer_handle(s, r);
	return WAIT_NOTHING;
}

static enum wait
handle_subscribe(struct session *s, const struct proto_request *r)
{
	answer_subscribe(s, r);
	return WAIT_NOTHING;
}

static enum wait
handle_unsubscribe(struct session *s, const struct proto_request *r)
{
	answer_unsubscribe(s);
	reply(s, r, true, NULL);
	return WAIT_NOTHING;
}

static enum wait
handle_unknown(struct session *s, const struct proto_request *r)
{
	action_fail(s, r, REJECT_ACTION, "Unknown Action");
	return WAIT_NOTHING;
}

static enum wait (*const handlers[PROTO_ACTIONS])(struct session *, const struct proto_request *) = {
	[PROTO_AUTH] = handle_auth,
	[PROTO_UPLOAD_LOGS] = upload_handle,
	[PROTO_UPLOAD_NOTIFICATIONS] = upload_handle,
	[PROTO_GET_LOGS] = handle_read,
	[PROTO_GET_NOTIFICATIONS] = handle_read,
	[PROTO_GET_RECORDS] = handle_read,
	[PROTO_SUBSCRIBE] = handle_subscribe,
	[PROTO_UNSUBSCRIBE] = handle_unsubscribe,
	[PROTO_PING] = handle_ping,
	[PROTO_KEEPALIVE] = handle_ping,
	[PROTO_DISCONNECT] = handle_disconnect,
	[PROTO_UNKNOWN] = handle_unknown,
};

/* ---- a message ---------------------------------------------------------- */

/* Not a message of this protocol at all: say so, and close, as ever. */
static enum wait
refuse(struct session *s, enum serve_reject why, const char *comment, int code)
{
	struct proto_request nothing = { .action = PROTO_UNKNOWN };

	action_fail(s, &nothing, why, comment);
	session_close(s, code, "", END_PROTOCOL);
	return WAIT_NOTHING;
}

static enum wait
refuse_text(struct session *s, struct str text, const struct proto_request *r,
    const struct error *e)
{
	if (e->kind == ERROR_MEMORY) {
		session_close(s, SERVE_CLOSE_ERROR, "out of memory", ENDS);
		return WAIT_NOTHING;
	}
	if (utf8_check(text) != text.len) {
		s->serve->stats.rejects[REJECT_UTF8]++;
		session_close(s, SERVE_CLOSE_NOT_UTF8, "not UTF-8", END_PROTOCOL);
		return WAIT_NOTHING;
	}
	if (r->name.len == 0)
		return refuse(s, REJECT_JSON, e->text, SERVE_CLOSE_NORMAL);
	action_fail(s, r, REJECT_MEMBER, e->text);
	return WAIT_NOTHING;
}

/* What only a watchdog may do, and what others are told. */
static const char *const for_watchdogs[PROTO_ACTIONS] = {
	[PROTO_UPLOAD_LOGS] = "Only wds can upload logs.",
	[PROTO_UPLOAD_NOTIFICATIONS] = "Only wds can upload notifications.",
};

static enum wait
refuse_stranger(struct session *s, const struct proto_request *r)
{
	action_fail(s, r, REJECT_UNAUTHENTICATED, "Please authenticate first");
	session_close(s, SERVE_CLOSE_NORMAL, "", END_AUTH);
	return WAIT_NOTHING;
}

enum wait
action_handle(struct session *s, struct str text, bool binary)
{
	struct proto_request r;
	struct error e;
	int rc;

	if (binary)
		return refuse(s, REJECT_BINARY, "Messages are text", SERVE_CLOSE_NORMAL);
	rc = proto_read(s->serve->proto, text, when_now(), &r, &e);
	if (rc == -1 && (r.name.len == 0 || e.kind != ERROR_INVALID))
		return refuse_text(s, text, &r, &e);
	if (s->tenant == NULL && r.action != PROTO_AUTH)
		return refuse_stranger(s, &r);
	if (for_watchdogs[r.action] != NULL && s->who.role != AUTH_WATCHDOG) {
		action_fail(s, &r, REJECT_ROLE, for_watchdogs[r.action]);
		return WAIT_NOTHING;
	}
	if (rc == -1)
		return refuse_text(s, text, &r, &e);
	if (r.action != PROTO_AUTH)
		s->greeted = true;
	return handlers[r.action](s, &r);
}
