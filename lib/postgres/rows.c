#include "postgres/rows.h"

#include <endian.h>

#include "postgres/postgres.h"

/* So much is handed to libpq at once. */
#define PIECE ((size_t)64 << 10)

#define COLUMNS "arrival, time, level, watchdog, sender, message, extra"

static const char *const copies[ROWS_TABLES] = {
	[ROWS_LOG] = "COPY monitor.log (" COLUMNS ") FROM STDIN (FORMAT binary)",
	[ROWS_NOTIFICATION] = "COPY monitor.notification (" COLUMNS ") FROM STDIN (FORMAT binary)",
	[ROWS_STRAY] = "COPY monitor.stray (" COLUMNS ", kind) FROM STDIN (FORMAT binary)",
};

/* A column an array: what rows_few_add() makes of them. */
static const enum pq_array types[ROWS_COLUMNS] = {
	PQ_INTS, PQ_DOUBLES, PQ_INTS, PQ_TEXTS, PQ_TEXTS, PQ_TEXTS, PQ_TEXTS, PQ_INTS,
};

#define ARRAYS "$1::bigint[], $2::double precision[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[]"

static const char *const inserts[ROWS_TABLES] = {
	[ROWS_LOG] = "INSERT INTO monitor.log (" COLUMNS ") SELECT * FROM unnest(" ARRAYS ")",
	[ROWS_NOTIFICATION] =
	    "INSERT INTO monitor.notification (" COLUMNS ") SELECT * FROM unnest(" ARRAYS ")",
	[ROWS_STRAY] =
	    "INSERT INTO monitor.stray (" COLUMNS ", kind) SELECT * FROM unnest(" ARRAYS ", $8::bigint[])",
};

/* ---- fields: a length, and the value; a length of -1 is null --------------------- */

static void
add_16(struct buf *b, int16_t n)
{
	uint16_t bits = htobe16((uint16_t)n);

	buf_add(b, &bits, sizeof(bits));
}

static void
add_32(struct buf *b, int32_t n)
{
	uint32_t bits = htobe32((uint32_t)n);

	buf_add(b, &bits, sizeof(bits));
}

static void
add_number(struct buf *b, const void *number)
{
	uint64_t bits;

	memcpy(&bits, number, sizeof(bits));
	bits = htobe64(bits);
	add_32(b, sizeof(bits));
	buf_add(b, &bits, sizeof(bits));
}

/* There is room for the longest form. */
static void
add_text(struct buf *b, struct str s)
{
	size_t before = b->len;
	uint32_t bits;

	add_32(b, (int32_t)s.len);
	if (text_is_plain(s)) {
		buf_add_str(b, s);
		return;
	}
	text_encode(b, s);
	bits = htobe32((uint32_t)(b->len - before - sizeof(bits)));
	memcpy(b->data + before, &bits, sizeof(bits));
}

static int
make_row(struct buf *b, enum rows_table table, const struct record *r, int64_t arrival)
{
	size_t texts = r->watchdog.len + r->sender.len + r->message.len + r->extra.len;

	if (buf_reserve(b, 2 * texts + 128) == -1)
		return -1;
	add_16(b, table == ROWS_STRAY ? 8 : 7);
	add_number(b, &arrival);
	add_number(b, &r->time);
	add_number(b, &r->level);
	add_text(b, r->watchdog);
	add_text(b, r->sender);
	add_text(b, r->message);
	if (r->extra.len > 0)
		add_text(b, r->extra);
	else
		add_32(b, -1);
	if (table == ROWS_STRAY) {
		add_32(b, sizeof(int16_t));
		add_16(b, (int16_t)r->kind);
	}
	return 0;
}

/* ---- the copy ---------------------------------------------------------------------- */

int
rows_begin(struct pq *q, enum rows_table table, struct buf *b, struct error *e)
{
	static const char head[19] = "PGCOPY\n\377\r\n";   /* no flags, no extension */

	b->len = 0;
	if (buf_add(b, head, sizeof(head)) == -1)
		return error_memory(e);
	return pq_copy_begin(q, copies[table], e);
}

static int
hand_over(struct pq *q, struct buf *b, struct error *e)
{
	int rc = pq_copy(q, b->data, b->len, e);

	b->len = 0;
	return rc;
}

int
rows_add(struct pq *q, enum rows_table table, const struct record *r, int64_t arrival,
    struct buf *b, struct error *e)
{
	if (make_row(b, table, r, arrival) == -1)
		return error_memory(e);
	return b->len < PIECE ? 0 : hand_over(q, b, e);
}

int
rows_end(struct pq *q, struct buf *b, struct error *e)
{
	uint64_t rows;

	if (buf_reserve(b, sizeof(int16_t)) == -1)
		return error_memory(e);
	add_16(b, -1);
	return hand_over(q, b, e) == -1 ? -1 : pq_copy_end(q, &rows, e);
}

/* ---- few ---------------------------------------------------------------------------- */

void
rows_few_reset(struct rows_few *f)
{
	f->count = 0;
}

static int
add_array_text(struct rows_few *f, int column, struct str s)
{
	if (text_is_plain(s))
		return pq_array_text(&f->columns[column], s.len > 0 ? s : str_of(""));
	f->scratch.len = 0;
	if (text_encode(&f->scratch, s) == -1)
		return -1;
	return pq_array_text(&f->columns[column], (struct str){ f->scratch.data, f->scratch.len });
}

int
rows_few_add(struct rows_few *f, const struct record *r, int64_t arrival)
{
	for (int i = 0; f->count == 0 && i < ROWS_COLUMNS; i++)
		if (pq_array_begin(&f->columns[i], types[i]) == -1)
			return -1;
	if (pq_array_int(&f->columns[0], arrival) == -1 ||
	    pq_array_double(&f->columns[1], r->time) == -1 ||
	    pq_array_int(&f->columns[2], r->level) == -1 ||
	    add_array_text(f, 3, r->watchdog) == -1 || add_array_text(f, 4, r->sender) == -1 ||
	    add_array_text(f, 5, r->message) == -1 ||
	    (r->extra.len > 0 ? add_array_text(f, 6, r->extra) :
	    pq_array_text(&f->columns[6], (struct str){ NULL, 0 })) == -1 ||
	    pq_array_int(&f->columns[7], r->kind) == -1)
		return -1;
	f->count++;
	return 0;
}

const char *
rows_few_sql(struct rows_few *f, enum rows_table table, struct pq_params *p)
{
	for (int i = 0; i < ROWS_COLUMNS - (table != ROWS_STRAY); i++)
		pq_array(p, &f->columns[i], types[i]);
	return inserts[table];
}

void
rows_few_free(struct rows_few *f)
{
	for (int i = 0; i < ROWS_COLUMNS; i++)
		buf_free(&f->columns[i]);
	buf_free(&f->scratch);
}
