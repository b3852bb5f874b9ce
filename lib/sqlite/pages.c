#include "sqlite/pages.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "sqlite/pages_file.h"

enum {
	LOCK_BYTE = 0x40000000,   /* the page at this offset holds nothing */
	MAP_ENTRY = 5,            /* of a map page: what sort, and the parent */
	TREE_DEEPEST = 20,
};

/* Sorts of page in the map, and of page in a tree. */
enum { MAP_ROOT = 1, MAP_FREE, MAP_OVERFLOW_FIRST, MAP_OVERFLOW, MAP_TREE };
enum { INNER_INDEX = 2, INNER_TABLE = 5, LEAF_INDEX = 10, LEAF_TABLE = 13 };

struct pages {
	struct pages_file file;
	uint8_t *trees;            /* by page: its tree, as claimed */
	unsigned char *page;       /* the page being looked at ... */
	uint32_t page_number;      /* ... (0: none) */
	unsigned char *map, *other;   /* a map page; any other page on the side */
	uint32_t map_number;
	struct buf payload;        /* of a record that does not lie on one page */
};

struct pages *
pages_open(const char *path, struct error *e)
{
	struct pages *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		error_memory(e);
		return NULL;
	}
	if (pages_file_open(&p->file, path, e) == -1)
		goto fail;
	p->trees = calloc((size_t)p->file.count + 1, sizeof(*p->trees));
	p->page = malloc(p->file.size);
	p->map = malloc(p->file.size);
	p->other = malloc(p->file.size);
	if (p->trees != NULL && p->page != NULL && p->map != NULL && p->other != NULL)
		return p;
	error_memory(e);
fail:
	pages_close(&p);
	return NULL;
}

void
pages_close(struct pages **pp)
{
	struct pages *p = *pp;

	if (p == NULL)
		return;
	pages_file_close(&p->file);
	free(p->trees);
	free(p->page);
	free(p->map);
	free(p->other);
	buf_free(&p->payload);
	free(p);
	*pp = NULL;
}

uint32_t
pages_count(const struct pages *p)
{
	return p->file.count;
}

const struct pages_header *
pages_header(const struct pages *p)
{
	return &p->file.header;
}

/* ---- the map -------------------------------------------------------------------- */

static bool
is_lock_page(const struct pages *p, uint32_t page)
{
	return page == LOCK_BYTE / p->file.size + 1;
}

/* The map page that tells of `page`. */
static uint32_t
map_page_of(const struct pages *p, uint32_t page)
{
	uint32_t each = p->file.usable / MAP_ENTRY + 1, map = (page - 2) / each * each + 2;

	return is_lock_page(p, map) ? map + 1 : map;
}

/* What the map says of a page: 0 if nothing that makes sense. */
static int
map_entry(struct pages *p, uint32_t page, uint32_t *parent)
{
	const unsigned char *entry;
	uint32_t map, at;

	*parent = 0;
	if (!p->file.mapped || page < 3)
		return page == 1 ? MAP_ROOT : 0;
	map = map_page_of(p, page);
	if (map >= page || map > p->file.count)
		return 0;
	at = MAP_ENTRY * (page - map - 1);
	if (at + MAP_ENTRY > p->file.usable)
		return 0;
	if (p->map_number != map) {
		pages_file_read(&p->file, map, p->map);
		p->map_number = map;
	}
	entry = p->map + at;
	*parent = page_u32(entry + 1);
	if (entry[0] < MAP_ROOT || entry[0] > MAP_TREE)
		return 0;
	if (entry[0] > MAP_FREE && (*parent == 0 || *parent > p->file.count || *parent == page))
		return 0;
	return entry[0];
}

uint8_t
pages_tree(struct pages *p, uint32_t page)
{
	uint32_t parent;

	for (int i = 0; i < TREE_DEEPEST; i++) {
		if (p->trees[page] != 0 || map_entry(p, page, &parent) != MAP_TREE)
			return p->trees[page];
		page = parent;
	}
	return 0;
}

/* ---- trees ------------------------------------------------------------------------ */

/* The header of a page of a tree. */
struct node {
	int type;
	uint32_t cells;      /* how many */
	uint32_t pointers;   /* where the places of the cells stand */
	uint32_t right;      /* the last child, of an inner page */
};

static bool
is_inner(const struct node *n)
{
	return n->type == INNER_INDEX || n->type == INNER_TABLE;
}

