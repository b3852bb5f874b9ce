/*
 * fake_daemon.h - what monitor-wsd does for lib/remote/, out of a store at hand, and as
 * badly as a test wants.
 */
#ifndef MONITOR_FAKE_DAEMON_H
#define MONITOR_FAKE_DAEMON_H

#include "fake.h"
#include "json.h"
#include "ndjson.h"
#include "store.h"

struct fake_daemon {
	struct fake fake;
	const char *path;         /* of the store */
	struct store *store;
	struct ndjson *reader;
	struct json json;
	struct buf reply;
	bool stop;
	size_t bound;             /* records in an answer */
	unsigned drop_from;       /* hang up instead of taking the requests from this one on, */
	unsigned drop_before;     /* instead of taking every so manieth, */
	unsigned drop_after;      /* after acting on it, but before it is answered, */
	unsigned drop_within;     /* in the midst of the answer. 0: never */
	bool chatter;             /* send what others upload, in between */
	const char *comment;      /* refuse everything, for this reason */
	unsigned requests, subscriptions, opened;
	size_t largest;           /* message */
	uint64_t records;         /* uploaded, with what was sent twice */
};

enum { F_ACTION, F_ID, F_KIND, F_SENDER, F_LEVEL, F_LEVEL_MIN, F_SINCE, F_UNTIL, F_LIMIT,
	F_CURSOR, F_CURSORS, F_ORDER, F_REVERSE, F_SOURCE, F_SEQ, F_LOGS, F_NOTIFICATIONS, F_MEMBERS };

static const char *const fake_members[F_MEMBERS] = { "action", "id", "kind", "sender", "level",
	"level_min", "since", "until", "limit", "cursor", "cursors", "order", "reverse", "source",
	"seq", "logs", "notifications" };

static void
fake_text(struct fake_daemon *d, struct str value, char *to, size_t size)
{
	struct str s = { "", 0 };

	json_string(&d->json, value, &s);
	fake_must(s.len < size, "a string from the client is too long");
	memcpy(to, s.data, s.len);
	to[s.len] = '\0';
}

static double
fake_number(struct str value, double otherwise)
{
	struct decimal d;
	double n = 0;

	if (value.data == NULL)
		return otherwise;
	fake_must(json_number(value, &d) && decimal_double(&d, &n) == 0, "no number");
	return n;
}

static int64_t
fake_integer(struct str value, int64_t otherwise)
{
	struct decimal d;
	int64_t n = 0;

	if (value.data == NULL)
		return otherwise;
	fake_must(json_number(value, &d) && decimal_integer(&d, &n), "no integer");
	return n;
}

/* ---- getRecords ---- */

static size_t
fake_senders(struct fake_daemon *d, struct str value, struct str senders[100])
{
	struct str one;
	size_t n = 0;

	while (value.data != NULL && json_next(&d->json, &value, &one)) {
		fake_must(n < 100, "too many senders");
		fake_must(json_string(&d->json, one, &senders[n++]), "a sender");
	}
	return n;
}

static void
fake_answer(struct fake_daemon *d, const struct query *q)
{
	char text[CURSOR_TEXT_SIZE];
	struct answer *a;
	struct record r;
	struct cursor at;
	struct error e;
	size_t n = 0;
	int rc = -1;

	if ((a = store_ask(d->store, q, &e)) != NULL)
		while ((rc = answer_next(a, &r, &e)) == 1) {
			answer_cursor(a, &at);
			cursor_format(&at, text);
			fake_must(n++ == 0 || buf_add(&d->reply, ",", 1) == 0, "memory");
			fake_must(ndjson_write(&d->reply, &r) == 0, "memory");
			d->reply.len -= 2;
			fake_must(buf_printf(&d->reply, ",\"cursor\":\"%s\"}", text) == 0, "memory");
		}
	if (rc == -1)
		fixture_fail("the daemon's answer", e.text);
	answer_close(&a);
	fake_must(buf_add(&d->reply, "]}", 2) == 0, "memory");
}

