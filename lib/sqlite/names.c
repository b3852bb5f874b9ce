#include "sqlite/names.h"

#include <stdlib.h>

#include "buf.h"
#include "crypto.h"
#include "sqlite/sqlite.h"

/* A reader's cache: a number's low bits are its place. The places are made when
 * they are first used, a chunk at a time: most answers need few. */
#define NAME_CHUNK 64
#define NAME_CHUNKS 64

struct name {
	uint32_t id;   /* 0: empty; numbers begin at 1 */
	struct buf text;
};

struct names {
	enum sql find;
	struct name *chunks[NAME_CHUNKS];
};

struct names *
names_new(enum sql find, struct error *e)
{
	struct names *n = calloc(1, sizeof(*n));

	if (n == NULL)
		error_memory(e);
	else
		n->find = find;
	return n;
}

void
names_free(struct names **np)
{
	if (*np == NULL)
		return;
	for (size_t c = 0; c < NAME_CHUNKS; c++) {
		for (size_t i = 0; (*np)->chunks[c] != NULL && i < NAME_CHUNK; i++)
			buf_free(&(*np)->chunks[c][i].text);
		free((*np)->chunks[c]);
	}
	free(*np);
	*np = NULL;
}

int
names_get(struct names *n, struct sqlite *s, uint32_t id, struct str *name, struct error *e)
{
	struct name **chunk = &n->chunks[id / NAME_CHUNK % NAME_CHUNKS], *slot;
	struct stmt *st;
	int rc;

	if (*chunk == NULL && (*chunk = calloc(NAME_CHUNK, sizeof(**chunk))) == NULL)
		return error_memory(e);
	slot = *chunk + id % NAME_CHUNK;
	if (slot->id != id || id == 0) {
		if ((st = sqlite_sql(s, n->find, e)) == NULL)
			return -1;
		stmt_bind_int(st, 1, id);
		if ((rc = stmt_step(st, e)) == -1)
			return -1;
		if (rc == 0) {
			*name = str_of("?");
			return 0;
		}
		slot->id = 0;
		slot->text.len = 0;
		rc = buf_add_str(&slot->text, stmt_text(st, 0));
		stmt_reset(st);
		if (rc == -1)
			return error_memory(e);
		slot->id = id;
	}
	*name = (struct str){ slot->text.data, slot->text.len };
	return 1;
}

/*
 * A writer's cache: open addressing over the names' bytes, which lie one behind
 * the other in `bytes`. Full, it is emptied and fills again. The hash is keyed,
 * since anybody may choose the names.
 */
#define IDS_SLOTS (1u << 21)   /* at most; half of them used */
#define IDS_BYTES (40u << 20)
#define IDS_LONGEST 256        /* longer names are looked up each time */

struct id_slot {
	uint32_t hash;
	uint32_t id;       /* 0: empty */
	uint32_t offset;
	uint32_t len;
};

struct ids {
	enum sql find, add;
	uint64_t key;
	struct id_slot *slots;
	uint32_t size, used;   /* size a power of two */
	struct buf bytes;
};

struct ids *
ids_new(enum sql find, enum sql add, struct error *e)
{
	struct ids *n = calloc(1, sizeof(*n));

	if (n == NULL || (n->slots = calloc(1024, sizeof(*n->slots))) == NULL) {
		free(n);
		error_memory(e);
		return NULL;
	}
	if (crypto_random(&n->key, sizeof(n->key), e) == -1) {
		ids_free(&n);
		return NULL;
	}
	n->find = find;
	n->add = add;
	n->size = 1024;
	return n;
}

void
ids_free(struct ids **np)
{
	if (*np == NULL)
		return;
	buf_free(&(*np)->bytes);
	free((*np)->slots);
	free(*np);
	*np = NULL;
}

void
ids_forget(struct ids *n)
{
	memset(n->slots, 0, n->size * sizeof(*n->slots));
	n->used = 0;
	n->bytes.len = 0;
}

