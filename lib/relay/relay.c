#include "relay.h"

#define HEAD 16
static const char magic[] = { 'm', 'z', 'r', '1' };

/* What stands behind the head. */
static const struct layout {
	bool number, credit, nth, run, text;
} layouts[RELAY_TYPES] = {
	[RELAY_GREETING] = { .number = true, .run = true },
	[RELAY_LINES] = { .number = true, .text = true },
	[RELAY_WELCOME] = { .credit = true, .run = true },
	[RELAY_ANSWERS] = { .number = true, .credit = true, .nth = true, .text = true },
};

/* ---- reading ---- */

static uint64_t
take_number(struct str *s)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | (unsigned char)s->data[i];
	*s = (struct str){ s->data + 8, s->len - 8 };
	return n;
}

static size_t
size_of(const struct layout *l)
{
	return 8 * ((size_t)l->number + l->credit + l->nth) + (l->run ? RELAY_RUN_SIZE : 0);
}

static int
read_head(struct str *s, struct relay_frame *out, struct error *e)
{
	static const char zeroes[3];

	if (s->len < HEAD || memcmp(s->data, magic, 3) != 0)
		return error_set(e, ERROR_INVALID, "not a message between push and pull");
	if (s->data[3] != magic[3])
		return error_set(e, ERROR_NEWER, "a message of another version of push and pull");
	if ((unsigned char)s->data[4] >= RELAY_TYPES || memcmp(s->data + 5, zeroes, 3) != 0)
		return error_set(e, ERROR_INVALID, "a message between push and pull of no known type");
	out->type = (enum relay_type)s->data[4];
	*s = (struct str){ s->data + 8, s->len - 8 };
	out->greeting = take_number(s);
	return 0;
}

int
relay_read(struct str message, struct relay_frame *out, struct error *e)
{
	struct str s = message;
	const struct layout *l;

	*out = (struct relay_frame){ .greeting = 0 };
	if (read_head(&s, out, e) == -1)
		return -1;
	l = &layouts[out->type];
	if (s.len < size_of(l) || (!l->text && s.len > size_of(l)))
		return error_set(e, ERROR_INVALID, "a message between push and pull of a wrong length");
	if (l->number)
		out->number = take_number(&s);
	if (l->credit)
		out->credit = take_number(&s);
	if (l->nth)
		out->nth = take_number(&s);
	if (l->run)
		memcpy(out->run, s.data, RELAY_RUN_SIZE);
	if (!l->text)
		return 0;
	out->text = s;
	if (s.len == 0 ? out->type == RELAY_LINES : s.data[s.len - 1] != '\n')
		return error_set(e, ERROR_INVALID, "a message between push and pull without whole lines");
	/* What it takes to read a batch is what others have to wait. */
	if (out->type == RELAY_LINES && s.len > RELAY_BATCH_MOST && memchr(s.data, '\n', s.len - 1) != NULL)
		return error_set(e, ERROR_INVALID, "a message between push and pull of too many lines");
	return 0;
}

/* ---- writing ---- */

static char *
put_number(char *p, uint64_t n)
{
	for (int i = 7; i >= 0; i--)
		*p++ = (char)(n >> 8 * i);
	return p;
}

static char *
put_head(char *p, enum relay_type type, uint64_t greeting)
{
	memcpy(p, magic, sizeof(magic));
	memset(p + 4, 0, 4);
	p[4] = (char)type;
	return put_number(p + 8, greeting);
}

int
relay_write(struct buf *b, const struct relay_frame *f)
{
	const struct layout *l = &layouts[f->type];
	size_t size = HEAD + size_of(l);
	char *p;

	if (buf_reserve(b, size + f->text.len) == -1)
		return -1;
	p = put_head(b->data + b->len, f->type, f->greeting);
	if (l->number)
		p = put_number(p, f->number);
	if (l->credit)
		p = put_number(p, f->credit);
	if (l->nth)
		p = put_number(p, f->nth);
	if (l->run)
		memcpy(p, f->run, RELAY_RUN_SIZE);
	b->len += size;
	return l->text ? buf_add_str(b, f->text) : 0;
}

void
relay_write_lines_head(char head[RELAY_LINES_HEAD], uint64_t greeting, uint64_t number)
{
	put_number(put_head(head, RELAY_LINES, greeting), number);
}
