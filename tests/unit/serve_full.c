/*
 * serve.h, where too much waits for somebody: whatever is said to it last is the end of that
 * session, and of nothing else; and who asks for more is not listened to.
 */
#include <fcntl.h>
#include <poll.h>

#include "fixture.h"
#include "pool.h"
#include "serve.h"

#define RECORD "{\"level\":30,\"time\":1732280000.5,\"sender\":\"s\",\"message\":\"m\"}"

enum { QUEUE = 100000, LONG = 60000, MEGABYTE = 1000000, EACH = 16 };

struct world {
	struct auth *auth;
	struct sink *sink;
	struct reads *reads;
	struct serve *serve;
	int null;
};

static void
on_wake(void *transport)
{
	(void)transport;
}

static void
on_say(void *arg, int priority, const char *text)
{
	(void)arg;
	(void)priority;
	(void)text;
}

static void
on_settled(void *arg, struct sink_parcel *p)
{
	serve_settled(((struct world *)arg)->serve, p);
}

static void
begin(struct world *w, size_t queue)
{
	struct error e;

	*w = (struct world){ .null = open("/dev/null", O_WRONLY | O_CLOEXEC) };
	w->sink = sink_new(&(struct sink_settings){ .fd = w->null, .room = 64 << 20,
	    .settled = on_settled, .say = on_say, .arg = w }, &e);
	w->auth = auth_new(&(struct auth_settings){ .tokens = "tokens" }, &e);
	w->reads = reads_new("store.db", 1, &e);
	if (w->sink == NULL || w->auth == NULL || w->reads == NULL)
		fixture_fail("set-up", e.text);
	w->serve = serve_new(&(struct serve_settings){
		.auth = w->auth, .sink = w->sink, .reads = w->reads, .pool = reads_pool(w->reads),
		.numbered = true, .run = "run", .timeout = 30, .auth_timeout = 30, .ping_interval = 20,
		.max_message = 1 << 20, .max_records = 1000, .max_answer = SIZE_MAX, .max_queue = queue,
		.max_reads = 4, .say = on_say, .wake = on_wake, .arg = w,
	}, &e);
	if (w->serve == NULL)
		fixture_fail("serve_new", e.text);
}

static void
end(struct world *w)
{
	sink_free(&w->sink, 0);
	serve_free(&w->serve);
	reads_free(&w->reads);
	auth_free(&w->auth);
	close(w->null);
}

/* A session; of this watchdog, if it is not NULL. */
static struct session *
join_as(struct world *w, const char *watchdog)
{
	struct identity who = { .role = AUTH_WATCHDOG, .expires = INFINITY };
	struct error e;
	struct session *s = session_new(w->serve, NULL, "peer", &e);

	if (s != NULL && watchdog == NULL)
		return s;
	if (s != NULL)
		snprintf(who.watchdog, sizeof(who.watchdog), "%s", watchdog);
	if (s == NULL || session_vouch(s, &who, &e) == -1)
		fixture_fail("a session", e.text);
	return s;
}

static struct session *
join(struct world *w)
{
	return join_as(w, "w7");
}

static void
say(struct session *s, const char *text)
{
	session_receive(s, str_of(text), true, true, false);
}

/* Say this request, with a member more: of so many bytes. */
static void
say_long(struct session *s, const char *request, const char *name, int bytes)
{
	char *text = malloc((size_t)bytes + strlen(request) + strlen(name) + 16);

	if (text == NULL)
		fixture_fail("say_long", "no memory");
	sprintf(text, "{%s,\"%s\":\"%0*d\"}", request, name, bytes, 0);
	say(s, text);
	free(text);
}

static void
work(struct world *w)
{
	struct error e;

	sink_flush(w->sink);
	sink_work(w->sink, &e);
	pool_reap(reads_pool(w->reads));
}

/* Let things happen until `s` is dropped, or so many texts have come out of it, or nothing does
 * any more. How many did; `last` is how the last of them, or its last piece, begins. */
static size_t
hear(struct world *w, struct session *s, size_t texts, char last[200])
{
	struct pollfd pool = { .fd = pool_fd(reads_pool(w->reads)), .events = POLLIN };
	struct session_output o;
	size_t n = 0;

	for (int idle = 0; idle < 10 && n < texts && !session_dropped(s); idle++) {
		if (poll(&pool, 1, 20) == 1)
			idle = 0;
		work(w);
		session_output(s, &o);
		if (o.type != OUTPUT_TEXT)
			continue;
		snprintf(last, 200, "%.*s", (int)o.len, o.data);
		n += o.last;
		idle = 0;
		session_sent(s);
	}
	return n;
}

static void
served(struct world *w)
{
	struct session *s = join(w);
	char text[200];

	say(s, "{\"action\":\"ping\"}");
	tap_ok(hear(w, s, 1, text) == 1, "and nobody else");
	session_free(&s);
}

/* ---- tests ---- */

static void
failures(void)
{
	struct world w;
	struct session *s;
	char text[200];

	begin(&w, QUEUE);
	s = join(&w);
	say(s, "{\"action\":\"getRecords\",\"kind\":\"all\"}");
	for (int i = 0; i < 4; i++)
		say_long(s, "\"action\":\"getLogs\"", "id", LONG);
	hear(&w, s, 10, text);
	tap_ok(session_dropped(s), "who is told too much of what failed is dropped");
	served(&w);
	session_free(&s);
	end(&w);
}

