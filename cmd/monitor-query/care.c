#include "care.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cli.h"
#include "ndjson.h"
#include "show.h"
#include "when.h"

/* ---- statistics --------------------------------------------------------- */

static const char *const plural[RECORD_KINDS] = { "logs", "notifications" };

/* "12.3 MiB" behind the bytes. */
static int
add_size(struct buf *b, const char *what, uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double n = (double)bytes;
	unsigned u = 0;

	for (; n >= 1024 && u < 6; u++)
		n /= 1024;
	if (u == 0)
		return buf_printf(b, "%-14s %" PRIu64 "\n", what, bytes);
	return buf_printf(b, "%-14s %" PRIu64 " (%.1f %s)\n", what, bytes, n, units[u]);
}

static int
add_text(struct buf *b, const struct store_stats *st, bool utc)
{
	char first[WHEN_TEXT_SIZE], last[WHEN_TEXT_SIZE];

	if (buf_printf(b, "%-14s %s, schema %d\n", "engine", st->engine, st->schema) == -1)
		return -1;
	for (unsigned k = 0; k < RECORD_KINDS; k++) {
		if (buf_printf(b, "%-14s %s%" PRIu64, plural[k], st->about ? "about " : "",
		    st->rows[k]) == -1)
			return -1;
		if (st->rows[k] > 0) {
			when_format(st->first[k], utc, first);
			when_format(st->last[k], utc, last);
			if (buf_printf(b, ", %s .. %s", first, last) == -1)
				return -1;
		}
		if (buf_add(b, "\n", 1) == -1)
			return -1;
	}
	if (!st->about && buf_printf(b, "%-14s %" PRIu64 "\n%-14s %" PRIu64 "\n", "watchdogs",
	    st->watchdogs, "senders", st->senders) == -1)
		return -1;
	if (buf_printf(b, "%-14s %" PRIu64 "\n%-14s %" PRIu64 "\n%-14s %" PRId64 "\n", "sources",
	    st->sources, "strays", st->strays, "arrivals", st->arrival) == -1)
		return -1;
	return add_size(b, "size", st->bytes) == -1 ? -1 : add_size(b, "free in it", st->free_bytes);
}

static int
add_json(struct buf *b, const struct store_stats *st)
{
	if (buf_printf(b, "{\"engine\":\"%s\",\"schema\":%d", st->engine, st->schema) == -1)
		return -1;
	for (unsigned k = 0; k < RECORD_KINDS; k++) {
		if (buf_printf(b, ",\"%s\":{\"rows\":%" PRIu64, plural[k], st->rows[k]) == -1)
			return -1;
		if (st->rows[k] > 0 && (buf_printf(b, ",\"first\":") == -1 ||
		    ndjson_write_double(b, st->first[k]) == -1 || buf_printf(b, ",\"last\":") == -1 ||
		    ndjson_write_double(b, st->last[k]) == -1))
			return -1;
		if (buf_add(b, "}", 1) == -1)
			return -1;
	}
	if ((st->about ? buf_printf(b, ",\"about\":true") :
	    buf_printf(b, ",\"watchdogs\":%" PRIu64 ",\"senders\":%" PRIu64, st->watchdogs,
	    st->senders)) == -1)
		return -1;
	return buf_printf(b, ",\"sources\":%" PRIu64 ",\"strays\":%" PRIu64 ",\"arrivals\":%" PRId64
	    ",\"bytes\":%" PRIu64 ",\"free_bytes\":%" PRIu64 "}\n", st->sources, st->strays, st->arrival,
	    st->bytes, st->free_bytes);
}

int
care_stats(struct store *s, const struct request *r, struct error *e)
{
	struct store_stats st;
	struct buf *b;
	int rc;

	if (store_stats(s, &st, e) == -1)
		return -1;
	b = out_begin();
	rc = r->output == &output_text ? add_text(b, &st, r->view.utc) : add_json(b, &st);
	return show_status(out_end(rc == -1), e);
}

/* ---- backup ------------------------------------------------------------- */

int
care_backup(struct store *s, const struct request *r, struct error *e)
{
	return store_backup(s, r->backup, e);
}

/* ---- verification ------------------------------------------------------- */

struct findings {
	const struct request *request;
	struct error *e;
	int status;
};

static void
found(void *arg, const char *text)
{
	struct findings *f = arg;
	struct buf *b;
	bool failed;

	if (f->status == -1)
		return;
	b = out_begin();
	if (f->request->output == &output_text)
		failed = output_escape(b, str_of(text)) == -1 || buf_add(b, "\n", 1) == -1;
	else
		failed = buf_printf(b, "{\"fault\":") == -1 ||
		    ndjson_write_string(b, str_of(text)) == -1 || buf_printf(b, "}\n") == -1;
	f->status = show_status(out_end(failed), f->e);
}

int
care_verify(struct store *s, const struct request *r, struct error *e)
{
	struct findings f = { .request = r, .e = e };
	int64_t faults = store_verify(s, found, &f, e);
	struct buf *b;

	if (faults == -1 || f.status == -1)
		return -1;
	if (faults > 0)
		return EXIT_QUERY_ERROR;
	if (r->quiet || r->output != &output_text)
		return EXIT_SUCCESS;
	b = out_begin();
	return show_status(out_end(buf_printf(b, "%s: nothing is wrong\n", r->shown) == -1), e);
}
