#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "ndjson.h"
#include "pager.h"
#include "show.h"
#include "summary.h"
#include "when.h"

#define DAY 86400.0

enum {
	LINES = 60,     /* about so many intervals are chosen */
	CLASSES = 6,    /* of levels: error ... verbose */
	GAP = 24,       /* so many empty intervals in a row are shown */
	WIDTH_LEAST = 40,
	PARTS = 4096,   /* in which the bulk is looked for */
	KEPT = 16384,   /* intervals; more are counted twice instead */
};

struct interval {
	double time;
	uint64_t count, classes[CLASSES];
};

struct histogram {
	const struct request *request;
	struct query query;
	struct error *e;
	double length, offset;
	int (*done)(struct histogram *h, const struct interval *i);
	struct interval now;     /* being counted */
	bool counting;

	/* What has been counted: */
	struct interval total;   /* over all */
	uint64_t most;           /* in one */
	struct interval *kept;   /* room for KEPT */
	size_t intervals;        /* how many there were; the first KEPT are kept */

	double last;             /* where the bar before this one began */
	uint64_t shown;
	int digits, width;
};

/* ---- counting ----------------------------------------------------------- */

static int
finish(struct histogram *h)
{
	if (!h->counting)
		return 0;
	h->counting = false;
	return h->done(h, &h->now);
}

/* Rows come by time, and at each time by level. */
static int
take_row(void *arg, const struct tally *t)
{
	struct histogram *h = arg;

	if (h->counting && h->now.time != t->time && finish(h) == -1)
		return -1;
	if (!h->counting)
		h->now = (struct interval){ .time = t->time };
	h->counting = true;
	h->now.count += t->count;
	h->now.classes[output_class(t->level)] += t->count;
	return 0;
}

static int
go_through(struct histogram *h, struct store *s,
    int (*done)(struct histogram *h, const struct interval *i))
{
	h->done = done;
	h->counting = false;
	if (store_tally(s, &h->query, TALLY_BY_TIME, h->length, h->offset, take_row, h, h->e) == -1)
		return -1;
	return finish(h);
}

static int
keep(struct histogram *h, const struct interval *i)
{
	h->total.count += i->count;
	for (unsigned c = 0; c < CLASSES; c++)
		h->total.classes[c] += i->classes[c];
	if (i->count > h->most)
		h->most = i->count;
	if (h->intervals < KEPT)
		h->kept[h->intervals] = *i;
	h->intervals++;
	return 0;
}

static int
count_all(struct histogram *h, struct store *s)
{
	h->total = (struct interval){ 0 };
	h->most = 0;
	h->intervals = 0;
	return go_through(h, s, keep);
}

/* ---- NDJSON ------------------------------------------------------------- */

static int
show_line(struct histogram *h, const struct interval *i)
{
	struct buf *b = out_begin();
	bool failed;

	failed = buf_printf(b, "{\"time\":") == -1 || ndjson_write_double(b, i->time) == -1 ||
	    buf_printf(b, ",\"count\":%" PRIu64 ",\"levels\":{", i->count) == -1;
	for (unsigned c = 0; c < CLASSES && !failed; c++)
		failed = buf_printf(b, "%s\"%s\":%" PRIu64, c > 0 ? "," : "", record_levels[c].name,
		    i->classes[c]) == -1;
	failed = failed || buf_printf(b, "}}\n") == -1;
	h->shown++;
	return show_status(out_end(failed), h->e);
}

/* ---- bars --------------------------------------------------------------- */

/* `n` cells of a bar in the colour, or by the letter, of a class. */
static int
add_cells(const struct histogram *h, struct buf *b, unsigned class, int n)
{
	const struct palette *p = &output_palette[class];

	if (n == 0)
		return 0;
	if (buf_reserve(b, (size_t)n + 32) == -1)
		return -1;
	if (h->request->view.color)
		return buf_printf(b, "%s%*s\033[0m", p->bar, n, "");
	memset(b->data + b->len, p->letter, (size_t)n);
	b->len += (size_t)n;
	return 0;
}

