/* relay_push.h and relay_pull.h, with a network between them that loses what it likes, and
 * everybody killed now and then: from producers that send again what was not acknowledged to a
 * sink that keeps marks, every record must arrive once. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fixture.h"
#include "relay_pull.h"
#include "relay_push.h"

#define PUSHERS 3
#define RECORDS 5000      /* of each */
#define QUEUE 64
#define BAD 13            /* every so many-th line is no record; and of these, */
#define BAD_SINK 2        /* so many-th only for the sink */

static uint64_t state = 20241122;

static unsigned
pick(unsigned below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (unsigned)((state * 2685821657736338717u) >> 33) % below;
}

/* ---- the sink, at its socket: it stores, or is killed before it does ---- */

struct store {
	int listener, fd;
	struct buf in;
	struct ndjson *reader;
	int64_t marks[PUSHERS];
	unsigned char stored[PUSHERS][RECORDS + 1];
	bool order;               /* it was right */
};

static void
store_hang_up(struct store *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	s->in.len = 0;
}

static void
store_begin(struct store *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "s" };
	struct error e;

	s->fd = -1;
	s->order = true;
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(s->listener, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(s->listener, 4) == -1 ||
	    (s->reader = ndjson_new(&(struct ndjson_defaults){ .watchdog = str_of("w") }, &e)) == NULL)
		fixture_fail("the sink", strerror(errno));
}

/* Settle a line, and answer for it. */
static void
store_line(struct store *s, struct str line, struct buf *answers)
{
	struct ndjson_line l;
	struct error e;
	int i;

	if (ndjson_read(s->reader, line, &l, &e) == -1 || l.source.len < 3)
		fixture_fail("a line for the sink", e.text);
	i = l.source.data[1] - '0';   /* "pN/s" */
	if (l.record.level == 66)
		ndjson_write_reject(answers, l.source, l.seq, "sixty-six");
	else if (l.seq > s->marks[i])
		s->stored[i][l.seq]++;
	if (l.seq > s->marks[i]) {
		/* What was not refused before it got here comes without a gap. */
		for (int64_t n = s->marks[i] + 1; n < l.seq; n++)
			s->order &= n % BAD == 0;
		s->marks[i] = l.seq;
	}
	ndjson_write_ack(answers, l.source, l.seq);
}

static void
store_turn(struct store *s)
{
	struct buf answers = { 0 };
	const char *newline;
	ssize_t n;

	if (s->fd == -1)
		s->fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (s->fd == -1 || buf_reserve(&s->in, 5000) == -1)
		return;
	if ((n = read(s->fd, s->in.data + s->in.len, 1 + pick(5000))) == 0)
		store_hang_up(s);
	if (n <= 0)
		return;
	s->in.len += (size_t)n;
	while ((newline = memchr(s->in.data, '\n', s->in.len)) != NULL) {
		store_line(s, (struct str){ s->in.data, (size_t)(newline - s->in.data) }, &answers);
		buf_consume(&s->in, (size_t)(newline + 1 - s->in.data));
	}
	/* Stored; whether anybody hears of it is another thing. */
	if (pick(40) == 0 || (answers.len > 0 &&
	    send(s->fd, answers.data, answers.len, MSG_NOSIGNAL) != (ssize_t)answers.len))
		store_hang_up(s);
	buf_free(&answers);
}

/* ---- the puller ---- */

struct far {
	struct sink *sink;
	struct relay_pull *pull;
	unsigned runs;
	unsigned asleep;          /* for so many turns */
};

static void
on_settled(void *arg, struct sink_parcel *p)
{
	relay_pull_settled(((struct far *)arg)->pull, p);
}

static void
on_rejected(void *arg, struct sink_parcel *p, int64_t seq, struct str reason)
{
	relay_pull_rejected(((struct far *)arg)->pull, p, seq, reason);
}

static void
on_say(void *arg, int priority, const char *text)
{
	(void)arg;
	(void)priority;
	(void)text;
}

static void
far_begin(struct far *f)
{
	struct relay_pull_settings s = { .room = 20000, .heartbeat = 5, .say = on_say,
	    .defaults = { .watchdog = str_of("w") } };
	struct error e;

	f->sink = sink_new(&(struct sink_settings){ .path = "s", .room = 20000, .retry_min = 0.001,
	    .retry_max = 0.001, .settled = on_settled, .rejected = on_rejected, .say = on_say,
	    .arg = f }, &e);
	if (f->sink == NULL)
		fixture_fail("sink_new", e.text);
	s.sink = f->sink;
	s.run[0] = (unsigned char)++f->runs;
	if ((f->pull = relay_pull_new(&s, &e)) == NULL)
		fixture_fail("relay_pull_new", e.text);
}

