#include "relay/intake.h"

#include <stdlib.h>

#include "source.h"
#include "utf8.h"

#define BUCKETS 64
#define NONE SIZE_MAX

/* What a batch has of one source. */
struct relay_part {
	struct relay_batch *batch;
	size_t name, name_len;     /* as the pusher calls it, in batch->names */
	size_t full, full_len;     /* as the sink knows it, */
	size_t begin, begin_len;   /* and how its lines begin there, likewise */
	int64_t last;              /* number, refused ones included */
	struct sink_parcel *parcel;   /* until it is offered; NULL: all were refused */
	size_t next;               /* in its bucket */
};

struct relay_intake {
	struct sink *sink;
	struct ndjson *reader;
	struct buf answers;        /* of the batch that is being read */
	struct buf full;           /* the name of a source in it */
	size_t buckets[BUCKETS];   /* its parts, by a hash of their names */
	struct relay_intake_stats stats;
};

struct relay_intake *
relay_intake_new(struct sink *sink, const struct ndjson_defaults *defaults, struct error *e)
{
	struct relay_intake *in = calloc(1, sizeof(*in));

	if (in == NULL) {
		error_memory(e);
		return NULL;
	}
	in->sink = sink;
	if ((in->reader = ndjson_new(defaults, e)) == NULL)
		relay_intake_free(&in);
	return in;
}

void
relay_intake_free(struct relay_intake **in)
{
	if (*in == NULL)
		return;
	ndjson_free(&(*in)->reader);
	buf_free(&(*in)->answers);
	buf_free(&(*in)->full);
	free(*in);
	*in = NULL;
}

void
relay_batch_free(struct relay_batch **b)
{
	if (*b == NULL)
		return;
	free((*b)->parts);
	buf_free(&(*b)->names);
	free(*b);
	*b = NULL;
}

struct relay_batch *
relay_batch_of(const struct sink_parcel *p)
{
	const struct relay_part *part = p->owner;

	return part->batch;
}

/* ---- parts -------------------------------------------------------------- */

static struct str
name_of(const struct relay_part *p)
{
	return (struct str){ p->batch->names.data + p->name, p->name_len };
}

static size_t
bucket_of(struct str source)
{
	size_t hash = source.len;

	for (size_t i = source.len > 16 ? source.len - 16 : 0; i < source.len; i++)
		hash = hash * 31 + (unsigned char)source.data[i];
	return hash % BUCKETS;
}

static int
grow(struct relay_batch *b)
{
	size_t room = b->part_room == 0 ? 1 : b->part_room * 2;
	struct relay_part *more = realloc(b->parts, room * sizeof(*more));

	if (more == NULL)
		return -1;
	b->parts = more;
	b->part_room = room;
	return 0;
}

/* Has the sink lines of this source that are somebody else's? */
static bool
is_taken(const struct relay_intake *in, const struct relay_batch *b, struct str full)
{
	const struct sink_parcel *last = sink_last(in->sink, full);

	return last != NULL && relay_batch_of(last)->owner != b->owner;
}

/* Keep what a part of this source is called, here and there. */
static int
name_part(struct relay_intake *in, struct relay_batch *b, struct relay_part *p, struct str peer,
    struct str source, struct error *e)
{
	struct buf *names = &b->names;
	struct str full;

	in->full.len = 0;
	if (source_under(&in->full, peer, source, e) == -1)
		return -1;
	full = (struct str){ in->full.data, in->full.len };
	if (is_taken(in, b, full))
		return error_set(e, ERROR_BUSY, "lines of this source are under way already");
	p->name = names->len;
	p->full = p->name + (p->name_len = source.len);
	p->begin = p->full + (p->full_len = full.len);
	if (buf_add_str(names, source) == -1 || buf_add_str(names, full) == -1 ||
	    ndjson_write_begin(names, full) == -1)
		return error_memory(e);
	p->begin_len = names->len - p->begin;
	return 0;
}

