/*
 * ws - a WebSocket client for the shell, for tests: it knows nothing of the product.
 *
 *   ws [OPTION]... URL          ws://HOST:PORT[/PATH], wss://..., ws+unix:PATH
 *
 * Each line of standard input is sent as a text message at once, each text message that
 * comes is printed as a line at once. When the input has ended and as many messages have come as
 * texts were sent, it closes (1000), waits for the server's close, and ends with status 0:
 *
 *   ws -t w1 ws://127.0.0.1:$port <<<'{"action":"ping"}'
 *
 *   -n N           end after N messages printed, whatever the input does
 *   -w             read no input; print until the server closes, or N messages
 *   -C             go on until the server closes (or N messages); print "close CODE REASON" then:
 *                  1005 stands for a close without a code, 1006 for an end without a close
 *   -t TOKEN       first authenticate, with JSON or a bare string; nothing is printed of it
 *   -k             send a keepalive every 5 s; the replies are not printed
 *   -p             print "ping TEXT" and "pong TEXT", too
 *   -m             be mute: answer no pings
 *   -H 'NAME: V'   a header more in the handshake (up to 16)
 *   -s STATUS      the status when the handshake is refused, not 1
 *   -c CERT -K KEY -A CA   PEM files: our own certificate and its key, who vouches for the server
 *   -i             do not ask who the server is
 *   -B ADDRESS     connect from there (IPv4)
 *   -b BYTES       write at most so many at a time, each write a packet
 *   -r             raw: no handshake, no frames. What comes is printed as it is, then "eof"
 *                  (or "reset") on a line. Input lines are sent with their newline.
 *   -T SECONDS     for all of it (30): then status 124, and what it waited for
 *
 * Lines that begin with "!" are directives:
 *
 *   !binary TEXT            a binary message
 *   !part TEXT, !more TEXT, !end TEXT   the first, a middle, the last fragment of a text
 *   !unmasked TEXT          a text that is not masked
 *   !big BYTES              a text of so many "x"
 *   !upload RECORDS [SIZE]  an uploadLogs of that many, each with a message of SIZE (20)
 *                           bytes: "record N xxx", N counted through all of them
 *   !hex 8100...            bytes as they are: hexadecimal, blanks between them or not
 *   !ping TEXT, !pong TEXT
 *   !close [CODE [REASON]]  and wait for the server's close; it is no failure
 *   !eof                    close the writing half of the connection, and wait for the end
 *   !reset                  reset the connection, and end with status 0
 *   !expect [N]             go on when N messages have been printed in all (as many as texts
 *                           were sent)
 *   !stall, !resume         stop reading from the connection; go on
 *   !say TEXT               print TEXT: a test can wait for it
 *
 * A handshake that is refused prints "HTTP STATUS" and ends with status 1 (see -s). Other statuses:
 * 1 no connection, no authentication, or closed before all had come; 2 usage; 4 the server
 * broke the rules of WebSocket; 124 out of time.
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "utf8.h"
#include "ws/ws.h"

#define BROKEN 4
#define LATE 124
#define PIECE 65536            /* bytes read at a time */
#define QUEUE_MAX (1 << 20)    /* no input is read while so much waits to be sent */
#define KEEPALIVE 5.0          /* seconds */
#define KEEPALIVE_TEXT "{\"action\":\"keepalive\"}"

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the input ------------------------------------------------------------ */

static bool
takes_input(const struct ws *w)
{
	return w->open && !w->listen && !w->closing && !w->shut && w->printed >= w->expected &&
	    peer_queued(w->peer) < QUEUE_MAX;
}

static void
take_line(struct ws *w, struct str line, bool newline)
{
	if (line.len > 0 && line.data[0] == '!')
		ws_direct(w, line);
	else if (w->how.raw)
		check(peer_send_bytes(w->peer, (struct str){ line.data, line.len + newline }));
	else
		ws_send_text(w, line);
}

/* Of what has been read, the lines that may be sent now. */
static void
take_lines(struct ws *w)
{
	size_t at = 0, len;
	const char *end;

	while (at < w->input.len && takes_input(w)) {
		end = memchr(w->input.data + at, '\n', w->input.len - at);
		if (end == NULL && !w->input_ended)
			break;
		len = end != NULL ? (size_t)(end - w->input.data) - at : w->input.len - at;
		take_line(w, (struct str){ w->input.data + at, len }, end != NULL);
		at += len + (end != NULL);
	}
	buf_consume(&w->input, at);
}

static void
read_input(struct ws *w)
{
	ssize_t n;

	check(buf_reserve(&w->input, PIECE));
	n = read(STDIN_FILENO, w->input.data + w->input.len, PIECE);
	if (n == -1 && errno != EINTR)
		err(1, "standard input");
	if (n > 0)
		w->input.len += (size_t)n;
	w->input_ended = n == 0;
}

