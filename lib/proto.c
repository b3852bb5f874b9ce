#include "proto.h"

#include <math.h>
#include <stdlib.h>

#include "proto_reader.h"

#define NAME(text) { text, sizeof(text) - 1 }

static const struct str actions[PROTO_ACTIONS] = {
	[PROTO_AUTH] = NAME("auth"),
	[PROTO_UPLOAD_LOGS] = NAME("uploadLogs"),
	[PROTO_UPLOAD_NOTIFICATIONS] = NAME("uploadNotifications"),
	[PROTO_GET_LOGS] = NAME("getLogs"),
	[PROTO_GET_NOTIFICATIONS] = NAME("getNotifications"),
	[PROTO_GET_RECORDS] = NAME("getRecords"),
	[PROTO_SUBSCRIBE] = NAME("subscribe"),
	[PROTO_UNSUBSCRIBE] = NAME("unsubscribe"),
	[PROTO_PING] = NAME("ping"),
	[PROTO_KEEPALIVE] = NAME("keepalive"),
	[PROTO_DISCONNECT] = NAME("disconnect"),
	[PROTO_UNKNOWN] = NAME(""),
};

/* The members that mean something in one request or another. */
enum name {
	N_ACTION, N_ID, N_TOKEN,
	N_LOGS, N_NOTIFICATIONS, N_SOURCE, N_SEQ, N_LEVEL, N_TIME, N_SENDER, N_MESSAGE,
	N_KIND, N_LEVEL_MIN, N_TIMEWINDOW, N_SINCE, N_UNTIL, N_TEXT, N_CURSOR, N_LIMIT,
	N_RECORDS, N_CURSORS, N_ORDER, N_REVERSE,
	NAMES
};

static const struct str names[NAMES] = {
	[N_ACTION] = NAME("action"), [N_ID] = NAME("id"), [N_TOKEN] = NAME("token"),
	[N_LOGS] = NAME("logs"), [N_NOTIFICATIONS] = NAME("notifications"),
	[N_SOURCE] = NAME("source"), [N_SEQ] = NAME("seq"), [N_LEVEL] = NAME("level"),
	[N_TIME] = NAME("time"), [N_SENDER] = NAME("sender"), [N_MESSAGE] = NAME("message"),
	[N_KIND] = NAME("kind"), [N_LEVEL_MIN] = NAME("level_min"),
	[N_TIMEWINDOW] = NAME("timewindow"), [N_SINCE] = NAME("since"), [N_UNTIL] = NAME("until"),
	[N_TEXT] = NAME("text"), [N_CURSOR] = NAME("cursor"), [N_LIMIT] = NAME("limit"),
	[N_RECORDS] = NAME("records"), [N_CURSORS] = NAME("cursors"), [N_ORDER] = NAME("order"),
	[N_REVERSE] = NAME("reverse"),
};

/* A message on its way to be a request: the values of its members. */
struct parts {
	struct json *json;
	struct str at[NAMES];   /* data NULL: not there */
};

const char *
proto_action_name(enum proto_action action)
{
	return actions[action].data;
}

struct proto *
proto_new(struct error *e)
{
	/* Who uploads labels the records, not they themselves. */
	const struct ndjson_defaults labels = { .only = true };
	struct proto *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		error_memory(e);
		return NULL;
	}
	if ((p->records = ndjson_new(&labels, e)) == NULL)
		proto_free(&p);
	return p;
}

void
proto_free(struct proto **p)
{
	if (*p == NULL)
		return;
	json_free(&(*p)->json);
	ndjson_free(&(*p)->records);
	buf_free(&(*p)->rest);
	free(*p);
	*p = NULL;
}

/* ---- members ------------------------------------------------------------
 * get_...() leave what they would fill as it is where the member isn't there, or null. */

static bool
given(const struct parts *m, enum name n)
{
	return m->at[n].data != NULL && !json_null(m->at[n]);
}

static int
must_be(enum name n, const char *what, struct error *e)
{
	return error_set(e, ERROR_INVALID, "%s: must be %s", names[n].data, what);
}

