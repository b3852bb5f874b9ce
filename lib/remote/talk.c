#include "remote/talk.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "again.h"

/* Seconds between attempts: from the first to the last of these, doubled each time. */
#define RETRY_FIRST 0.1
#define RETRY_LAST 10.0
#define TRIES 6          /* where patience is for a while: three seconds */

struct request {
	struct request *next;
	int64_t id;
	struct buf text;
};

struct talk {
	struct client *client;
	struct client_settings settings;   /* its strings but for the URL are not ours */
	char *url;
	enum talk_patience patience;
	bool up;                 /* as far as we know */
	bool stood;              /* there has been a connection */
	bool told;               /* of trouble */
	unsigned failures;       /* since the last answer */
	struct json json;
	int64_t last_id;
	struct request *first, **last;   /* not answered, in their order */
	size_t open, open_bytes;

	/* News. */
	bool watching;
	int64_t subscribing;     /* the id of that request; 0: none */
	int news_fd;             /* an eventfd: news came in while an answer was waited for */
	int watch_fd;            /* that one, or the client's */
	struct cursor news;      /* store 0: none yet */
};

struct talk *
talk_new(const struct client_settings *settings, enum talk_patience patience, struct error *e)
{
	struct talk *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		error_memory(e);
		return NULL;
	}
	t->settings = *settings;
	t->patience = patience;
	t->last = &t->first;
	t->news_fd = t->watch_fd = -1;
	if ((t->url = strdup(settings->url)) == NULL) {
		error_memory(e);
		talk_free(&t);
	} else if ((t->client = client_new(settings, e)) == NULL) {
		talk_free(&t);
	}
	return t;
}

void
talk_free(struct talk **tp)
{
	struct talk *t = *tp;

	if (t == NULL)
		return;
	talk_forget(t);
	client_free(&t->client);
	json_free(&t->json);
	if (t->news_fd != -1)
		close(t->news_fd);
	if (t->watch_fd != -1)
		close(t->watch_fd);
	free(t->url);
	free(t);
	*tp = NULL;
}

const char *
talk_url(const struct talk *t)
{
	return t->url;
}

/* ---- what comes in ------------------------------------------------------------ */

enum came { OTHER, ANSWER, SUBSCRIBED };

enum { ACTION, ID, SUCCESS, COMMENT, RECORDS, CURSOR, MEMBERS };

static struct request **
find(struct talk *t, int64_t id)
{
	struct request **r = &t->first;

	while (*r != NULL && (*r)->id != id)
		r = &(*r)->next;
	return r;
}

static void
settle(struct talk *t, struct request **at)
{
	struct request *r = *at;

	if ((*at = r->next) == NULL)
		t->last = at;
	t->open--;
	t->open_bytes -= r->text.len;
	buf_free(&r->text);
	free(r);
}

/* Records have arrived. */
static void
take_news(struct talk *t, struct str value)
{
	char copy[CURSOR_TEXT_SIZE];
	struct str text;

	if (json_string(&t->json, value, &text) && text.len < sizeof(copy)) {
		memcpy(copy, text.data, text.len);
		copy[text.len] = '\0';
		cursor_parse(copy, &t->news, NULL);
	}
	if (t->news_fd != -1)
		eventfd_write(t->news_fd, 1);
}

static enum error_kind
kind_of(struct str comment)
{
	static const char denied[] = "Only wds can", busy[] = ", try again";
	size_t n = sizeof(busy) - 1;

	if (comment.len >= sizeof(denied) - 1 && memcmp(comment.data, denied, sizeof(denied) - 1) == 0)
		return ERROR_DENIED;
	return comment.len >= n && memcmp(comment.data + comment.len - n, busy, n) == 0 ? ERROR_BUSY :
	    ERROR_INVALID;
}

