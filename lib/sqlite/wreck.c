#include "sqlite/wreck.h"

#include <math.h>
#include <stdlib.h>

#include "utf8.h"

/* The schema's own pages are among the first that a store was given. */
enum { SCHEMA_PAGES = 256, SOURCE_LONGEST = 4096 };

static const struct {
	const char *name;
	uint8_t tree;
} tables[] = {
	{ "log", TREE_LOG },
	{ "notification", TREE_NOTIFICATION },
	{ "watchdog", TREE_WATCHDOG },
	{ "sqlite_autoindex_watchdog_1", TREE_WATCHDOG_CODES },
	{ "sender", TREE_SENDER },
	{ "sqlite_autoindex_sender_1", TREE_SENDER_NAMES },
	{ "head", TREE_HEAD },
	{ "block", TREE_BLOCK },
	{ "mark", TREE_MARK },
};

/* The array, with room for one more: to be put in its place. NULL: no memory, and
 * the old one stays. */
static void *
room(struct wreck *w, void *array, size_t n, size_t *have, size_t size)
{
	size_t more = *have > 0 ? *have * 2 : 64;
	void *grown;

	if (n < *have)
		return array;
	if ((grown = realloc(array, more * size)) == NULL)
		error_memory(w->e);
	else
		*have = more;
	return grown;
}

static int
keep_text(struct wreck *w, struct str s, size_t *at, size_t *len)
{
	*at = w->text.len;
	*len = s.len;
	return buf_add_str(&w->text, s) == -1 ? error_memory(w->e) : 0;
}

/* ---- what a record may be ---------------------------------------------------- */

static bool
is_id(const struct pages_value *v)
{
	return v->type == PAGES_INTEGER && v->integer > 0 && v->integer <= UINT32_MAX;
}

static bool
is_text(const struct pages_value *v)
{
	return v->type == PAGES_TEXT && utf8_check(v->str) == v->str.len;
}

static bool
is_number(const struct pages_value *v)
{
	return v->type == PAGES_INTEGER || (v->type == PAGES_REAL && isfinite(v->real));
}

bool
wreck_is_row(const struct pages_record *r)
{
	const struct pages_value *v = r->values;

	return r->n == 7 && r->rowid > 0 && v[0].type == PAGES_NULL && is_id(&v[1]) &&
	    v[2].type == PAGES_REAL && isfinite(v[2].real) && v[3].type == PAGES_INTEGER &&
	    is_id(&v[4]) && is_text(&v[5]) && (v[6].type == PAGES_NULL || is_text(&v[6]));
}

/* A name as its table has it, or the index over the names. */
static int
keep_name(struct wreck *w, struct wreck_names *names, const struct pages_record *r, bool index)
{
	const struct pages_value *text = &r->values[index ? 0 : 1];
	int64_t id = index ? r->values[1].integer : r->rowid;
	struct wreck_name *grown;

	if (r->n != 2 || !is_text(text) || (index && !is_id(&r->values[1])) || id <= 0 ||
	    id > UINT32_MAX)
		return 0;
	if ((grown = room(w, names->names, names->n, &names->room, sizeof(*grown))) == NULL)
		return -1;
	names->names = grown;
	names->names[names->n].id = (uint32_t)id;
	if (keep_text(w, text->str, &names->names[names->n].at, &names->names[names->n].len) == -1)
		return -1;
	names->n++;
	return 0;
}

static int
keep_mark(struct wreck *w, const struct pages_record *r)
{
	const struct pages_value *v = r->values;
	struct wreck_mark *m, *grown;

	if (r->n != 3 || !is_text(&v[0]) || v[0].str.len == 0 || v[0].str.len > SOURCE_LONGEST ||
	    v[1].type != PAGES_INTEGER || !is_number(&v[2]))
		return 0;
	if ((grown = room(w, w->marks, w->mark_count, &w->mark_room, sizeof(*grown))) == NULL)
		return -1;
	w->marks = grown;
	m = &w->marks[w->mark_count];
	*m = (struct wreck_mark){ .seq = v[1].integer, .seen = v[2].real };
	if (keep_text(w, v[0].str, &m->at, &m->len) == -1)
		return -1;
	w->mark_count++;
	return 0;
}