static int
get_number(const struct parts *m, enum name n, double *out, struct error *e)
{
	struct decimal d;

	if (!given(m, n))
		return 0;
	if (!json_number(m->at[n], &d))
		return must_be(n, "a number", e);
	return decimal_double(&d, out) == -1 ? error_memory(e) : 0;
}

static int
get_integer(const struct parts *m, enum name n, int64_t *out, struct error *e)
{
	struct decimal d;

	if (!given(m, n))
		return 0;
	if (!json_number(m->at[n], &d) || !decimal_integer(&d, out))
		return must_be(n, "an integer", e);
	return 0;
}

static int
get_count(const struct parts *m, enum name n, int64_t *out, struct error *e)
{
	if (get_integer(m, n, out, NULL) == -1 || *out < 0)
		return must_be(n, "an integer, not negative", e);
	return 0;
}

static int
get_bool(const struct parts *m, enum name n, bool *out, struct error *e)
{
	if (!given(m, n) || json_bool(m->at[n], out))
		return 0;
	return must_be(n, "true or false", e);
}

/* One of `count` words: its index. */
static int
get_word(const struct parts *m, enum name n, const char *const words[], size_t count,
    const char *what, size_t *out, struct error *e)
{
	struct str word;

	if (!given(m, n))
		return 0;
	if (json_string(m->json, m->at[n], &word)) {
		for (*out = 0; *out < count; ++*out) {
			if (str_equal(word, str_of(words[*out])))
				return 0;
		}
	}
	return must_be(n, what, e);
}

/* ---- uploads ------------------------------------------------------------ */

/* A client's own numbering: both members or none. */
static int
get_numbering(const struct parts *m, struct proto_request *r, struct error *e)
{
	size_t characters = 0;

	if (!given(m, N_SOURCE) && !given(m, N_SEQ))
		return 0;
	if (!given(m, N_SOURCE))
		return error_set(e, ERROR_INVALID, "source: missing beside seq");
	if (!given(m, N_SEQ))
		return error_set(e, ERROR_INVALID, "seq: missing beside source");
	if (json_string(m->json, m->at[N_SOURCE], &r->source)) {
		for (size_t i = 0; i < r->source.len; i++)
			characters += ((unsigned char)r->source.data[i] & 0xc0) != 0x80;
	}
	if (characters < 1 || characters > PROTO_SOURCE_MAX)
		return error_set(e, ERROR_INVALID, "source: must be a string of 1 to %d characters",
		    PROTO_SOURCE_MAX);
	return get_count(m, N_SEQ, &r->seq, e);
}

static int
read_upload(const struct parts *m, enum name list, struct proto_request *r, struct error *e)
{
	bool single = m->at[N_LEVEL].data != NULL || m->at[N_TIME].data != NULL ||
	    m->at[N_SENDER].data != NULL || m->at[N_MESSAGE].data != NULL;

	r->records = m->at[list];
	if (r->records.data != NULL ? !json_is_array(r->records) : !single)
		return error_set(e, ERROR_INVALID, "Please submit %s as list of length >= 1",
		    names[list].data);
	return get_numbering(m, r, e);
}

/* ---- questions ---------------------------------------------------------- */

static int
get_senders(const struct parts *m, struct proto_read *q, struct error *e)
{
	struct str rest = m->at[N_SENDER], one;

	if (!given(m, N_SENDER))
		return 0;
	if (json_string(m->json, rest, &q->senders[0])) {
		q->sender_count = 1;
		return 0;
	}
	while (json_is_array(m->at[N_SENDER]) && json_next(m->json, &rest, &one)) {
		if (q->sender_count == PROTO_SENDERS_MAX ||
		    !json_string(m->json, one, &q->senders[q->sender_count++]))
			goto bad;
	}
	if (q->sender_count > 0)
		return 0;
bad:
	return error_set(e, ERROR_INVALID, "sender: must be a string, or a list of 1 to %d strings",
	    PROTO_SENDERS_MAX);
}

