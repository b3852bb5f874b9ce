/*
 * wreck.h - what is left of a damaged store: its names, marks, counters and
 * blocks, and where its records lie. Read page by page (pages.h), so that it
 * does not matter which page is lost; what the lost one held is all that is.
 */
#ifndef MONITOR_SQLITE_WRECK_H
#define MONITOR_SQLITE_WRECK_H

#include "buf.h"
#include "sqlite/pages.h"
#include "sqlite/sqlite.h"

/* What the pages of a file belong to. */
enum tree {
	TREE_UNKNOWN, TREE_LOG, TREE_NOTIFICATION, TREE_WATCHDOG, TREE_WATCHDOG_CODES, TREE_SENDER,
	TREE_SENDER_NAMES, TREE_HEAD, TREE_BLOCK, TREE_MARK, TREE_SCHEMA, TREE_REST, TREES
};

/* A page with records, by the first that can be read on it. */
struct wreck_leaf {
	int64_t first;
	uint32_t page;
	uint8_t tree;   /* TREE_LOG, TREE_NOTIFICATION, or TREE_UNKNOWN: rows, but of which kind? */
};

struct wreck_name {
	uint32_t id;
	size_t at, len;   /* in `text` */
};

struct wreck_names {
	struct wreck_name *names;   /* by id */
	size_t n, room;
};

struct wreck_mark {
	size_t at, len;
	int64_t seq;
	double seen;
};

/* A block and how many rows it says there are. */
struct wreck_block {
	enum record_kind kind;
	int64_t first, last;
	uint64_t rows, found;
};

struct wreck {
	struct pages *pages;
	struct wreck_leaf *leaves;     /* in arrival order; of unknown kind behind the others */
	size_t leaf_count, leaf_room;
	struct wreck_block *blocks;    /* by kind and first */
	size_t block_count, block_room;
	struct wreck_mark *marks;
	size_t mark_count, mark_room;
	struct wreck_names watchdogs, senders;
	struct buf text;               /* of names and marks */
	bool head_known;
	struct head head;
	uint64_t damaged[TREES];       /* pages and records that cannot be read */
	struct error *e;
};

/* Survey the file at `path`. `like` is a sound store: where its tables begin
 * those of the wreck do, if the wreck cannot tell. wreck_free() also after -1. */
int wreck_survey(struct wreck *w, const char *path, struct sqlite *like, struct error *e);
void wreck_free(struct wreck *w);

/* Is it a row of our two tables? */
bool wreck_is_row(const struct pages_record *r);

/* A name by its number; false if it is lost. */
bool wreck_name(const struct wreck *w, const struct wreck_names *names, int64_t id,
    struct str *name);

/* The block that a record belongs to; NULL if none is known. */
struct wreck_block *wreck_block(struct wreck *w, enum record_kind kind, int64_t arrival);

#endif
