/*
 * Taking batches. A batch is one transaction: arrivals are reserved and the marks of its sources
 * locked; rows are copied in; marks are moved and the batch takes its place in the order of
 * commits. Each of these three is one round trip, but a copy is two: so a few rows go
 * with the end instead, as a statement.
 *
 * Offers without a number get one, of a source that is this writer's own: so whatever became
 * of a transaction whose COMMIT was not answered, the marks tell when it is tried again
 * (locking them waits until the old connection's server process is done).
 */
#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "marks.h"
#include "postgres/postgres.h"
#include "postgres/rows.h"

/* So few go as a statement. */
enum { FEW = 128, FEW_BYTES = 64 << 10 };

struct adder {
	char own[40];              /* the source of what has none */
	int64_t own_seq;           /* settled up to here */
	struct marks marks;        /* of this batch */
	int64_t *arrivals;         /* one an offer; -1: it is not stored */
	size_t arrival_room;
	struct buf firsts, counts; /* the reservations that it uses */
	struct buf name, sources, seqs, rows;   /* scratch */
	struct rows_few few[ROWS_TABLES];
};

/* What of a batch is to be stored. */
struct batch {
	const struct store_offer *offers;
	size_t n;
	struct store_added added;   /* what it comes to, */
	struct store_added sent;    /* and came to when a COMMIT was sent before */
};

static const char begin[] = "BEGIN ISOLATION LEVEL READ COMMITTED";

/* Before the marks: it may wait for another's transaction. */
static const char reserve[] = "SELECT monitor.reserve() FROM generate_series(1, $1::bigint)";

/* A mark that is new to two writers at once makes the second one wait here. */
static const char make_marks[] =
	"INSERT INTO monitor.mark SELECT source, -1, extract(epoch FROM now())"
	" FROM unnest($1::text[]) AS u (source) ORDER BY source COLLATE \"C\" ON CONFLICT DO NOTHING";

static const char lock_marks[] =
	"SELECT u.i, m.seq FROM unnest($1::text[]) WITH ORDINALITY AS u (source, i)"
	" JOIN monitor.mark AS m ON m.source = u.source ORDER BY m.source FOR UPDATE OF m";

static const char move_marks[] =
	"UPDATE monitor.mark AS m SET seq = u.seq, seen = extract(epoch FROM now())"
	" FROM unnest($1::text[], $2::bigint[]) AS u (source, seq) WHERE m.source = u.source";

static const char settle[] =
	"SELECT monitor.settle(first, first + n - 1, n) FROM unnest($1::bigint[], $2::bigint[]) AS u (first, n)";

/* ---- the adder ---------------------------------------------------------------------- */

void
postgres_adder_free(struct adder **ap)
{
	struct adder *a = *ap;

	if (a == NULL)
		return;
	marks_free(&a->marks);
	free(a->arrivals);
	buf_free(&a->firsts);
	buf_free(&a->counts);
	buf_free(&a->name);
	buf_free(&a->sources);
	buf_free(&a->seqs);
	buf_free(&a->rows);
	for (int t = 0; t < ROWS_TABLES; t++)
		rows_few_free(&a->few[t]);
	free(a);
	*ap = NULL;
}

static struct adder *
adder_new(struct error *e)
{
	struct adder *a = calloc(1, sizeof(*a));
	unsigned char id[16];

	if (a == NULL) {
		error_memory(e);
		return NULL;
	}
	if (crypto_random(id, sizeof(id), e) == -1) {
		free(a);
		return NULL;
	}
	memcpy(a->own, "run/", 4);
	crypto_hex(id, sizeof(id), a->own + 4);
	return a;
}

/* ---- marks --------------------------------------------------------------------------- */

static struct mark *
mark_of(struct adder *a, const struct store_offer *o)
{
	return marks_get(&a->marks, o->source.data != NULL ? o->source : str_of(a->own));
}

static int
collect_marks(struct adder *a, const struct batch *b, struct error *e)
{
	marks_clear(&a->marks);
	for (size_t i = 0; i < b->n; i++)
		if (mark_of(a, &b->offers[i]) == NULL)
			return error_memory(e);
	return 0;
}

static int
add_source(struct adder *a, struct str source)
{
	if (text_is_plain(source))
		return pq_array_text(&a->sources, source);
	a->name.len = 0;
	if (text_encode(&a->name, source) == -1)
		return -1;
	return pq_array_text(&a->sources, (struct str){ a->name.data, a->name.len });
}

static int
take_marks(struct adder *a, const struct pq_rows *rows, const char *where, struct error *e)
{
	if (pq_count(rows) != a->marks.count)
		return error_set(e, ERROR_BUSY, "%s: a mark was purged meanwhile", where);
	for (size_t i = 0; i < a->marks.count; i++)
		a->marks.list[pq_get_int(rows, i, 0) - 1].seq = pq_get_int(rows, i, 1);
	return 0;
}