static bool
read_node(const struct pages *p, uint32_t page, const unsigned char *bytes, struct node *n)
{
	uint32_t at = page == 1 ? 100 : 0;

	n->type = bytes[at];
	if (n->type != INNER_INDEX && n->type != INNER_TABLE && n->type != LEAF_INDEX &&
	    n->type != LEAF_TABLE)
		return false;
	n->cells = page_u16(bytes + at + 3);
	n->right = is_inner(n) ? page_u32(bytes + at + 8) : 0;
	n->pointers = at + (is_inner(n) ? 12 : 8);
	return n->pointers + 2 * n->cells <= p->file.usable;
}

static const unsigned char *
load(struct pages *p, uint32_t page)
{
	if (p->page_number != page) {
		pages_file_read(&p->file, page, p->page);
		p->page_number = page;
	}
	return p->page;
}

/* The pages that are still to be claimed; each is put there once at most, and
 * only if the map does not know better. */
static int
push_child(struct pages *p, uint32_t page, uint32_t parent, uint8_t tree, struct buf *todo)
{
	uint32_t mapped;
	int entry;

	if (page == 0 || page > p->file.count || p->trees[page] != 0)
		return 0;
	entry = map_entry(p, page, &mapped);
	if (entry != 0 && (entry != (parent != 0 ? MAP_TREE : MAP_ROOT) || mapped != parent))
		return 0;
	p->trees[page] = tree;
	return buf_add(todo, &page, sizeof(page));
}

int
pages_claim(struct pages *p, uint32_t root, uint8_t tree, struct error *e)
{
	struct buf todo = { 0 };
	struct node n;
	int rc = push_child(p, root, 0, tree, &todo);

	while (rc == 0 && todo.len > 0) {
		const unsigned char *bytes;
		uint32_t page;
		todo.len -= sizeof(page);
		memcpy(&page, todo.data + todo.len, sizeof(page));
		bytes = load(p, page);
		if (!read_node(p, page, bytes, &n) || !is_inner(&n))
			continue;
		rc = push_child(p, n.right, page, tree, &todo);
		for (uint32_t i = 0; rc == 0 && i < n.cells; i++) {
			uint32_t cell = page_u16(bytes + n.pointers + 2 * i);
			if (cell + 4 <= p->file.usable)
				rc = push_child(p, page_u32(bytes + cell), page, tree, &todo);
		}
	}
	buf_free(&todo);
	return rc == -1 ? error_memory(e) : 0;
}

enum pages_sort
pages_sort(struct pages *p, uint32_t page)
{
	uint32_t parent;
	int entry = map_entry(p, page, &parent);
	struct node n;

	if (is_lock_page(p, page) || entry == MAP_FREE || entry == MAP_OVERFLOW_FIRST ||
	    entry == MAP_OVERFLOW || (p->file.mapped && page > 1 && map_page_of(p, page) == page))
		return PAGES_OTHER;
	if (!read_node(p, page, load(p, page), &n))
		return p->file.mapped || p->trees[page] != 0 ? PAGES_BAD : PAGES_OTHER;
	return n.type == LEAF_TABLE ? PAGES_ROWS : n.type == INNER_TABLE ? PAGES_INNER :
	    PAGES_ENTRIES;
}

/* ---- records ------------------------------------------------------------------------ */

/* Bytes still to be read. */
struct span {
	const unsigned char *p, *end;
};

static bool
take_varint(struct span *s, uint64_t *v)
{
	*v = 0;
	for (int i = 0; i < 9; i++) {
		if (s->p == s->end)
			return false;
		if (i == 8) {
			*v = *v << 8 | *s->p++;
			return true;
		}
		*v = *v << 7 | (*s->p & 0x7f);
		if ((*s->p++ & 0x80) == 0)
			return true;
	}
	return true;
}