static void
fake_get_records(struct fake_daemon *d, const struct str m[F_MEMBERS])
{
	char kind[20], order[20], cursor[CURSOR_TEXT_SIZE];
	struct query q = query_all();
	struct str senders[100];
	struct cursor after;
	struct error e;

	fake_text(d, m[F_KIND], kind, sizeof(kind));
	fake_text(d, m[F_ORDER], order, sizeof(order));
	fake_must(m[F_CURSORS].data != NULL, "no cursors are asked for");
	q.kinds = strcmp(kind, "log") == 0 ? RECORD_KIND_BIT(RECORD_LOG) :
	    strcmp(kind, "notification") == 0 ? RECORD_KIND_BIT(RECORD_NOTIFICATION) : RECORD_ALL_KINDS;
	q.order = strcmp(order, "arrival") == 0 ? QUERY_BY_ARRIVAL : QUERY_BY_TIME;
	q.reverse = m[F_REVERSE].data != NULL;
	q.level_max = fake_integer(m[F_LEVEL], INT64_MAX);
	q.level_min = fake_integer(m[F_LEVEL_MIN], INT64_MIN);
	q.since = fake_number(m[F_SINCE], q.since);
	q.until = fake_number(m[F_UNTIL], q.until);
	q.senders = senders;
	q.sender_count = fake_senders(d, m[F_SENDER], senders);
	q.limit = (size_t)fake_integer(m[F_LIMIT], 10000);
	q.limit = q.limit < d->bound ? q.limit : d->bound;
	if (m[F_CURSOR].data != NULL) {
		fake_text(d, m[F_CURSOR], cursor, sizeof(cursor));
		if (cursor_parse(cursor, &after, &e) == -1)
			fixture_fail("a cursor", e.text);
		q.after = &after;
	}
	fake_must(buf_printf(&d->reply, ",\"records\":[") == 0, "memory");
	fake_answer(d, &q);
}

/* ---- uploads ---- */

/* There is room for all. */
static void
fake_copy(struct buf *texts, struct str *s)
{
	const char *to = texts->data + texts->len;

	buf_add_str(texts, *s);
	s->data = to;
}

static void
fake_upload(struct fake_daemon *d, const struct str m[F_MEMBERS], bool logs)
{
	struct str rest = m[logs ? F_LOGS : F_NOTIFICATIONS], one;
	struct store_offer *offers = calloc(1000, sizeof(*offers));
	struct ndjson_line line;
	struct buf texts = { 0 };
	struct store_added added;
	struct error e;
	char source[300] = "w0/";
	int64_t seq = fake_integer(m[F_SEQ], -1);
	size_t n = 0;

	fake_text(d, m[F_SOURCE], source + 3, 65);
	fake_must(offers != NULL && strlen(source) > 3 && seq >= 0, "an upload without its number");
	fake_must(buf_reserve(&texts, rest.len) == 0, "memory");
	for (; json_next(&d->json, &rest, &one); n++) {
		if (ndjson_read(d->reader, one, &line, &e) == -1)
			fixture_fail("an uploaded record", e.text);
		fake_must(n < 1000, "more than 1000 records in an upload");
		offers[n] = (struct store_offer){ line.record, str_of(source), seq++, false };
		offers[n].record.kind = logs ? RECORD_LOG : RECORD_NOTIFICATION;
		/* The reader's strings are good for one line. */
		fake_copy(&texts, &offers[n].record.sender);
		fake_copy(&texts, &offers[n].record.message);
		fake_copy(&texts, &offers[n].record.extra);
	}
	if (store_add(d->store, offers, n, &added, &e) == -1)
		fixture_fail("the daemon's store", e.text);
	d->records += n;
	buf_free(&texts);
	free(offers);
	fake_must(buf_printf(&d->reply, ",\"comment\":\"Inserted.\"}") == 0, "memory");
}

/* ---- the daemon ---- */

static bool
fake_every(const struct fake_daemon *d, unsigned nth)
{
	return nth > 0 && d->requests % nth == 0;
}

