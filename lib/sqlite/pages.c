#include "sqlite/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"

enum {
	PAGE_DEFAULT = 4096,
	LOCK_BYTE = 0x40000000,   /* the page at this offset holds nothing */
	WAL_HEADER = 32,
	WAL_FRAME = 24,           /* before each page */
	MAP_ENTRY = 5,            /* of a map page: what sort, and the parent */
	TREE_DEEPEST = 20,
};

/* Sorts of page in the map, and of page in a tree. */
enum { MAP_ROOT = 1, MAP_FREE, MAP_OVERFLOW_FIRST, MAP_OVERFLOW, MAP_TREE };
enum { INNER_INDEX = 2, INNER_TABLE = 5, LEAF_INDEX = 10, LEAF_TABLE = 13 };

struct pages {
	int fd, wal;               /* -1: there is no WAL */
	uint32_t size, usable;     /* of a page; without what is reserved at its end */
	uint32_t count;
	bool mapped;               /* there are map pages */
	struct pages_header header;
	uint32_t *frames;          /* by page: its last frame in the WAL, from 1; 0: none */
	uint8_t *trees;            /* by page: its tree, as claimed */
	unsigned char *page;       /* the page being looked at ... */
	uint32_t page_number;      /* ... (0: none) */
	unsigned char *map, *other;   /* a map page; any other page on the side */
	uint32_t map_number;
	struct buf payload;        /* of a record that does not lie on one page */
};

