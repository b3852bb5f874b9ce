#include "sqlite/known.h"
#include "sqlite/merge.h"

#include <math.h>
#include <stdlib.h>

enum {
	KEYS = 1 << 19,       /* held in memory, in all blocks together */
	KEYS_LEAST = 128,     /* of one block */
	STRAY_KEYS = 4096,
};

enum source_type { BLOCK, TAIL, STRAYS };

struct source {
	enum source_type type;
	enum record_kind kind;
	int64_t first;        /* of the block */
	struct key *keys;
	size_t n, at, cap;
	bool more;            /* behind the last key there may be others */
	struct key last;      /* the last key that it gave, */
	bool began;           /* if it gave any */
};

/* A block or tail as the plan knows it, in the walk's direction. */
struct span {
	double near, far;
	int64_t first;
	enum record_kind kind;
	enum source_type type;
};

/* ---- sources -------------------------------------------------------------- */

static void
source_free(struct source *src)
{
	if (src != NULL)
		free(src->keys);
	free(src);
}

static int
gather(struct merge *m, struct key k)
{
	if (m->gathered == m->gather_cap) {
		size_t cap = m->gather_cap > 0 ? m->gather_cap * 2 : 1024;
		struct key *keys = realloc(m->gather, cap * sizeof(*keys)), *spare;
		if (keys == NULL)
			return -1;
		m->gather = keys;
		if ((spare = realloc(m->spare, cap * sizeof(*spare))) == NULL)
			return -1;
		m->spare = spare;
		m->gather_cap = cap;
	}
	m->gather[m->gathered++] = k;
	return 0;
}

/* The next keys of a source: those between two others. Once there are two windows of
 * them, the first window's end is their end: what is behind it is not needed now. The
 * filter is narrowed to their times, so that most of the others are passed over at once. */
struct gathering {
	struct merge *m;
	struct filter f;
	struct key from, end;
	bool cut;             /* something was behind the end */
};

/* Leave out of the times of a filter those before a key (behind it, going back). */
static void
narrow(struct filter *f, bool back, struct key from)
{
	if (back)
		f->until = fmin(f->until, nextafter(-from.time, INFINITY));
	else
		f->since = fmax(f->since, from.time);
}

static struct gathering
begin_gathering(struct merge *m, const struct source *src)
{
	struct gathering g = { m, *m->f, { .time = -INFINITY, .arrival = INT64_MIN },
	    { .time = INFINITY }, false };

	if (src->began)
		g.from = src->last;
	if (m->resumed && key_before(g.from, m->resume))
		g.from = m->resume;
	narrow(&g.f, m->back, g.from);
	m->gathered = 0;
	return g;
}

static void
cut(struct gathering *g)
{
	struct merge *m = g->m;

	keys_sort(m->gather, m->spare, m->gathered);
	m->gathered = m->window;
	g->end = m->gather[m->gathered - 1];
	g->cut = true;
	if (m->back)
		g->f.since = fmax(g->f.since, -g->end.time);
	else
		g->f.until = fmin(g->f.until, nextafter(g->end.time, INFINITY));
}

static int
gather_entry(void *arg, const struct entry *en)
{
	struct gathering *g = arg;
	struct merge *m = g->m;
	struct key k = merge_key(m, en);

	if (en->arrival > m->upto || !key_before(g->from, k) || !key_before(k, g->end))
		return 0;
	if (m->gathered == 2 * m->window)
		cut(g);
	return gather(m, k);
}

static int
gather_tail(struct gathering *g, const struct source *src, struct error *e)
{
	struct merge *m = g->m;
	const struct unsealed *t = sqlite_unsealed(m->s, src->kind, m->sealed[src->kind],
	    m->upto, e);

	if (t == NULL)
		return -1;
	for (size_t i = 0; i < t->count; i++) {
		const struct entry *en = &t->entries[m->back ? t->count - 1 - i : i];

		if (filter_entry(&g->f, en) && gather_entry(g, en) == -1)
			return error_memory(e);
	}
	return 0;
}

/* The next strays behind the last one: as many as it takes to find some that
 * pass, but only so many looked at in one slice. */