/* ---- the beginning ---------------------------------------------------------------------- */

static int64_t *
arrivals_for(struct adder *a, size_t n)
{
	int64_t *more = a->arrivals;

	if (n > a->arrival_room) {
		if ((more = realloc(more, n * sizeof(*more))) == NULL)
			return NULL;
		a->arrivals = more;
		a->arrival_room = n;
	}
	return more;
}

/* An arrival tells its batch: so each reservation is one. */
static int
list_batches(struct adder *a, uint64_t records, const struct pq_rows *reserved)
{
	if (pq_array_begin(&a->firsts, PQ_INTS) == -1 || pq_array_begin(&a->counts, PQ_INTS) == -1)
		return -1;
	for (size_t i = 0; records > 0; i++) {
		uint64_t n = records < ARRIVAL_PLACES ? records : ARRIVAL_PLACES;
		if (pq_array_int(&a->firsts, pq_get_int(reserved, i, 0)) == -1 ||
		    pq_array_int(&a->counts, (int64_t)n) == -1)
			return -1;
		records -= n;
	}
	return 0;
}

/* Which offers are new, and where they arrive. */
static int
number(struct adder *a, struct batch *b, const struct pq_rows *reserved, struct error *e)
{
	int64_t *arrivals = arrivals_for(a, b->n), seq = a->own_seq;

	if (arrivals == NULL)
		return error_memory(e);
	b->added = (struct store_added){ 0 };
	for (size_t i = 0; i < b->n; i++) {
		const struct store_offer *o = &b->offers[i];
		bool fresh = mark_move(mark_of(a, o), o->source.data != NULL ? o->seq : ++seq);

		arrivals[i] = -1;
		if (o->refused)
			continue;
		if (!fresh) {
			b->added.duplicates++;
			continue;
		}
		arrivals[i] = pq_get_int(reserved, b->added.stored / ARRIVAL_PLACES, 0) +
		    (int64_t)(b->added.stored % ARRIVAL_PLACES);
		b->added.stored++;
	}
	return list_batches(a, b->added.stored, reserved) == -1 ? error_memory(e) : 0;
}

static int
open_batch(struct postgres *s, struct batch *b, struct error *e)
{
	struct adder *a = s->adder;
	struct pq_params some = { 0 }, sources = { 0 };
	struct pq_step steps[] = {
		{ begin, NULL, NULL }, { reserve, &some, NULL },
		{ make_marks, &sources, NULL }, { lock_marks, &sources, NULL },
	};
	int rc;

	if (collect_marks(a, b, e) == -1)
		return -1;
	if (pq_array_begin(&a->sources, PQ_TEXTS) == -1)
		return error_memory(e);
	for (size_t i = 0; i < a->marks.count; i++)
		if (add_source(a, a->marks.list[i].source) == -1)
			return error_memory(e);
	pq_array(&sources, &a->sources, PQ_TEXTS);
	pq_int(&some, (int64_t)((b->n + ARRIVAL_PLACES - 1) / ARRIVAL_PLACES));
	rc = pq_pipeline(s->pq, steps, 4, e);
	if (rc == 0 && (rc = take_marks(a, steps[3].rows, s->where, e)) == 0)
		rc = number(a, b, steps[1].rows, e);
	for (int i = 0; i < 4; i++)
		pq_free(&steps[i].rows);
	return rc;
}

/* ---- rows --------------------------------------------------------------------------------- */

static enum rows_table
table_of(const struct postgres *s, const struct record *r, int64_t arrival)
{
	if (arrival_is_stray(s, r->time, arrival))
		return ROWS_STRAY;
	return r->kind == RECORD_LOG ? ROWS_LOG : ROWS_NOTIFICATION;
}

static bool
are_few(const struct batch *b)
{
	size_t bytes = 0;

	for (size_t i = 0; i < b->n && b->n <= FEW; i++) {
		const struct record *r = &b->offers[i].record;
		bytes += r->watchdog.len + r->sender.len + r->message.len + r->extra.len;
	}
	return b->n <= FEW && bytes <= FEW_BYTES;
}

static int
collect_few(struct postgres *s, const struct batch *b, struct error *e)
{
	struct adder *a = s->adder;

	for (size_t i = 0; i < b->n; i++) {
		const struct record *r = &b->offers[i].record;
		int64_t arrival = a->arrivals[i];
		if (arrival != -1 &&
		    rows_few_add(&a->few[table_of(s, r, arrival)], r, arrival) == -1)
			return error_memory(e);
	}
	return 0;
}