/* The daemon's reason, and nothing in it that acts on a terminal. */
static int
refused(struct talk *t, struct str value, struct error *e)
{
	struct str comment = { "", 0 };
	char text[256];
	size_t n;

	json_string(&t->json, value, &comment);
	n = comment.len < sizeof(text) - 1 ? comment.len : sizeof(text) - 1;
	for (size_t i = 0; i < n; i++)
		text[i] = (unsigned char)comment.data[i] < ' ' || comment.data[i] == 0x7f ? '?' :
		    comment.data[i];
	text[n] = '\0';
	return error_set(e, kind_of(comment), "%s: %s", t->url, n > 0 ? text : "the request failed");
}

static void
recover(struct talk *t)
{
	t->failures = 0;
	if (t->told && t->settings.trouble != NULL)
		t->settings.trouble(t->settings.arg, NULL);
	t->told = false;
}

/* What is it? enum came, or -1. */
static int
take(struct talk *t, struct str text, struct talk_answer *a, struct error *e)
{
	static const char *const names[MEMBERS] = { "action", "id", "success", "comment", "records",
	    "cursor" };
	struct str value, m[MEMBERS], action;
	struct request **r = NULL;
	struct decimal d;
	bool success;
	int64_t id;

	if (json_open(&t->json, text, &value, NULL) == -1 || !json_is_object(value) ||
	    !json_members(&t->json, value, names, m, MEMBERS) ||
	    !json_string(&t->json, m[ACTION], &action))
		return error_set(e, ERROR_INVALID, "%s: what answers there is not monitor-wsd", t->url);
	success = json_bool(m[SUCCESS], &success) && success;
	if (str_equal(action, str_of("records"))) {
		take_news(t, m[CURSOR]);
		return OTHER;
	}
	/* What others upload has no id; nor has a failure so early that ours was not seen. */
	if (!json_number(m[ID], &d) || !decimal_integer(&d, &id))
		return success ? OTHER : refused(t, m[COMMENT], e);
	if (id != t->subscribing && *(r = find(t, id)) == NULL)
		return OTHER;   /* nobody waits for it any more */
	recover(t);
	if (r != NULL)
		settle(t, r);
	t->subscribing = r != NULL ? t->subscribing : 0;
	if (!success)
		return refused(t, m[COMMENT], e);
	*a = (struct talk_answer){ id, json_is_array(m[RECORDS]) ? m[RECORDS] : (struct str){ 0 },
	    &t->json };
	return r != NULL ? ANSWER : SUBSCRIBED;
}

/* ---- connections ---------------------------------------------------------------- */

static int
subscribe(struct talk *t, struct error *e)
{
	struct buf request = { 0 };
	struct talk_answer a;
	struct str text;
	int rc;

	t->news = (struct cursor){ 0 };
	if (!t->watching)
		return 0;
	if ((t->subscribing = talk_begin(t, &request, "subscribe", e)) == -1 ||
	    buf_add_str(&request, str_of(",\"kind\":\"all\",\"records\":false}")) == -1)
		rc = error_memory(e);
	else
		rc = client_send(t->client, (struct str){ request.data, request.len }, e);
	buf_free(&request);
	while (rc == 0 && t->subscribing != 0)
		if (client_receive(t->client, &text, e) == -1 || take(t, text, &a, e) == -1)
			rc = -1;
	t->subscribing = 0;
	return rc;
}

static int
send_again(struct talk *t, struct error *e)
{
	for (struct request *r = t->first; r != NULL; r = r->next)
		if (client_send(t->client, (struct str){ r->text.data, r->text.len }, e) == -1)
			return -1;
	return 0;
}

static int
connect_once(struct talk *t, struct error *e)
{
	if (client_connect(t->client, e) == -1)
		return -1;
	t->stood = true;
	if (subscribe(t, e) == -1 || send_again(t, e) == -1) {
		client_disconnect(t->client);
		return -1;
	}
	t->up = true;
	return 0;
}

/* There is no connection, for this reason. 0: trying again may help, and may be done. */
static int
lost(struct talk *t, const struct error *e)
{
	t->up = false;
	t->failures++;
	if (e->kind != ERROR_BUSY)
		return -1;
	switch (t->patience) {
	case TALK_AT_ONCE:
		return -1;
	case TALK_A_WHILE:
		return t->stood && t->failures < TRIES ? 0 : -1;
	case TALK_FOR_EVER:
		break;
	}
	if (!t->told && t->settings.trouble != NULL)
		t->settings.trouble(t->settings.arg, e->text);
	t->told = true;
	return 0;
}

