/*
 * fake.h - a WebSocket server made of bare sockets, for one connection at a time: a
 * thread that does what its script says. What is checked here is not checked against the
 * library that the client uses.
 */
#ifndef MONITOR_FAKE_H
#define MONITOR_FAKE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "buf.h"
#include "fixture.h"

enum { FAKE_MORE = 0, FAKE_TEXT = 1, FAKE_CLOSE = 8, FAKE_PING = 9, FAKE_PONG = 10 };

struct fake {
	int listener, fd;         /* fd -1: nobody is there */
	int port;
	char url[64];
	pthread_t thread;
	void (*script)(struct fake *f);
	void *arg;
	unsigned opcode;          /* of the last frame that fake_frame() read */
	unsigned keepalives, pongs, connections;
	struct buf message;
};

static void
fake_must(bool ok, const char *what)
{
	if (!ok)
		fixture_fail(what, strerror(errno));
}

static void *
fake_run(void *arg)
{
	struct fake *f = arg;

	f->script(f);
	return NULL;
}

static void
fake_listen(struct fake *f, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int on = 1;

	fake_must((f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) != -1, "socket");
	setsockopt(f->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	fake_must(bind(f->listener, (struct sockaddr *)&a, sizeof(a)) == 0, "bind");
	fake_must(listen(f->listener, 8) == 0, "listen");
	fake_must(getsockname(f->listener, (struct sockaddr *)&a, &len) == 0, "getsockname");
	f->port = ntohs(a.sin_port);
	snprintf(f->url, sizeof(f->url), "ws://127.0.0.1:%d", f->port);
}

/* Listen on a port of its own, and let the script run. */
__attribute__((unused)) static void
fake_start(struct fake *f, void (*script)(struct fake *f), void *arg)
{
	*f = (struct fake){ .fd = -1, .script = script, .arg = arg };
	fake_listen(f, 0);
	fake_must(pthread_create(&f->thread, NULL, fake_run, f) == 0, "a thread");
}

/* Wait for the end of the script. */
__attribute__((unused)) static void
fake_end(struct fake *f)
{
	pthread_join(f->thread, NULL);
	if (f->fd != -1)
		close(f->fd);
	if (f->listener != -1)
		close(f->listener);
	buf_free(&f->message);
}

/* ---- bytes ---- */

static bool
fake_get(struct fake *f, void *to, size_t n)
{
	char *p = to;
	ssize_t got;

	for (; n > 0; p += got, n -= (size_t)got) {
		got = recv(f->fd, p, n, 0);
		if (got == -1 && errno == EINTR)
			got = 0;
		else if (got <= 0)
			return false;
	}
	return true;
}

static bool
fake_put(struct fake *f, const void *from, size_t n)
{
	const char *p = from;
	ssize_t put;

	for (; n > 0; p += put, n -= (size_t)put) {
		put = send(f->fd, p, n, MSG_NOSIGNAL);
		if (put == -1 && errno == EINTR)
			put = 0;
		else if (put <= 0)
			return false;
	}
	return true;
}

/* The connection ends, without a word. */
__attribute__((unused)) static void
fake_drop(struct fake *f)
{
	close(f->fd);
	f->fd = -1;
}

/* ---- the handshake ---- */

static void
fake_accept_key(const char *key, size_t len, char accept[32])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	char text[128];
	int n = snprintf(text, sizeof(text), "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)len, key);

	fake_must(EVP_Digest(text, (size_t)n, hash, &size, EVP_sha1(), NULL) == 1, "SHA-1");
	EVP_EncodeBlock((unsigned char *)accept, hash, (int)size);
}

/* Read a request to its empty line, into f->message, with a NUL behind it. */
static bool
fake_request(struct fake *f)
{
	char c;

	f->message.len = 0;
	do {
		if (!fake_get(f, &c, 1) || buf_add(&f->message, &c, 1) == -1)
			return false;
	} while (f->message.len < 4 || memcmp(f->message.data + f->message.len - 4, "\r\n\r\n", 4) != 0);
	return buf_add(&f->message, "", 1) == 0;
}

/* Wait for somebody to connect. */
__attribute__((unused)) static void
fake_take(struct fake *f)
{
	int on = 1;

	fake_must((f->fd = accept(f->listener, NULL, NULL)) != -1, "accept");
	setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	f->connections++;
}

/* ... and shake hands with them. */
static bool
fake_shake(struct fake *f)
{
	char accept_key[32], answer[256];
	const char *key;
	int n;

	if (!fake_request(f) || (key = strcasestr(f->message.data, "sec-websocket-key: ")) == NULL)
		return false;
	key += strlen("sec-websocket-key: ");
	fake_accept_key(key, strcspn(key, "\r"), accept_key);
	n = snprintf(answer, sizeof(answer), "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept_key);
	return fake_put(f, answer, (size_t)n);
}

__attribute__((unused)) static bool
fake_accept(struct fake *f)
{
	fake_take(f);
	return fake_shake(f);
}

/* ---- frames ---- */

__attribute__((unused)) static bool
fake_send_frame(struct fake *f, bool fin, unsigned opcode, const void *data, size_t len)
{
	unsigned char head[10] = { (unsigned char)((fin ? 0x80 : 0) | opcode) };
	size_t n = 2;

	head[1] = len < 126 ? (unsigned char)len : len < 65536 ? 126 : 127;
	if (len >= 126)
		for (int shift = len < 65536 ? 8 : 56; shift >= 0; shift -= 8)
			head[n++] = (unsigned char)(len >> shift);
	return fake_put(f, head, n) && fake_put(f, data, len);
}

__attribute__((unused)) static bool
fake_send(struct fake *f, const char *text)
{
	return fake_send_frame(f, true, FAKE_TEXT, text, strlen(text));
}

/* A close frame; then read until the other end has closed, too. */
__attribute__((unused)) static void
fake_close(struct fake *f, int code, const char *reason)
{
	char data[128] = { (char)(code >> 8), (char)code }, rest[256];

	snprintf(data + 2, sizeof(data) - 2, "%s", reason);
	fake_send_frame(f, true, FAKE_CLOSE, data, 2 + strlen(reason));
	shutdown(f->fd, SHUT_WR);
	while (recv(f->fd, rest, sizeof(rest), 0) > 0)
		;
	fake_drop(f);
}

/* Read one frame, append its payload to f->message. Whoever sends one unmasked fails. */
static bool
fake_frame(struct fake *f, bool *fin)
{
	unsigned char head[2], more[8], mask[4];
	size_t len, extra;

	if (!fake_get(f, head, 2))
		return false;
	*fin = head[0] & 0x80;
	f->opcode = head[0] & 15;
	len = head[1] & 127;
	extra = len == 126 ? 2 : len == 127 ? 8 : 0;
	if ((head[1] & 0x80) == 0 || !fake_get(f, more, extra))
		return false;
	for (size_t i = 0; i < extra; i++)
		len = (i == 0 ? 0 : len << 8) | more[i];
	fake_must(buf_reserve(&f->message, len + 1) == 0, "memory");
	if (!fake_get(f, mask, 4) || !fake_get(f, f->message.data + f->message.len, len))
		return false;
	for (size_t i = 0; i < len; i++)
		f->message.data[f->message.len + i] ^= (char)mask[i % 4];
	f->message.len += len;
	return true;
}

/* Was that frame a keepalive? Then it is answered and counted. */
static bool
fake_is_keepalive(struct fake *f)
{
	f->message.data[f->message.len] = '\0';
	if (f->opcode != FAKE_TEXT || strcmp(f->message.data, "{\"action\":\"keepalive\"}") != 0)
		return false;
	f->keepalives++;
	fake_send(f, "{\"success\":true,\"action\":\"keepalive\"}");
	return true;
}

/* Wait for a keepalive, and for nothing else. */
__attribute__((unused)) static bool
fake_keepalive(struct fake *f)
{
	bool fin;

	f->message.len = 0;
	return fake_frame(f, &fin) && fake_is_keepalive(f);
}

/* The next message, as a string; NULL: there is no connection any more. Keepalives are
 * answered and counted, pongs counted. */
__attribute__((unused)) static const char *
fake_read(struct fake *f)
{
	bool fin = false;

	for (f->message.len = 0; !fin;) {
		if (!fake_frame(f, &fin) || f->opcode == FAKE_CLOSE)
			return NULL;
		f->pongs += f->opcode == FAKE_PONG;
		if (f->opcode == FAKE_PONG || f->opcode == FAKE_PING || fake_is_keepalive(f)) {
			f->message.len = 0;
			fin = false;
		}
	}
	return f->message.data;
}

/* Shake hands, and let in whoever shows a token. */
__attribute__((unused)) static bool
fake_welcome(struct fake *f)
{
	return fake_accept(f) && fake_read(f) != NULL &&
	    fake_send(f, "{\"success\":true,\"action\":\"auth\",\"timeout\":30}");
}

/* Until the other end closes. */
__attribute__((unused)) static void
fake_until_closed(struct fake *f)
{
	while (fake_read(f) != NULL)
		;
}

#endif
