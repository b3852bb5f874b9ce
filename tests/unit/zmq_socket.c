/* socket.h: who is at the other end, who may come in, and who must go. */
#include "socket.h"

#include <math.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <zmq.h>

#include "fixture.h"
#include "log.h"

#define MAX_MESSAGE 1000

static struct hub *hub;
static char server_public[KEY_SIZE], server_secret[KEY_SIZE];
static char client_public[KEY_SIZE], client_secret[KEY_SIZE];
static char other_public[KEY_SIZE], other_secret[KEY_SIZE];

static struct socket *
try_open(enum socket_type type, const char *address, bool bind, const char *secret,
    const struct allow *allow, struct error *e)
{
	return socket_new(hub, &(struct socket_settings){
		.type = type,
		.endpoints = &(struct endpoint){ address, bind },
		.endpoint_count = 1,
		.high_water = 1000,
		.retry_min = 0.01, .retry_max = 0.05,
		.heartbeat = 5,
		.max_message = MAX_MESSAGE,
		.secret_key = secret,
		.server_key = server_public,
		.allow = allow,
	}, e);
}

static struct socket *
open_socket(enum socket_type type, const char *address, bool bind, const char *secret,
    const struct allow *allow)
{
	struct error e;
	struct socket *s = try_open(type, address, bind, secret, allow, &e);

	if (s == NULL)
		fixture_fail(address, e.text);
	return s;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Wait until there is a message; false after `seconds`. */
static bool
hear(struct socket *s, struct parcel *p, double seconds)
{
	const double end = now() + seconds;
	struct error e;
	int r;

	while ((r = socket_receive(s, p, &e)) == 0 && now() < end)
		if (hub_wait(hub, &(struct hub_watch){ .socket = s, .events = HUB_READ }, 1,
		    fmin(end - now(), 0.1), &e) == -1)
			fixture_fail("hub_wait", e.text);
	if (r == -1)
		fixture_fail("socket_receive", e.text);
	return r == 1;
}

/* Wait until a figure of the socket is at least that. */
static bool
until(struct socket *s, size_t offset, uint64_t least)
{
	const double end = now() + 10;
	struct socket_stats stats;
	uint64_t value;
	struct error e;

	do {
		if (hub_wait(hub, NULL, 0, 0.05, &e) == -1)
			fixture_fail("hub_wait", e.text);
		socket_stats(s, &stats);
		memcpy(&value, (const char *)&stats + offset, sizeof(value));
	} while (value < least && now() < end);
	return value >= least;
}
#define UNTIL(s, figure, least) until(s, offsetof(struct socket_stats, figure), least)

static void
say(struct socket *s, const char *text)
{
	struct error e;

	if (socket_send(s, &(struct parcel){ .body = str_of(text) }, NULL, &e) == -1)
		fixture_fail("socket_send", e.text);
}

/* A router, and a dealer that talks to it. */
struct pair {
	struct socket *router, *dealer;
};

static struct pair
open_pair(const char *address, const char *server, const char *client, const struct allow *allow)
{
	struct pair p;

	p.router = open_socket(SOCKET_ROUTER, address, true, server, allow);
	p.dealer = open_socket(SOCKET_DEALER, socket_bound(p.router, 0), false, client, NULL);
	return p;
}

static void
close_pair(struct pair *p)
{
	socket_free(&p->dealer);
	socket_free(&p->router);
}

/* There and back. */
static bool
talk(struct pair *p, char peer[128])
{
	struct parcel m, answer;
	struct error e;
	bool gone;

	if (!UNTIL(p->dealer, connected, 1))
		return false;
	say(p->dealer, "question");
	if (!hear(p->router, &m, 10) || !str_equal(m.body, str_of("question")) || m.delimiter || m.extra > 0)
		return false;
	snprintf(peer, 128, "%.*s", STR_ARGS(m.peer));
	m.body = str_of("answer");
	return socket_send(p->router, &m, &gone, &e) == 1 && !gone && hear(p->dealer, &answer, 10) &&
	    str_equal(answer.body, str_of("answer"));
}

/* ---- who is there ---- */

static void
names(void)
{
	char peer[128] = "", uid[32], key[64];
	struct pair p;

	p = open_pair("ipc://s", NULL, NULL, NULL);
	tap_ok(talk(&p, peer), "router and dealer talk over ipc");
	snprintf(uid, sizeof(uid), "uid:%u", (unsigned)getuid());
	tap_is(peer, uid, "a peer there is known by its user");
	close_pair(&p);

	p = open_pair("tcp://127.0.0.1:0", NULL, NULL, NULL);
	tap_ok(strncmp(socket_bound(p.router, 0), "tcp://127.0.0.1:", 16) == 0 &&
	    strcmp(socket_bound(p.router, 0), "tcp://127.0.0.1:0") != 0, "port 0 becomes another");
	tap_ok(talk(&p, peer), "they talk over tcp");
	tap_is(peer, "tcp:127.0.0.1", "a peer there is known by its address");
	close_pair(&p);

	p = open_pair("tcp://*:0", server_secret, client_secret, NULL);
	tap_ok(talk(&p, peer), "they talk with CURVE, on all addresses");
	snprintf(key, sizeof(key), "curve:%s", client_public);
	tap_is(peer, key, "a peer there is known by its key");
	close_pair(&p);

	p.dealer = open_socket(SOCKET_DEALER, "tcp://127.0.0.1:0", true, server_secret, NULL);
	p.router = open_socket(SOCKET_ROUTER, socket_bound(p.dealer, 0), false, client_secret, NULL);
	tap_ok(talk(&p, peer), "the other way round, too");
	snprintf(key, sizeof(key), "curve:%s", server_public);
	tap_is(peer, key, "where it is the key that was expected");
	close_pair(&p);
}

/* A peer that writes ZMTP 3.0 (rfc.zeromq.org/spec/23) by hand, and says that it has a key. */
static void
impostor(void)
{
	static const char ready[] = "\x04\x50\x05READY\x0bSocket-Type\x00\x00\x00\x06""DEALER\x07User-Id"
	    "\x00\x00\x00\x28""0123456789012345678901234567890123456789";
	static const char message[] = "\x00\x02hi";
	char greeting[64] = { (char)0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, 'N', 'U', 'L', 'L' };
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "by-hand" };
	struct socket *router = open_socket(SOCKET_ROUTER, "ipc://by-hand", true, NULL, NULL);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char answer[64 + 16], uid[32], peer[128] = "";   /* a greeting, and how READY begins */
	struct parcel m;

	if (fd == -1 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) == -1 ||
	    write(fd, greeting, sizeof(greeting)) == -1 || write(fd, ready, sizeof(ready) - 1) == -1 ||
	    recv(fd, answer, sizeof(answer), MSG_WAITALL) == -1 ||
	    write(fd, message, sizeof(message) - 1) == -1)
		fixture_fail("an impostor", strerror(errno));
	snprintf(uid, sizeof(uid), "uid:%u", (unsigned)getuid());
	tap_ok(hear(router, &m, 10) && str_equal(m.body, str_of("hi")), "ZMTP by hand is understood");
	snprintf(peer, sizeof(peer), "%.*s", STR_ARGS(m.peer));
	tap_is(peer, uid, "without CURVE nobody has a key, whatever he says");
	close(fd);
	socket_free(&router);
}