/* Before the next attempt. */
static int
wait_a_little(struct talk *t, struct error *e)
{
	int stop_fd = t->settings.stop_fd > 0 ? t->settings.stop_fd : -1;
	int rc = again_wait(t->failures, RETRY_FIRST, RETRY_LAST, stop_fd, e);

	return rc == 1 ? error_set(e, ERROR_NONE, "%s: told to stop", t->url) : rc;
}

int
talk_connect(struct talk *t, struct error *e)
{
	return t->up || connect_once(t, e) == 0 ? 0 : lost(t, e);
}

/* See that there is a connection, within our patience. */
static int
reconnect(struct talk *t, struct error *e)
{
	while (!t->up) {
		if (t->failures > 0 && t->patience != TALK_AT_ONCE && wait_a_little(t, e) == -1)
			return -1;
		if (talk_connect(t, e) == -1)
			return -1;
	}
	return 0;
}

/* ---- requests ----------------------------------------------------------------- */

int64_t
talk_begin(struct talk *t, struct buf *b, const char *action, struct error *e)
{
	if (buf_printf(b, "{\"action\":\"%s\",\"id\":%lld", action,
	    (long long)++t->last_id) == -1)
		return error_memory(e);
	return t->last_id;
}

int
talk_send(struct talk *t, int64_t id, struct buf *request, struct error *e)
{
	struct request *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return error_memory(e);
	r->id = id;
	r->text = *request;
	*request = (struct buf){ 0 };
	*t->last = r;
	t->last = &r->next;
	t->open++;
	t->open_bytes += r->text.len;
	if (!t->up || client_send(t->client, (struct str){ r->text.data, r->text.len }, e) == 0)
		return 0;
	/* What no other attempt can mend, the answer that is missing will tell. */
	return e->kind == ERROR_BUSY || e->kind == ERROR_INVALID ? 0 : -1;
}

size_t
talk_open(const struct talk *t, size_t *bytes)
{
	*bytes = t->open_bytes;
	return t->open;
}

void
talk_forget(struct talk *t)
{
	while (t->first != NULL)
		settle(t, &t->first);
}

int
talk_answer(struct talk *t, struct talk_answer *a, struct error *e)
{
	struct str text;
	int came;

	do {
		if (reconnect(t, e) == -1)
			return -1;
		came = OTHER;
		if (client_receive(t->client, &text, e) == -1) {
			if (lost(t, e) == -1)
				return -1;
		} else if ((came = take(t, text, a, e)) == -1) {
			return -1;
		}
	} while (came != ANSWER);
	return 0;
}

/* ---- news ------------------------------------------------------------------------ */

int
talk_watch(struct talk *t, struct error *e)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (t->watching)
		return t->watch_fd;
	if ((t->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1 ||
	    (t->watch_fd = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    epoll_ctl(t->watch_fd, EPOLL_CTL_ADD, t->news_fd, &event) == -1 ||
	    epoll_ctl(t->watch_fd, EPOLL_CTL_ADD, client_fd(t->client), &event) == -1)
		return error_errno(e, errno, "watching for news");
	t->watching = true;
	t->patience = TALK_AT_ONCE;
	/* A connection that is there already has not subscribed. */
	client_disconnect(t->client);
	t->up = false;
	return t->watch_fd;
}

void
talk_watched(struct talk *t)
{
	struct pollfd fd = { .fd = client_fd(t->client), .events = POLLIN };
	struct talk_answer a;
	struct error e;
	struct str text;
	eventfd_t n;

	while (t->up && poll(&fd, 1, 0) == 1) {
		if (client_receive(t->client, &text, &e) == -1)
			t->up = false;
		else
			take(t, text, &a, &e);
	}
	eventfd_read(t->news_fd, &n);
}

bool
talk_news(const struct talk *t, struct cursor *c)
{
	*c = t->news;
	return t->up && t->news.store != 0;
}
