/*
 * The WebSocket client, against servers that behave in one way or another.
 */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "client.h"
#include "fake.h"

static struct error e;

static struct client *
begin(struct fake *f, const struct client_settings *settings)
{
	struct client_settings s = settings != NULL ? *settings :
	    (struct client_settings){ .token = "secret" };
	struct client *c;

	s.url = f->url;
	if ((c = client_new(&s, &e)) == NULL)
		fixture_fail("client_new", e.text);
	return c;
}

static void
end(struct fake *f, struct client *c)
{
	client_free(&c);
	fake_end(f);
}

static bool
ask(struct client *c, const char *text)
{
	return client_send(c, str_of(text), &e) == 0;
}

/* Is this the next message? */
static bool
comes(struct client *c, const char *want)
{
	struct str text;

	if (client_receive(c, &text, &e) == -1) {
		printf("# instead of a message: %s\n", e.text);
		return false;
	}
	if (str_equal(text, str_of(want)))
		return true;
	printf("# got %.*s\n", (int)(text.len < 100 ? text.len : 100), text.data);
	return false;
}

static bool
readable(int fd, int ms)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, ms) == 1;
}

/* ---- messages ---- */

static void
echo(struct fake *f)
{
	char *heard = NULL;

	fake_accept(f);
	free(f->arg);
	f->arg = strdup(f->message.data);
	if ((heard = strdup(fake_read(f))) != NULL)
		fake_send(f, "{\"success\":true,\"action\":\"auth\",\"timeout\":30}");
	while (fake_read(f) != NULL)
		fake_send(f, strcmp(f->message.data, "auth?") == 0 ? heard : f->message.data);
	free(heard);
}

static void
test_messages(void)
{
	struct fake f;
	struct client *c;
	char *request;

	fake_start(&f, echo, NULL);
	c = begin(&f, NULL);
	tap_ok(!readable(client_fd(c), 0), "before it connects there is nothing to see");
	tap_ok(!ask(c, "early") && e.kind == ERROR_BUSY, "... and nothing can be sent");
	tap_ok(client_connect(c, &e) == 0, "connects and shows its token");
	tap_ok(client_connect(c, &e) == 0, "connecting twice is connecting once");
	tap_ok(ask(c, "auth?") && comes(c, "{\"action\":\"auth\",\"token\":\"secret\"}"),
	    "the token goes as a string");
	tap_ok(ask(c, "one") && ask(c, "two") && comes(c, "one") && comes(c, "two"),
	    "messages come back in their order");
	tap_ok(ask(c, "three") && readable(client_fd(c), 5000), "the descriptor tells of a message");
	tap_ok(comes(c, "three") && !readable(client_fd(c), 0), "... until it is received");
	client_free(&c);
	fake_end(&f);
	request = f.arg;
	tap_ok(strncmp(request, "GET /ws HTTP/1.1\r\n", 18) == 0, "the path is /ws by default");
	tap_ok(strcasestr(request, "\r\norigin:") == NULL, "no web page sends this: there is no Origin");
	tap_ok(strcasestr(request, "sec-websocket-extensions") == NULL, "no compression is asked for");
	free(request);
}

/* ---- big messages, in pieces ---- */

enum { BIG = 3 << 20 };

static char *
big_text(void)
{
	char *text = malloc(BIG + 1);

	fake_must(text != NULL, "memory");
	for (size_t i = 0; i < BIG; i++)
		text[i] = (char)('a' + i * 7 % 26);
	text[BIG] = '\0';
	return text;
}

static void
in_pieces(struct fake *f)
{
	static const size_t sizes[] = { 1, 0, 125, 126, 4096, 65535, 65536, 100000 };
	char *text = big_text();
	size_t at = 0, n;

	fake_welcome(f);
	for (size_t i = 0; at < BIG; i++) {
		n = sizes[i % 8] < BIG - at ? sizes[i % 8] : BIG - at;
		fake_send_frame(f, at + n == BIG, i == 0 ? FAKE_TEXT : FAKE_MORE, text + at, n);
		if (i % 3 == 0)
			fake_send_frame(f, true, FAKE_PING, "ping", 4);
		at += n;
	}
	fake_send(f, fake_read(f) != NULL && strcmp(f->message.data, text) == 0 ? "same" : "other");
	free(text);
	fake_until_closed(f);
}

static void
test_pieces(void)
{
	struct fake f;
	struct client *c;
	char *text = big_text();

	fake_start(&f, in_pieces, NULL);
	c = begin(&f, NULL);
	tap_ok(client_connect(c, &e) == 0 && comes(c, text),
	    "a message in pieces, and pings between them, is put together");
	tap_ok(ask(c, text) && comes(c, "same"), "a big message arrives");
	end(&f, c);
	tap_ok(f.pongs > 0, "pings are answered");
	free(text);
}