static int64_t
get_integer(const unsigned char *p, size_t n)
{
	uint64_t v = (p[0] & 0x80) != 0 ? UINT64_MAX : 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

/* A value by its serial type. */
static bool
take_value(struct span *s, uint64_t type, struct pages_value *v)
{
	static const uint8_t sizes[] = { 0, 1, 2, 3, 4, 6, 8, 8, 0, 0 };
	uint64_t size = type < 10 ? sizes[type] : (type - 12) / 2, bits;

	if (type == 10 || type == 11 || size > (uint64_t)(s->end - s->p))
		return false;
	*v = (struct pages_value){ .type = PAGES_INTEGER };
	if (type == 0) {
		v->type = PAGES_NULL;
	} else if (type == 7) {
		v->type = PAGES_REAL;
		bits = (uint64_t)get_integer(s->p, 8);
		memcpy(&v->real, &bits, sizeof(bits));
	} else if (type < 10) {
		v->integer = size == 0 ? (int64_t)type - 8 : get_integer(s->p, size);
		v->real = (double)v->integer;
	} else {
		v->type = type % 2 == 0 ? PAGES_BLOB : PAGES_TEXT;
		v->str = (struct str){ (const char *)s->p, size };
	}
	s->p += size;
	return true;
}

/* A payload as a record: it must fit to the byte. */
static bool
parse_record(struct span payload, struct pages_record *r)
{
	struct span types = payload;
	uint64_t size, type;
	struct pages_value beyond;

	r->n = 0;
	if (!take_varint(&types, &size) || size > (uint64_t)(payload.end - payload.p))
		return false;
	types.end = payload.p + size;
	payload.p = types.end;
	if (types.p > types.end)
		return false;
	while (types.p < types.end) {
		if (!take_varint(&types, &type) ||
		    !take_value(&payload, type, r->n < PAGES_VALUES ? &r->values[r->n] : &beyond))
			return false;
		r->n += r->n < PAGES_VALUES;
	}
	return payload.p == payload.end;
}

/* How much of a payload of `size` bytes lies in its cell. */
static uint64_t
local_size(const struct pages *p, bool table, uint64_t size)
{
	uint64_t most = table ? p->file.usable - 35 : (p->file.usable - 12) * 64 / 255 - 23;
	uint64_t least = (p->file.usable - 12) * 32 / 255 - 23, local;

	if (size <= most)
		return size;
	local = least + (size - least) % (p->file.usable - 4);
	return local <= most ? local : least;
}

/* Put a payload together from its cell and the pages that it goes on in. The map
 * knows of each of these where it belongs. */
static bool
follow(struct pages *p, uint32_t page, struct span local, uint64_t size, uint32_t next)
{
	int want = MAP_OVERFLOW_FIRST;

	p->payload.len = 0;
	if (size > (uint64_t)p->file.count * p->file.usable ||
	    buf_add(&p->payload, local.p, (size_t)(local.end - local.p)) == -1)
		return false;
	while (p->payload.len < size) {
		uint32_t parent;
		uint64_t n = size - p->payload.len;
		int entry;
		if (next == 0 || next > p->file.count)
			return false;
		entry = map_entry(p, next, &parent);
		if (entry != 0 && (entry != want || parent != page))
			return false;
		if (!pages_file_read(&p->file, next, p->other))
			return false;
		n = n < p->file.usable - 4 ? n : p->file.usable - 4;
		if (buf_add(&p->payload, p->other + 4, n) == -1)
			return false;
		page = next;
		next = page_u32(p->other);
		want = MAP_OVERFLOW;
	}
	return next == 0;
}

static bool
read_cell(struct pages *p, uint32_t page, const struct node *n, struct span cell,
    struct pages_record *r)
{
	uint64_t size, rowid = 0, local;
	struct span payload;

	if (n->type == INNER_INDEX) {
		if (cell.end - cell.p < 4)
			return false;
		cell.p += 4;
	}
	if (!take_varint(&cell, &size) || (n->type == LEAF_TABLE && !take_varint(&cell, &rowid)))
		return false;
	local = local_size(p, n->type == LEAF_TABLE, size);
	if (local > (uint64_t)(cell.end - cell.p))
		return false;
	payload = (struct span){ cell.p, cell.p + local };
	if (local < size) {
		if (cell.end - payload.end < 4 ||
		    !follow(p, page, payload, size, page_u32(payload.end)))
			return false;
		payload.p = (const unsigned char *)p->payload.data;
		payload.end = payload.p + size;
	}
	r->rowid = (int64_t)rowid;
	return parse_record(payload, r);
}

int
pages_records(struct pages *p, uint32_t page,
    int (*each)(void *arg, const struct pages_record *r), void *arg)
{
	const unsigned char *bytes = load(p, page);
	struct pages_record r;
	struct node n;
	int bad = 0;

	if (!read_node(p, page, bytes, &n) || n.type == INNER_TABLE)
		return 0;
	for (uint32_t i = 0; i < n.cells; i++) {
		uint32_t at = page_u16(bytes + n.pointers + 2 * i);
		if (at < n.pointers + 2 * n.cells || at >= p->file.usable ||
		    !read_cell(p, page, &n, (struct span){ bytes + at, bytes + p->file.usable }, &r))
			bad++;
		else if (each(arg, &r) == -1)
			return -1;
	}
	return bad;
}