static int
gather_strays(struct merge *m, struct source *src, struct error *e)
{
	bool back = m->back;
	struct stmt *st = sqlite_sql(m->s, back ? SQL_STRAYS_BACK : SQL_STRAYS, e);
	struct key from = { .time = back ? -m->f->until : m->f->since, .arrival = INT64_MIN + 1 };
	int rc = 0;

	if (st == NULL)
		return -1;
	if (src->began)
		from = src->last;
	else if (m->resumed && key_before(from, m->resume))
		from = m->resume;
	stmt_bind_int(st, 1, src->kind);
	stmt_bind_double(st, 2, back ? -from.time : from.time);
	stmt_bind_int(st, 3, back ? -from.arrival : from.arrival);
	stmt_bind_double(st, 4, back ? m->f->since : m->f->until);
	while (m->gathered < STRAY_KEYS && (rc = stmt_step(st, e)) == 1) {
		struct entry en = {
			.time = stmt_double(st, 0),
			.arrival = stmt_int(st, 1),
			.watchdog = (uint32_t)stmt_int(st, 2),
			.level = stmt_int(st, 3),
			.sender = (uint32_t)stmt_int(st, 4),
		};
		m->work++;
		/* What was sealed after we began is in our tail. */
		if (en.arrival <= m->sealed[src->kind] && en.arrival <= m->upto &&
		    filter_entry(m->f, &en) &&
		    gather(m, merge_key(m, &en)) == -1)
			rc = error_memory(e);
		if (rc == -1)
			break;
	}
	src->more = rc == 1;
	stmt_reset(st);
	return rc == -1 ? -1 : 0;
}

/* The source's next keys, at most a window of them. */
static int
refill(struct merge *m, struct source *src, struct error *e)
{
	struct gathering g = begin_gathering(m, src);
	size_t window = m->window;
	int rc;

	src->more = false;
	switch (src->type) {
	case BLOCK:
		rc = filter_block(m->s, src->kind, src->first, &g.f, &m->scratch, gather_entry, &g, e);
		m->work += filter_work(m->f);
		break;
	case TAIL:
		rc = gather_tail(&g, src, e);
		break;
	default:
		rc = gather_strays(m, src, e);
		window = STRAY_KEYS;
		break;
	}
	if (rc == -1)
		return -1;
	keys_sort(m->gather, m->spare, m->gathered);
	src->more = src->more || g.cut || m->gathered > window;
	src->n = m->gathered < window ? m->gathered : window;
	src->at = 0;
	if (src->n > src->cap) {
		free(src->keys);
		src->cap = 0;
		if ((src->keys = malloc(src->n * sizeof(*src->keys))) == NULL)
			return error_memory(e);
		src->cap = src->n;
	}
	if (src->n > 0) {
		memcpy(src->keys, m->gather, src->n * sizeof(*src->keys));
		src->last = src->keys[src->n - 1];
		src->began = true;
	}
	return 0;
}

static struct key
next_key(const struct source *src)
{
	return src->keys[src->at];
}

static void
sift_down(struct merge *m, size_t i)
{
	for (size_t child; (child = 2 * i + 1) < m->heap_count; i = child) {
		struct source *src = m->heap[i];
		if (child + 1 < m->heap_count &&
		    key_before(next_key(m->heap[child + 1]), next_key(m->heap[child])))
			child++;
		if (!key_before(next_key(m->heap[child]), next_key(src)))
			break;
		m->heap[i] = m->heap[child];
		m->heap[child] = src;
	}
}

static int
push(struct merge *m, struct source *src, struct error *e)
{
	size_t i;

	if (m->heap_count == m->heap_cap) {
		size_t cap = m->heap_cap > 0 ? m->heap_cap * 2 : 16;
		struct source **heap = realloc(m->heap, cap * sizeof(struct source *));
		if (heap == NULL)
			return error_memory(e);
		m->heap = heap;
		m->heap_cap = cap;
	}
	for (i = m->heap_count++; i > 0; i = (i - 1) / 2) {
		if (!key_before(next_key(src), next_key(m->heap[(i - 1) / 2])))
			break;
		m->heap[i] = m->heap[(i - 1) / 2];
	}
	m->heap[i] = src;
	return 0;
}

static int
open_source(struct merge *m, enum source_type type, enum record_kind kind, int64_t first,
    struct error *e)
{
	struct source *src = calloc(1, sizeof(*src));
	int rc;

	if (src == NULL)
		return error_memory(e);
	src->type = type;
	src->kind = kind;
	src->first = first;
	do
		rc = refill(m, src, e);
	while (rc == 0 && src->n == 0 && src->more);
	if (rc == 0 && src->n > 0 && (rc = push(m, src, e)) == 0)
		return 0;
	source_free(src);
	return rc;
}

/* ---- the plan ------------------------------------------------------------- */

static int
compare_near(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->near > y->near) - (x->near < y->near);
}