/* ---- more than the caller takes ---- */

enum { MANY = 64, EACH = 1 << 20 };

static void
flood(struct fake *f)
{
	char *text = calloc(1, EACH);
	int *sent = f->arg;

	fake_must(text != NULL, "memory");
	memset(text, 'x', EACH);
	fake_welcome(f);
	for (int i = 0; i < MANY && fake_send_frame(f, true, FAKE_TEXT, text, EACH); i++)
		__atomic_add_fetch(sent, 1, __ATOMIC_SEQ_CST);
	free(text);
	fake_until_closed(f);
}

static void
test_flood(void)
{
	struct fake f;
	struct client *c;
	struct str text;
	int sent = 0, before, got = 0;

	fake_start(&f, flood, &sent);
	c = begin(&f, NULL);
	tap_ok(client_connect(c, &e) == 0 && readable(client_fd(c), 5000), "a flood begins");
	/* Until no more goes into it. */
	do {
		before = __atomic_load_n(&sent, __ATOMIC_SEQ_CST);
		poll(NULL, 0, 200);
	} while (__atomic_load_n(&sent, __ATOMIC_SEQ_CST) != before || before == 0);
	tap_ok(before < MANY / 2, "what the caller does not take is not read without bound (%d)", before);
	while (got < MANY && client_receive(c, &text, &e) == 0 && text.len == EACH)
		got++;
	tap_ok(got == MANY, "all of it comes, once it is taken");
	end(&f, c);
}

/* ---- keepalives ---- */

static void
impatient(struct fake *f)
{
	fake_accept(f);
	fake_read(f);
	fake_send(f, "{\"success\":true,\"action\":\"auth\",\"timeout\":0.3}");
	while (f->keepalives < 3 && fake_keepalive(f))
		;
	fake_send(f, "news");
	fake_until_closed(f);
}

static void
patient(struct fake *f)
{
	bool fin;

	fake_accept(f);
	fake_read(f);
	fake_send(f, "{\"success\":true,\"action\":\"auth\",\"timeout\":0.3}");
	/* It hears, and never says a word. */
	while (fake_frame(f, &fin) && f->opcode != FAKE_CLOSE)
		f->message.len = 0;
}

static void
test_keepalive(void)
{
	struct fake f;
	struct client *c;
	struct str text;

	fake_start(&f, impatient, NULL);
	c = begin(&f, NULL);
	tap_ok(client_connect(c, &e) == 0, "a server with little patience");
	tap_ok(readable(client_fd(c), 5000) && comes(c, "news"),
	    "keepalives are sent while the caller waits, and replies to them wake nobody");
	end(&f, c);
	tap_ok(f.keepalives >= 3, "... three in the server's timeout");

	fake_start(&f, patient, NULL);
	c = begin(&f, NULL);
	tap_ok(client_connect(c, &e) == 0 && client_receive(c, &text, &e) == -1 &&
	    e.kind == ERROR_BUSY && strstr(e.text, "nothing comes") != NULL,
	    "a server from which nothing comes any more is dead");
	tap_ok(readable(client_fd(c), 0), "the descriptor tells that the connection is gone");
	end(&f, c);
}

/* ---- ends ---- */

static void
closing(struct fake *f)
{
	fake_welcome(f);
	fake_send(f, "last words");
	fake_close(f, 1001, "going \033 away");
	fake_welcome(f);
	fake_close(f, 1009, "");
	fake_welcome(f);
	fake_drop(f);
	fake_welcome(f);
	fake_read(f);
	fake_send(f, "still there");
	fake_until_closed(f);
}

static void
test_ends(void)
{
	struct fake f;
	struct client *c;
	struct str text;

	fake_start(&f, closing, NULL);
	c = begin(&f, NULL);
	tap_ok(client_connect(c, &e) == 0 && comes(c, "last words"), "what came before a close is received");
	tap_ok(client_receive(c, &text, &e) == -1 && e.kind == ERROR_BUSY &&
	    strstr(e.text, "closed by the server (1001: going ? away)") != NULL,
	    "a close is told with its code and reason, disarmed");
	tap_ok(!ask(c, "x") && e.kind == ERROR_BUSY && strstr(e.text, "1001") != NULL,
	    "... and whoever sends is told, too");
	tap_ok(client_connect(c, &e) == 0 && client_receive(c, &text, &e) == -1 &&
	    e.kind == ERROR_INVALID && strstr(e.text, "1009: message too big") != NULL,
	    "a server that does not take such messages: no use to send them again");
	tap_ok(client_connect(c, &e) == 0 && client_receive(c, &text, &e) == -1 &&
	    e.kind == ERROR_BUSY, "a connection that breaks");
	tap_ok(client_connect(c, &e) == 0 && ask(c, "x") && comes(c, "still there"),
	    "it connects again and again");
	end(&f, c);
}