/* ---- messages ---- */

static void
foreign(void)
{
	struct socket *router = open_socket(SOCKET_ROUTER, "ipc://foreign", true, NULL, NULL);
	void *context = zmq_ctx_new(), *req = zmq_socket(context, ZMQ_REQ);
	void *dealer = zmq_socket(context, ZMQ_DEALER);
	char got[8] = "";
	struct parcel m;
	struct error e;
	bool gone;

	zmq_connect(req, "ipc://foreign");
	zmq_send(req, "ask", 3, 0);
	tap_ok(hear(router, &m, 10) && m.delimiter && m.extra == 0 && str_equal(m.body, str_of("ask")),
	    "REQ has an empty frame before the body");
	m.body = str_of("tell");
	tap_ok(socket_send(router, &m, NULL, &e) == 1 && zmq_recv(req, got, sizeof(got), 0) == 4 &&
	    memcmp(got, "tell", 4) == 0, "and gets its answer so");

	zmq_connect(dealer, "ipc://foreign");
	zmq_send(dealer, "one", 3, ZMQ_SNDMORE);
	zmq_send(dealer, "two", 3, ZMQ_SNDMORE);
	zmq_send(dealer, "three", 5, 0);
	zmq_send(dealer, "four", 4, 0);
	tap_ok(hear(router, &m, 10) && m.extra == 2 && str_equal(m.body, str_of("one")),
	    "frames that should not be there are counted");
	tap_ok(hear(router, &m, 10) && m.extra == 0 && str_equal(m.body, str_of("four")),
	    "and do not confuse what follows");
	zmq_send(dealer, "", 0, 0);
	tap_ok(hear(router, &m, 10) && !m.delimiter && m.body.len == 0, "an empty message is one");
	zmq_close(req);
	zmq_close(dealer);
	zmq_ctx_term(context);
	tap_ok(UNTIL(router, ended, 2), "their end is seen");
	m = (struct parcel){ .peer_id = str_of("\1nobody"), .body = str_of("x") };
	tap_ok(socket_send(router, &m, &gone, &e) == 1 && gone, "a message to nobody is lost, and that is told");
	socket_free(&router);
}