/* (kind, first, last, rows, strays, tmin, tmax, bytes) */
static int
keep_block(struct wreck *w, const struct pages_record *r)
{
	const struct pages_value *v = r->values;
	struct wreck_block *grown;

	for (int i = 0; i < 5; i++)
		if (r->n != 8 || v[i].type != PAGES_INTEGER)
			return 0;
	if (v[0].integer < 0 || v[0].integer >= RECORD_KINDS || v[1].integer <= 0 ||
	    v[2].integer < v[1].integer || v[2].integer - v[1].integer > BLOCK_SPAN ||
	    v[3].integer < 0 || v[3].integer > BLOCK_ROWS || v[4].integer < 0 ||
	    v[4].integer > BLOCK_ROWS)
		return 0;
	if ((grown = room(w, w->blocks, w->block_count, &w->block_room, sizeof(*grown))) == NULL)
		return -1;
	w->blocks = grown;
	w->blocks[w->block_count++] = (struct wreck_block){ .kind = (enum record_kind)v[0].integer,
		.first = v[1].integer, .last = v[2].integer,
		.rows = (uint64_t)(v[3].integer + v[4].integer) };
	return 0;
}

static void
keep_head(struct wreck *w, const struct pages_record *r)
{
	const struct pages_value *v = r->values;

	if (r->n != 4 || r->rowid != 1 || v[2].type != PAGES_INTEGER || v[2].integer < 0 ||
	    v[3].type != PAGES_INTEGER)
		return;
	w->head = (struct head){ .arrival = v[2].integer, .epoch = v[3].integer };
	w->head_known = true;
}

/* ---- the schema ----------------------------------------------------------------- */

struct roots {
	struct wreck *w;
	uint32_t of[TREES];
	uint32_t rest[32];
	size_t rest_count;
};

static void
note_root(struct roots *roots, struct str name, int64_t root)
{
	if (root <= 0 || root > pages_count(roots->w->pages))
		return;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (str_equal(name, str_of(tables[i].name))) {
			if (roots->of[tables[i].tree] == 0)
				roots->of[tables[i].tree] = (uint32_t)root;
			return;
		}
	if (roots->rest_count < sizeof(roots->rest) / sizeof(roots->rest[0]))
		roots->rest[roots->rest_count++] = (uint32_t)root;
}

/* (type, name, tbl_name, rootpage, sql) */
static int
read_schema_row(void *arg, const struct pages_record *r)
{
	if (r->n == 5 && r->values[1].type == PAGES_TEXT && r->values[3].type == PAGES_INTEGER)
		note_root(arg, r->values[1].str, r->values[3].integer);
	return 0;
}

/* Which page belongs to what: by the wreck's own schema; for what that does not
 * tell, by another store's, since tables are made in the same order everywhere. */
static int
claim_trees(struct wreck *w, struct sqlite *like)
{
	struct roots roots = { .w = w };
	struct stmt *st;
	int rc;

	if (pages_claim(w->pages, 1, TREE_SCHEMA, w->e) == -1)
		return -1;
	for (uint32_t page = 1; page <= pages_count(w->pages) && page <= SCHEMA_PAGES; page++)
		if (pages_tree(w->pages, page) == TREE_SCHEMA &&
		    pages_sort(w->pages, page) == PAGES_ROWS)
			pages_records(w->pages, page, read_schema_row, &roots);
	if ((st = sqlite_sql(like, SQL_ROOTS, w->e)) == NULL)
		return -1;
	while ((rc = stmt_step(st, w->e)) == 1)
		note_root(&roots, stmt_text(st, 0), stmt_int(st, 1));
	stmt_reset(st);
	for (uint8_t tree = 0; rc == 0 && tree < TREES; tree++)
		if (roots.of[tree] != 0)
			rc = pages_claim(w->pages, roots.of[tree], tree, w->e);
	for (size_t i = 0; rc == 0 && i < roots.rest_count; i++)
		rc = pages_claim(w->pages, roots.rest[i], TREE_REST, w->e);
	return rc;
}

/* ---- the survey ------------------------------------------------------------------- */

struct reading {
	struct wreck *w;
	uint8_t tree;
	uint32_t page;
	bool found;     /* a row of ours: enough, for now */
	bool failed;
};

/* One row shows what sort of page this is, and where it belongs. -1: enough. */
static int
keep_leaf(struct reading *reading, const struct pages_record *r)
{
	struct wreck *w = reading->w;
	struct wreck_leaf *grown;

	if (!wreck_is_row(r))
		return 0;
	if ((grown = room(w, w->leaves, w->leaf_count, &w->leaf_room, sizeof(*grown))) != NULL) {
		w->leaves = grown;
		w->leaves[w->leaf_count++] = (struct wreck_leaf){ r->rowid, reading->page,
			reading->tree };
		reading->found = true;
	}
	return -1;
}

