#include "show.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "pager.h"

int
show_status(enum out_status status, struct error *e)
{
	if (status == OUT_OK)
		return 0;
	if (status == OUT_CLOSED)
		return error_set(e, ERROR_NONE, "nobody reads the output");
	out_error(e);
	return -1;
}

int
show_record(struct show *s, const struct record *r, struct error *e)
{
	const struct output *output = s->request->output;
	struct buf *b;
	bool failed = false;

	if (s->shown == 0 && s->request->pager)
		pager_start();
	b = out_begin();
	if (s->shown == 0 && output->begin != NULL)
		failed = output->begin(b) == -1;
	failed = failed || output->record(b, r, &s->request->view) == -1;
	s->shown++;
	return show_status(out_end(failed), e);
}

int
show_end(struct show *s, const struct cursor *at, struct error *e)
{
	const struct output *output = s->request->output;
	char text[CURSOR_TEXT_SIZE];
	struct buf *b = out_begin();
	bool failed = false;

	if (s->shown == 0 && output->begin != NULL)
		failed = output->begin(b) == -1;
	if (s->request->show_cursor && at != NULL) {
		cursor_format(at, text);
		if (output->cursor != NULL)
			failed = failed || output->cursor(b, text) == -1;
		else
			fprintf(stderr, "-- cursor: %s\n", text);
	}
	if (s->shown == 0 && s->request->view.guarded && !s->request->quiet)
		fprintf(stderr, "-- no records --\n");
	return show_status(out_end(failed), e);
}

int
show_all(struct store *store, const struct request *r, struct error *e)
{
	struct show s = { .request = r };
	struct answer *a = NULL;
	struct record record;
	struct cursor at;
	int rc = 0;

	/* The newest none. */
	if (r->query.limit > 0) {
		if ((a = store_ask(store, &r->query, e)) == NULL)
			return -1;
		while ((rc = answer_next(a, &record, e)) == 1 &&
		    (rc = show_record(&s, &record, e)) == 0)
			;
		if (rc == 0)
			answer_cursor(a, &at);
		answer_close(&a);
	}
	if (rc == -1 || show_end(&s, s.shown > 0 ? &at : r->query.after, e) == -1)
		return -1;
	return s.shown > 0 ? EXIT_SUCCESS : EXIT_NOTHING;
}
