#include "newest.h"

#include <stdlib.h>

/* While more are added, its strings are offsets into `texts`. */
struct newest_record {
	struct record record;
	struct cursor at;
};

static int
make_room(struct newest *n)
{
	size_t room = n->room > 0 ? n->room * 2 : 16;
	struct newest_record *records;

	if (n->count < n->room)
		return 0;
	if ((records = realloc(n->records, room * sizeof(*records))) == NULL)
		return -1;
	n->records = records;
	n->room = room;
	return 0;
}

static int
keep(struct newest *n, struct str *s)
{
	size_t at = n->texts.len;

	if (buf_add_str(&n->texts, *s) == -1)
		return -1;
	s->data = (const char *)(uintptr_t)at;
	return 0;
}

int
newest_add(struct newest *n, const struct record *r, const struct cursor *at, struct error *e)
{
	struct newest_record *to;
	size_t size = r->watchdog.len + r->sender.len + r->message.len + r->extra.len;

	if (n->count == NEWEST_RECORDS || size > NEWEST_BYTES - n->texts.len)
		return 0;
	if (make_room(n) == -1)
		return error_memory(e);
	to = &n->records[n->count];
	*to = (struct newest_record){ *r, *at };
	if (keep(n, &to->record.watchdog) == -1 || keep(n, &to->record.sender) == -1 ||
	    keep(n, &to->record.message) == -1 || keep(n, &to->record.extra) == -1)
		return error_memory(e);
	n->count++;
	return 1;
}

static struct str
kept(const struct newest *n, struct str s)
{
	return (struct str){ n->texts.data + (uintptr_t)s.data, s.len };
}

bool
newest_take(struct newest *n, struct record *r, struct cursor *at)
{
	const struct newest_record *from;

	if (n->count == 0)
		return false;
	from = &n->records[--n->count];
	*r = from->record;
	r->watchdog = kept(n, r->watchdog);
	r->sender = kept(n, r->sender);
	r->message = kept(n, r->message);
	r->extra = kept(n, r->extra);
	*at = from->at;
	return true;
}

void
newest_free(struct newest *n)
{
	free(n->records);
	buf_free(&n->texts);
	*n = (struct newest){ 0 };
}
