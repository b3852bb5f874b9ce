/*
 * Adding to a store behind a daemon, and being told of what arrives there.
 */
#include <sys/eventfd.h>

#include "client.h"
#include "fake_daemon.h"

static struct error e;
static struct store *far;

static struct store *
reach(struct fake_daemon *d, enum store_mode mode, const struct client_settings *settings)
{
	struct client_settings s = settings != NULL ? *settings : (struct client_settings){ 0 };
	struct store *store;

	s.url = d->fake.url;
	s.token = "secret";
	if ((store = store_open_remote(&s, mode, &e)) == NULL)
		fixture_fail("store_open_remote", e.text);
	return store;
}

static struct store_offer
offer(const struct sample *s, const char *source, int64_t seq)
{
	struct store_offer o = { .record = s->record, .seq = seq };

	if (source != NULL)
		o.source = str_of(source);
	return o;
}

/* Are these offers, but for what was refused, in the store, once, in their order? */
static bool
holds(const char *path, const struct store_offer *offers, size_t n)
{
	struct store *s = fixture_open(path, STORE_READ);
	struct query q = query_all();
	struct answer *a;
	struct record r;
	const struct record *want;
	size_t i = 0;
	int rc = -1;

	q.order = QUERY_BY_ARRIVAL;
	if ((a = store_ask(s, &q, &e)) != NULL)
		while ((rc = answer_next(a, &r, &e)) == 1) {
			while (i < n && offers[i].refused)
				i++;
			want = &offers[i < n ? i : 0].record;
			if (i++ >= n || want->kind != r.kind || want->level != r.level ||
			    want->time != r.time || !str_equal(want->sender, r.sender) ||
			    !str_equal(want->message, r.message) || !str_equal(want->extra, r.extra) ||
			    !str_equal(r.watchdog, str_of("w0")))
				break;
		}
	answer_close(&a);
	store_close(&s);
	while (i < n && offers[i].refused)
		i++;
	if (rc != 0 || i != n)
		printf("# %zu of %zu\n", i, n);
	return rc == 0 && i == n;
}

/* ---- adding ---- */