/* Eight bytes at a time, multiplied and folded, keyed. */
static uint32_t
hash_of(uint64_t key, struct str s)
{
	uint64_t h = key ^ s.len, w;
	size_t i = 0;

	for (; i + 8 <= s.len; i += 8) {
		memcpy(&w, s.data + i, 8);
		h = (h ^ w) * 0x9fb21c651e98df25u;
		h ^= h >> 32;
	}
	w = 0;
	if (i < s.len)
		memcpy(&w, s.data + i, s.len - i);
	h = (h ^ w ^ key >> 7) * 0x9fb21c651e98df25u;
	return (uint32_t)(h >> 32 ^ h);
}

static struct id_slot *
slot_of(struct ids *n, uint32_t hash, struct str name)
{
	uint32_t i = hash & (n->size - 1);

	for (; n->slots[i].id != 0; i = (i + 1) & (n->size - 1)) {
		const struct id_slot *slot = &n->slots[i];
		if (slot->hash == hash && slot->len == name.len &&
		    (name.len == 0 || memcmp(n->bytes.data + slot->offset, name.data, name.len) == 0))
			break;
	}
	return &n->slots[i];
}

/* Twice the slots; or, where that would be too many, none used. */
static int
make_room(struct ids *n, struct error *e)
{
	struct id_slot *old = n->slots, *slots;
	uint32_t size = n->size;

	if (n->bytes.len + IDS_LONGEST > IDS_BYTES || size == IDS_SLOTS) {
		ids_forget(n);
		return 0;
	}
	if ((slots = calloc((size_t)size * 2, sizeof(*slots))) == NULL)
		return error_memory(e);
	n->slots = slots;
	n->size = size * 2;
	for (uint32_t i = 0; i < size; i++) {
		struct str name = { n->bytes.data + old[i].offset, old[i].len };
		if (old[i].id != 0)
			*slot_of(n, old[i].hash, name) = old[i];
	}
	free(old);
	return 0;
}

/* From the table, or new in it. */
static int
fetch(struct ids *n, struct sqlite *s, struct str name, uint32_t *id, struct error *e)
{
	struct stmt *st = sqlite_sql(s, n->find, e);
	int64_t found = 0;
	int rc;

	if (st == NULL)
		return -1;
	stmt_bind_text(st, 1, name);
	if ((rc = stmt_step(st, e)) == -1)
		return -1;
	if (rc == 1)
		found = stmt_int(st, 0);
	stmt_reset(st);
	if (rc == 0) {
		if ((st = sqlite_sql(s, n->add, e)) == NULL)
			return -1;
		stmt_bind_text(st, 1, name);
		if (stmt_run(st, e) == -1)
			return -1;
		found = db_last_rowid(s->db);
	}
	if (found <= 0 || found > UINT32_MAX)
		return error_set(e, ERROR_FULL, "%s: more names than it can number", s->path);
	*id = (uint32_t)found;
	return 0;
}

int
ids_get(struct ids *n, struct sqlite *s, struct str name, uint32_t *id, struct error *e)
{
	uint32_t hash;
	struct id_slot *slot;

	if (name.len > IDS_LONGEST)
		return fetch(n, s, name, id, e);
	hash = hash_of(n->key, name);
	slot = slot_of(n, hash, name);
	if (slot->id == 0) {
		if (fetch(n, s, name, id, e) == -1)
			return -1;
		if (n->used >= n->size / 2 || n->bytes.len + IDS_LONGEST > IDS_BYTES) {
			if (make_room(n, e) == -1)
				return -1;
			slot = slot_of(n, hash, name);
		}
		*slot = (struct id_slot){ hash, *id, (uint32_t)n->bytes.len, (uint32_t)name.len };
		if (buf_add_str(&n->bytes, name) == -1) {
			slot->id = 0;
			return error_memory(e);
		}
		n->used++;
		return 0;
	}
	*id = slot->id;
	return 0;
}
