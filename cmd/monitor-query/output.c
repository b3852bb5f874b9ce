#include "output.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ndjson.h"
#include "utf8.h"
#include "when.h"

#define RESET "\033[0m"

enum { LEVEL_SIZE = 24 };   /* of its text */

const struct palette output_palette[] = {
	{ "\033[1;31m", "\033[41m", 'e' },
	{ "\033[33m", "\033[43m", 'w' },
	{ "\033[1m", "\033[46m", 'n' },
	{ "", "\033[42m", 'i' },
	{ "\033[2m", "\033[44m", 'd' },
	{ "\033[2m", "\033[100m", 'v' },
};

unsigned
output_class(int64_t level)
{
	return (unsigned)(record_level_class(level) - record_levels);
}

/* ---- text for terminals ------------------------------------------------- */

/* How many bytes at `p` may go to a terminal as they are: a whole character, or
 * 0. Not the control characters (C0, DEL, C1), what is no UTF-8, and what turns
 * the direction of writing or breaks the line where nobody sees it. */
static size_t
harmless(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t len = utf8_length(p, end);

	switch (len) {
	case 1:
		return (*u >= ' ' && *u != 0x7f) || *u == '\t';
	case 2:
		return u[0] == 0xc2 && u[1] < 0xa0 ? 0 : 2;
	case 3:
		if (u[0] != 0xe2 || (u[1] != 0x80 && u[1] != 0x81))
			return 3;
		/* U+200E, U+200F, U+2028..202E, U+2066..2069 */
		return u[1] == 0x80 ? (u[2] == 0x8e || u[2] == 0x8f || (u[2] >= 0xa8 && u[2] <= 0xae) ?
		    0 : 3) : (u[2] >= 0xa6 && u[2] <= 0xa9 ? 0 : 3);
	}
	return len;
}

/* "\n", "\x1b", "\u202e"; steps `*p` behind what it stands for. */
static int
add_escape(struct buf *b, const char **p, const char *end)
{
	static const char letters[] = { ['\a'] = 'a', ['\b'] = 'b', ['\n'] = 'n', ['\v'] = 'v',
	    ['\f'] = 'f', ['\r'] = 'r' };
	const unsigned char *u = (const unsigned char *)*p;
	size_t len = utf8_length(*p, end);

	*p += len > 0 ? len : 1;
	if (len == 2)
		return buf_printf(b, "\\x%02x", u[1]);   /* U+0080..009f */
	if (len == 3)
		return buf_printf(b, "\\u20%02x", (u[1] & 3) << 6 | (u[2] & 0x3f));
	if (*u < sizeof(letters) && letters[*u] != 0)
		return buf_add(b, (char[]){ '\\', letters[*u] }, 2);
	return buf_printf(b, "\\x%02x", *u);
}

/* `newline` is what stands for one, or NULL: it is escaped. */
static int
add_guarded(struct buf *b, struct str s, const char *newline)
{
	const char *p = s.data, *end = p + s.len, *from;
	size_t n;

	while (p < end) {
		for (from = p; p < end; p += n) {
			n = *p >= ' ' && *p < 0x7f ? 1 : harmless(p, end);
			if (n == 0)
				break;
		}
		if (buf_add(b, from, (size_t)(p - from)) == -1)
			return -1;
		if (p == end)
			break;
		if (newline != NULL && *p == '\n') {
			p++;
			if (buf_add_str(b, str_of(newline)) == -1)
				return -1;
		} else if (add_escape(b, &p, end) == -1) {
			return -1;
		}
	}
	return 0;
}

int
output_escape(struct buf *b, struct str s)
{
	return add_guarded(b, s, NULL);
}

/* A message: further lines are indented, so that none of them looks like a
 * record. Pagers forget colours at the end of a line. */
static int
add_message(struct buf *b, struct str message, struct str color, const struct view *v)
{
	static const char plain[] = "\n    ";
	char colored[32];
	const char *newline = plain;
	size_t at = 0, start, end;

	if (message.len > 0 && message.data[message.len - 1] == '\n')
		message.len--;
	if (color.len > 0) {
		snprintf(colored, sizeof(colored), RESET "\n    %s", color.data);
		newline = colored;
	}
	while (v->color && v->highlight != NULL &&
	    match_find(v->highlight, message, at, &start, &end) && end > start) {
		if (add_guarded(b, (struct str){ message.data + at, start - at }, newline) == -1 ||
		    buf_add_str(b, str_of("\033[7m")) == -1 ||
		    add_guarded(b, (struct str){ message.data + start, end - start }, NULL) == -1 ||
		    buf_add_str(b, str_of("\033[27m")) == -1)
			return -1;
		at = end;
	}
	return add_guarded(b, (struct str){ message.data + at, message.len - at }, newline);
}

/* The level in seven columns or more: its name, or what lies between names. */
static size_t
put_level(char *out, int64_t level)
{
	const struct level *class = record_level_class(level);
	size_t len;

	if (class->value != level)
		return (size_t)snprintf(out, LEVEL_SIZE, "%-7lld", (long long)level);
	for (len = 0; class->name[len] != '\0'; len++)
		out[len] = (char)toupper((unsigned char)class->name[len]);
	while (len < 7)
		out[len++] = ' ';
	return len;
}