static uint32_t
get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
get16(const unsigned char *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* ---- the file and its WAL ----------------------------------------------------- */

/* All of it, or zeros: false. */
static bool
read_at(int fd, uint64_t offset, unsigned char *to, size_t n)
{
	size_t have = 0;
	ssize_t got;

	while (have < n) {
		got = pread(fd, to + have, n - have, (off_t)(offset + have));
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		have += (size_t)got;
	}
	if (have < n)
		memset(to, 0, n);
	return have == n;
}

/* Likewise; and a page of nothing but zeros is none. */
static bool
read_page(const struct pages *p, uint32_t page, unsigned char *to)
{
	uint32_t frame = p->frames[page];
	bool whole = frame != 0 ? read_at(p->wal, WAL_HEADER + WAL_FRAME +
	    (uint64_t)(frame - 1) * (p->size + WAL_FRAME), to, p->size) :
	    read_at(p->fd, (uint64_t)(page - 1) * p->size, to, p->size);

	return whole && (to[0] != 0 || memcmp(to, to + 1, p->size - 1) != 0);
}

static bool
valid_size(uint32_t size)
{
	return size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
}

/* The WAL's running checksum, over `n` bytes (a multiple of 8). */
static void
add_checksum(uint32_t sum[2], const unsigned char *p, size_t n, bool big)
{
	for (const unsigned char *end = p + n; p < end; p += 8) {
		uint32_t a = get32(p), b = get32(p + 4);
		sum[0] += (big ? a : __builtin_bswap32(a)) + sum[1];
		sum[1] += (big ? b : __builtin_bswap32(b)) + sum[0];
	}
}

/* The header of the WAL: whether it is one, of our page size. */
static bool
wal_begin(const struct pages *p, unsigned char header[WAL_HEADER], uint32_t sum[2], bool *big)
{
	uint32_t magic;

	read_at(p->wal, 0, header, WAL_HEADER);
	magic = get32(header);
	*big = magic == 0x377f0683;
	sum[0] = sum[1] = 0;
	add_checksum(sum, header, 24, *big);
	return (*big || magic == 0x377f0682) && get32(header + 8) == p->size &&
	    sum[0] == get32(header + 24) && sum[1] == get32(header + 28);
}

/* Find the committed pages in the WAL: with `note` they are noted, else only the
 * size of the database after the last commit is found out (0: none). */
static uint32_t
wal_scan(struct pages *p, uint32_t last, bool note, uint32_t *commit)
{
	unsigned char header[WAL_HEADER], frame[WAL_FRAME];
	uint32_t sum[2], count = 0;
	bool big;

	*commit = 0;
	if (p->wal == -1 || !wal_begin(p, header, sum, &big))
		return 0;
	for (uint32_t i = 1; i <= last; i++) {
		uint64_t at = WAL_HEADER + (uint64_t)(i - 1) * (p->size + WAL_FRAME);
		uint32_t page;
		read_at(p->wal, at, frame, sizeof(frame));
		page = get32(frame);
		if (page == 0 || memcmp(frame + 8, header + 16, 8) != 0)
			break;
		if (note) {
			if (page <= p->count)
				p->frames[page] = i;
			continue;
		}
		read_at(p->wal, at + WAL_FRAME, p->other, p->size);
		add_checksum(sum, frame, 8, big);
		add_checksum(sum, p->other, p->size, big);
		if (sum[0] != get32(frame + 16) || sum[1] != get32(frame + 20))
			break;
		if (get32(frame + 4) != 0) {
			count = get32(frame + 4);
			*commit = i;
		}
	}
	return count;
}

/* The page size, from whichever header can be believed. */
static uint32_t
find_size(const struct pages *p, const unsigned char header[100])
{
	unsigned char wal[WAL_HEADER];
	uint32_t size = get16(header + 16) == 1 ? 65536 : get16(header + 16);

	if (memcmp(header, "SQLite format 3", 16) == 0 && valid_size(size))
		return size;
	if (p->wal != -1) {
		read_at(p->wal, 0, wal, sizeof(wal));
		if ((get32(wal) | 1) == 0x377f0683 && valid_size(get32(wal + 8)))
			return get32(wal + 8);
	}
	return PAGE_DEFAULT;
}

/* What page 1, as the WAL has it, says of all. */
static void
read_header(struct pages *p, uint64_t file_pages)
{
	const unsigned char *h = p->other;
	uint32_t size;

	read_page(p, 1, p->other);
	size = get16(h + 16) == 1 ? 65536 : get16(h + 16);
	p->header.sound = memcmp(h, "SQLite format 3", 16) == 0 && size == p->size &&
	    h[20] <= p->size - 480 && h[21] == 64 && h[22] == 32 && h[23] == 32;
	p->usable = p->size - (p->header.sound ? h[20] : 0);
	p->mapped = !p->header.sound || get32(h + 52) != 0;
	p->header.cut = p->header.sound && get32(h + 28) > file_pages && get32(h + 28) > p->count;
	p->header.application_id = get32(h + 68);
	p->header.user_version = get32(h + 60);
}

/* How many pages, and which of them the WAL has. */
static int
survey(struct pages *p, const char *path, struct error *e)
{
	unsigned char header[100];
	struct stat st;
	uint64_t count;
	uint32_t commit, committed;

	if (fstat(p->fd, &st) == -1)
		return error_errno(e, errno, "%s", path);
	read_at(p->fd, 0, header, sizeof(header));
	p->size = find_size(p, header);
	if ((p->page = malloc(p->size)) == NULL || (p->map = malloc(p->size)) == NULL ||
	    (p->other = malloc(p->size)) == NULL)
		return error_memory(e);
	count = ((uint64_t)st.st_size + p->size - 1) / p->size;
	committed = wal_scan(p, UINT32_MAX - 1, false, &commit);
	if (committed > count + commit)   /* each page that is new has a frame */
		committed = (uint32_t)count + commit;
	p->count = commit != 0 ? committed : count < UINT32_MAX - 1 ? (uint32_t)count : UINT32_MAX - 1;
	if (p->count == 0)
		return error_set(e, ERROR_INVALID, "%s: is empty", path);
	p->frames = calloc((size_t)p->count + 1, sizeof(*p->frames));
	p->trees = calloc((size_t)p->count + 1, sizeof(*p->trees));
	if (p->frames == NULL || p->trees == NULL)
		return error_memory(e);
	wal_scan(p, commit, true, &commit);
	read_header(p, count);
	return 0;
}

/* The file and, beside it (not beside a link to it), its WAL if it has one. */
static int
open_files(struct pages *p, const char *path, struct error *e)
{
	char *file = realpath(path, NULL), *wal = NULL;
	size_t size;
	int rc = -1;

	if (file == NULL || (p->fd = open(file, O_RDONLY | O_CLOEXEC)) == -1) {
		error_errno(e, errno, "%s", path);
		goto out;
	}
	size = strlen(file) + sizeof("-wal");
	if ((wal = malloc(size)) == NULL) {
		error_memory(e);
		goto out;
	}
	snprintf(wal, size, "%s-wal", file);
	if ((p->wal = open(wal, O_RDONLY | O_CLOEXEC)) == -1 && errno != ENOENT)
		error_errno(e, errno, "%s", wal);
	else
		rc = 0;
out:
	free(file);
	free(wal);
	return rc;
}

struct pages *
pages_open(const char *path, struct error *e)
{
	struct pages *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		error_memory(e);
		return NULL;
	}
	p->fd = p->wal = -1;
	if (open_files(p, path, e) == -1 || survey(p, path, e) == -1)
		pages_close(&p);
	return p;
}

