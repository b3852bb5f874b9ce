/*
 * names.h - the numbers that stand for watchdog codes and sender names.
 *
 * Two caches over the tables `watchdog` and `sender`, both bounded: a writer's
 * (name -> number, which adds names that are new, inside its transaction) and
 * a reader's (number -> name). A number never comes to mean another name, so
 * what a reader has seen stays true; a writer forgets what it cached when a
 * transaction fails or the epoch says that a purge took names away.
 */
#ifndef MONITOR_SQLITE_NAMES_H
#define MONITOR_SQLITE_NAMES_H

#include <stdint.h>

#include "error.h"
#include "sqlite/sql.h"
#include "str.h"

struct sqlite;
struct names;   /* a reader's cache */
struct ids;     /* a writer's */

/* `find`: the statement that gives a name by its number. */
struct names *names_new(enum sql find, struct error *e);
void names_free(struct names **n);

/* The name: 1, or 0 (and "?") if there is none of that number, or -1. Good
 * until the next call on the same cache. */
int names_get(struct names *n, struct sqlite *s, uint32_t id, struct str *name, struct error *e);

/* `find` gives a number by its name, `add` adds a name. */
struct ids *ids_new(enum sql find, enum sql add, struct error *e);
void ids_free(struct ids **n);
void ids_forget(struct ids *n);
int ids_get(struct ids *n, struct sqlite *s, struct str name, uint32_t *id, struct error *e);

#endif