static int
add_label(const struct histogram *h, struct buf *b, double time)
{
	char text[WHEN_TEXT_SIZE];
	int cut = h->length >= DAY ? 10 : h->length >= 60 ? 16 : h->length >= 1 ? 19 : 23;

	when_format(time, h->request->view.utc, text);
	return buf_printf(b, "%-*.*s", cut, *text == '@' ? (int)strlen(text) : cut, text);
}

/* The classes side by side, most severe first. Where there is one of a class
 * there is a cell of it: a single error is what people look for. */
static int
add_bar(const struct histogram *h, struct buf *b, const struct interval *i)
{
	uint64_t below = 0;
	int drawn = 0, end, n;

	for (unsigned c = 0; c < CLASSES; c++) {
		if (i->classes[c] == 0)
			continue;
		below += i->classes[c];
		end = (int)lround((double)below / (double)h->most * (h->width - CLASSES));
		n = end > drawn ? end - drawn : 1;
		if (add_cells(h, b, c, n) == -1)
			return -1;
		drawn += n;
	}
	return 0;
}

static int
show_empty(struct histogram *h, const struct interval *next)
{
	double missing = round((next->time - h->last) / h->length) - 1;
	struct buf *b;
	bool failed;

	if (missing > GAP) {
		b = out_begin();
		return show_status(out_end(buf_printf(b, "...\n") == -1), h->e);
	}
	for (int i = 1; i <= (int)missing; i++) {
		b = out_begin();
		failed = add_label(h, b, h->last + i * h->length) == -1 ||
		    buf_printf(b, " %*d\n", h->digits, 0) == -1;
		if (show_status(out_end(failed), h->e) == -1)
			return -1;
	}
	return 0;
}

static int
show_bar(struct histogram *h, const struct interval *i)
{
	struct buf *b;
	bool failed;

	if (h->shown++ > 0 && show_empty(h, i) == -1)
		return -1;
	h->last = i->time;
	/* A writer may have been here since we measured. */
	if (i->count > h->most)
		h->most = i->count;
	b = out_begin();
	failed = add_label(h, b, i->time) == -1 ||
	    buf_printf(b, " %*" PRIu64 " ", h->digits, i->count) == -1 ||
	    add_bar(h, b, i) == -1 || buf_add(b, "\n", 1) == -1;
	return show_status(out_end(failed), h->e);
}

static int
show_legend(struct histogram *h)
{
	char length[WHEN_TEXT_SIZE];
	struct buf *b = out_begin();
	bool failed;

	when_format_duration(h->length, length);
	failed = buf_printf(b, "each %s:", length) == -1;
	for (unsigned c = 0; c < CLASSES && !failed; c++) {
		if (h->total.classes[c] == 0)
			continue;
		failed = buf_add(b, "  ", 2) == -1 || add_cells(h, b, c, 2) == -1 ||
		    buf_printf(b, " %s %" PRIu64, record_levels[c].name, h->total.classes[c]) == -1;
	}
	failed = failed || buf_add(b, "\n", 1) == -1;
	return show_status(out_end(failed), h->e);
}

static int
terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
		return w.ws_col;
	return columns != NULL && atoi(columns) > 0 ? atoi(columns) : 80;
}

static int
show_bars(struct histogram *h, struct store *s)
{
	struct buf label = { 0 };
	int width = terminal_width();

	if (count_all(h, s) == -1)
		return -1;
	if (h->total.count == 0)
		return 0;
	if (add_label(h, &label, 0) == -1)
		return error_memory(h->e);
	h->digits = snprintf(NULL, 0, "%" PRIu64, h->most);
	h->width = width - (int)label.len - h->digits - 2;
	h->width = h->width > WIDTH_LEAST ? h->width : WIDTH_LEAST;
	buf_free(&label);
	if (h->request->pager)
		pager_start();
	if (show_legend(h) == -1)
		return -1;
	if (h->intervals > KEPT)
		return go_through(h, s, show_bar);
	for (size_t i = 0; i < h->intervals; i++)
		if (show_bar(h, &h->kept[i]) == -1)
			return -1;
	return 0;
}

