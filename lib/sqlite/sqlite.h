/*
 * sqlite.h - the SQLite engine's own parts, seen by its own files only.
 *
 *   sqlite.c  opening, closing, reading in slices    schema.c  making, checking, migrating
 *   sql.c     every statement                        names.c   watchdogs and senders as numbers
 *   add.c     taking batches; sealing blocks         checkpoint.c  keeping the WAL short
 *   ask.c     walking through matching rows          walk.c    a slice of such a walk
 *   merge.c   them in order of time, by indexes      trail.c   in order of arrival, likewise
 *   filter.c  a query, in numbers                    keys.c    places in an order
 *   unsealed.c  rows that no index knows yet         known.c   blocks to pass over
 *   every.c   all that match, in no order            tally.c   counting them
 *   watch.c   waiting for news                       care.c    statistics
 *   backup.c  a copy of one moment                   verify.c  looking through everything
 *   salvage.c what a damaged store still holds; wreck.c, pages.c, pages_file.c: finding it there
 *   purge.c   forgetting                             reserve.c room on a full disk
 *   turn.c    whose turn it is to write
 */
#ifndef MONITOR_SQLITE_SQLITE_H
#define MONITOR_SQLITE_SQLITE_H

#include <sys/stat.h>

#include "sqlite/block.h"
#include "sqlite/db.h"
#include "sqlite/names.h"
#include "sqlite/sql.h"
#include "store_backend.h"

struct writer;         /* add.c */
struct checkpointer;   /* checkpoint.c */
struct watch;          /* watch.c */

struct sqlite {
	char *path;
	enum store_mode mode;
	struct db *db;
	struct stmt *stmts[SQL_COUNT];   /* prepared when first used */
	int64_t id;                      /* head.store */
	struct stat file;                /* the database file as it was opened */
	bool immutable;                  /* no WAL file: read without locks, see sqlite_begin() */
	struct names *watchdogs, *senders;   /* number -> name, for readers */
	struct writer *writer;
	struct checkpointer *checkpointer;
	struct watch *watch;
	struct unsealed *unsealed[RECORD_KINDS];    /* unsealed.c */
	struct known *known[RECORD_KINDS];          /* known.h: of sealed blocks */
	int turn_fd;                     /* turn.c: -1 not open */
	int64_t names_used;              /* sweep.c: left by its last sweep */
};

/* The table of a kind: the statements for it follow one another. */
#define SQL_OF(id, kind) ((enum sql)((id) + (kind)))

/* The statement, reset and ready to bind; NULL with an error. */
struct stmt *sqlite_sql(struct sqlite *s, enum sql id, struct error *e);

/* A bounded slice of reading. begin() starts a read transaction on the store
 * that is at `path` now (ERROR_GONE if that is another one, or none). end()
 * closes it: 0, or 1 if what was read cannot be trusted (the file changed while
 * it was read without locks): throw it away and begin again. -1 with an error
 * in both; a slice that failed in the middle is ended with sqlite_abort(). */
int sqlite_begin(struct sqlite *s, struct error *e);
int sqlite_end(struct sqlite *s, struct error *e);
void sqlite_abort(struct sqlite *s);

/* A write transaction: waits for other writers, fails with ERROR_BUSY. */
int sqlite_begin_write(struct sqlite *s, struct error *e);
int sqlite_commit(struct sqlite *s, struct error *e);

/* How long this connection waits for a lock, in ms. */
int sqlite_busy_ms(const struct sqlite *s);

/* The last arrival given, and head.epoch, inside a transaction. */
struct head {
	int64_t arrival, epoch;
};
int sqlite_head(struct sqlite *s, struct head *h, struct error *e);

/* Write down the last arrival given, before rows go that have it. (A writer does not, in each
 * batch: that would be one page more to sync.) */
int sqlite_keep_last(struct sqlite *s, struct error *e);

/* The last arrival that is in a sealed block of this kind; 0 if none is. */
int sqlite_sealed(struct sqlite *s, enum record_kind kind, int64_t *last, struct error *e);

/* What an index holds of a row, from a statement whose first columns are arrival,
 * watchdog, time, level, sender. */
static inline struct entry
sqlite_entry(struct stmt *st)
{
	return (struct entry){
		.arrival = stmt_int(st, 0),
		.watchdog = (uint32_t)stmt_int(st, 1),
		.time = stmt_double(st, 2),
		.level = stmt_int(st, 3),
		.sender = (uint32_t)stmt_int(st, 4),
	};
}

/* Write a sealed block's index (again, if `replace`): `entries` are its rows
 * that still exist (any order, strays put behind by block_split()). Rows that
 * are strays go to the stray table. add.c; purge.c uses it for a block's edge. */
int sqlite_seal(struct sqlite *s, enum record_kind kind, struct entry *entries, size_t n,
    int64_t first, int64_t last, int64_t bytes, struct error *e);

/* schema.c: make a store where there is none; check and migrate what is there. */
int sqlite_create(const char *path, struct error *e);
int sqlite_check_schema(struct db *db, const char *path, bool write, struct error *e);
#define SQLITE_SCHEMA_VERSION 2
#define SQLITE_APPLICATION_ID 0x6d6e7472   /* "mntr", in the file's header: we know it by that */
#define SQLITE_COPY_ID 0x6d6e7463          /* "mntc": a back-up that nobody has written to yet */
/* Put the schema and its one counter row into an empty file. */
int sqlite_fill(struct db *db, struct error *e);