static int
compare_far(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* How many blocks are open at once at most: what the keys held in memory are
 * divided by. The spans are sorted by their near edge. */
static int
depth(const struct merge *m, size_t *deepest, struct error *e)
{
	double *far = malloc((m->span_count + 1) * sizeof(*far));
	size_t ended = 0;

	*deepest = 1;
	if (far == NULL)
		return error_memory(e);
	for (size_t i = 0; i < m->span_count; i++)
		far[i] = m->spans[i].far;
	qsort(far, m->span_count, sizeof(*far), compare_far);
	for (size_t i = 0; i < m->span_count; i++) {
		while (far[ended] < m->spans[i].near)
			ended++;
		if (i + 1 - ended > *deepest)
			*deepest = i + 1 - ended;
	}
	free(far);
	return 0;
}

static int
add_span(struct merge *m, struct span span, double tmin, double tmax)
{
	span.near = m->back ? -tmax : tmin;
	span.far = m->back ? -tmin : tmax;
	if (m->span_count == m->span_cap) {
		size_t cap = m->span_cap > 0 ? m->span_cap * 2 : 64;
		struct span *spans = realloc(m->spans, cap * sizeof(*spans));
		if (spans == NULL)
			return -1;
		m->spans = spans;
		m->span_cap = cap;
	}
	m->spans[m->span_count++] = span;
	return 0;
}

static int
list_blocks(struct merge *m, enum record_kind kind, const struct filter *f, struct error *e)
{
	struct stmt *st = sqlite_sql(m->s, SQL_BLOCKS, e);
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_int(st, 1, kind);
	stmt_bind_double(st, 2, f->since);
	stmt_bind_double(st, 3, f->until);
	stmt_bind_int(st, 4, m->upto < m->sealed[kind] ? m->upto : m->sealed[kind]);
	while ((rc = stmt_step(st, e)) == 1) {
		struct known_block b = { stmt_int(st, 0), stmt_double(st, 1), stmt_double(st, 2) };
		struct span span = { .type = BLOCK, .kind = kind, .first = b.first };

		if (f->watchdogs != NULL && known_without(m->s->known[kind], &b, f->watchdogs,
		    f->watchdog_count))
			continue;
		if (add_span(m, span, b.tmin, b.tmax) == -1) {
			stmt_reset(st);
			return error_memory(e);
		}
	}
	stmt_reset(st);
	return rc;
}

static int
list_tail(struct merge *m, enum record_kind kind, const struct filter *f, struct error *e)
{
	const struct unsealed *t = sqlite_unsealed(m->s, kind, m->sealed[kind], m->upto, e);
	struct span span = { .type = TAIL, .kind = kind };

	if (t == NULL)
		return -1;
	if (t->tmax >= f->since && t->tmin < f->until && add_span(m, span, t->tmin, t->tmax) == -1)
		return error_memory(e);
	return 0;
}

/* Close all sources. */
static void
reset(struct merge *m)
{
	while (m->heap_count > 0)
		source_free(m->heap[--m->heap_count]);
	m->span_count = m->next_span = 0;
}

void
merge_free(struct merge *m)
{
	reset(m);
	free(m->spans);
	free(m->heap);
	free(m->gather);
	free(m->spare);
	buf_free(&m->scratch);
}

int
merge_plan(struct merge *m, struct error *e)
{
	struct filter f = *m->f;
	size_t deepest;

	reset(m);
	if (m->resumed)
		narrow(&f, m->back, m->resume);
	for (int k = 0; k < RECORD_KINDS; k++)
		if ((m->f->kinds & RECORD_KIND_BIT(k)) != 0 &&
		    (sqlite_sealed(m->s, k, &m->sealed[k], e) == -1 ||
		    list_blocks(m, k, &f, e) == -1 || list_tail(m, k, &f, e) == -1))
			return -1;
	if (m->span_count > 0)
		qsort(m->spans, m->span_count, sizeof(*m->spans), compare_near);
	if (depth(m, &deepest, e) == -1)
		return -1;
	m->window = KEYS / deepest < m->wanted ? KEYS / deepest : m->wanted;
	m->window = m->window > KEYS_LEAST ? m->window : KEYS_LEAST;
	for (int k = 0; k < RECORD_KINDS; k++)
		if ((m->f->kinds & RECORD_KIND_BIT(k)) != 0 &&
		    open_source(m, STRAYS, k, 0, e) == -1)
			return -1;
	return 0;
}

/* ---- the walk ------------------------------------------------------------- */

int
merge_peek(struct merge *m, struct key *k, enum record_kind *kind, struct error *e)
{
	while (m->next_span < m->span_count && (m->heap_count == 0 ||
	    m->spans[m->next_span].near <= next_key(m->heap[0]).time)) {
		const struct span *span = &m->spans[m->next_span++];
		if (open_source(m, span->type, span->kind, span->first, e) == -1)
			return -1;
	}
	if (m->heap_count == 0)
		return 0;
	*k = next_key(m->heap[0]);
	*kind = m->heap[0]->kind;
	return 1;
}

/* The first source of the heap has given its key: to its next. */
int
merge_advance(struct merge *m, struct error *e)
{
	struct source *src = m->heap[0];

	src->at++;
	while (src->at == src->n && src->more)
		if (refill(m, src, e) == -1)
			return -1;
	if (src->at == src->n) {
		source_free(src);
		m->heap[0] = m->heap[--m->heap_count];
	}
	sift_down(m, 0);
	return 0;
}
