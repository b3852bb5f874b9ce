#include "ws.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void
ws_send_text(struct ws *w, struct str text)
{
	check(peer_send(w->peer, true, FRAME_TEXT, text));
	w->sent++;
}

void
ws_send_close(struct ws *w, int code, struct str reason)
{
	check(peer_send_close(w->peer, code, reason));
	w->closing = true;
}

/* ---- directives ----------------------------------------------------------- */

/* The number at the start of an argument, which is then behind it. */
static long
number(struct str *arg, long otherwise)
{
	char text[24] = "", *end;
	size_t len = 0;
	long n;

	while (len < arg->len && arg->data[len] != ' ')
		len++;
	if (len == 0)
		return otherwise;
	snprintf(text, sizeof(text), "%.*s", (int)len, arg->data);
	n = strtol(text, &end, 10);
	if (*end != '\0' || len >= sizeof(text) || n < 0)
		errx(2, "%s: not a number", text);
	len += len < arg->len;
	*arg = (struct str){ arg->data + len, arg->len - len };
	return n;
}

static void
do_binary(struct ws *w, struct str arg)
{
	check(peer_send(w->peer, true, FRAME_BINARY, arg));
}

static void
do_part(struct ws *w, struct str arg)
{
	check(peer_send(w->peer, false, FRAME_TEXT, arg));
}

static void
do_more(struct ws *w, struct str arg)
{
	check(peer_send(w->peer, false, FRAME_MORE, arg));
}

static void
do_end(struct ws *w, struct str arg)
{
	check(peer_send(w->peer, true, FRAME_MORE, arg));
	w->sent++;
}

static void
do_unmasked(struct ws *w, struct str arg)
{
	check(peer_send_unmasked(w->peer, FRAME_TEXT, arg));
	w->sent++;
}

static void
do_big(struct ws *w, struct str arg)
{
	size_t n = (size_t)number(&arg, 0);
	struct buf b = { 0 };

	check(buf_reserve(&b, n + 1));
	memset(b.data, 'x', n);
	ws_send_text(w, (struct str){ b.data, n });
	buf_free(&b);
}

static void
do_upload(struct ws *w, struct str arg)
{
	long n = number(&arg, 1), size = number(&arg, 20);
	struct buf b = { 0 };
	size_t start;

	check(buf_printf(&b, "{\"action\":\"uploadLogs\",\"logs\":["));
	for (long i = 0; i < n; i++) {
		check(buf_printf(&b, "%s{\"level\":30,\"time\":%ld.5,\"sender\":\"ws\",\"message\":\"",
		    i > 0 ? "," : "", (long)time(NULL)));
		start = b.len;
		check(buf_printf(&b, "record %ld ", ++w->records));
		while (b.len - start < (size_t)size)
			check(buf_add(&b, "x", 1));
		check(buf_add(&b, "\"}", 2));
	}
	check(buf_add(&b, "]}", 2));
	ws_send_text(w, (struct str){ b.data, b.len });
	buf_free(&b);
}

static int
nibble(char c)
{
	if (!isxdigit((unsigned char)c))
		errx(2, "!hex: not hexadecimal");
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

static void
do_hex(struct ws *w, struct str arg)
{
	struct buf b = { 0 };
	int high = -1;
	char byte;

	for (size_t i = 0; i < arg.len; i++) {
		if (arg.data[i] == ' ')
			continue;
		if (high == -1) {
			high = nibble(arg.data[i]);
			continue;
		}
		byte = (char)(high << 4 | nibble(arg.data[i]));
		check(buf_add(&b, &byte, 1));
		high = -1;
	}
	if (high != -1)
		errx(2, "!hex: half a byte");
	check(peer_send_bytes(w->peer, (struct str){ b.data, b.len }));
	buf_free(&b);
}

static void
do_ping(struct ws *w, struct str arg)
{
	check(peer_send(w->peer, true, FRAME_PING, arg));
}

static void
do_pong(struct ws *w, struct str arg)
{
	check(peer_send(w->peer, true, FRAME_PONG, arg));
}

static void
do_close(struct ws *w, struct str arg)
{
	int code = (int)number(&arg, 0);

	ws_send_close(w, code, arg);
}

static void
do_eof(struct ws *w, struct str arg)
{
	(void)arg;
	w->shut = true;   /* once all is written */
}

static void
do_reset(struct ws *w, struct str arg)
{
	(void)arg;
	peer_reset(&w->peer);
	exit(0);
}

static void
do_expect(struct ws *w, struct str arg)
{
	w->expected = number(&arg, w->sent);
}

static void
do_stall(struct ws *w, struct str arg)
{
	(void)arg;
	w->stalled = true;
}

static void
do_resume(struct ws *w, struct str arg)
{
	(void)arg;
	w->stalled = false;
}

static void
do_say(struct ws *w, struct str arg)
{
	(void)w;
	printf("%.*s\n", STR_ARGS(arg));
}

static const struct directive {
	const char *name;
	void (*run)(struct ws *w, struct str arg);
} directives[] = {
	{ "binary", do_binary }, { "part", do_part }, { "more", do_more }, { "end", do_end },
	{ "unmasked", do_unmasked }, { "big", do_big }, { "upload", do_upload }, { "hex", do_hex },
	{ "ping", do_ping }, { "pong", do_pong }, { "close", do_close }, { "eof", do_eof },
	{ "reset", do_reset }, { "expect", do_expect }, { "stall", do_stall },
	{ "resume", do_resume }, { "say", do_say },
};

void
ws_direct(struct ws *w, struct str line)
{
	const char *blank = memchr(line.data, ' ', line.len);
	struct str name = { line.data + 1, (blank != NULL ? (size_t)(blank - line.data) : line.len) - 1 };
	struct str arg = { line.data + line.len, 0 };

	if (blank != NULL)
		arg = (struct str){ blank + 1, line.len - name.len - 2 };
	for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++)
		if (str_equal(name, str_of(directives[i].name))) {
			directives[i].run(w, arg);
			return;
		}
	errx(2, "!%.*s: no such directive", STR_ARGS(name));
}
