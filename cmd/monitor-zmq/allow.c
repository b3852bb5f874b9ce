#include "allow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "key.h"
#include "proto.h"
#include "record.h"

struct peer {
	struct str key, name;
	struct str rights;       /* the words behind them */
};

/* What a file says. Its peers point into its text. */
struct list {
	struct buf text;
	struct peer *peers;      /* sorted by key */
	size_t count, room;
};

struct allow {
	char *path;
	struct list list;
};

static void
list_free(struct list *l)
{
	free(l->peers);
	buf_free(&l->text);
	*l = (struct list){ 0 };
}

/* ---- the file ---- */

static bool
is_action(struct str name)
{
	for (unsigned i = 0; i < PROTO_ACTIONS; i++)
		if (i != PROTO_UNKNOWN && str_equal(name, str_of(proto_action_name(i))))
			return true;
	return false;
}

/* Is the word WHAT=VALUE? Then `*value` is the value. */
static bool
is_right(struct str word, const char *what, struct str *value)
{
	size_t n = strlen(what);

	if (word.len < n || memcmp(word.data, what, n) != 0)
		return false;
	*value = (struct str){ word.data + n, word.len - n };
	return true;
}

static int
check_rights(struct str rights, struct error *e)
{
	struct str word, value, any = str_of("*");

	while ((word = str_take_word(&rights)).len > 0) {
		if (is_right(word, "watchdog=", &value)) {
			if (!str_equal(value, any) && !record_watchdog_valid(value))
				return error_set(e, ERROR_INVALID, "watchdog=: not a watchdog's code");
		} else if (is_right(word, "action=", &value)) {
			if (!str_equal(value, any) && !is_action(value))
				return error_set(e, ERROR_INVALID, "action=: there is no such action");
		} else {
			return error_set(e, ERROR_INVALID,
			    "behind key and name there may only be watchdog=CODE and action=ACTION");
		}
	}
	return 0;
}

/* 1, or 0 if there is nothing in the line; -1 with an error. */
static int
take_line(struct str line, struct peer *p, struct error *e)
{
	p->key = str_take_word(&line);
	if (p->key.len == 0 || p->key.data[0] == '#')
		return 0;
	if (!key_valid(p->key))
		return error_set(e, ERROR_INVALID,
		    "must begin with a public key, 40 characters of Z85");
	p->name = str_take_word(&line);
	if (p->name.len == 0)
		return error_set(e, ERROR_INVALID, "must have a name behind its key");
	p->rights = line;
	return check_rights(line, e) == -1 ? -1 : 1;
}

static int
add(struct list *l, const struct peer *p, struct error *e)
{
	size_t room = l->room > 0 ? 2 * l->room : 64;
	struct peer *more;

	if (l->count == l->room) {
		if ((more = reallocarray(l->peers, room, sizeof(*more))) == NULL)
			return error_memory(e);
		l->peers = more;
		l->room = room;
	}
	l->peers[l->count++] = *p;
	return 0;
}

static int
by_key(const void *a, const void *b)
{
	const struct peer *p = a, *q = b;

	return memcmp(p->key.data, q->key.data, KEY_SIZE - 1);
}

static int
check_twice(const struct list *l, struct error *e)
{
	for (size_t i = 1; i < l->count; i++)
		if (by_key(&l->peers[i - 1], &l->peers[i]) == 0)
			return error_set(e, ERROR_INVALID, "a key is there twice (one is %.*s's)",
			    STR_ARGS(l->peers[i].name));
	return 0;
}

static int
take_lines(struct list *l, struct error *e)
{
	struct str rest = { l->text.data, l->text.len }, line;
	struct peer p;
	int r = 0;

	for (size_t number = 1; r != -1 && str_take_line(&rest, &line); number++) {
		r = take_line(line, &p, e);
		if (r == -1)
			error_prefix(e, "line %zu", number);
		else if (r == 1)
			r = add(l, &p, e);
	}
	if (r == -1)
		return -1;
	if (l->count > 0)
		qsort(l->peers, l->count, sizeof(*l->peers), by_key);
	return check_twice(l, e);
}

static int
read_all(FILE *f, struct buf *text, struct error *e)
{
	size_t n;

	do {
		if (buf_reserve(text, 4096) == -1)
			return error_memory(e);
		n = fread(text->data + text->len, 1, 4096, f);
		text->len += n;
	} while (n > 0);
	return ferror(f) ? error_errno(e, errno, "cannot be read") : 0;
}

static int
list_read(struct list *l, const char *path, struct error *e)
{
	FILE *f = fopen(path, "re");
	int r;

	*l = (struct list){ 0 };
	if (f == NULL)
		return error_errno(e, errno, "%s", path);
	r = read_all(f, &l->text, e);
	if (r == 0)
		r = take_lines(l, e);
	fclose(f);
	if (r == -1) {
		error_prefix(e, "%s", path);
		list_free(l);
	}
	return r;
}

struct allow *
allow_read(const char *path, struct error *e)
{
	struct allow *a = calloc(1, sizeof(*a));

	if (a == NULL || (a->path = strdup(path)) == NULL) {
		error_memory(e);
		allow_free(&a);
	} else if (list_read(&a->list, path, e) == -1) {
		allow_free(&a);
	}
	return a;
}

int
allow_reload(struct allow *a, struct error *e)
{
	struct list l;

	if (list_read(&l, a->path, e) == -1)
		return -1;
	list_free(&a->list);
	a->list = l;
	return 0;
}

void
allow_free(struct allow **ap)
{
	struct allow *a = *ap;

	if (a == NULL)
		return;
	list_free(&a->list);
	free(a->path);
	free(a);
	*ap = NULL;
}

/* ---- to find ---- */

static const struct peer *
find(const struct allow *a, struct str key)
{
	const struct list *l = &a->list;

	if (l->count == 0 || key.len != KEY_SIZE - 1)
		return NULL;
	return bsearch(&(struct peer){ .key = key }, l->peers, l->count, sizeof(*l->peers), by_key);
}

bool
allow_has(const struct allow *a, struct str key, struct str *name)
{
	const struct peer *p = find(a, key);

	if (p != NULL && name != NULL)
		*name = p->name;
	return p != NULL;
}

bool
allow_action(const struct allow *a, struct str key, struct str watchdog, struct str action)
{
	const struct peer *p = find(a, key);
	struct str rest, word, value, any = str_of("*");
	bool may_watchdog = false, may_action = false;

	if (p == NULL)
		return false;
	for (rest = p->rights; (word = str_take_word(&rest)).len > 0;) {
		if (is_right(word, "watchdog=", &value))
			may_watchdog |= str_equal(value, any) || str_equal(value, watchdog);
		else if (is_right(word, "action=", &value))
			may_action |= str_equal(value, any) || str_equal(value, action);
	}
	return may_watchdog && may_action;
}