static void
far_end(struct far *f)
{
	sink_free(&f->sink, 0);
	relay_pull_free(&f->pull);
}

/* ---- a producer, its pusher, and the connection from there ---- */

struct queue {
	struct buf messages[QUEUE];
	size_t first, count;
};

struct near {
	struct relay_push *push;
	struct queue there, back;
	struct queue late;        /* what was on its way there on the connection before */
	char id[8], late_id[8], peer[8];
	int index;
	unsigned runs, connections;
	int64_t acked, rejected, next;
	struct ndjson *reader;
	bool honest;              /* all answers made sense */
};

static void
put(struct queue *q, struct str message)
{
	struct buf *b = &q->messages[(q->first + q->count++) % QUEUE];

	b->len = 0;
	if (buf_add_str(b, message) == -1)
		fixture_fail("put", "out of memory");
}

static struct str
get(struct queue *q)
{
	struct buf *b = &q->messages[q->first];

	q->first = (q->first + 1) % QUEUE;
	q->count--;
	return (struct str){ b->data, b->len };
}

/* What was on its way is lost, or, of what went there, some comes late. */
static void
reconnect(struct near *n)
{
	n->late.count = n->back.count = 0;
	memcpy(n->late_id, n->id, sizeof(n->id));
	for (size_t some = pick(2) * n->there.count; some > 0; some--)
		put(&n->late, get(&n->there));
	n->there.count = 0;
	snprintf(n->id, sizeof(n->id), "%d.%u", n->index, ++n->connections % 1000);
	relay_push_connected(n->push);
}

static void
near_begin(struct near *n)
{
	unsigned char run[RELAY_RUN_SIZE] = { (unsigned char)n->index, (unsigned char)++n->runs };
	struct error e;

	if ((n->push = relay_push_new(run, 20, &e)) == NULL)
		fixture_fail("relay_push_new", e.text);
	n->next = n->acked + 1 - (n->acked > 3 ? pick(3) : 0);
	reconnect(n);
}

static void
offer(struct near *n)
{
	char line[300];
	struct error e;
	int level = n->next % (BAD * BAD_SINK) == 0 ? 66 : 30;

	snprintf(line, sizeof(line), "{\"source\":\"s\",\"seq\":%" PRId64 ",\"level\":%d,\"time\":1,"
	    "\"sender\":\"%d\",%s\"message\":\"%.*s\"}\n", n->next, level, n->index,
	    n->next % BAD == 0 && level == 30 ? "x" : "", (int)pick(100),
	    "0123456789012345678901234567890123456789012345678901234567890123456789"
	    "0123456789012345678901234567890123456789");
	if (relay_push_add(n->push, str_of(line), &e) == -1)
		fixture_fail("relay_push_add", e.text);
	n->next++;
}

static void
take_answer(struct near *n, struct store *s, struct str line)
{
	struct ndjson_answer a;
	struct error e;

	n->honest &= ndjson_read_answer(n->reader, line, &a, &e) == 0 && str_equal(a.source, str_of("s"));
	if (a.type == NDJSON_REJECT) {
		n->honest &= a.seq % BAD == 0;
		if (a.seq > n->rejected)
			n->rejected = a.seq;
	} else if (a.seq > n->acked) {
		n->honest &= a.seq < n->next && n->rejected >= a.seq / BAD * BAD;
		for (; n->acked < a.seq; n->acked++)
			n->honest &= s->stored[n->index][n->acked + 1] == ((n->acked + 1) % BAD != 0);
	}
}

static void
hear(struct near *n, struct store *s, double now)
{
	struct str answers;
	const char *newline;
	struct error e;

	n->honest &= relay_push_take(n->push, get(&n->back), now, &answers, &e) == 0;
	while (answers.len > 0) {
		newline = memchr(answers.data, '\n', answers.len);
		take_answer(n, s, (struct str){ answers.data, (size_t)(newline - answers.data) });
		answers.len -= (size_t)(newline + 1 - answers.data);
		answers.data = newline + 1;
	}
}

/* ---- the world ---- */

static struct near *
by_id(struct near *near, struct str id)
{
	for (int i = 0; i < PUSHERS; i++)
		if (str_equal(str_of(near[i].id), id))
			return &near[i];
	return NULL;
}

