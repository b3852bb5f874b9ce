#include "summary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "ndjson.h"
#include "pager.h"
#include "show.h"

/* ---- count -------------------------------------------------------------- */

static int
add_up(void *arg, const struct tally *t)
{
	uint64_t *sum = arg;

	*sum += t->count;
	return 0;
}

int
summary_count(struct store *s, const struct request *r, struct error *e)
{
	/* A bare number even in a pipe: that is where it is used. */
	bool json = r->output_given && r->output == &output_ndjson;
	uint64_t count = 0;
	struct buf *b;

	if (store_tally(s, &r->query, TALLY_BY_KIND, 0, 0, add_up, &count, e) == -1)
		return -1;
	b = out_begin();
	if (show_status(out_end(buf_printf(b, json ? "{\"count\":%" PRIu64 "}\n" : "%" PRIu64 "\n",
	    count) == -1), e) == -1)
		return -1;
	return count > 0 ? EXIT_SUCCESS : EXIT_NOTHING;
}

/* ---- senders and watchdogs ---------------------------------------------- */

struct entry {
	char *name;
	size_t len;
	uint64_t count;
};

struct names {
	const struct request *request;
	struct error *e;
	uint64_t shown;
	/* The top: up to twice as many as asked for, now and then cut back. */
	struct entry *top;
	size_t n, room;
};

static int
show_name(struct names *names, struct str name, uint64_t count)
{
	const struct request *r = names->request;
	const char *what = r->action == ACTION_WATCHDOGS ? "watchdog" : "sender";
	struct buf *b;
	bool failed;

	if (names->shown++ == 0 && r->pager)
		pager_start();
	b = out_begin();
	if (r->output == &output_ndjson)
		failed = buf_printf(b, "{\"%s\":", what) == -1 || ndjson_write_string(b, name) == -1 ||
		    buf_printf(b, ",\"count\":%" PRIu64 "}\n", count) == -1;
	else
		failed = buf_printf(b, "%10" PRIu64 " ", count) == -1 || output_escape(b, name) == -1 ||
		    buf_add(b, "\n", 1) == -1;
	return show_status(out_end(failed), names->e);
}

/* The most first; among equals in the order of their names. */
static int
compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int order;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	order = memcmp(x->name, y->name, len);
	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static void
cut_top(struct names *names, size_t most)
{
	if (names->n > 1)
		qsort(names->top, names->n, sizeof(*names->top), compare);
	while (names->n > most)
		free(names->top[--names->n].name);
}

static int
keep_top(struct names *names, const struct tally *t)
{
	size_t most = names->request->top;
	struct entry *more, entry = { .len = t->key.len, .count = t->count };

	if (names->n == names->room) {
		size_t room = names->room > 0 ? names->room * 2 : 64;

		if ((more = realloc(names->top, room * sizeof(*more))) == NULL)
			return error_memory(names->e);
		names->top = more;
		names->room = room;
	}
	if ((entry.name = malloc(t->key.len + 1)) == NULL)
		return error_memory(names->e);
	if (t->key.len > 0)
		memcpy(entry.name, t->key.data, t->key.len);
	names->top[names->n++] = entry;
	if (names->n / 2 >= most && names->n >= 64)
		cut_top(names, most);
	return 0;
}

static int
take_name(void *arg, const struct tally *t)
{
	struct names *names = arg;

	return names->request->top > 0 ? keep_top(names, t) : show_name(names, t->key, t->count);
}

int
summary_names(struct store *s, const struct request *r, struct error *e)
{
	struct names names = { .request = r, .e = e };
	enum tally_by by = r->action == ACTION_WATCHDOGS ? TALLY_BY_WATCHDOG : TALLY_BY_SENDER;
	int rc = store_tally(s, &r->query, by, 0, 0, take_name, &names, e);

	cut_top(&names, rc == 0 ? r->top : 0);
	for (size_t i = 0; i < names.n && rc == 0; i++)
		rc = show_name(&names, (struct str){ names.top[i].name, names.top[i].len },
		    names.top[i].count);
	cut_top(&names, 0);
	free(names.top);
	if (rc == -1)
		return -1;
	return names.shown > 0 ? EXIT_SUCCESS : EXIT_NOTHING;
}
