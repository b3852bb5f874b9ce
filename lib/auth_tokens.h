/*
 * auth_tokens.h - the opaque tokens of a file: see auth.h, whose part this is.
 *
 * A table never changes; a file that is read again makes another.
 */
#ifndef MONITOR_AUTH_TOKENS_H
#define MONITOR_AUTH_TOKENS_H

#include <stdbool.h>

#include "auth.h"

struct auth_tokens;

/* Read a file whole, or not at all: a line that is wrong (the error has its
 * number, never its text) or a hash that is there twice refuses it. An empty file
 * lets nobody in. */
struct auth_tokens *auth_tokens_read(const char *path, struct error *e);
void auth_tokens_free(struct auth_tokens **t);

/* Find a token by its SHA-256. Takes as long wherever it stands, or does not:
 * every hash is compared, every byte of it. */
bool auth_tokens_find(const struct auth_tokens *t, const unsigned char hash[CRYPTO_SHA256_SIZE],
    enum auth_role *role, char watchdog[AUTH_CODE_MAX + 1]);

#endif