/* Numbered and not, with gaps, of changing sources and kinds; some are refused. */
static void
test_adding(void)
{
	enum { N = 5000 };
	struct fake_daemon d = { .path = "added.db", .chatter = true };
	struct sample *samples = fixture_samples(0, N);
	struct store_offer *offers = calloc(N, sizeof(*offers));
	struct store_added added;
	char longer[256];

	memset(longer, 'l', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	fake_daemon_start(&d);
	far = reach(&d, STORE_WRITE, NULL);
	for (size_t i = 0; i < N; i++) {
		offers[i] = offer(&samples[i], i < 2000 ? "one" : i < 3000 ? NULL : i % 2 ? longer : "two",
		    (int64_t)(i / 700 * 10 + i));
		if (i % 3 == 0)
			offers[i].record.extra = str_of("{\"x\":[1.50,\"\\u00e9\"]}");
		offers[i].refused = i % 1000 == 999;
	}
	tap_ok(store_add(far, offers, N, &added, &e) == 0 && added.stored == N - 5,
	    "offers of many kinds are uploaded");
	tap_ok(store_add(far, offers, 2000, &added, &e) == 0, "... and some of them again");
	tap_ok(store_add(far, offers, 0, &added, &e) == 0 && added.stored == 0, "... and none at all");
	store_close(&far);
	fake_daemon_stop(&d);
	tap_ok(d.records == N - 5 + 1998 && d.opened == 1, "... which is up to the daemon to see");
	tap_ok(holds("added.db", offers, N), "all is stored once, in its order, but what was refused");
	free(offers);
	free(samples);
}

static void
test_weak_daemon(void)
{
	enum { N = 20000 };
	struct fake_daemon d = { .path = "weak.db", .drop_before = 5, .drop_after = 3,
	    .drop_within = 7 };
	struct sample *samples = fixture_samples(0, N);
	struct store_offer *offers = calloc(N, sizeof(*offers));
	struct store_added added;
	bool ok = true;

	fake_daemon_start(&d);
	far = reach(&d, STORE_WRITE, NULL);
	for (size_t i = 0; i < N; i++) {
		samples[i].record.kind = RECORD_LOG;
		offers[i] = offer(&samples[i], i < N / 2 ? "one" : NULL, (int64_t)i);
	}
	for (size_t i = 0; i < N && ok; i += 4000)
		ok = store_add(far, offers + i, 4000, &added, &e) == 0 && added.stored == 4000;
	tap_ok(ok, "connections that break while records are uploaded");
	store_close(&far);
	fake_daemon_stop(&d);
	tap_ok(holds("weak.db", offers, N), "... lose none, and store none twice");
	tap_ok(d.records > N, "... though some were sent twice");
	free(offers);
	free(samples);
}

static void
test_long_records(void)
{
	static char text[700 << 10];
	struct fake_daemon d = { .path = "long.db" };
	struct sample samples[40];
	struct store_offer offers[40];
	struct store_added added;
	bool ok;

	memset(text, '\n', sizeof(text));   /* each takes two bytes on the way */
	fake_daemon_start(&d);
	far = reach(&d, STORE_WRITE, NULL);
	for (size_t i = 0; i < 40; i++) {
		fixture_sample(&samples[i], i);
		samples[i].record.message = (struct str){ text, i == 20 ? sizeof(text) : 100 << 10 };
		offers[i] = offer(&samples[i], NULL, 0);
	}
	ok = store_add(far, offers, 40, &added, &e) == 0;
	store_close(&far);
	fake_daemon_stop(&d);
	tap_ok(ok && holds("long.db", offers, 40), "long records");
	tap_ok(d.largest > sizeof(text) * 2 && d.largest < sizeof(text) * 2 + 1000,
	    "... one that is too long for two goes alone");
}

static void
test_refusals(void)
{
	struct fake_daemon d = { .path = "refusals.db", .comment = "Only wds can upload logs." };
	struct sample sample;
	struct store_offer o;
	struct store_added added;

	fixture_sample(&sample, 0);
	o = offer(&sample, "one", 1);
	fake_daemon_start(&d);
	far = reach(&d, STORE_WRITE, NULL);
	tap_ok(store_add(far, &o, 1, &added, &e) == -1 && e.kind == ERROR_DENIED &&
	    strstr(e.text, "Only wds can upload logs.") != NULL, "a user may not upload");
	d.comment = "record 0: sender: must be a string";
	tap_ok(store_add(far, &o, 1, &added, &e) == -1 && e.kind == ERROR_INVALID &&
	    strstr(e.text, "record 0: sender") != NULL, "an upload is refused, and the reason told");
	store_close(&far);
	fake_daemon_stop(&d);
}

/* ---- a daemon that is not there ---- */

struct trouble {
	unsigned bad, good;
};

static void
note_trouble(void *arg, const char *why)
{
	struct trouble *t = arg;

	t->bad += why != NULL;
	t->good += why == NULL;
}

static void
test_waiting(void)
{
	struct fake_daemon d = { .path = "later.db" };
	struct trouble trouble = { 0 };
	struct client_settings s = { .trouble = note_trouble, .arg = &trouble,
	    .stop_fd = eventfd(0, 0) };
	struct sample sample;
	struct store_offer o;
	struct store_added added;
	int port;

	fixture_sample(&sample, 0);
	o = offer(&sample, "one", 1);
	fake_listen(&d.fake, 0);
	port = d.fake.port;
	close(d.fake.listener);
	far = reach(&d, STORE_WRITE, &s);
	tap_ok(trouble.bad == 1, "who uploads is told that the daemon is down");
	eventfd_write(s.stop_fd, 1);
	tap_ok(store_add(far, &o, 1, &added, &e) == -1 && e.kind == ERROR_NONE,
	    "... and waits until it is told to stop");
	close(s.stop_fd);
	store_close(&far);

	s.stop_fd = 0;
	far = reach(&d, STORE_WRITE, &s);
	fake_daemon_open(&d);
	d.fake = (struct fake){ .fd = -1, .script = fake_daemon_run, .arg = &d };
	fake_listen(&d.fake, port);
	fake_must(pthread_create(&d.fake.thread, NULL, fake_run, &d.fake) == 0, "a thread");
	tap_ok(store_add(far, &o, 1, &added, &e) == 0, "... or until the daemon is there");
	tap_ok(trouble.bad == 2 && trouble.good == 1, "trouble is told once, and that it is over");
	store_close(&far);
	fake_daemon_stop(&d);
	tap_ok(holds("later.db", &o, 1), "... and what was offered is stored");
}

static void
refuse_token(struct fake *f)
{
	fake_accept(f);
	fake_read(f);
	fake_send(f, "{\"success\":false,\"action\":\"auth\",\"comment\":\"Invalid token\"}");
	fake_close(f, 1008, "");
}

static void
test_token(void)
{
	struct fake f;
	struct client_settings s = { .token = "x" };

	fake_start(&f, refuse_token, NULL);
	s.url = f.url;
	tap_ok(store_open_remote(&s, STORE_WRITE, &e) == NULL && e.kind == ERROR_DENIED,
	    "who uploads is told at once that the token is refused");
	fake_end(&f);
}

/* ---- news ---- */

#define NEWS(n) "{\"action\":\"records\",\"cursor\":\"c1;t=0000000000000000;a=000000000000000" n \
	";s=0000000000000077\"}"

static void
serve(struct fake_daemon *d)
{
	fake_read(&d->fake);
	fake_act(d);
}

static void
arrive(struct fake_daemon *d, uint64_t i)
{
	struct sample sample;

	fixture_sample(&sample, i);
	sample.record.watchdog = str_of("w0");
	fixture_add(d->store, &sample, 1, 1);
}

static void
tell_news(struct fake *f)
{
	struct fake_daemon *d = f->arg;

	fake_take(f);
	fake_let_in(d);
	serve(d);           /* subscribe */
	serve(d);           /* where is the end? */
	arrive(d, 0);
	fake_send(f, NEWS("1"));
	fake_read(f);       /* what is there? But meanwhile: */
	fake_send(f, NEWS("2"));
	fake_act(d);
	fake_read(f);
	fake_drop(f);
	fake_take(f);
	fake_let_in(d);
	serve(d);
	serve(d);
	close(f->listener);
	f->listener = -1;
	fake_drop(f);
}

static bool
readable(int fd, int ms)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, ms) == 1;
}