/* A notification waits for it when it is to be told that it is subscribed: by what comes of
 * that, or by what it asks for next. */
static void
subscribed(const char *next)
{
	struct world w;
	struct session *s, *other;
	char text[200];

	begin(&w, QUEUE);
	s = join(&w);
	other = join(&w);
	say_long(s, "\"action\":\"subscribe\"", "id", LONG);
	say_long(other, "\"action\":\"uploadNotifications\",\"notifications\":[" RECORD "]", "more", LONG);
	for (int i = 0; i < 100 && !session_dropped(s); i++) {
		work(&w);
		if (next != NULL && i == 2)
			say(s, next);
		usleep(1000);
	}
	tap_ok(session_dropped(s), "who has too much waiting to be told that it is subscribed is dropped");
	tap_ok(hear(&w, other, 1, text) == 1, "and not who is with it");
	session_free(&s);
	session_free(&other);
	end(&w);
}

static void
subscription_fails(void)
{
	struct world w;
	struct session *s;
	char text[200];

	begin(&w, QUEUE);
	s = join(&w);
	say(s, "{\"action\":\"subscribe\",\"cursor\":\"c1;t=0000000000000000;a=0000000000000001;"
	    "s=0000000000000001\"}");
	tap_ok(hear(&w, s, 2, text) == 1, "a subscription that fails is answered once");
	tap_is(text, "{\"success\":false,\"action\":\"subscribe\",\"comment\":"
	    "\"This cursor is of another store\"}", "by that");
	session_free(&s);
	end(&w);
}

/* Long requests are read for as long as there is room for those that are not answered. */
static void
listens(const char *request, const char *name)
{
	struct world w;
	struct session *s;
	char text[200];
	int said;

	begin(&w, 64 * MEGABYTE);
	s = join(&w);
	for (said = 0; said < 16 && session_reads(s); said++)
		say_long(s, request, "id", MEGABYTE);
	tap_ok(said == 5, "%s of 1 MB: nobody listens to a sixth", name);
	hear(&w, s, 5, text);
	tap_ok(session_reads(s), "until they are answered");
	session_free(&s);
	end(&w);
}

static void
listens_later(void)
{
	struct world w;
	struct session *s;
	char text[200];

	begin(&w, QUEUE);
	s = join(&w);
	say(s, "{\"action\":\"subscribe\"}");
	tap_ok(!session_reads(s), "nor to who is not subscribed yet");
	hear(&w, s, 1, text);
	tap_ok(session_reads(s), "until then");
	session_free(&s);
	end(&w);
}

/* Begin a message that is too long to be held without a permit: is it read on? */
static bool
begins(struct session *s)
{
	static const char text[8192];

	session_receive(s, (struct str){ text, sizeof(text) }, true, false, false);
	return session_reads(s);
}

static void
permits(const char *watchdog, const char *name)
{
	struct session *many[EACH + 2], *other;
	struct world w;
	int read = 0;

	begin(&w, QUEUE);
	other = join_as(&w, "other");
	for (int i = 0; i < EACH + 2; i++)
		read += begins(many[i] = join_as(&w, watchdog));
	tap_ok(read == EACH, "%s: who begins many long messages is not read on with all", name);
	tap_ok(begins(other), "but others are");
	session_free(&other);
	tap_ok(!session_reads(many[EACH]), "whose permits are not theirs");
	session_free(&many[0]);
	tap_ok(session_reads(many[EACH]) && !session_reads(many[EACH + 1]),
	    "one that ends makes room for the next");
	for (int i = 1; i < EACH + 2; i++)
		session_free(&many[i]);
	end(&w);
}

/* What is held is handed over when who holds it turns out to be somebody. */
static void
permits_move(void)
{
	struct session *many[2 * EACH];
	struct identity who = { .role = AUTH_WATCHDOG, .watchdog = "w7", .expires = INFINITY };
	struct world w;
	struct error e;
	int read = 0;

	begin(&w, QUEUE);
	for (int i = 0; i < 2 * EACH; i++) {
		many[i] = join_as(&w, NULL);
		read += begins(many[i]);
		if (i < EACH && session_vouch(many[i], &who, &e) == -1)
			fixture_fail("session_vouch", e.text);
	}
	tap_ok(read == 2 * EACH, "who is no stranger any more makes room for others");
	for (int i = 0; i < 2 * EACH; i++)
		session_free(&many[i]);
	many[0] = join_as(&w, NULL);
	tap_ok(begins(many[0]), "and nothing is lost by it");
	session_free(&many[0]);
	end(&w);
}

int
main(void)
{
	fixture_begin();
	fclose(fopen("tokens", "w"));
	fixture_store("store.db", 200000);
	failures();
	subscribed(NULL);
	subscribed("{\"action\":\"unsubscribe\"}");
	subscription_fails();
	listens("\"action\":\"getRecords\",\"limit\":1", "questions");
	listens("\"action\":\"uploadLogs\",\"logs\":[" RECORD "]", "uploads");
	listens_later();
	permits("w7", "of a watchdog");
	permits(NULL, "of strangers");
	permits_move();
	return tap_done();
}
