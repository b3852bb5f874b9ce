#include "auth_tokens.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define WORDS (CRYPTO_SHA256_SIZE / 8)

struct entry {
	uint64_t hash[WORDS];   /* the bytes as they are, for comparing eight at once */
	char watchdog[AUTH_CODE_MAX + 1];
	enum auth_role role;
};

struct auth_tokens {
	struct entry *entries;   /* sorted by hash */
	size_t count, room;
};

/* ---- the file ----------------------------------------------------------- */

static bool
take_hash(struct str hex, struct entry *entry)
{
	unsigned char hash[CRYPTO_SHA256_SIZE];
	int digits;

	if (hex.len != 2 * sizeof(hash))
		return false;
	for (size_t i = 0; i < sizeof(hash); i += 2) {
		if ((digits = scan_hex4(hex.data + 2 * i, hex.data + hex.len)) == -1)
			return false;
		hash[i] = (unsigned char)(digits >> 8);
		hash[i + 1] = (unsigned char)digits;
	}
	memcpy(entry->hash, hash, sizeof(hash));
	return true;
}

/* 1, or 0 if there is nothing in the line; -1 with an error. */
static int
take_line(struct str line, struct entry *entry, struct error *e)
{
	struct str hash = str_take_word(&line), code = str_take_word(&line);
	struct str role = str_take_word(&line);

	if (hash.len == 0 || hash.data[0] == '#')
		return 0;
	if (!take_hash(hash, entry))
		return error_set(e, ERROR_INVALID,
		    "must begin with the SHA-256 of a token, 64 hexadecimal digits");
	if (!record_watchdog_valid(code))
		return error_set(e, ERROR_INVALID, "the second word must be a watchdog's code");
	if (auth_role_parse(role, &entry->role) == -1)
		return error_set(e, ERROR_INVALID, "the third word must be watchdog or user");
	if (str_take_word(&line).len > 0)
		return error_set(e, ERROR_INVALID, "must be three words");
	memcpy(entry->watchdog, code.data, code.len);
	entry->watchdog[code.len] = '\0';
	return 1;
}

static int
add(struct auth_tokens *t, const struct entry *entry, struct error *e)
{
	size_t room = t->room > 0 ? 2 * t->room : 64;
	struct entry *more;

	if (t->count == t->room) {
		if ((more = reallocarray(t->entries, room, sizeof(*more))) == NULL)
			return error_memory(e);
		t->entries = more;
		t->room = room;
	}
	t->entries[t->count++] = *entry;
	return 0;
}

static int
by_hash(const void *a, const void *b)
{
	return memcmp(((const struct entry *)a)->hash, ((const struct entry *)b)->hash,
	    CRYPTO_SHA256_SIZE);
}

static int
check_twice(struct auth_tokens *t, struct error *e)
{
	if (t->count > 0)
		qsort(t->entries, t->count, sizeof(*t->entries), by_hash);
	for (size_t i = 1; i < t->count; i++) {
		if (by_hash(&t->entries[i - 1], &t->entries[i]) == 0)
			return error_set(e, ERROR_INVALID, "a token is there twice (one for %s)",
			    t->entries[i].watchdog);
	}
	return 0;
}

static int
read_lines(struct auth_tokens *t, FILE *f, struct error *e)
{
	struct entry entry;
	char *line = NULL;
	size_t room = 0, number = 0;
	ssize_t len;
	int r = 0;

	errno = 0;
	while (r != -1 && (len = getline(&line, &room, f)) != -1) {
		number++;
		r = take_line((struct str){ line, (size_t)len }, &entry, e);
		if (r == -1)
			error_prefix(e, "line %zu", number);
		else if (r == 1)
			r = add(t, &entry, e);
	}
	if (r != -1 && !feof(f))
		r = error_errno(e, errno, "cannot be read");
	free(line);
	return r == -1 ? -1 : check_twice(t, e);
}

struct auth_tokens *
auth_tokens_read(const char *path, struct error *e)
{
	struct auth_tokens *t = calloc(1, sizeof(*t));
	FILE *f = NULL;

	if (t == NULL) {
		error_memory(e);
		return NULL;
	}
	if ((f = fopen(path, "re")) == NULL)
		error_errno(e, errno, "cannot be opened");
	if (f == NULL || read_lines(t, f, e) == -1) {
		error_prefix(e, "%s", path);
		auth_tokens_free(&t);
	}
	if (f != NULL)
		fclose(f);
	return t;
}

void
auth_tokens_free(struct auth_tokens **tp)
{
	if (*tp != NULL)
		free((*tp)->entries);
	free(*tp);
	*tp = NULL;
}

/* ---- to find ------------------------------------------------------------ */

bool
auth_tokens_find(const struct auth_tokens *t, const unsigned char hash[CRYPTO_SHA256_SIZE],
    enum auth_role *role, char watchdog[AUTH_CODE_MAX + 1])
{
	uint64_t wanted[WORDS], differ, same, found = 0;

	memcpy(wanted, hash, sizeof(wanted));
	for (size_t i = 0; i < t->count; i++) {
		differ = 0;
		for (size_t w = 0; w < WORDS; w++)
			differ |= t->entries[i].hash[w] ^ wanted[w];
		/* All ones if they are the same, without a jump. */
		same = ((differ | (0 - differ)) >> 63) - 1;
		found |= same & (i + 1);
	}
	if (found == 0)
		return false;
	*role = t->entries[found - 1].role;
	memcpy(watchdog, t->entries[found - 1].watchdog, AUTH_CODE_MAX + 1);
	return true;
}

/* ---- to make ------------------------------------------------------------ */

int
auth_new_token(struct str code, enum auth_role role, char token[AUTH_TOKEN_SIZE],
    struct buf *line, struct error *e)
{
	const struct str secret = { token, AUTH_TOKEN_SIZE - 1 };
	unsigned char hash[CRYPTO_SHA256_SIZE];
	char digits[2 * sizeof(hash) + 1];
	size_t had = line->len;

	if (!record_watchdog_valid(code))
		return error_set(e, ERROR_USAGE, "not a watchdog's code: must be 1 to %d of "
		    "A-Z, a-z, 0-9, _ and -", AUTH_CODE_MAX);
	if (crypto_random_name(token, AUTH_TOKEN_SIZE, e) == -1 ||
	    crypto_sha256(secret, hash, e) == -1)
		goto fail;
	crypto_hex(hash, sizeof(hash), digits);
	if (buf_printf(line, "%s %.*s %s\n", digits, STR_ARGS(code), auth_role_name(role)) == -1) {
		error_memory(e);
		goto fail;
	}
	return 0;
fail:
	line->len = had;
	explicit_bzero(token, AUTH_TOKEN_SIZE);
	return -1;
}