static void
far_turn(struct far *f, struct near *near, double now)
{
	struct str id, message;
	struct error e;
	struct near *n;

	if (f->asleep == 0 && pick(60) == 0)
		f->asleep = pick(40);
	if (f->asleep > 0) {
		f->asleep--;
		return;
	}
	for (int i = 0; i < PUSHERS; i++) {
		n = &near[i];
		if (n->there.count > 0 && pick(2) == 0)
			n->honest &= relay_pull_take(f->pull, str_of(n->id), str_of(n->peer),
			    get(&n->there), now, &e) == 0;
		if (n->late.count > 0 && pick(3) == 0)
			n->honest &= relay_pull_take(f->pull, str_of(n->late_id), str_of(n->peer),
			    get(&n->late), now, &e) == 0;
	}
	sink_flush(f->sink);
	if (sink_work(f->sink, &e) == -1)
		fixture_fail("sink_work", e.text);
	relay_pull_tick(f->pull, now);
	while (relay_pull_next(f->pull, &id, &message)) {
		if ((n = by_id(near, id)) == NULL) {
			relay_pull_gone(f->pull);
		} else if (n->back.count == QUEUE) {
			relay_pull_blocked(f->pull);
			break;
		} else {
			put(&n->back, message);
			relay_pull_sent(f->pull, now);
		}
	}
}

static void
near_turn(struct near *n, struct store *s, double now)
{
	struct str message;

	if (n->next <= RECORDS && n->next < n->acked + 200 && pick(3) > 0)
		for (int i = (int)pick(20); i >= 0 && n->next <= RECORDS; i--)
			offer(n);
	if (n->there.count < QUEUE && relay_push_next(n->push, now, &message)) {
		put(&n->there, message);
		relay_push_sent(n->push, now);
	}
	if (n->back.count > 0 && pick(3) > 0)
		hear(n, s, now);
}

static bool
is_done(const struct near *near)
{
	for (int i = 0; i < PUSHERS; i++)
		if (near[i].acked < RECORDS)
			return false;
	return true;
}

static void
disaster(struct far *f, struct near *near, struct store *s, unsigned *count)
{
	struct near *n = &near[pick(PUSHERS)];

	switch (pick(400)) {
	case 0:   /* the puller is killed: all are connected anew */
		far_end(f);
		far_begin(f);
		for (int i = 0; i < PUSHERS; i++)
			reconnect(&near[i]);
		break;
	case 1:
	case 2:
		relay_push_free(&n->push);
		near_begin(n);
		break;
	case 3:
	case 4:
	case 5:
		reconnect(n);
		break;
	case 6:   /* all that is on its way there is lost, and nobody notices */
		n->there.count = 0;
		break;
	case 7:
		n->back.count = 0;
		break;
	case 8:
		store_hang_up(s);
		break;
	default:
		return;
	}
	++*count;
}

static void
exactly_once(void)
{
	static struct store s;
	static struct near near[PUSHERS];
	struct far f = { .runs = 0 };
	unsigned disasters = 0;
	bool once = true, honest = true;
	double now = 0;
	int turns = 0;

	store_begin(&s);
	far_begin(&f);
	for (int i = 0; i < PUSHERS; i++) {
		near[i] = (struct near){ .index = i, .id = "none", .honest = true, .reader = s.reader };
		snprintf(near[i].peer, sizeof(near[i].peer), "p%d", i);
		near_begin(&near[i]);
	}
	for (; !is_done(near) && turns < 2000000; turns++, now += 0.1) {
		disaster(&f, near, &s, &disasters);
		far_turn(&f, near, now);
		store_turn(&s);
		for (int i = 0; i < PUSHERS; i++)
			near_turn(&near[i], &s, now);
	}
	tap_ok(is_done(near), "everything is acknowledged, through %u disasters in %d turns", disasters,
	    turns);
	for (int i = 0; i < PUSHERS; i++) {
		honest &= near[i].honest;
		for (int k = 1; k <= RECORDS; k++)
			once &= s.stored[i][k] == (k % BAD != 0);
	}
	tap_ok(once, "every record is stored once");
	tap_ok(s.order, "in order");
	tap_ok(honest, "nothing was acknowledged before it was stored, or refused and told so");
	tap_ok(disasters > 20, "there were some");
	far_end(&f);
	for (int i = 0; i < PUSHERS; i++) {
		relay_push_free(&near[i].push);
		for (int k = 0; k < QUEUE; k++) {
			buf_free(&near[i].there.messages[k]);
			buf_free(&near[i].back.messages[k]);
			buf_free(&near[i].late.messages[k]);
		}
	}
	store_hang_up(&s);
	close(s.listener);
	ndjson_free(&s.reader);
	buf_free(&s.in);
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		state = strtoull(argv[1], NULL, 10) | 1;
	fixture_begin();
	signal(SIGPIPE, SIG_IGN);
	exactly_once();
	return tap_done();
}