static int
get_times(const struct parts *m, double now, struct proto_read *q, struct error *e)
{
	double window = INFINITY;

	if (get_number(m, N_TIMEWINDOW, &window, e) == -1 ||
	    get_number(m, N_SINCE, &q->since, e) == -1 || get_number(m, N_UNTIL, &q->until, e) == -1)
		return -1;
	/* time > now - window, as a lower bound that is part of it. */
	if (given(m, N_TIMEWINDOW))
		q->since = fmax(q->since, nextafter(now - window, INFINITY));
	q->has_window = given(m, N_TIMEWINDOW) || given(m, N_SINCE) || given(m, N_UNTIL);
	return 0;
}

static int
get_text(const struct parts *m, struct proto_read *q, struct error *e)
{
	struct str text;

	if (!given(m, N_TEXT))
		return 0;
	if (!json_string(m->json, m->at[N_TEXT], &text) || text.len > PROTO_TEXT_MAX)
		return error_set(e, ERROR_INVALID, "text: must be a string of at most %d bytes",
		    PROTO_TEXT_MAX);
	if (text.len > 0)   /* else it is in every message */
		q->text = text;
	return 0;
}

static int
get_cursor(const struct parts *m, struct proto_read *q, struct error *e)
{
	char copy[CURSOR_TEXT_SIZE];
	struct str text;

	if (!given(m, N_CURSOR))
		return 0;
	if (!json_string(m->json, m->at[N_CURSOR], &text) || text.len >= sizeof(copy) ||
	    memchr(text.data, '\0', text.len) != NULL)
		goto bad;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	if (cursor_parse(copy, &q->cursor, NULL) == -1)
		goto bad;
	q->has_cursor = true;
	return 0;
bad:
	return must_be(N_CURSOR, "a cursor", e);
}

static int
get_limit(const struct parts *m, struct proto_read *q, struct error *e)
{
	int64_t n = INT64_MAX;

	if (get_count(m, N_LIMIT, &n, e) == -1)
		return -1;
	if (given(m, N_LIMIT))
		q->limit = (uint64_t)n < SIZE_MAX ? (size_t)n : SIZE_MAX;
	return 0;
}

/* Which records, whatever the action. */
static int
get_filter(const struct parts *m, double now, struct proto_read *q, struct error *e)
{
	if (get_senders(m, q, e) == -1 || get_integer(m, N_LEVEL, &q->level_max, e) == -1 ||
	    get_integer(m, N_LEVEL_MIN, &q->level_min, e) == -1 || get_times(m, now, q, e) == -1 ||
	    get_text(m, q, e) == -1 || get_cursor(m, q, e) == -1)
		return -1;
	return get_limit(m, q, e);
}

static int
get_kinds(const struct parts *m, struct proto_read *q, struct error *e)
{
	static const char *const words[] = { "log", "notification", "all" };
	static const unsigned kinds[] = { RECORD_KIND_BIT(RECORD_LOG),
		RECORD_KIND_BIT(RECORD_NOTIFICATION), RECORD_ALL_KINDS };
	size_t i = 2;

	if (get_word(m, N_KIND, words, 3, "\"log\", \"notification\" or \"all\"", &i, e) == -1)
		return -1;
	q->kinds = kinds[i];
	return 0;
}

static int
get_order(const struct parts *m, struct proto_read *q, struct error *e)
{
	static const char *const words[] = { [QUERY_BY_TIME] = "time", [QUERY_BY_ARRIVAL] = "arrival" };
	size_t i = QUERY_BY_TIME;

	if (get_word(m, N_ORDER, words, 2, "\"time\" or \"arrival\"", &i, e) == -1)
		return -1;
	q->order = i;
	return get_bool(m, N_REVERSE, &q->reverse, e);
}

/* Answers to getLogs and getNotifications are rows unless objects are asked for; a
 * subscription brings objects unless none are wanted. */
