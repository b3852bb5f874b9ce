/*
 * From a damaged store into a sound one. The records come in the order in which
 * the old store took them (exactly so within a kind), and none comes twice: a
 * page may have a forgotten twin somewhere in the file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "scan.h"
#include "sqlite/wreck.h"

enum {
	BATCH_ROWS = 4096,
	BATCH_BYTES = 4 << 20,
	SEEN_SHIFT = 13,          /* arrivals that one piece of the memory of them covers: 8192 */
	SEEN_WORDS = (1 << SEEN_SHIFT) / 64,
};

/* A piece of the set of arrivals: those of one number >> SEEN_SHIFT. */
struct seen {
	int64_t piece;            /* -1: an empty slot */
	uint64_t bits[SEEN_WORDS];
};

struct salvage {
	struct sqlite *to;
	struct store_salvaged *out;
	struct wreck wreck;
	enum record_kind kind;    /* of the rows being read */
	struct seen **seen;       /* open addressing by piece */
	size_t seen_slots, seen_count;
	struct seen *seen_last;
	int64_t sealed;           /* behind this there are no blocks */
	int64_t behind;           /* rows found there */
	struct store_offer *batch;
	size_t batch_count;
	struct buf text;          /* of the batch: it never moves while there is one */
	struct scanner scanner;
	bool failed;
	struct error *e;
};

/* ---- what came already ------------------------------------------------------------ */

static struct seen **
seen_slot(struct seen **slots, size_t n, int64_t piece)
{
	size_t h = (size_t)((uint64_t)piece * 0x9e3779b97f4a7c15u >> 20);

	while (slots[h & (n - 1)] != NULL && slots[h & (n - 1)]->piece != piece)
		h++;
	return &slots[h & (n - 1)];
}

static int
more_seen(struct salvage *s)
{
	size_t n = s->seen_slots > 0 ? s->seen_slots * 2 : 256;
	struct seen **slots = calloc(n, sizeof(*slots));

	if (slots == NULL)
		return error_memory(s->e);
	for (size_t i = 0; i < s->seen_slots; i++)
		if (s->seen[i] != NULL)
			*seen_slot(slots, n, s->seen[i]->piece) = s->seen[i];
	free(s->seen);
	s->seen = slots;
	s->seen_slots = n;
	return 0;
}

/* Is this arrival new? 1, and it is not any more; 0; or -1. */
static int
see(struct salvage *s, int64_t arrival)
{
	int64_t piece = arrival >> SEEN_SHIFT;
	uint64_t bit = UINT64_C(1) << (arrival & 63), *word;
	struct seen **slot;

	if (s->seen_last == NULL || s->seen_last->piece != piece) {
		if (s->seen_count >= s->seen_slots / 2 && more_seen(s) == -1)
			return -1;
		slot = seen_slot(s->seen, s->seen_slots, piece);
		if (*slot == NULL) {
			if ((*slot = calloc(1, sizeof(**slot))) == NULL)
				return error_memory(s->e);
			(*slot)->piece = piece;
			s->seen_count++;
		}
		s->seen_last = *slot;
	}
	word = &s->seen_last->bits[(arrival >> 6) % SEEN_WORDS];
	if ((*word & bit) != 0)
		return 0;
	*word |= bit;
	return 1;
}

/* ---- records ------------------------------------------------------------------------ */

static int
add_batch(struct salvage *s)
{
	struct store_added added;

	if (s->batch_count == 0)
		return 0;
	if (sqlite_add(s->to, s->batch, s->batch_count, &added, s->e) == -1)
		return -1;
	s->out->records += added.stored;
	s->batch_count = 0;
	s->text.len = 0;
	return 0;
}

static struct str
keep(struct salvage *s, struct str from)
{
	struct str to = { s->text.data + s->text.len, from.len };

	if (from.len > 0)
		memcpy(s->text.data + s->text.len, from.data, from.len);
	s->text.len += from.len;
	return to;
}