static void
test_news(void)
{
	struct fake_daemon d = { .path = "news.db" };
	struct query q = query_all();
	struct answer *a;
	struct record r;
	struct cursor c;
	int fd;

	fake_daemon_open(&d);
	fake_start(&d.fake, tell_news, &d);
	far = reach(&d, STORE_READ, NULL);
	fd = store_watch(far, &e);
	tap_ok(fd != -1 && !readable(fd, 0), "nothing is news before somebody looks");
	store_watched(far);
	tap_ok(store_end(far, &c, &e) == 0 && c.store == 0, "the end of nothing");
	tap_ok(readable(fd, 5000), "a record arrives");
	store_watched(far);
	tap_ok(!readable(fd, 0), "... and is noted");
	tap_ok(store_end(far, &c, &e) == 0 && c.arrival == 1 && c.store == 0x77, "the news tell the end");
	a = store_ask(far, &q, &e);
	tap_ok(a != NULL && answer_next(a, &r, &e) == 1 && answer_next(a, &r, &e) == 0, "it is asked for");
	answer_close(&a);
	tap_ok(readable(fd, 0), "news that came meanwhile are not lost");
	store_watched(far);
	tap_ok(store_end(far, &c, &e) == 0 && c.arrival == 2, "... nor what they tell");
	a = store_ask(far, &q, &e);
	tap_ok(a != NULL && answer_next(a, &r, &e) == -1 && e.kind == ERROR_BUSY,
	    "who watches is told at once that the connection is lost");
	answer_close(&a);
	tap_ok(readable(fd, 5000), "... and to look");
	store_watched(far);
	tap_ok(store_end(far, &c, &e) == 0 && c.arrival == 1 && c.store != 0x77,
	    "... over another connection, which has told no news yet");
	tap_ok(d.subscriptions == 2, "... but will");
	tap_ok(readable(fd, 5000), "that one is lost as well");
	store_watched(far);
	tap_ok(store_end(far, &c, &e) == -1 && e.kind == ERROR_BUSY, "... and there is no other");
	store_close(&far);
	fake_daemon_close(&d);
}

int
main(void)
{
	fixture_begin();
	test_adding();
	test_weak_daemon();
	test_long_records();
	test_refusals();
	test_waiting();
	test_token();
	test_news();
	return tap_done();
}