/* ---- what comes ----------------------------------------------------------- */

static bool
contains(struct str text, const char *what)
{
	return text.len > 0 && memmem(text.data, text.len, what, strlen(what)) != NULL;
}

static void
authenticate(struct ws *w)
{
	bool json = w->token[0] == '{' || w->token[0] == '"' || w->token[0] == '[';
	struct buf b = { 0 };

	check(buf_printf(&b, "{\"action\":\"auth\",\"token\":%s%s%s}", json ? "" : "\"", w->token,
	    json ? "" : "\""));
	check(peer_send(w->peer, true, FRAME_TEXT, (struct str){ b.data, b.len }));
	w->authenticating = true;
	buf_free(&b);
}

/* The answer to the token. */
static void
authenticated(struct ws *w, struct str text)
{
	if (!contains(text, "\"success\":true"))
		errx(1, "not authenticated: %.*s", STR_ARGS(text));
	w->authenticating = false;
	w->open = true;
}

static void
print(struct ws *w, struct str text)
{
	if (utf8_check(text) != text.len)
		errx(BROKEN, "a text that is not UTF-8: %.*s", STR_ARGS(text));
	if (w->authenticating) {
		authenticated(w, text);
	} else if (w->keepalives > 0 && contains(text, "\"action\":\"keepalive\"")) {
		w->keepalives--;
	} else if (w->count == -1 || w->printed < w->count) {
		fwrite(text.data, 1, text.len, stdout);
		putchar('\n');
		w->printed++;
	}
}

static void
take_piece(struct ws *w, const struct peer_event *event)
{
	check(buf_add_str(&w->message, event->data));
	if (!event->last)
		return;
	print(w, (struct str){ w->message.data, w->message.len });
	w->message.len = 0;
}

static void
take_control(struct ws *w, const char *name, struct str text)
{
	if (w->controls)
		printf("%s%s%.*s\n", name, text.len > 0 ? " " : "", STR_ARGS(text));
}

static void
take_close(struct ws *w, const struct peer_event *event)
{
	snprintf(w->farewell, sizeof(w->farewell), "%d%s%.*s", event->code,
	    event->data.len > 0 ? " " : "", STR_ARGS(event->data));
	if (w->until_closed)
		printf("close %s\n", w->farewell);
	w->closed = true;
}

static void
take_bytes(struct ws *w, struct str bytes)
{
	fwrite(bytes.data, 1, bytes.len, stdout);
	fflush(stdout);
	w->in_line = bytes.data[bytes.len - 1] != '\n';
}

/* Has all come that was asked for? */
static bool
complete(const struct ws *w)
{
	if (w->count >= 0)
		return w->printed >= w->count;
	return !w->listen && !w->until_closed && !w->how.raw && w->input_ended && w->input.len == 0 &&
	    w->printed >= w->sent;
}

/* The connection is gone: the status. */
static int
end(struct ws *w, struct str why)
{
	if (w->how.raw) {
		printf("%s%s\n", w->in_line ? "\n" : "", why.len == 0 ? "eof" : "reset");
		return 0;
	}
	if (w->open && w->until_closed && !w->closed)
		puts("close 1006");
	if (w->open && (w->until_closed || w->closing || w->shut || complete(w) ||
	    (w->listen && w->count == -1)))
		return 0;
	if (why.len == 0)
		why = str_of(w->closed ? w->farewell : "the connection ended");
	if (w->open)
		warnx("closed after %ld messages: %.*s", w->printed, STR_ARGS(why));
	else
		warnx("not connected: %.*s", STR_ARGS(why));
	return 1;
}

/* Take everything that has come: -1, or the status when it is over. */
static int
take(struct ws *w)
{
	struct peer_event event;
	struct error e;

	for (;;) {
		switch (peer_next(w->peer, &event, &e)) {
		case PEER_NOTHING:
			return -1;
		case PEER_OPEN:
			if (w->token != NULL)
				authenticate(w);
			else
				w->open = true;
			break;
		case PEER_REFUSED:
			printf("HTTP %d\n", event.code);
			return w->refused;
		case PEER_TEXT:
			take_piece(w, &event);
			break;
		case PEER_BINARY:
			errx(BROKEN, "a binary message");
		case PEER_PING:
			take_control(w, "ping", event.data);
			break;
		case PEER_PONG:
			take_control(w, "pong", event.data);
			break;
		case PEER_CLOSE:
			take_close(w, &event);
			break;
		case PEER_BYTES:
			take_bytes(w, event.data);
			break;
		case PEER_BROKEN:
			errx(BROKEN, "%s", e.text);
		case PEER_END:
			return end(w, event.data);
		}
	}
}