void
pages_close(struct pages **pp)
{
	struct pages *p = *pp;

	if (p == NULL)
		return;
	if (p->fd != -1)
		close(p->fd);
	if (p->wal != -1)
		close(p->wal);
	free(p->frames);
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
	return p->count;
}

const struct pages_header *
pages_header(const struct pages *p)
{
	return &p->header;
}

/* ---- the map -------------------------------------------------------------------- */

static bool
is_lock_page(const struct pages *p, uint32_t page)
{
	return page == LOCK_BYTE / p->size + 1;
}

/* The map page that tells of `page`. */
static uint32_t
map_page_of(const struct pages *p, uint32_t page)
{
	uint32_t each = p->usable / MAP_ENTRY + 1, map = (page - 2) / each * each + 2;

	return is_lock_page(p, map) ? map + 1 : map;
}

/* What the map says of a page: 0 if nothing that makes sense. */
static int
map_entry(struct pages *p, uint32_t page, uint32_t *parent)
{
	const unsigned char *entry;
	uint32_t map, at;

	*parent = 0;
	if (!p->mapped || page < 3)
		return page == 1 ? MAP_ROOT : 0;
	map = map_page_of(p, page);
	if (map >= page || map > p->count)
		return 0;
	at = MAP_ENTRY * (page - map - 1);
	if (at + MAP_ENTRY > p->usable)
		return 0;
	if (p->map_number != map) {
		read_page(p, map, p->map);
		p->map_number = map;
	}
	entry = p->map + at;
	*parent = get32(entry + 1);
	if (entry[0] < MAP_ROOT || entry[0] > MAP_TREE)
		return 0;
	if (entry[0] > MAP_FREE && (*parent == 0 || *parent > p->count || *parent == page))
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
	n->cells = get16(bytes + at + 3);
	n->right = is_inner(n) ? get32(bytes + at + 8) : 0;
	n->pointers = at + (is_inner(n) ? 12 : 8);
	return n->pointers + 2 * n->cells <= p->usable;
}

static const unsigned char *
load(struct pages *p, uint32_t page)
{
	if (p->page_number != page) {
		read_page(p, page, p->page);
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

	if (page == 0 || page > p->count || p->trees[page] != 0)
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
			uint32_t cell = get16(bytes + n.pointers + 2 * i);
			if (cell + 4 <= p->usable)
				rc = push_child(p, get32(bytes + cell), page, tree, &todo);
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
	    entry == MAP_OVERFLOW || (p->mapped && page > 1 && map_page_of(p, page) == page))
		return PAGES_OTHER;
	if (!read_node(p, page, load(p, page), &n))
		return p->mapped || p->trees[page] != 0 ? PAGES_BAD : PAGES_OTHER;
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
	uint64_t most = table ? p->usable - 35 : (p->usable - 12) * 64 / 255 - 23;
	uint64_t least = (p->usable - 12) * 32 / 255 - 23, local;

	if (size <= most)
		return size;
	local = least + (size - least) % (p->usable - 4);
	return local <= most ? local : least;
}

/* Put a payload together from its cell and the pages that it goes on in. The map
 * knows of each of these where it belongs. */
static bool
follow(struct pages *p, uint32_t page, struct span local, uint64_t size, uint32_t next)
{
	int want = MAP_OVERFLOW_FIRST;

	p->payload.len = 0;
	if (size > (uint64_t)p->count * p->usable ||
	    buf_add(&p->payload, local.p, (size_t)(local.end - local.p)) == -1)
		return false;
	while (p->payload.len < size) {
		uint32_t parent;
		uint64_t n = size - p->payload.len;
		int entry;
		if (next == 0 || next > p->count)
			return false;
		entry = map_entry(p, next, &parent);
		if (entry != 0 && (entry != want || parent != page))
			return false;
		if (!read_page(p, next, p->other))
			return false;
		n = n < p->usable - 4 ? n : p->usable - 4;
		if (buf_add(&p->payload, p->other + 4, n) == -1)
			return false;
		page = next;
		next = get32(p->other);
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
		    !follow(p, page, payload, size, get32(payload.end)))
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
		uint32_t at = get16(bytes + n.pointers + 2 * i);
		if (at < n.pointers + 2 * n.cells || at >= p->usable ||
		    !read_cell(p, page, &n, (struct span){ bytes + at, bytes + p->usable }, &r))
			bad++;
		else if (each(arg, &r) == -1)
			return -1;
	}
	return bad;
}