/* The name of a number, or one made of it. */
static bool
find_name(struct salvage *s, const struct wreck_names *names, int64_t id, char made[32],
    struct str *name)
{
	if (wreck_name(&s->wreck, names, id, name) &&
	    (names != &s->wreck.watchdogs || record_watchdog_valid(*name)))
		return true;
	snprintf(made, 32, "lost-%lld", (long long)id);
	*name = str_of(made);
	return false;
}

/* Members that are not ours; none if they are no JSON object any more. */
static struct str
find_extra(struct salvage *s, struct str text)
{
	if (text.len == 0 || text.data[0] != '{')
		return (struct str){ 0 };
	scan_begin(&s->scanner, text);
	return scan_value(&s->scanner, 1) && s->scanner.p == s->scanner.end ? text :
	    (struct str){ 0 };
}

static int
take_row(struct salvage *s, const struct pages_record *r)
{
	char made[2][32];
	struct str watchdog, sender, extra = find_extra(s, r->values[6].str);
	struct store_offer *o;
	bool named;
	size_t size;

	named = find_name(s, &s->wreck.watchdogs, r->values[1].integer, made[0], &watchdog);
	named &= find_name(s, &s->wreck.senders, r->values[4].integer, made[1], &sender);
	s->out->unnamed += !named;
	size = watchdog.len + sender.len + r->values[5].str.len + extra.len;
	if ((s->batch_count == BATCH_ROWS || s->text.len + size > s->text.cap) &&
	    add_batch(s) == -1)
		return -1;
	if (s->batch_count == 0 &&
	    buf_reserve(&s->text, size > BATCH_BYTES ? size : BATCH_BYTES) == -1)
		return error_memory(s->e);
	o = &s->batch[s->batch_count++];
	*o = (struct store_offer){ .record = { .kind = s->kind, .level = r->values[3].integer,
		.time = r->values[2].real } };
	o->record.watchdog = keep(s, watchdog);
	o->record.sender = keep(s, sender);
	o->record.message = keep(s, r->values[5].str);
	o->record.extra = keep(s, extra);
	return 0;
}

static int
take_record(void *arg, const struct pages_record *r)
{
	struct salvage *s = arg;
	struct wreck_block *block;
	int rc;

	if (!wreck_is_row(r)) {
		s->wreck.damaged[TREE_LOG + s->kind]++;
		return 0;
	}
	if ((rc = see(s, r->rowid)) == 0)
		return 0;
	if (rc == -1 || take_row(s, r) == -1) {
		s->failed = true;
		return -1;
	}
	if ((block = wreck_block(&s->wreck, s->kind, r->rowid)) != NULL)
		block->found++;
	s->behind += r->rowid > s->sealed;
	return 0;
}

static int
take_records(struct salvage *s)
{
	for (size_t i = 0; i < s->wreck.leaf_count; i++) {
		const struct wreck_leaf *leaf = &s->wreck.leaves[i];
		int bad;
		s->kind = leaf->tree == TREE_NOTIFICATION ? RECORD_NOTIFICATION : RECORD_LOG;
		bad = pages_records(s->wreck.pages, leaf->page, take_record, s);
		if (s->failed)
			return -1;
		s->wreck.damaged[leaf->tree] += (uint64_t)bad;
	}
	return add_batch(s);
}

/* ---- marks ----------------------------------------------------------------------------- */

/* What the old store had acknowledged it had settled; here, too, then. A mark
 * that is further here stays. */
static int
take_marks(struct salvage *s)
{
	if (s->wreck.mark_count == 0)
		return 0;
	if (sqlite_begin_write(s->to, s->e) == -1)
		return -1;
	for (size_t i = 0; i < s->wreck.mark_count; i++) {
		const struct wreck_mark *m = &s->wreck.marks[i];
		struct stmt *st = sqlite_sql(s->to, SQL_KEEP_MARK, s->e);
		if (st == NULL)
			goto fail;
		stmt_bind_text(st, 1, (struct str){ s->wreck.text.data + m->at, m->len });
		stmt_bind_int(st, 2, m->seq);
		stmt_bind_double(st, 3, m->seen);
		if (stmt_run(st, s->e) == -1)
			goto fail;
	}
	if (sqlite_commit(s->to, s->e) == 0)
		return 0;
fail:
	sqlite_abort(s->to);
	return -1;
}