/* ---- tokens ---- */

static void
doorman(struct fake *f)
{
	static const char *const replies[] = {
		"{\"success\":false,\"action\":\"auth\",\"comment\":\"Expired\"}",
		"{\"success\":false,\"action\":\"auth\",\"comment\":\"The service is down\"}",
		"{\"action\":\"records\"}{",
	};

	for (size_t i = 0; i < 3; i++) {
		fake_accept(f);
		fake_read(f);
		fake_send(f, replies[i]);
		fake_close(f, 1008, "");
	}
	fake_accept(f);
	fake_read(f);
	fake_close(f, 1001, "");
}

static void
test_tokens(void)
{
	struct fake f;
	struct client *c;

	fake_start(&f, doorman, NULL);
	c = begin(&f, NULL);
	tap_ok(client_connect(c, &e) == -1 && e.kind == ERROR_DENIED &&
	    strstr(e.text, "not accepted: Expired") != NULL, "a token that is refused");
	tap_ok(strstr(e.text, "secret") == NULL, "... is not shown");
	tap_ok(client_connect(c, &e) == -1 && e.kind == ERROR_BUSY, "no verdict on it: perhaps later");
	tap_ok(client_connect(c, &e) == -1 && e.kind == ERROR_INVALID, "an answer that is none");
	tap_ok(client_connect(c, &e) == -1 && e.kind == ERROR_BUSY, "no answer, but the end");
	end(&f, c);
}

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	fake_must(fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

static void
test_token_files(void)
{
	struct client_settings s = { .token_file = "token" };
	struct fake f;
	struct client *c;

	write_file("token", "\n {\"code\": \"a\",\n\"signature\":\"b==\"}\n");
	fake_start(&f, echo, NULL);
	c = begin(&f, &s);
	tap_ok(client_connect(c, &e) == 0 && ask(c, "auth?") &&
	    comes(c, "{\"action\":\"auth\",\"token\":{\"code\": \"a\",\n\"signature\":\"b==\"}}"),
	    "a token from a file that is an object goes as it is");
	end(&f, c);
	free(f.arg);

	s.url = "ws://127.0.0.1:1";
	write_file("token", "{\"code\":");
	tap_ok(client_new(&s, &e) == NULL && e.kind == ERROR_INVALID &&
	    strncmp(e.text, "token: ", 7) == 0 && strstr(e.text, "code") == NULL,
	    "an object that is none is refused, and not shown");
	write_file("token", " \n");
	tap_ok(client_new(&s, &e) == NULL && e.kind == ERROR_USAGE, "an empty file");
	unlink("token");
	tap_ok(client_new(&s, &e) == NULL && e.kind == ERROR_ABSENT, "a file that is not there");
}

static void
nobody(struct fake *f)
{
	fake_accept(f);
	if (fake_read(f) != NULL)
		fake_send(f, f->message.data);
	fake_until_closed(f);
}

static void
test_no_token(void)
{
	struct client_settings s = { 0 };
	struct fake f;
	struct client *c;

	fake_start(&f, nobody, NULL);
	c = begin(&f, &s);
	tap_ok(client_connect(c, &e) == 0 && ask(c, "hello") && comes(c, "hello"),
	    "without a token there is no auth");
	end(&f, c);
}

/* ---- no connection ---- */

static void
refusing(struct fake *f)
{
	static const char *const answers[] = {
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"SSH-2.0-OpenSSH_9.2\r\n\r\n",
	};

	for (size_t i = 0; i < 5; i++) {
		fake_take(f);
		fake_request(f);
		fake_put(f, answers[i], strlen(answers[i]));
		shutdown(f->fd, SHUT_WR);
		/* Until the client, too, is done with it; or has taken its time. */
		setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 5 },
		    sizeof(struct timeval));
		while (fake_get(f, &(char){ 0 }, 1))
			;
		fake_drop(f);
	}
	fake_take(f);
	fake_drop(f);
}

static bool
fails(struct client *c, enum error_kind kind, const char *text)
{
	if (client_connect(c, &e) == -1 && e.kind == kind && strstr(e.text, text) != NULL &&
	    strncmp(e.text, "ws://", 5) == 0)
		return true;
	printf("# kind %d: %s\n", (int)e.kind, e.text);
	return false;
}