static atomic_uint let_go_calls;

static void
let_go(void *body, void *held)
{
	if (memcmp(body, held, 4) == 0)
		atomic_fetch_add(&let_go_calls, 1);
}

/* A body that is not copied is let go of once. */
static void
lent(void)
{
	static const char body[] = "lent";
	const struct parcel lent = { .body = str_of(body), .let_go = let_go, .held = (char *)body };
	struct socket *dealer = open_socket(SOCKET_DEALER, "ipc://lent", false, NULL, NULL), *router;
	const double end = now() + 10;
	struct parcel m;
	struct error e;
	unsigned before;

	tap_ok(socket_send(dealer, &lent, NULL, &e) == 0 && let_go_calls == 1,
	    "what cannot be sent is let go of at once");
	router = open_socket(SOCKET_ROUTER, "ipc://lent", true, NULL, NULL);
	/* It is connected a moment before there is room. */
	for (before = let_go_calls; socket_send(dealer, &lent, NULL, &e) == 0 && now() < end;
	    before = let_go_calls)
		hub_wait(hub, NULL, 0, 0.01, &e);
	tap_ok(hear(router, &m, 10) && str_equal(m.body, str_of(body)), "it is sent");
	while (let_go_calls == before && now() < end)
		hub_wait(hub, NULL, 0, 0.01, &e);
	tap_ok(let_go_calls == before + 1, "and let go of when that is done");
	socket_free(&dealer);
	socket_free(&router);
}

static void
too_large(void)
{
	struct pair p = open_pair("ipc://large", NULL, NULL, NULL);
	char text[MAX_MESSAGE + 2] = "", peer[128];
	struct parcel m;

	tap_ok(talk(&p, peer), "a connection stands");
	memset(text, 'x', MAX_MESSAGE + 1);
	say(p.dealer, text);
	tap_ok(UNTIL(p.router, ended, 1), "a frame that is too large ends it");
	tap_ok(!hear(p.router, &m, 0), "the frame does not come through");
	tap_ok(UNTIL(p.dealer, connected, 2), "the peer connects again");
	text[MAX_MESSAGE] = '\0';
	say(p.dealer, text);
	tap_ok(hear(p.router, &m, 10) && m.body.len == MAX_MESSAGE, "one that is just not does");
	close_pair(&p);
}

/* ---- who may come in ---- */

static struct allow *
allow_keys(const char *first, const char *second)
{
	char text[200];
	struct error e;
	struct allow *a;

	snprintf(text, sizeof(text), "%s one\n%s%s\n", first, second, *second != '\0' ? " two" : "");
	fixture_write("list", text, strlen(text));
	if ((a = allow_read("list", &e)) == NULL)
		fixture_fail("list", e.text);
	return a;
}

static void
change_allow(struct allow *a, const char *first, const char *second)
{
	struct allow *again = allow_keys(first, second);
	struct error e;

	allow_free(&again);
	if (allow_reload(a, &e) == -1)
		fixture_fail("list", e.text);
}

static void
admission(void)
{
	struct allow *a = allow_keys(client_public, "");
	struct pair p = open_pair("tcp://127.0.0.1:0", server_secret, client_secret, a);
	struct socket *other = open_socket(SOCKET_DEALER, socket_bound(p.router, 0), false, other_secret,
	    NULL);
	struct socket *plain = open_socket(SOCKET_DEALER, socket_bound(p.router, 0), false, NULL, NULL);
	char peer[128];
	struct socket_stats stats;
	struct error e;

	tap_ok(talk(&p, peer), "whose key is on the list comes in");
	tap_ok(UNTIL(other, refused, 1), "whose key is not is refused, and told so");
	tap_ok(UNTIL(plain, ended, 1), "without a key nobody comes in");
	tap_ok(UNTIL(p.router, refused, 2), "they are counted");
	socket_stats(other, &stats);
	tap_ok(stats.connected == 0, "and were never in");
	tap_ok(hub_recheck(hub, &e) == 0, "nobody must go while all are on the list");

	change_allow(a, client_public, other_public);
	tap_ok(hub_recheck(hub, &e) == 0 && UNTIL(other, connected, 1),
	    "who is put on the list comes in by himself");
	change_allow(a, other_public, "");
	tap_ok(hub_recheck(hub, &e) == 1, "somebody must go");
	tap_ok(UNTIL(p.dealer, refused, 1), "who is no longer on the list is cut off, and kept out");
	tap_ok(UNTIL(other, connected, 2), "who still is comes back by himself");
	socket_stats(p.dealer, &stats);
	tap_ok(stats.connected == 1 && stats.ended > 0, "only he");
	change_allow(a, other_public, client_public);
	hub_recheck(hub, &e);
	tap_ok(UNTIL(p.dealer, connected, 2), "until he is put on it again");
	socket_free(&other);
	socket_free(&plain);
	close_pair(&p);
	allow_free(&a);
}

