#include "pubsub.h"

#include <inttypes.h>
#include <stdio.h>

/* "kind.watchdog." */
static int
read_topic(struct pubsub *p, struct error *e)
{
	const char *dot = memchr(p->topic.data, '.', p->topic.len);
	size_t n = dot != NULL ? (size_t)(dot - p->topic.data) : 0;

	if (dot == NULL || record_kind_parse((struct str){ p->topic.data, n }, &p->kind) == -1)
		return error_set(e, ERROR_INVALID, "topic: must begin with a kind and a dot");
	p->watchdog = (struct str){ dot + 1, p->topic.len - n - 1 };
	if (p->watchdog.len == 0 || p->watchdog.data[p->watchdog.len - 1] != '.')
		return error_set(e, ERROR_INVALID, "topic: must end in a dot");
	p->watchdog.len--;
	if (!record_watchdog_valid(p->watchdog))
		return error_set(e, ERROR_INVALID, "topic: has no watchdog's code");
	return 0;
}

/* A number as it is written: no signs, no zeros in front. */
static int
read_number(struct str text, uint64_t *number)
{
	uint64_t n = 0;

	if (text.len == 0 || text.data[0] == '0')
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned char)text.data[i] - '0';
		if (digit > 9 || n > (UINT64_MAX - digit) / 10)
			return -1;
		n = n * 10 + digit;
	}
	*number = n;
	return 0;
}

/* "publisher number" */
static int
read_head(struct str head, struct pubsub *p, struct error *e)
{
	const char *space = memchr(head.data, ' ', head.len);

	if (space == NULL)
		return error_set(e, ERROR_INVALID, "head: must be a publisher and a number");
	p->publisher = (struct str){ head.data, (size_t)(space - head.data) };
	/* The same characters, and as many. */
	if (!record_watchdog_valid(p->publisher))
		return error_set(e, ERROR_INVALID, "publisher: must be 1 to 64 of A-Z, a-z, 0-9, _ and -");
	if (read_number((struct str){ space + 1, head.len - p->publisher.len - 1 }, &p->number) == -1)
		return error_set(e, ERROR_INVALID, "number: must be an integer, 1 at least");
	return 0;
}

int
pubsub_read(struct str frame, struct pubsub *out, struct error *e)
{
	struct str rest = frame, head;

	if (!str_take_line(&rest, &out->topic) || !str_take_line(&rest, &head) || rest.len == 0)
		return error_set(e, ERROR_INVALID, "must be three lines");
	out->line = rest;
	if (memchr(rest.data, '\n', rest.len) != NULL)
		return error_set(e, ERROR_INVALID, "must be three lines");
	return read_topic(out, e) == -1 ? -1 : read_head(head, out, e);
}

int
pubsub_write_topic(struct buf *b, enum record_kind kind, struct str watchdog)
{
	if (buf_add_str(b, str_of(record_kind_name(kind))) == -1 || buf_add(b, ".", 1) == -1 ||
	    buf_add_str(b, watchdog) == -1)
		return -1;
	return buf_add(b, ".", 1);
}

int
pubsub_write(struct buf *b, const struct pubsub *p)
{
	char number[24];
	int n = snprintf(number, sizeof(number), " %" PRIu64 "\n", p->number);

	if (pubsub_write_topic(b, p->kind, p->watchdog) == -1 || buf_add(b, "\n", 1) == -1 ||
	    buf_add_str(b, p->publisher) == -1 || buf_add(b, number, (size_t)n) == -1)
		return -1;
	return buf_add_str(b, p->line);
}