/* ---- what is lost ------------------------------------------------------------------------ */

/* Of a block, what it says it had and what came of it. Behind the blocks every
 * number was given to a record, and unless a purge has been there they should
 * all have come. What else may have been there nobody knows, nor what of the last
 * second was, whose numbers are nowhere else. */
static void
count_lost(struct salvage *s)
{
	const struct wreck *w = &s->wreck;
	int64_t missing = w->head.arrival - s->sealed - s->behind;
	uint64_t damaged = 0;

	for (size_t i = 0; i < w->block_count; i++)
		if (w->blocks[i].found < w->blocks[i].rows)
			s->out->lost += w->blocks[i].rows - w->blocks[i].found;
	for (int tree = 0; tree < TREES; tree++)
		damaged += w->damaged[tree];
	if (w->head_known && w->head.epoch == 0 && missing > 0)
		s->out->lost += (uint64_t)missing;
	else if (w->head_known && missing > 0 && damaged > 0)
		s->out->lost_is_minimum = true;
	if (!w->head_known || pages_header(w->pages)->cut || w->damaged[TREE_UNKNOWN] > 0 ||
	    w->damaged[TREE_BLOCK] > 0 || w->damaged[TREE_LOG] > 0 ||
	    w->damaged[TREE_NOTIFICATION] > 0)
		s->out->lost_is_minimum = true;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static bool
is_store(const struct pages_header *h)
{
	return h->sound && (h->application_id == SQLITE_APPLICATION_ID ||
	    h->application_id == SQLITE_COPY_ID);
}

static int
check_old(struct salvage *s, const char *path)
{
	const struct wreck *w = &s->wreck;
	const struct pages_header *h = pages_header(w->pages);

	/* A version that is only damaged does not keep us from rows that we know. */
	if (is_store(h) && h->user_version > SQLITE_SCHEMA_VERSION && w->leaf_count == 0)
		return error_set(s->e, ERROR_NEWER, "%s: made by a newer monitor (schema %lu, this one"
		    " knows %d)", path, (unsigned long)h->user_version, SQLITE_SCHEMA_VERSION);
	if (w->leaf_count == 0 && w->watchdogs.n == 0 && w->mark_count == 0 && !is_store(h))
		return error_set(s->e, ERROR_INVALID, "%s: holds nothing of a monitor store", path);
	return 0;
}

static int
salvage(struct salvage *s, const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return error_errno(s->e, errno, "%s", path);
	if (st.st_dev == s->to->file.st_dev && st.st_ino == s->to->file.st_ino)
		return error_set(s->e, ERROR_USAGE, "%s: is the store that it would be salvaged into",
		    path);
	if ((s->batch = calloc(BATCH_ROWS, sizeof(*s->batch))) == NULL)
		return error_memory(s->e);
	if (wreck_survey(&s->wreck, path, s->to, s->e) == -1 || check_old(s, path) == -1)
		return -1;
	for (size_t i = 0; i < s->wreck.block_count; i++)
		if (s->wreck.blocks[i].last > s->sealed)
			s->sealed = s->wreck.blocks[i].last;
	if (take_records(s) == -1 || take_marks(s) == -1)
		return -1;
	count_lost(s);
	return 0;
}

int
sqlite_salvage(void *impl, const char *path, struct store_salvaged *out, struct error *e)
{
	struct salvage s = { .to = impl, .out = out, .e = e };
	int rc;

	*out = (struct store_salvaged){ 0 };
	if ((rc = salvage(&s, path)) == -1)
		out->lost_is_minimum = true;   /* it ended before it came to what is left */
	for (size_t i = 0; i < s.seen_slots; i++)
		free(s.seen[i]);
	free(s.seen);
	free(s.batch);
	buf_free(&s.text);
	scan_free(&s.scanner);
	wreck_free(&s.wreck);
	return rc;
}