static void
test_refused(void)
{
	struct fake f;
	struct client *c;

	fake_start(&f, refusing, NULL);
	c = begin(&f, NULL);
	tap_ok(fails(c, ERROR_DENIED, "HTTP status 403"), "forbidden");
	tap_ok(fails(c, ERROR_BUSY, "HTTP status 503"), "a server with too much to do");
	tap_ok(fails(c, ERROR_INVALID, "HTTP status 302"), "a redirection is not followed: it would get the token");
	tap_ok(fails(c, ERROR_INVALID, "HTTP status 200"), "a web server");
	tap_ok(fails(c, ERROR_BUSY, "handshake"), "something else");
	tap_ok(fails(c, ERROR_BUSY, "handshake"), "somebody who hangs up");
	fake_end(&f);
	f.listener = -1;
	tap_ok(fails(c, ERROR_BUSY, "Connection refused"), "nobody there");
	tap_ok(fails(c, ERROR_BUSY, "Connection refused"), "... still");
	client_free(&c);
}

static void
test_unknown_host(void)
{
	struct client *c = client_new(&(struct client_settings){ .url = "ws://no..host" }, &e);

	tap_ok(fails(c, ERROR_BUSY, "no..host: "), "a name that nobody can have: %s", e.text);
	client_free(&c);
}

/* ---- waiting ---- */

static void
mute(struct fake *f)
{
	fake_accept(f);
	fake_until_closed(f);
}

static void
test_waiting(void)
{
	struct client_settings s = { .token = "x", .timeout = 0.2 };
	struct fake f;
	struct client *c;
	struct str text;
	int stop = eventfd(0, EFD_NONBLOCK);

	fake_start(&f, mute, NULL);
	c = begin(&f, &s);
	tap_ok(fails(c, ERROR_BUSY, "no answer within 0.2 s"), "the time is bounded");
	end(&f, c);

	s = (struct client_settings){ .stop_fd = stop };
	fake_start(&f, mute, NULL);
	c = begin(&f, &s);
	tap_ok(client_connect(c, &e) == 0, "it waits without bound else");
	eventfd_write(stop, 1);
	tap_ok(client_receive(c, &text, &e) == -1 && e.kind == ERROR_NONE, "... until it is told to stop");
	end(&f, c);
	close(stop);
}

/* ---- settings ---- */

static enum error_kind
refused(const char *url, struct client_settings s)
{
	struct client *c;

	s.url = url;
	if ((c = client_new(&s, &e)) == NULL)
		return e.kind;
	client_free(&c);
	return ERROR_NONE;
}

static void
test_settings(void)
{
	static const char *const bad[] = { "http://localhost", "localhost:9000", "ws://", "ws://:9000",
	    "ws://host:0", "ws://host:65536", "ws://host:", "ws://host:1x", "ws://[::1", "ws://[1.2.3.4]",
	    "ws://me:pass@host", "ws://host/a b", "ws://host#x", "ws://ho\tst", "wss://[::1]/" };
	static const char *const good[] = { "ws://localhost", "wss://host:1/x?y=z", "ws://[::1]:9000/ws",
	    "ws://127.9.8.7" };
	struct client_settings none = { 0 }, token = { .token = "x" };
	struct sigaction pipe;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		tap_ok(refused(bad[i], none) == ERROR_USAGE, "no URL: %s", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		tap_ok(refused(good[i], token) == ERROR_NONE, "a URL: %s", good[i]);
	refused("ws://me:pass@host", none);
	tap_ok(strstr(e.text, "pass") == NULL, "a password in a URL is not shown");
	tap_ok(refused("ws://192.0.2.1", none) == ERROR_NONE, "without a token nothing is to be hidden");
	tap_ok(refused("ws://192.0.2.1", token) == ERROR_USAGE, "a token needs TLS");
	token.insecure = true;
	tap_ok(refused("ws://192.0.2.1", token) == ERROR_NONE, "... or the word insecure");
	tap_ok(refused("ws://host", (struct client_settings){ .ca = "ca" }) == ERROR_USAGE,
	    "certificates are for TLS");
	tap_ok(refused("wss://host", (struct client_settings){ .ca = "ca" }) == ERROR_ABSENT,
	    "... and must be there");
	tap_ok(refused("wss://host", (struct client_settings){ .cert = "c" }) == ERROR_USAGE,
	    "a certificate needs its key");
	sigaction(SIGPIPE, NULL, &pipe);
	tap_ok(pipe.sa_handler == SIG_DFL, "SIGPIPE is as it was");
}

int
main(void)
{
	fixture_begin();
	test_messages();
	test_pieces();
	test_flood();
	test_keepalive();
	test_ends();
	test_tokens();
	test_token_files();
	test_no_token();
	test_refused();
	test_unknown_host();
	test_waiting();
	test_settings();
	return tap_done();
}