/* checkpoint.c: a thread with a connection of its own that moves the WAL into
 * the database while the writer goes on, and the writer's own part in it. */
struct checkpointer *checkpointer_new(const char *path, int busy_ms, struct error *e);
void checkpointer_free(struct checkpointer **c);
/* After each commit, on the writer's connection: wakes the thread when the WAL
 * has grown, and holds the writer up for a moment when it has grown too far. */
void checkpointer_note(struct checkpointer *c, struct db *db);

/* turn.c: between the two calls others let us have the write lock. */
void turn_take(struct sqlite *s);
void turn_leave(struct sqlite *s);

/* reserve.c: a file beside the store that a purge deletes when the disk is full.
 * Made where there is none and plenty is free; who cannot make it does without.
 * release(): was there one? */
void reserve_make(const char *path);
bool reserve_release(const char *path);

/* filter.c: what of a query the numbers in an index can answer. */
struct filter {
	uint32_t *watchdogs, *senders;   /* sorted; NULL: all */
	size_t watchdog_count, sender_count;
	int64_t level_min, level_max;
	double since, until;
	unsigned kinds;
	const struct match *match;
	bool back;                       /* the newest first */
	bool nothing;                    /* asks for a name that nobody has */
	bool all_rows;                   /* nothing but time is asked of a row */
};
int filter_init(struct filter *f, struct sqlite *s, const struct query *q, struct error *e);
void filter_free(struct filter *f);
bool filter_ids(const uint32_t *ids, size_t n, uint32_t id);   /* is it among them? */

/* All but the message, of a row's numbers. */
static inline bool
filter_entry(const struct filter *f, const struct entry *en)
{
	return en->time >= f->since && en->time < f->until && en->level >= f->level_min &&
	    en->level <= f->level_max &&
	    (f->senders == NULL || filter_ids(f->senders, f->sender_count, en->sender)) &&
	    (f->watchdogs == NULL || filter_ids(f->watchdogs, f->watchdog_count, en->watchdog));
}

/* Does it ask for few watchdogs, so that only their slices of a block's index are read? */
bool filter_few(const struct filter *f);

/* To read of one block's index what it wants is about as much work as to read so many rows. */
size_t filter_work(const struct filter *f);

/* The index of one sealed block, what of it the filter wants: calls `each` for
 * every entry that passes (by watchdog, then in order of arrival, or back). Reads
 * only the slices of the watchdogs asked for. `scratch` is the caller's, used again. A block
 * that is gone (purged) has no entries. `each` returns -1 if memory ran out. */
int filter_block(struct sqlite *s, enum record_kind kind, int64_t first, const struct filter *f,
    struct buf *scratch, int (*each)(void *arg, const struct entry *en), void *arg,
    struct error *e);

/* unsealed.c: the rows behind `sealed`, up to `upto` and perhaps further. Good until the next
 * call; NULL with an error. */
struct unsealed {
	int64_t sealed, epoch;     /* as of when it was read */
	struct entry *entries;     /* in the order of arrival */
	size_t count, cap;
	double tmin, tmax;         /* their range of times */
};
const struct unsealed *sqlite_unsealed(struct sqlite *s, enum record_kind kind, int64_t sealed,
    int64_t upto, struct error *e);
void sqlite_unsealed_free(struct sqlite *s);

/* every.c: every row that matches, as of one moment, in no order, in slices. -1
 * from a call (its error filled) ends it. A row that a purge moves between its
 * block's index and the strays meanwhile may be missed or be met twice. */
struct every_block {
	enum record_kind kind;
	int64_t first, rows;   /* rows in its index, as of the moment */
	double tmin, tmax;
	bool whole;            /* every row in its index matches */
};
struct every_calls {
	void (*begin)(void *arg);   /* it begins, perhaps again: forget all */
	/* 1: done with this block; 0: its rows are wanted. Strays come as rows. */
	int (*block)(void *arg, const struct every_block *b);
	int (*entry)(void *arg, enum record_kind kind, const struct entry *en);
};
int sqlite_every(struct sqlite *s, const struct query *q, const struct every_calls *calls,
    void *arg, struct error *e);

/* The backend's functions, by file. */
int sqlite_add(void *impl, const struct store_offer *, size_t n, struct store_added *, struct error *);
void sqlite_writer_free(struct writer **w);
void *sqlite_ask(void *impl, const struct query *, struct error *);
int sqlite_next(void *answer, struct record *, struct error *);
void sqlite_position(const void *answer, struct cursor *);
void sqlite_end_ask(void *answer);
int sqlite_watch(void *impl, struct error *);
void sqlite_watched(void *impl);
int sqlite_await(const char *path, int stop_fd, struct error *);
void sqlite_watch_free(struct watch **w);
int sqlite_tally(void *impl, const struct query *, enum tally_by, double interval, double offset,
    int (*row)(void *, const struct tally *), void *arg, struct error *);
int sqlite_span(void *impl, const struct query *, double *first, double *last, struct error *);
int sqlite_stats(void *impl, struct store_stats *, struct error *);
int sqlite_backup(void *impl, const char *path, struct error *);
int64_t sqlite_verify(void *impl, void (*found)(void *, const char *), void *arg, struct error *);
int sqlite_salvage(void *impl, const char *path, struct store_salvaged *, struct error *);
int sqlite_purge(void *impl, const struct purge *, const volatile int *stop, struct purged *,
    struct error *);

#endif
