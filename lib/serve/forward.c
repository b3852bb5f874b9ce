#include <string.h>
#include <syslog.h>

#include "serve/internal.h"

void
forward_to(struct serve *serve, struct tenant *t, struct message *m, const struct session *but)
{
	struct session *s, *next;

	if (serve->settings.quiet)
		return;
	for (s = TAILQ_FIRST(&t->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, of_tenant);
		if (s == but || s->close_code != 0)
			continue;
		m->refs++;
		session_send(s, m);
		serve->stats.forwarded++;
	}
}

/* ---- from other instances ----------------------------------------------- */

/* Notifications of one watchdog, one line after the other, on their way into
 * one message. */
struct group {
	struct tenant *tenant;     /* NULL: none has been begun */
	struct message *message;
	size_t count;
};

static void
group_end(struct serve *serve, struct group *g, struct error *e)
{
	if (g->tenant == NULL)
		return;
	if (g->message == NULL || proto_forward_end(&g->message->text) == -1)
		error_memory(e);
	else
		forward_to(serve, g->tenant, g->message, NULL);
	message_unref(g->message);
	tenant_unref(serve, g->tenant);
	*g = (struct group){ 0 };
}

/* -1: no memory, and the group is no good any more. */
static int
group_add(struct group *g, const struct record *r)
{
	if (g->count == 0 && ((g->message = message_new()) == NULL ||
	    proto_forward_begin(&g->message->text) == -1))
		return -1;
	return proto_forward_record(&g->message->text, r, g->count++);
}

static void
group_drop(struct serve *serve, struct group *g)
{
	message_unref(g->message);
	tenant_unref(serve, g->tenant);
	*g = (struct group){ 0 };
}

static int
forward_record(struct serve *serve, struct group *g, const struct record *r, struct error *e)
{
	if (g->tenant != NULL && !str_equal(str_of(g->tenant->code), r->watchdog))
		group_end(serve, g, e);
	if (g->tenant == NULL && (g->tenant = tenant_find(serve, r->watchdog)) == NULL)
		return 0;   /* nobody is here who wants it */
	if (group_add(g, r) == 0)
		return 0;
	group_drop(serve, g);
	return error_memory(e);
}

static int
forward_line(struct serve *serve, struct group *g, struct str line, struct error *e)
{
	struct ndjson_line l;
	struct str origin;

	if (ndjson_read(serve->reader, line, &l, e) == -1 ||
	    proto_take_origin(serve->proto, &l.record, &origin, e) == -1)
		return -1;
	if (l.record.kind != RECORD_NOTIFICATION || str_equal(origin, str_of(serve->settings.run)))
		return 0;
	return forward_record(serve, g, &l.record, e);
}

int
serve_forward(struct serve *serve, struct str lines, struct error *e)
{
	struct group g = { 0 };
	const char *p = lines.data, *end = p + lines.len, *newline;
	struct error first = { .kind = ERROR_NONE }, *to = &first;

	for (; p < end; p = newline + 1) {
		if ((newline = memchr(p, '\n', (size_t)(end - p))) == NULL)
			newline = end;
		if (newline == p)
			continue;
		if (forward_line(serve, &g, (struct str){ p, (size_t)(newline - p) }, to) == -1)
			to = NULL;
	}
	group_end(serve, &g, to);
	if (first.kind == ERROR_NONE)
		return 0;
	*e = first;
	return -1;
}
