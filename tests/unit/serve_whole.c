/* serve.h, for a transport that sends letters: it vouches for who is there, takes answers whole,
 * and nothing that was not asked for. */
#include <fcntl.h>
#include <math.h>
#include <poll.h>

#include "world.h"

#define RECORD "{\"level\":30,\"time\":1732280000.5,\"sender\":\"s\",\"message\":\"m\"}"
#define NOTE "{\"action\":\"uploadNotifications\",\"notifications\":[" RECORD "]}"

static int null;   /* where the sink's lines go */

static void
begin(struct world *w, size_t whole)
{
	struct serve_settings settings = world_usual();

	settings.whole = whole;
	settings.quiet = true;
	world_begin(w, settings, (struct sink_settings){ .fd = null, .room = 1 << 20 });
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
	tap_ok(w.published.len > 0, "but other instances are");
	session_free(&a);
	session_free(&b);
	world_end(&w);
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
	world_end(&w);

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
	world_end(&w);
}

int
main(int argc, char **argv)
{
	fixture_begin_on(argc > 1 ? argv[1] : NULL);
	fixture_store("store.db", 200000);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	vouched();
	whole();
	close(null);
	return tap_done();
}