/* ---- the loop ------------------------------------------------------------- */

static const char *
waits_for(const struct ws *w, char text[96])
{
	if (w->authenticating)
		return "the answer to the token";
	if (!w->open)
		return "the answer to the handshake";
	if (w->closing || w->shut || w->closed)
		return "the server's close";
	if (w->printed < w->expected)
		snprintf(text, 96, "message %ld of %ld that are expected", w->printed + 1, w->expected);
	else if (!w->listen && !w->input_ended)
		return "the end of the input";
	else
		snprintf(text, 96, "message %ld, or a close", w->printed + 1);
	return text;
}

/* Milliseconds until there is something to do by itself. */
static int
patience(struct ws *w)
{
	double t = now(), next = w->began + w->limit;
	char text[96];

	if (t >= next)
		errx(LATE, "waited %g s, last for %s", w->limit, waits_for(w, text));
	if (w->keepalive && w->open && t >= w->alive + KEEPALIVE) {
		check(peer_send(w->peer, true, FRAME_TEXT, str_of(KEEPALIVE_TEXT)));
		w->keepalives++;
		w->alive = t;
	}
	if (w->keepalive && w->open && w->alive + KEEPALIVE < next)
		next = w->alive + KEEPALIVE;
	return (int)((next - t) * 1000) + 1;
}

/* Wait, then do what there is to do: -1, or the status when it is over. */
static int
turn(struct ws *w)
{
	int wait = patience(w);
	struct pollfd fds[] = {
		{ .fd = peer_fd(w->peer), .events = peer_events(w->peer, !w->stalled) },
		{ .fd = takes_input(w) && !w->input_ended ? STDIN_FILENO : -1, .events = POLLIN },
	};
	int status = -1;

	if (poll(fds, 2, wait) == -1 && errno != EINTR)
		err(1, "poll");
	if (fds[1].revents != 0)
		read_input(w);
	/* A stalled client that was reset sees that without reading. */
	if (fds[0].revents != 0 && (!w->stalled || (fds[0].revents & (POLLERR | POLLHUP)))) {
		peer_receive(w->peer, PIECE);
		status = take(w);
	}
	take_lines(w);
	if (status == -1 && complete(w) && w->open && !w->closing && !w->closed)
		ws_send_close(w, 1000, str_of(""));
	peer_flush(w->peer, w->piece);
	if (w->shut && peer_queued(w->peer) == 0)
		peer_shut(w->peer);
	return status;
}

static void
add_header(struct ws *w, const char *header)
{
	check(buf_printf(&w->headers, "%s\r\n", header));
}

static void
options(struct ws *w, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "n:wCt:kpmH:s:c:K:A:iB:b:rT:")) != -1) {
		switch (option) {
		case 'n': w->count = atol(optarg); break;
		case 'w': w->listen = true; break;
		case 'C': w->until_closed = true; break;
		case 't': w->token = optarg; break;
		case 'k': w->keepalive = true; break;
		case 'p': w->controls = true; break;
		case 'm': w->how.mute = true; break;
		case 'H': add_header(w, optarg); break;
		case 's': w->refused = atoi(optarg); break;
		case 'c': w->where.cert = optarg; break;
		case 'K': w->where.key = optarg; break;
		case 'A': w->where.ca = optarg; break;
		case 'i': w->where.verify = false; break;
		case 'B': w->how.from = optarg; break;
		case 'b': w->piece = (size_t)atol(optarg); break;
		case 'r': w->how.raw = true; break;
		case 'T': w->limit = atof(optarg); break;
		default: exit(2);
		}
	}
	if (argc - optind != 1)
		errx(2, "usage: ws [OPTION]... URL");
	w->where.url = argv[optind];
}

int
main(int argc, char **argv)
{
	struct ws w = { .where.verify = true, .count = -1, .refused = 1, .limit = 30, .piece = SIZE_MAX };
	struct target *target;
	int status = -1;
	struct error e;

	options(&w, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	check(buf_add(&w.headers, "", 1));
	w.how.headers = w.headers.data;
	if ((target = target_new(&w.where, &e)) == NULL)
		errx(e.kind == ERROR_USAGE ? 2 : 1, "%s", e.text);
	w.began = w.alive = now();
	w.open = w.how.raw;
	if ((w.peer = peer_new(target, &w.how, &e)) == NULL)
		errx(1, "%s", e.text);
	while (status == -1)
		status = turn(&w);
	peer_free(&w.peer);
	target_free(&target);
	buf_free(&w.headers);
	buf_free(&w.input);
	buf_free(&w.message);
	return status;
}