static struct relay_part *
add_part(struct relay_intake *in, struct relay_batch *b, size_t *bucket, struct str peer,
    struct str source, struct error *e)
{
	struct relay_part p = { .batch = b, .last = -1, .next = *bucket };

	if (name_part(in, b, &p, peer, source, e) == -1)
		return NULL;
	if (b->part_count == b->part_room && grow(b) == -1) {
		error_memory(e);
		return NULL;
	}
	*bucket = b->part_count;
	b->parts[b->part_count] = p;
	return &b->parts[b->part_count++];
}

/* The newest part of this source, if its numbers go on with `seq`. */
static struct relay_part *
find_part(struct relay_batch *b, size_t newest, struct str source, int64_t seq)
{
	size_t i = newest;

	while (i != NONE && !str_equal(name_of(&b->parts[i]), source))
		i = b->parts[i].next;
	return i != NONE && b->parts[i].last < seq ? &b->parts[i] : NULL;
}

/* Where number `seq` of this source belongs: most often, where the last one did. */
static struct relay_part *
part_for(struct relay_intake *in, struct relay_batch *b, struct str peer, struct str source,
    int64_t seq, struct error *e)
{
	struct relay_part *p = b->part_count > 0 ? &b->parts[b->part_count - 1] : NULL;
	size_t *bucket;

	if (p == NULL || p->last >= seq || !str_equal(name_of(p), source)) {
		bucket = &in->buckets[bucket_of(source)];
		if ((p = find_part(b, *bucket, source, seq)) == NULL)
			p = add_part(in, b, bucket, peer, source, e);
	}
	if (p != NULL)
		p->last = seq;
	return p;
}

/* ---- lines -------------------------------------------------------------- */

static int
begin_parcel(struct relay_intake *in, struct relay_part *p, int64_t first, struct error *e)
{
	struct relay_batch *b = p->batch;
	struct str full = { b->names.data + p->full, p->full_len };

	if ((p->parcel = sink_parcel(in->sink, full, e)) == NULL)
		return -1;
	p->parcel->first = first;
	/* Most often there is one source, and all lines are its. */
	if (b->part_count == 1)
		(void)buf_reserve(&p->parcel->lines, b->bytes + b->bytes / 4);
	return 0;
}

/* A line whose number was seen at a glance goes on as it is, but for the name. */
static int
rename_line(struct relay_part *p, struct str behind)
{
	struct buf *lines = &p->parcel->lines;

	if (buf_reserve(lines, p->begin_len + behind.len + 1) == -1)
		return -1;
	(void)buf_add(lines, p->batch->names.data + p->begin, p->begin_len);
	(void)buf_add_str(lines, behind);
	return buf_add(lines, "\n", 1);
}

/* Where there is nothing `behind` it was read. */
static int
offer(struct relay_intake *in, struct relay_part *p, struct ndjson_line *l, struct str behind,
    struct error *e)
{
	if (p->parcel == NULL && begin_parcel(in, p, l->seq, e) == -1)
		return -1;
	p->parcel->last = l->seq;
	l->source = (struct str){ p->batch->names.data + p->full, p->full_len };
	if ((behind.len > 0 ? rename_line(p, behind) : ndjson_renumber(&p->parcel->lines, l)) == -1)
		return error_memory(e);
	p->parcel->count++;
	in->stats.lines++;
	return 0;
}

static int
refuse(struct relay_intake *in, const struct ndjson_line *l, const struct error *why,
    struct error *e)
{
	in->stats.refused++;
	if (l->source.data == NULL)
		return 0;
	return ndjson_write_reject(&in->answers, l->source, l->seq, why->text) == 0 ? 0 :
	    error_memory(e);
}

/* Whether a line is a record is the sink's business, if its number is plain to see. */
static int
take_line(struct relay_intake *in, struct relay_batch *b, struct str peer, struct str line,
    struct error *e)
{
	struct relay_part *p = NULL;
	struct str behind = { NULL, 0 };
	struct ndjson_line l;
	struct error why;
	bool read = ndjson_glance(line, &l, &behind) ||
	    ndjson_read(in->reader, line, &l, &why) == 0;

