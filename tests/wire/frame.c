#include "frame.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <openssl/evp.h>

#define ANSWER_MAX 16384    /* bytes of an answer's head */

/* XOR with the mask, eight bytes at a time: a load generator should not be what is
 * measured. */
static void
apply_mask(char *p, size_t len, const void *mask)
{
	const unsigned char *m = mask;
	uint64_t twice, word;
	size_t i = 0;

	memcpy(&twice, mask, 4);
	memcpy((char *)&twice + 4, mask, 4);
	for (; i + 8 <= len; i += 8) {
		memcpy(&word, p + i, 8);
		word ^= twice;
		memcpy(p + i, &word, 8);
	}
	for (; i < len; i++)
		p[i] = (char)((unsigned char)p[i] ^ m[i % 4]);
}

int
frame_add(struct buf *b, bool fin, unsigned opcode, struct str payload, const void *mask)
{
	unsigned char head[FRAME_HEAD_MAX];
	size_t n = 2, bytes = payload.len < 126 ? 0 : payload.len <= UINT16_MAX ? 2 : 8;

	head[0] = (unsigned char)((fin ? 0x80 : 0) | opcode);
	head[1] = (unsigned char)((mask != NULL ? 0x80 : 0) |
	    (bytes == 0 ? payload.len : bytes == 2 ? 126 : 127));
	while (bytes-- > 0)
		head[n++] = (unsigned char)((uint64_t)payload.len >> 8 * bytes);
	if (mask != NULL) {
		memcpy(head + n, mask, 4);
		n += 4;
	}
	if (buf_reserve(b, n + payload.len) == -1 || buf_add(b, head, n) == -1 ||
	    buf_add_str(b, payload) == -1)
		return -1;
	if (mask != NULL)
		apply_mask(b->data + b->len - payload.len, payload.len, mask);
	return 0;
}

static int
check_head(const struct frame *f, unsigned char first, unsigned char second, struct error *e)
{
	if (first & 0x70)
		return error_set(e, ERROR_INVALID, "a frame with reserved bits set");
	if (second & 0x80)
		return error_set(e, ERROR_INVALID, "a frame that is masked, from a server");
	if (f->opcode > FRAME_BINARY && (f->opcode < FRAME_CLOSE || f->opcode > FRAME_PONG))
		return error_set(e, ERROR_INVALID, "a frame with opcode %u", f->opcode);
	if (f->opcode >= FRAME_CLOSE && (!f->fin || f->len > FRAME_CONTROL_MAX))
		return error_set(e, ERROR_INVALID, "a control frame in parts, or too long");
	return 0;
}

int
frame_head(struct str in, struct frame *f, struct error *e)
{
	const unsigned char *p = (const unsigned char *)in.data;
	size_t bytes;

	if (in.len < 2)
		return 0;
	f->fin = p[0] & 0x80;
	f->opcode = p[0] & 0x0f;
	f->len = p[1] & 0x7f;
	bytes = f->len < 126 ? 0 : f->len == 126 ? 2 : 8;
	if (check_head(f, p[0], p[1], e) == -1)
		return -1;
	if (in.len < 2 + bytes)
		return 0;
	if (bytes > 0)
		f->len = 0;
	for (size_t i = 0; i < bytes; i++)
		f->len = f->len << 8 | p[2 + i];
	if ((bytes == 2 && f->len < 126) || (bytes == 8 && f->len <= UINT16_MAX))
		return error_set(e, ERROR_INVALID, "a frame whose length is not written the short way");
	if (f->len >> 63)
		return error_set(e, ERROR_INVALID, "a frame longer than any");
	return (int)(2 + bytes);
}

int
frame_key(char key[FRAME_KEY_SIZE], struct error *e)
{
	unsigned char nonce[16];

	if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
		return error_set(e, ERROR_SYSTEM, "no random numbers");
	EVP_EncodeBlock((unsigned char *)key, nonce, sizeof(nonce));
	return 0;
}

int
frame_request(struct buf *b, const char *host, const char *path, const char *key,
    const char *headers)
{
	return buf_printf(b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s\r\n", path, host, key, headers);
}

/* ---- the answer ----------------------------------------------------------- */

/* The value of a header in `head`, which ends in an empty line; data NULL: it has none. */
static struct str
header(struct str head, const char *name)
{
	const char *line = head.data, *end = head.data + head.len, *newline;
	size_t len = strlen(name);

	while ((newline = memmem(line, (size_t)(end - line), "\r\n", 2)) != NULL && newline > line) {
		if ((size_t)(newline - line) > len && line[len] == ':' && strncasecmp(line, name, len) == 0) {
			line += len + 1;
			while (line < newline && (*line == ' ' || *line == '\t'))
				line++;
			return (struct str){ line, (size_t)(newline - line) };
		}
		line = newline + 2;
	}
	return (struct str){ NULL, 0 };
}

static bool
says(struct str value, const char *text)
{
	return value.len == strlen(text) && strncasecmp(value.data, text, value.len) == 0;
}

/* What a server that has read the key must answer. */
static int
expected(const char *key, char accept[29])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[FRAME_KEY_SIZE + 36];
	int len;

	len = snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	if (EVP_Digest(text, (size_t)len, digest, NULL, EVP_sha1(), NULL) != 1)
		return -1;
	EVP_EncodeBlock((unsigned char *)accept, digest, 20);
	return 0;
}

/* The head of the answer, with the empty line that ends it: its length; 0: not all of it has
 * come; -1: there is none. */
static int
answer_head(struct str in, int *status, struct error *e)
{
	static const char start[] = "HTTP/1.1 ";
	const char *end;

	*status = 0;
	if (memcmp(in.data, start, in.len < sizeof(start) - 1 ? in.len : sizeof(start) - 1) != 0)
		return error_set(e, ERROR_INVALID, "the answer is not HTTP/1.1");
	if ((end = memmem(in.data, in.len, "\r\n\r\n", 4)) == NULL)
		return in.len <= ANSWER_MAX ? 0 : error_set(e, ERROR_INVALID, "the answer has no end");
	for (const char *p = in.data + sizeof(start) - 1; *p >= '0' && *p <= '9' && *status < 1000; p++)
		*status = *status * 10 + *p - '0';
	return (int)(end - in.data) + 4;
}

int
frame_answer(struct str in, const char *key, int *status, struct error *e)
{
	struct str head = { in.data, 0 }, accept;
	char want[29];
	int n;

	if ((n = answer_head(in, status, e)) <= 0)
		return n;
	head.len = (size_t)n;
	if (*status != 101)
		return error_set(e, ERROR_DENIED, "HTTP %d", *status);
	accept = header(head, "Sec-WebSocket-Accept");
	if (!says(header(head, "Upgrade"), "websocket") || !says(header(head, "Connection"), "upgrade"))
		return error_set(e, ERROR_INVALID, "status 101, but no upgrade");
	if (expected(key, want) == -1 || accept.len != 28 || memcmp(accept.data, want, 28) != 0)
		return error_set(e, ERROR_INVALID, "Sec-WebSocket-Accept is not that of the key");
	if (header(head, "Sec-WebSocket-Extensions").data != NULL)
		return error_set(e, ERROR_INVALID, "an extension that was not asked for");
	return n;
}