static int
get_shape(const struct parts *m, enum proto_action action, struct proto_read *q, struct error *e)
{
	bool records = action == PROTO_SUBSCRIBE, cursors = false;

	if (get_bool(m, N_RECORDS, &records, e) == -1 || get_bool(m, N_CURSORS, &cursors, e) == -1)
		return -1;
	if (action == PROTO_SUBSCRIBE && !records)
		q->shape = PROTO_NEWS;
	else if (cursors)
		q->shape = PROTO_OBJECTS_CURSORS;
	else if (records || action == PROTO_GET_RECORDS)
		q->shape = PROTO_OBJECTS;
	else
		q->shape = action == PROTO_GET_LOGS ? PROTO_LOG_ROWS : PROTO_NOTIFICATION_ROWS;
	return 0;
}

/* getLogs or getNotifications: newest first, and never everything by mistake. */
static int
read_rows(enum record_kind kind, struct proto_read *q, struct error *e)
{
	q->kinds = RECORD_KIND_BIT(kind);
	q->reverse = true;
	if (!q->has_window && !q->has_cursor)
		return error_set(e, ERROR_INVALID, "timewindow: missing");
	return 0;
}

static int
read_question(const struct parts *m, double now, struct proto_request *r, struct error *e)
{
	struct proto_read *q = &r->read;

	q->level_min = INT64_MIN;
	q->level_max = INT64_MAX;
	q->since = -INFINITY;
	q->until = INFINITY;
	q->limit = SIZE_MAX;
	if (get_filter(m, now, q, e) == -1 || get_shape(m, r->action, q, e) == -1)
		return -1;
	switch (r->action) {
	case PROTO_GET_LOGS:
		return read_rows(RECORD_LOG, q, e);
	case PROTO_GET_NOTIFICATIONS:
		return read_rows(RECORD_NOTIFICATION, q, e);
	case PROTO_SUBSCRIBE:
		q->order = QUERY_BY_ARRIVAL;
		return get_kinds(m, q, e);
	default:
		return get_kinds(m, q, e) == -1 ? -1 : get_order(m, q, e);
	}
}

/* ---- messages ----------------------------------------------------------- */

static int
get_action(const struct parts *m, struct proto_request *r, struct error *e)
{
	enum proto_action action = 0;
	struct str name;

	if (m->at[N_ACTION].data == NULL)
		return error_set(e, ERROR_INVALID, "action: missing");
	if (!json_string(m->json, m->at[N_ACTION], &name))
		return must_be(N_ACTION, "a string", e);
	while (action < PROTO_UNKNOWN && !str_equal(name, actions[action]))
		action++;
	r->action = action;
	r->name = action < PROTO_UNKNOWN ? actions[action] : name;   /* outlives json_wipe() */
	return 0;
}

static int
read_message(struct proto *p, struct str message, double now, struct proto_request *r,
    struct error *e)
{
	struct parts m;

	m.json = &p->json;
	if (json_open_object(&p->json, message, names, m.at, NAMES, &r->message, e) == -1)
		return -1;
	r->id = m.at[N_ID];
	if (get_action(&m, r, e) == -1)
		return -1;
	switch (r->action) {
	case PROTO_AUTH:
		r->token = m.at[N_TOKEN];
		return 0;
	case PROTO_UPLOAD_LOGS:
		return read_upload(&m, N_LOGS, r, e);
	case PROTO_UPLOAD_NOTIFICATIONS:
		return read_upload(&m, N_NOTIFICATIONS, r, e);
	case PROTO_GET_LOGS:
	case PROTO_GET_NOTIFICATIONS:
	case PROTO_GET_RECORDS:
	case PROTO_SUBSCRIBE:
		return read_question(&m, now, r, e);
	default:
		return 0;
	}
}

int
proto_read(struct proto *p, struct str message, double now, struct proto_request *out,
    struct error *e)
{
	int rc;

	*out = (struct proto_request){ .action = PROTO_UNKNOWN, .name = actions[PROTO_UNKNOWN] };
	rc = read_message(p, message, now, out, e);
	/* What was, or may have been, a token must not stay with us. Nothing that
	 * is handed out now points there. */
	if (rc == -1 || out->action == PROTO_AUTH)
		json_wipe(&p->json);
	return rc;
}