static int
text_record(struct buf *b, const struct record *r, const struct view *v)
{
	struct str color = str_of(v->color ? output_palette[output_class(r->level)].text : "");
	struct str reset = str_of(color.len > 0 ? RESET : "");
	size_t len;

	if (buf_reserve(b, WHEN_TEXT_SIZE + 1) == -1)
		return -1;
	len = when_format(r->time, v->utc, b->data + b->len);
	b->data[b->len + len] = ' ';
	b->len += len + 1;
	if (buf_add_str(b, color) == -1 || buf_reserve(b, LEVEL_SIZE) == -1)
		return -1;
	b->len += put_level(b->data + b->len, r->level);
	if (buf_add_str(b, reset) == -1 || buf_add(b, " ", 1) == -1 || (v->watchdogs &&
	    (add_guarded(b, r->watchdog, NULL) == -1 || buf_add(b, " ", 1) == -1)))
		return -1;
	if (add_guarded(b, r->sender, NULL) == -1 || (r->kind == RECORD_NOTIFICATION &&
	    buf_add_str(b, str_of(" (notification)")) == -1))
		return -1;
	return buf_add(b, ": ", 2) == -1 || buf_add_str(b, color) == -1 ||
	    add_message(b, r->message, color, v) == -1 || buf_add_str(b, reset) == -1 ||
	    buf_add(b, "\n", 1) == -1 ? -1 : 0;
}

static int
text_cursor(struct buf *b, const char *text)
{
	return buf_printf(b, "-- cursor: %s\n", text);
}

const struct output output_text = { "text", NULL, text_record, text_cursor };

/* ---- the other formats -------------------------------------------------- */

static int
ndjson_record(struct buf *b, const struct record *r, const struct view *v)
{
	(void)v;
	return ndjson_write(b, r);
}

static int
ndjson_cursor(struct buf *b, const char *text)
{
	return buf_printf(b, "{\"cursor\":\"%s\"}\n", text);
}

const struct output output_ndjson = { "ndjson", NULL, ndjson_record, ndjson_cursor };

static int
cat_record(struct buf *b, const struct record *r, const struct view *v)
{
	int status = v->guarded ? add_guarded(b, r->message, "\n") : buf_add_str(b, r->message);

	return status == -1 ? -1 : buf_add(b, "\n", 1);
}

/* The arrays that a WebSocket client is sent. */
static int
wire_record(struct buf *b, const struct record *r, const struct view *v)
{
	(void)v;
	if (buf_add(b, "[", 1) == -1 || ndjson_write_string(b, r->sender) == -1 ||
	    buf_add(b, ",", 1) == -1 || ndjson_write_string(b, r->message) == -1 ||
	    buf_add(b, ",", 1) == -1 || ndjson_write_integer(b, r->level) == -1)
		return -1;
	if (r->kind == RECORD_NOTIFICATION &&
	    (buf_add(b, ",", 1) == -1 || ndjson_write_double(b, r->time) == -1))
		return -1;
	return buf_add(b, "]\n", 2);
}

/* RFC 4180. */
static int
csv_field(struct buf *b, struct str s, const char *end)
{
	const char *p = s.data, *stop = p + s.len, *quote;
	bool plain = true;

	for (size_t i = 0; i < s.len && plain; i++)
		plain = p[i] != '"' && p[i] != ',' && p[i] != '\n' && p[i] != '\r';
	if (plain)
		return buf_add_str(b, s) == -1 ? -1 : buf_add_str(b, str_of(end));
	if (buf_add(b, "\"", 1) == -1)
		return -1;
	while ((quote = memchr(p, '"', (size_t)(stop - p))) != NULL) {
		quote++;
		if (buf_add(b, p, (size_t)(quote - p)) == -1 || buf_add(b, "\"", 1) == -1)
			return -1;
		p = quote;
	}
	return buf_add(b, p, (size_t)(stop - p)) == -1 || buf_add(b, "\"", 1) == -1 ? -1 :
	    buf_add_str(b, str_of(end));
}

static int
csv_begin(struct buf *b)
{
	return buf_add_str(b, str_of("kind,watchdog,level,time,sender,message\r\n"));
}

static int
csv_record(struct buf *b, const struct record *r, const struct view *v)
{
	char time[WHEN_TEXT_SIZE];
	size_t len = when_rfc3339(r->time, v->utc, time);

	return csv_field(b, str_of(record_kind_name(r->kind)), ",") == -1 ||
	    csv_field(b, r->watchdog, ",") == -1 || ndjson_write_integer(b, r->level) == -1 ||
	    buf_add(b, ",", 1) == -1 || csv_field(b, (struct str){ time, len }, ",") == -1 ||
	    csv_field(b, r->sender, ",") == -1 ? -1 : csv_field(b, r->message, "\r\n");
}

static const struct output output_cat = { "cat", NULL, cat_record, NULL };
static const struct output output_csv = { "csv", csv_begin, csv_record, NULL };
static const struct output output_wire = { "wire", NULL, wire_record, NULL };

const struct output *
output_find(const char *name)
{
	static const struct output *const all[] = {
		&output_text, &output_ndjson, &output_csv, &output_cat, &output_wire,
	};

	/* A JSON object a line: journalctl's name for it. */
	if (strcmp(name, "json") == 0)
		return &output_ndjson;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}