/* ---- endpoints ---- */

static void
fails(enum socket_type type, const char *address, bool bind, enum error_kind kind, const char *name)
{
	struct error e = { .kind = ERROR_NONE };
	struct socket *s = try_open(type, address, bind, NULL, NULL, &e);

	tap_ok(s == NULL && e.kind == kind, "%s (%s)", name, s == NULL ? e.text : "");
	socket_free(&s);
}

static void
endpoints(void)
{
	struct socket *tcp = open_socket(SOCKET_ROUTER, "tcp://127.0.0.1:0", true, NULL, NULL), *ipc;
	struct stat st;
	size_t size;
	char *text;

	fixture_write("file", "text", 4);
	fails(SOCKET_ROUTER, "ipc://file", true, ERROR_USAGE, "where there is a file, none is opened");
	text = fixture_read("file", &size);
	tap_ok(size == 4 && memcmp(text, "text", 4) == 0, "and it stays");
	free(text);
	ipc = open_socket(SOCKET_ROUTER, "ipc://busy", true, NULL, NULL);
	tap_ok(stat("busy", &st) == 0 && (st.st_mode & 0777) == 0660, "an ipc socket is for owner and group");
	fails(SOCKET_ROUTER, "ipc://busy", true, ERROR_BUSY, "where somebody listens, nobody else can");
	fails(SOCKET_ROUTER, socket_bound(tcp, 0), true, ERROR_BUSY, "over tcp, too");
	fails(SOCKET_ROUTER, "tcp://nowhere", true, ERROR_USAGE, "an address must be one");
	fails(SOCKET_DEALER, "tcp://nowhere", false, ERROR_USAGE, "to connect, too");
	socket_free(&ipc);
	socket_free(&tcp);
}

/* The high-water mark counts messages; long ones have a bound in bytes, too. */
static void
long_messages(void)
{
	static char text[1 << 20];
	struct socket *router = open_socket(SOCKET_ROUTER, "tcp://127.0.0.1:0", true, NULL, NULL);
	void *context = zmq_ctx_new(), *dealer = zmq_socket(context, ZMQ_DEALER);
	const int one = 1, linger = 0;
	const double end = now() + 20;
	struct parcel m;
	struct error e;
	char id[256];
	bool gone;
	int count = 0, r = 0;

	zmq_setsockopt(dealer, ZMQ_RCVHWM, &one, sizeof(one));
	zmq_setsockopt(dealer, ZMQ_LINGER, &linger, sizeof(linger));
	zmq_connect(dealer, socket_bound(router, 0));
	zmq_send(dealer, "x", 1, 0);
	tap_ok(hear(router, &m, 10), "somebody is there");
	memcpy(id, m.peer_id.data, m.peer_id.len);
	m = (struct parcel){ .peer_id = { id, m.peer_id.len }, .body = { text, sizeof(text) } };
	while (count < 200 && (r = socket_send(router, &m, &gone, &e)) == 1 && !gone)
		count++;
	tap_ok(r == 0 && count >= 16 && count < 200, "who does not read is sent no more than some (%d)", count);
	m.body.len = 1;
	tap_ok(socket_send(router, &m, &gone, &e) == 1 && !gone, "but something short still");
	for (; count > 0 && zmq_recv(dealer, text, sizeof(text), 0) == sizeof(text); count--)
		;
	tap_ok(count == 0, "it all comes");
	m.body.len = sizeof(text);
	while ((r = socket_send(router, &m, &gone, &e)) == 0 && now() < end)
		hub_wait(hub, NULL, 0, 0.01, &e);
	tap_ok(r == 1 && !gone, "and then there is room again");
	zmq_close(dealer);
	zmq_ctx_term(context);
	socket_free(&router);
}

int
main(void)
{
	struct error e;

	fixture_begin();
	log_open("zmq_socket", LOG_ERR);
	if ((hub = hub_new(&e)) == NULL || socket_keypair(server_public, server_secret, &e) == -1 ||
	    socket_keypair(client_public, client_secret, &e) == -1 ||
	    socket_keypair(other_public, other_secret, &e) == -1)
		fixture_fail("hub_new", e.text);
	names();
	impostor();
	foreign();
	lent();
	too_large();
	admission();
	endpoints();
	long_messages();
	hub_free(&hub);
	return tap_done();
}