static int
read_record(void *arg, const struct pages_record *r)
{
	struct reading *reading = arg;
	struct wreck *w = reading->w;
	int rc = 0;

	switch (reading->tree) {
	case TREE_UNKNOWN:
	case TREE_LOG:
	case TREE_NOTIFICATION:
		rc = keep_leaf(reading, r);
		break;
	case TREE_WATCHDOG:
	case TREE_WATCHDOG_CODES:
		rc = keep_name(w, &w->watchdogs, r, reading->tree == TREE_WATCHDOG_CODES);
		break;
	case TREE_SENDER:
	case TREE_SENDER_NAMES:
		rc = keep_name(w, &w->senders, r, reading->tree == TREE_SENDER_NAMES);
		break;
	case TREE_BLOCK:
		rc = keep_block(w, r);
		break;
	case TREE_MARK:
		rc = keep_mark(w, r);
		break;
	case TREE_HEAD:
		keep_head(w, r);
		break;
	}
	reading->failed = rc == -1 && !reading->found;
	return rc;
}

/* Of a page with rows, where they begin; of any other, what it holds. */
static int
survey_page(struct wreck *w, uint32_t page)
{
	struct reading reading = { .w = w, .tree = pages_tree(w->pages, page), .page = page };
	enum pages_sort sort = pages_sort(w->pages, page);
	int bad;

	if (sort == PAGES_BAD)
		w->damaged[reading.tree]++;
	if ((sort != PAGES_ROWS && sort != PAGES_ENTRIES) || reading.tree >= TREE_SCHEMA)
		return 0;
	bad = pages_records(w->pages, page, read_record, &reading);
	if (bad > 0)
		w->damaged[reading.tree] += (uint64_t)bad;
	return reading.failed ? -1 : 0;
}

static int
compare_leaves(const void *a, const void *b)
{
	const struct wreck_leaf *x = a, *y = b;

	if ((x->tree == TREE_UNKNOWN) != (y->tree == TREE_UNKNOWN))
		return x->tree == TREE_UNKNOWN ? 1 : -1;
	return (x->first > y->first) - (x->first < y->first);
}

static int
compare_names(const void *a, const void *b)
{
	const struct wreck_name *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int
compare_blocks(const void *a, const void *b)
{
	const struct wreck_block *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

/* Into order; of blocks that overlap (a page may be there twice) the first. */
static void
put_in_order(struct wreck *w)
{
	size_t n = 0;

	if (w->leaf_count > 0)
		qsort(w->leaves, w->leaf_count, sizeof(*w->leaves), compare_leaves);
	if (w->watchdogs.n > 0)
		qsort(w->watchdogs.names, w->watchdogs.n, sizeof(struct wreck_name), compare_names);
	if (w->senders.n > 0)
		qsort(w->senders.names, w->senders.n, sizeof(struct wreck_name), compare_names);
	if (w->block_count > 0)
		qsort(w->blocks, w->block_count, sizeof(*w->blocks), compare_blocks);
	for (size_t i = 0; i < w->block_count; i++)
		if (n == 0 || w->blocks[n - 1].kind != w->blocks[i].kind ||
		    w->blocks[n - 1].last < w->blocks[i].first)
			w->blocks[n++] = w->blocks[i];
	w->block_count = n;
}

int
wreck_survey(struct wreck *w, const char *path, struct sqlite *like, struct error *e)
{
	*w = (struct wreck){ .e = e };
	if ((w->pages = pages_open(path, e)) == NULL || claim_trees(w, like) == -1)
		return -1;
	for (uint32_t page = 1; page <= pages_count(w->pages); page++)
		if (survey_page(w, page) == -1)
			return -1;
	put_in_order(w);
	return 0;
}

void
wreck_free(struct wreck *w)
{
	pages_close(&w->pages);
	free(w->leaves);
	free(w->blocks);
	free(w->marks);
	free(w->watchdogs.names);
	free(w->senders.names);
	buf_free(&w->text);
	*w = (struct wreck){ 0 };
}

bool
wreck_name(const struct wreck *w, const struct wreck_names *names, int64_t id, struct str *name)
{
	struct wreck_name key = { .id = (uint32_t)id };
	const struct wreck_name *found = names->n == 0 ? NULL :
	    bsearch(&key, names->names, names->n, sizeof(key), compare_names);

	if (found == NULL)
		return false;
	*name = (struct str){ w->text.data + found->at, found->len };
	return true;
}

/* For bsearch: a block of one row, against a whole one. */
static int
compare_place(const void *a, const void *b)
{
	const struct wreck_block *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->last;
}

struct wreck_block *
wreck_block(struct wreck *w, enum record_kind kind, int64_t arrival)
{
	struct wreck_block key = { .kind = kind, .first = arrival };

	return w->block_count == 0 ? NULL :
	    bsearch(&key, w->blocks, w->block_count, sizeof(key), compare_place);
}