static int
copy_table(struct postgres *s, const struct batch *b, enum rows_table table, struct error *e)
{
	struct adder *a = s->adder;
	bool begun = false;

	for (size_t i = 0; i < b->n; i++) {
		const struct record *r = &b->offers[i].record;
		int64_t arrival = a->arrivals[i];

		if (arrival == -1 || table_of(s, r, arrival) != table)
			continue;
		if (!begun && rows_begin(s->pq, table, &a->rows, e) == -1)
			return -1;
		begun = true;
		if (rows_add(s->pq, table, r, arrival, &a->rows, e) == -1)
			return -1;
	}
	return begun ? rows_end(s->pq, &a->rows, e) : 0;
}

static int
add_rows(struct postgres *s, const struct batch *b, struct error *e)
{
	for (enum rows_table t = 0; t < ROWS_TABLES; t++)
		rows_few_reset(&s->adder->few[t]);
	if (are_few(b))
		return collect_few(s, b, e);
	for (enum rows_table t = 0; t < ROWS_TABLES; t++)
		if (copy_table(s, b, t, e) == -1)
			return -1;
	return 0;
}

/* ---- the end -------------------------------------------------------------------------------- */

static int
list_moved(struct adder *a, struct pq_params *p)
{
	if (pq_array_begin(&a->sources, PQ_TEXTS) == -1 || pq_array_begin(&a->seqs, PQ_INTS) == -1)
		return -1;
	for (size_t i = 0; i < a->marks.count; i++) {
		const struct mark *m = &a->marks.list[i];
		if (m->moved && (add_source(a, m->source) == -1 ||
		    pq_array_int(&a->seqs, m->seq) == -1))
			return -1;
	}
	pq_array(p, &a->sources, PQ_TEXTS);
	pq_array(p, &a->seqs, PQ_INTS);
	return 0;
}

/* Even where nothing moved it is a COMMIT that waits for the disk, and the standby: what is
 * found settled may have been committed by a server that died before it said so, or whose wait
 * for the standby was cancelled (which is only a warning). */
static int
close_batch(struct postgres *s, struct batch *b, struct error *e)
{
	struct adder *a = s->adder;
	struct pq_params moved = { 0 }, batches = { 0 }, few[ROWS_TABLES] = { 0 };
	struct pq_step steps[ROWS_TABLES + 3];
	size_t n = 0;
	int rc;

	if (list_moved(a, &moved) == -1)
		return error_memory(e);
	for (enum rows_table t = 0; t < ROWS_TABLES; t++)
		if (a->few[t].count > 0)
			steps[n++] = (struct pq_step){ rows_few_sql(&a->few[t], t, &few[t]), &few[t], NULL };
	steps[n++] = (struct pq_step){ move_marks, &moved, NULL };
	pq_array(&batches, &a->firsts, PQ_INTS);
	pq_array(&batches, &a->counts, PQ_INTS);
	if (b->added.stored > 0)
		steps[n++] = (struct pq_step){ settle, &batches, NULL };
	steps[n++] = (struct pq_step){ "COMMIT", NULL, NULL };
	if (b->added.stored > 0)
		b->sent = b->added;
	pq_warned(s->pq);
	rc = pq_pipeline(s->pq, steps, n, e);
	if (rc == 0 && pq_warned(s->pq))
		rc = error_set(e, ERROR_BUSY, "%s: stored, but no standby has it yet", s->where);
	while (n > 0)
		pq_free(&steps[--n].rows);
	return rc;
}

static int
try_batch(struct postgres *s, struct batch *b, struct error *e)
{
	if (postgres_connect(s, e) == -1 || open_batch(s, b, e) == -1 || add_rows(s, b, e) == -1)
		return -1;
	return close_batch(s, b, e);
}

int
postgres_add(void *impl, const struct store_offer *offers, size_t n, struct store_added *added,
    struct error *e)
{
	struct postgres *s = impl;
	struct batch b = { .offers = offers, .n = n };
	struct error why;
	unsigned tries = 0;

	*added = (struct store_added){ 0 };
	if (n == 0)
		return 0;
	if (s->adder == NULL && (s->adder = adder_new(e)) == NULL)
		return -1;
	while (try_batch(s, &b, &why) == -1) {
		postgres_disconnect(s);
		if (postgres_again(s, &tries, &why) == -1) {
			if (e != NULL)
				*e = why;
			return -1;
		}
	}
	postgres_well(s, &tries);
	for (size_t i = 0; i < n; i++)
		s->adder->own_seq += offers[i].source.data == NULL;
	/* If all of it was found settled, then by the attempt that was not answered. */
	*added = b.added.stored == 0 && b.sent.stored > 0 ? b.sent : b.added;
	return 0;
}
