/* serve.h, for a transport that sends letters: it vouches for who is there, takes answers whole,
 * and nothing that was not asked for. */
#include <fcntl.h>
#include <math.h>
#include <poll.h>

#include "fixture.h"
#include "pool.h"
#include "serve.h"

#define RECORD "{\"level\":30,\"time\":1732280000.5,\"sender\":\"s\",\"message\":\"m\"}"
#define NOTE "{\"action\":\"uploadNotifications\",\"notifications\":[" RECORD "]}"

struct world {
	struct auth *auth;
	struct sink *sink;
	struct reads *reads;
	struct serve *serve;
	size_t published;
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
on_publish(void *arg, struct str lines)
{
	((struct world *)arg)->published += lines.len > 0;
}

static void
on_settled(void *arg, struct sink_parcel *p)
{
	serve_settled(((struct world *)arg)->serve, p);
}

static void
begin(struct world *w, size_t whole)
{
	struct error e;

	*w = (struct world){ .null = open("/dev/null", O_WRONLY | O_CLOEXEC) };
	w->sink = sink_new(&(struct sink_settings){ .fd = w->null, .room = 1 << 20,
	    .settled = on_settled, .say = on_say, .arg = w }, &e);
	w->auth = auth_new(&(struct auth_settings){ .none = true }, &e);
	w->reads = reads_new("store.db", 2, &e);
	if (w->sink == NULL || w->auth == NULL || w->reads == NULL)
		fixture_fail("set-up", e.text);
	w->serve = serve_new(&(struct serve_settings){
		.auth = w->auth, .sink = w->sink, .reads = w->reads, .pool = reads_pool(w->reads),
		.numbered = true, .run = "run", .timeout = 30, .auth_timeout = 30, .ping_interval = 20,
		.max_message = 1 << 20, .max_records = 1000, .max_answer = SIZE_MAX, .max_queue = 1 << 20,
		.max_reads = 2, .whole = whole, .quiet = true, .publish = on_publish, .say = on_say,
		.wake = on_wake, .arg = w,
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

static struct session *
join(struct world *w, const char *watchdog)
{
	struct identity who = { .role = AUTH_WATCHDOG, .expires = INFINITY };
	struct error e;
	struct session *s = session_new(w->serve, NULL, "peer", &e);

	snprintf(who.watchdog, sizeof(who.watchdog), "%s", watchdog);
	if (s == NULL || session_vouch(s, &who, &e) == -1)
		fixture_fail("session_vouch", e.text);
	return s;
}

static void
say(struct session *s, const char *text)
{
	session_receive(s, str_of(text), true, true, false);
}

/* Wait for the next thing that comes out; -1: nothing does. The text is the caller's. */
static char *
hear(struct world *w, struct session *s, bool waits)
{
	struct pollfd fds[] = { { .fd = sink_fd(w->sink), .events = POLLIN },
	    { .fd = pool_fd(reads_pool(w->reads)), .events = POLLIN } };
	struct session_output o;
	struct error e;
	char *text;

	for (int i = 0; i < 500; i++) {
		sink_flush(w->sink);
		sink_work(w->sink, &e);
		pool_reap(reads_pool(w->reads));
		serve_resume(w->serve);
		session_output(s, &o);
		if (o.type == OUTPUT_TEXT) {
			tap_ok(o.first && o.last, "what comes out is whole");
			text = strndup(o.data, o.len);
			session_sent(s);
			return text;
		}
		if (!waits && i > 3)
			break;
		poll(fds, 2, 20);
	}
	return strdup("");
}

static void
hears(struct world *w, struct session *s, const char *want, const char *title)
{
	char *got = hear(w, s, *want != '\0');

	tap_is(got, want, title);
	free(got);
}

static void
vouched(void)
{
	struct world w;
	struct session *a, *b;

	begin(&w, 1 << 20);
	a = join(&w, "w1");
	b = join(&w, "w1");
	say(a, "{\"action\":\"auth\",\"token\":\"w2\"}");
	hears(&w, a, "{\"success\":false,\"action\":\"auth\",\"comment\":\"Already authenticated\"}",
	    "who is vouched for cannot be somebody else");
	say(a, NOTE);
	hears(&w, a, "{\"success\":true,\"action\":\"uploadNotifications\",\"comment\":"
	    "\"Inserted 1 notification(s) into db.\"}", "but act as who it is");
	hears(&w, b, "", "others of the same watchdog are not told");
	tap_ok(w.published == 1, "but other instances are");
	session_free(&a);
	session_free(&b);
	end(&w);
}

static void
whole(void)
{
	static const char ask[] = "{\"action\":\"getRecords\",\"kind\":\"all\",\"id\":[1]}";
	struct world w;
	struct session *s;
	char *text;

	begin(&w, 1 << 20);
	s = join(&w, "w7");
	say(s, ask);
	text = hear(&w, s, true);
	tap_ok(strlen(text) > 300000 && text[strlen(text) - 1] == '}' && strstr(text, "\"id\":[1]") != NULL,
	    "an answer of several pieces comes out as one");
	free(text);
	session_free(&s);
	end(&w);

	begin(&w, 200000);
	s = join(&w, "w7");
	say(s, ask);
	say(s, "{\"action\":\"getRecords\",\"kind\":\"all\",\"limit\":1,\"id\":2}");
	hears(&w, s, "{\"success\":false,\"action\":\"getRecords\",\"id\":[1],\"comment\":"
	    "\"The answer is longer than 200000 bytes, ask for less\"}", "one that gets too long fails");
	text = hear(&w, s, true);
	tap_ok(strstr(text, "\"success\":true") != NULL && strstr(text, "\"id\":2") != NULL,
	    "and the next one comes");
	free(text);
	say(s, ask);
	session_free(&s);
	end(&w);
}

int
main(void)
{
	fixture_begin();
	fixture_store("store.db", 200000);
	vouched();
	whole();
	return tap_done();
}