	if (!read && why.kind == ERROR_MEMORY) {
		*e = why;
		return -1;
	}
	if (l.source.data != NULL && (p = part_for(in, b, peer, l.source, l.seq, e)) == NULL)
		return -1;
	if (p == NULL)
		in->stats.unnumbered++;
	if (!read)
		return refuse(in, &l, &why, e);
	return p == NULL ? 0 : offer(in, p, &l, behind, e);
}

static int
take_lines(struct relay_intake *in, struct relay_batch *b, struct str peer, struct str lines,
    struct error *e)
{
	const char *p = lines.data, *end = p + lines.len, *newline;
	struct str line;

	for (; p < end; p = newline + 1) {
		newline = memchr(p, '\n', (size_t)(end - p));
		line = (struct str){ p, (size_t)(newline - p) };
		if (!str_is_blank(line) && take_line(in, b, peer, line, e) == -1)
			return -1;
	}
	return 0;
}

/* What it took more than it needs was a guess. */
static void
trim(struct buf *b)
{
	char *data;

	if (b->cap > 2 * b->len && (data = realloc(b->data, b->len)) != NULL) {
		b->data = data;
		b->cap = b->len;
	}
}

static void
hand_over(struct relay_intake *in, struct relay_part *p)
{
	struct sink_parcel *parcel = p->parcel;

	trim(&parcel->lines);
	p->parcel = NULL;
	parcel->owner = p;
	p->batch->unsettled++;
	sink_offer(in->sink, parcel);
}

/* Nothing of it went out. */
static void
give_up(struct relay_intake *in, struct relay_batch *b)
{
	for (size_t i = 0; i < b->part_count; i++)
		if (b->parts[i].parcel != NULL)
			sink_parcel_free(in->sink, &b->parts[i].parcel);
	relay_batch_free(&b);
}

struct relay_batch *
relay_intake_take(struct relay_intake *in, void *owner, struct str peer, struct str lines,
    struct buf *answers, struct error *e)
{
	struct relay_batch *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		error_memory(e);
		return NULL;
	}
	b->owner = owner;
	b->bytes = lines.len;
	in->answers.len = 0;
	for (size_t i = 0; i < BUCKETS; i++)
		in->buckets[i] = NONE;
	if (take_lines(in, b, peer, lines, e) == -1)
		goto fail;
	if (buf_add(answers, in->answers.data, in->answers.len) == -1) {
		error_memory(e);
		goto fail;
	}
	for (size_t i = 0; i < b->part_count; i++)
		if (b->parts[i].parcel != NULL)
			hand_over(in, &b->parts[i]);
	in->stats.bytes += lines.len;
	return b;
fail:
	give_up(in, b);
	return NULL;
}

/* ---- answers ------------------------------------------------------------ */

struct relay_batch *
relay_batch_settled(struct sink_parcel *p)
{
	struct relay_batch *b = relay_batch_of(p);

	b->unsettled--;
	return b;
}

int
relay_batch_reject(const struct sink_parcel *p, int64_t seq, struct str reason,
    struct buf *answers)
{
	char text[512];
	size_t most = sizeof(text) - 1, n = reason.len < most ? reason.len : most;

	n = utf8_check((struct str){ reason.data, n });   /* not half a character */
	memcpy(text, reason.data, n);
	text[n] = '\0';
	return ndjson_write_reject(answers, name_of(p->owner), seq, text);
}

int
relay_batch_acks(const struct relay_batch *b, struct buf *answers)
{
	for (size_t i = 0; i < b->part_count; i++)
		if (ndjson_write_ack(answers, name_of(&b->parts[i]), b->parts[i].last) == -1)
			return -1;
	return 0;
}

void
relay_intake_stats(const struct relay_intake *in, struct relay_intake_stats *out)
{
	*out = in->stats;
}
