#include "client.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "client/setup.h"
#include "client/wslink.h"
#include "json.h"
#include "when.h"

struct client {
	struct client_settings settings;   /* with the next two, and no token */
	char *name, *token_file;
	struct client_url url;
	struct buf auth;           /* the message that shows the token; empty: there is none */
	struct wslink *link;
	struct buf received;       /* what the caller looks at */
};

struct client *
client_new(const struct client_settings *settings, struct error *e)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		error_memory(e);
		return NULL;
	}
	if (client_url_parse(settings->url, &c->url, e) == -1 ||
	    client_auth_message(settings, &c->auth, e) == -1 ||
	    client_check(settings, &c->url, c->auth.len > 0, e) == -1)
		goto fail;
	if ((c->name = strdup(settings->url)) == NULL || (settings->token_file != NULL &&
	    (c->token_file = strdup(settings->token_file)) == NULL)) {
		error_memory(e);
		goto fail;
	}
	c->settings = *settings;
	c->settings.url = c->name;
	c->settings.token_file = c->token_file;
	c->settings.token = NULL;
	if ((c->link = wslink_new(&c->settings, &c->url, e)) == NULL)
		goto fail;
	return c;
fail:
	client_free(&c);
	return NULL;
}

void
client_free(struct client **cp)
{
	struct client *c = *cp;

	if (c == NULL)
		return;
	wslink_free(&c->link);
	client_wipe(&c->auth);
	buf_free(&c->received);
	free(c->url.path);
	free(c->name);
	free(c->token_file);
	free(c);
	*cp = NULL;
}

/* ---- waiting --------------------------------------------------------------- */

/* When the time is up that something may take which begins now. */
static double
deadline(const struct client *c)
{
	return c->settings.timeout > 0 ? when_ticks() + c->settings.timeout : INFINITY;
}

/* Wait until `fd` is readable. -1: told to stop, or the time is up. */
static int
wait_for(const struct client *c, int fd, double until, struct error *e)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
	    { .fd = c->settings.stop_fd > 0 ? c->settings.stop_fd : -1, .events = POLLIN } };
	double left;
	int n;

	for (;;) {
		left = fmax(until - when_ticks(), 0);
		n = poll(fds, 2, left < 1e6 ? (int)ceil(left * 1000) : -1);
		if (n == -1 && errno != EINTR)
			return error_errno(e, errno, "poll");
		if (n > 0 && fds[1].revents != 0)
			return error_set(e, ERROR_NONE, "%s: told to stop", c->name);
		if (n > 0)
			return 0;
		if (n == 0)
			return error_set(e, ERROR_BUSY, "%s: no answer within %g s", c->name,
			    c->settings.timeout);
	}
}

/* Wait until the link has changed, or may have. */
static int
wait_for_change(const struct client *c, double until, struct error *e)
{
	eventfd_t n;

	if (wait_for(c, wslink_wake_fd(c->link), until, e) == -1)
		return -1;
	eventfd_read(wslink_wake_fd(c->link), &n);
	return 0;
}

static int
send_until(struct client *c, struct str text, double until, struct error *e)
{
	int rc;

	while ((rc = wslink_send(c->link, text, e)) == 0)
		if (wait_for_change(c, until, e) == -1)
			return -1;
	return rc == 1 ? 0 : -1;
}

static int
receive_until(struct client *c, struct str *text, double until, struct error *e)
{
	int rc;

	buf_free(&c->received);
	while ((rc = wslink_receive(c->link, &c->received, e)) == 0)
		if (wait_for(c, wslink_fd(c->link), until, e) == -1)
			return -1;
	*text = (struct str){ c->received.data, c->received.len };
	return rc == 1 ? 0 : -1;
}

/* ---- connecting -------------------------------------------------------------- */

enum answered { ACTION, SUCCESS, COMMENT, TIMEOUT, ANSWERED };

/* The answer to our token. Only what the contract has is a verdict on it. */
static int
judge(struct client *c, struct json *j, const struct str values[ANSWERED], struct error *e)
{
	static const char *const verdicts[] = { "Expired", "Invalid token", "Invalid signature" };
	struct str comment = { "", 0 };
	struct decimal d;
	double timeout;
	bool success;

	if (json_bool(values[SUCCESS], &success) && success) {
		if (json_number(values[TIMEOUT], &d) && decimal_double(&d, &timeout) == 0 &&
		    timeout > 0)
			wslink_timeout(c->link, timeout);
		return 0;
	}
	json_string(j, values[COMMENT], &comment);
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (str_equal(comment, str_of(verdicts[i])))
			return error_set(e, ERROR_DENIED, "%s: the token is not accepted: %s", c->name,
			    verdicts[i]);
	return error_set(e, ERROR_BUSY, "%s: the token was not looked at", c->name);
}

/* Is this message the answer? 1: yes, and well; 0: no; -1. */
static int
take_answer(struct client *c, struct str text, struct error *e)
{
	static const char *const names[ANSWERED] = { "action", "success", "comment", "timeout" };
	struct str value, values[ANSWERED], action;
	struct json j = { 0 };
	int rc;

	if (json_open(&j, text, &value, NULL) == -1 || !json_is_object(value) ||
	    !json_members(&j, value, names, values, ANSWERED) ||
	    !json_string(&j, values[ACTION], &action))
		rc = error_set(e, ERROR_INVALID, "%s: what answers there is not monitor-wsd", c->name);
	else if (!str_equal(action, str_of("auth")))
		rc = 0;
	else
		rc = judge(c, &j, values, e) == 0 ? 1 : -1;
	json_free(&j);
	return rc;
}

static int
authenticate(struct client *c, double until, struct error *e)
{
	struct str text;
	int rc = 0;

	if (c->auth.len == 0)
		return 0;
	client_renew_auth(&c->settings, &c->auth);
	if (send_until(c, (struct str){ c->auth.data, c->auth.len }, until, e) == -1)
		return -1;
	while (rc == 0) {
		if (receive_until(c, &text, until, e) == -1)
			return -1;
		rc = take_answer(c, text, e);
	}
	return rc == 1 ? 0 : -1;
}

static int
open_until(struct client *c, double until, struct error *e)
{
	enum wslink_state state;

	wslink_open(c->link);
	while ((state = wslink_state(c->link, e)) == WSLINK_OPENING)
		if (wait_for_change(c, until, e) == -1)
			return -1;
	return state == WSLINK_UP ? 0 : -1;
}

int
client_connect(struct client *c, struct error *e)
{
	double until = deadline(c);

	if (wslink_state(c->link, NULL) == WSLINK_UP)
		return 0;
	if (open_until(c, until, e) == 0 && authenticate(c, until, e) == 0)
		return 0;
	wslink_close(c->link);
	return -1;
}

void
client_disconnect(struct client *c)
{
	wslink_close(c->link);
}

/* ---- messages ------------------------------------------------------------------ */

int
client_send(struct client *c, struct str text, struct error *e)
{
	return send_until(c, text, deadline(c), e);
}

int
client_receive(struct client *c, struct str *text, struct error *e)
{
	return receive_until(c, text, deadline(c), e);
}

int
client_fd(const struct client *c)
{
	return wslink_fd(c->link);
}