/* Act on the message that was read. False: the connection is to end. */
static bool
fake_act(struct fake_daemon *d)
{
	struct fake *f = &d->fake;
	struct str text = { f->message.data, f->message.len }, value, m[F_MEMBERS];
	char action[32];
	struct error e;

	d->requests++;
	d->largest = text.len > d->largest ? text.len : d->largest;
	if (fake_every(d, d->drop_before) || (d->drop_from > 0 && d->requests >= d->drop_from))
		return false;
	if (json_open(&d->json, text, &value, &e) == -1)
		fixture_fail("a request", e.text);
	json_members(&d->json, value, fake_members, m, F_MEMBERS);
	fake_text(d, m[F_ACTION], action, sizeof(action));
	d->reply.len = 0;
	fake_must(buf_printf(&d->reply, "{\"success\":%s,\"action\":\"%s\",\"id\":%.*s",
	    d->comment != NULL ? "false" : "true", action, STR_ARGS(m[F_ID])) == 0, "memory");
	if (d->comment != NULL)
		fake_must(buf_printf(&d->reply, ",\"comment\":\"%s\"}", d->comment) == 0, "memory");
	else if (strcmp(action, "getRecords") == 0)
		fake_get_records(d, m);
	else if (strncmp(action, "upload", 6) == 0)
		fake_upload(d, m, strcmp(action, "uploadLogs") == 0);
	else
		fake_must(buf_add(&d->reply, "}", 1) == 0, "memory");
	d->subscriptions += strcmp(action, "subscribe") == 0;
	if (fake_every(d, d->drop_after))
		return false;
	if (fake_every(d, d->drop_within)) {
		fake_send_frame(f, false, FAKE_TEXT, d->reply.data, d->reply.len / 2);
		return false;
	}
	if (d->chatter)
		fake_send(f, "{\"action\":\"uploadNotifications\",\"notifications\":[],\"success\":true}");
	return fake_send_frame(f, true, FAKE_TEXT, d->reply.data, d->reply.len);
}

/* Shake hands, and let in whoever shows a token. */
static bool
fake_let_in(struct fake_daemon *d)
{
	d->opened++;
	return fake_shake(&d->fake) && fake_read(&d->fake) != NULL &&
	    fake_send(&d->fake, "{\"success\":true,\"action\":\"auth\",\"timeout\":30}");
}

static void
fake_daemon_run(struct fake *f)
{
	struct fake_daemon *d = f->arg;

	for (;;) {
		fake_take(f);
		if (__atomic_load_n(&d->stop, __ATOMIC_SEQ_CST))
			break;
		if (fake_let_in(d))
			while (fake_read(f) != NULL && fake_act(d))
				;
		fake_drop(f);
	}
}

static void
fake_daemon_open(struct fake_daemon *d)
{
	const struct ndjson_defaults defaults = { .watchdog = str_of("w0") };
	struct error e;

	d->store = fixture_open(d->path, STORE_WRITE);
	if ((d->reader = ndjson_new(&defaults, &e)) == NULL)
		fixture_fail("ndjson_new", e.text);
	if (d->bound == 0)
		d->bound = 10000;
}

/* Listen, before a store that is made if there is none. */
__attribute__((unused)) static void
fake_daemon_start(struct fake_daemon *d)
{
	fake_daemon_open(d);
	fake_start(&d->fake, fake_daemon_run, d);
}

__attribute__((unused)) static void
fake_daemon_close(struct fake_daemon *d)
{
	fake_end(&d->fake);
	store_close(&d->store);
	ndjson_free(&d->reader);
	json_free(&d->json);
	buf_free(&d->reply);
}

/* Stop; what was counted is still there. */
__attribute__((unused)) static void
fake_daemon_stop(struct fake_daemon *d)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)d->fake.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	__atomic_store_n(&d->stop, true, __ATOMIC_SEQ_CST);
	fake_must(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "connect");
	fake_daemon_close(d);
	close(fd);
}

#endif