/* ---- which intervals ---------------------------------------------------- */

/* The shortest tidy interval of which no more than LINES are needed. */
static double
choose_length(double span)
{
	static const double tidy[] = {
		0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30,
		60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
		DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 364 * DAY,
	};
	double length;

	for (size_t i = 0; i < sizeof(tidy) / sizeof(tidy[0]); i++)
		if (span / tidy[i] <= LINES)
			return tidy[i];
	for (length = 3640 * DAY; span / length > LINES; length *= 10)
		;
	return length;
}

/* Days begin at midnight, weeks on Monday: where the clock on the wall at
 * `time` is the measure. */
static double
choose_offset(double time, double length, bool utc)
{
	time_t clock = (time_t)time;
	double offset = fmod(length, 7 * DAY) == 0 ? 4 * DAY : 0;   /* 1970-01-05 */
	struct tm tm;

	if (!utc && fabs(time) < 1e12 && localtime_r(&clock, &tm) != NULL)
		offset -= (double)tm.tm_gmtoff;
	return offset;
}

/* Where does the bulk of them lie? A few clocks gone wild, in 1970 or in times
 * to come, must not make one bar of all the others. So the range is narrowed as
 * long as nearly all lie in a small part of it. */
static int
find_bulk(struct histogram *h, struct store *s, double *first, double *last)
{
	double low = fmax(*first, -1e10), high = fmin(*last, 1e11);
	uint64_t few, sum;
	size_t a, b;

	if (low < high) {
		*first = low;
		*last = high;
	}
	while ((h->length = (*last - *first) / (PARTS - 2)) > 0.001 && isfinite(h->length)) {
		h->offset = h->query.since = *first;
		h->query.until = nextafter(*last, INFINITY);
		if (count_all(h, s) == -1)
			return -1;
		few = h->total.count / 100;
		for (a = 0, sum = 0; a < h->intervals && (sum += h->kept[a].count) <= few; a++)
			;
		for (b = h->intervals, sum = 0; b > a + 1 && (sum += h->kept[b - 1].count) <= few; b--)
			;
		if (a >= b)
			break;
		low = h->kept[a].time;
		high = h->kept[b - 1].time + h->length;
		if (high - low > (*last - *first) / 4)
			break;
		*first = low;
		*last = high;
	}
	return 0;
}

/* The intervals: for that the text of the messages does not matter, which would
 * have to be read, and searched. 1, or 0 if there is nothing to count. */
static int
choose(struct histogram *h, struct store *s)
{
	const struct request *r = h->request;
	double first, last;
	int rc;

	h->query = r->query;
	h->query.match = NULL;
	if ((rc = store_span(s, &h->query, &first, &last, h->e)) != 1)
		return rc;
	if (r->interval == 0 && find_bulk(h, s, &first, &last) == -1)
		return -1;
	h->length = r->interval > 0 ? r->interval : choose_length(last - first);
	h->offset = choose_offset(last, h->length, r->view.utc);
	h->query = r->query;
	return 1;
}

int
summary_histogram(struct store *s, const struct request *r, struct error *e)
{
	struct histogram h = { .request = r, .e = e };
	int rc;

	if ((h.kept = calloc(KEPT, sizeof(*h.kept))) == NULL)
		return error_memory(e);
	if ((rc = choose(&h, s)) == 1)
		rc = r->output == &output_text ? show_bars(&h, s) : go_through(&h, s, show_line);
	free(h.kept);
	if (rc == -1)
		return -1;
	return h.shown > 0 ? EXIT_SUCCESS : EXIT_NOTHING;
}
