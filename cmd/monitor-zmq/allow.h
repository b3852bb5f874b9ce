/*
 * allow.h - who may connect, by public key, and what they may do.
 *
 *     # comments and empty lines are skipped
 *     KEY NAME [watchdog=CODE|*]... [action=ACTION|*]...
 *
 * KEY is a public key (key.h). Without watchdog= and action= a peer may
 * connect, and ask `serve` for nothing.
 */
#ifndef MONITOR_ZMQ_ALLOW_H
#define MONITOR_ZMQ_ALLOW_H

#include <stdbool.h>

#include "error.h"
#include "str.h"

struct allow;

/* Read the file whole, or not at all: the error names the line. */
struct allow *allow_read(const char *path, struct error *e);
void allow_free(struct allow **a);

/* Read it again; -1, and it stays as it was. */
int allow_reload(struct allow *a, struct error *e);

/* Is this key (40 characters) in it? `*name` (may be NULL) is its name, until the next reload. */
bool allow_has(const struct allow *a, struct str key, struct str *name);

/* May it do this for that watchdog? */
bool allow_action(const struct allow *a, struct str key, struct str watchdog, struct str action);

#endif
