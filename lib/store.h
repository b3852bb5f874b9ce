/*
 * store.h - the one door to the store, or to the daemon that stands before it.
 *
 * A store keeps records in the order in which it took them (their arrival, a
 * number that never repeats), finds them again by time, watchdog, sender and
 * level, and forgets them when told to. A URL picks the engine: a path or
 * "sqlite:PATH"; "postgresql://...", or "host=... dbname=..." as libpq takes it.
 *
 * A store opened STORE_READ never writes, and needs no permission to; it holds
 * no lock or transaction between calls. A `struct store` and what comes out of
 * it is used by one thread at a time.
 */
#ifndef MONITOR_STORE_H
#define MONITOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "query.h"
#include "record.h"
#include "str.h"

#define STORE_DEFAULT "/var/lib/monitor/monitor.db"

/* No line of a record may be longer, in bytes: the engines take a row of about 1 GB, and may
 * write a text in twice its length. */
#define STORE_LONGEST ((uint64_t)256 << 20)

struct store;

enum store_mode {
	STORE_READ,    /* fails with ERROR_ABSENT where there is no store yet */
	STORE_WRITE,   /* made where there is none; an older schema is migrated */
	STORE_PURGE,   /* as STORE_WRITE, but not made */
};

/* Caller owns the store and closes it with store_close(). */
struct store *store_open(const char *url, enum store_mode mode, struct error *e);
void store_close(struct store **s);

/* The same for who may be told to stop: what is reached over a network waits no longer,
 * neither now nor in what it is asked, once `stop_fd` polls readable (ERROR_NONE). */
struct store *store_open_until(const char *url, enum store_mode mode, int stop_fd, struct error *e);

/* Adding to a store that is reached over a network lasts as long as its trouble does:
 * `tell` is told why when that begins, and NULL when it is over (on the thread that adds),
 * and whatever waits gives up (ERROR_NONE) when `stop_fd`, unless it is -1, polls readable. */
struct store_trouble {
	int stop_fd;
	void (*tell)(void *arg, const char *why);
	void *arg;
};
void store_trouble(struct store *s, const struct store_trouble *t);

/* Is there an engine for this URL? -1: none (ERROR_USAGE). Nothing is opened. */
int store_check_url(const char *url, struct error *e);

/* Is it, or what this URL names, reached over a network, so that a call may last? */
bool store_distant(const struct store *s);
bool store_distant_url(const char *url);

/* How many records at once suit it best, where there are as many: with more it takes them no faster. */
size_t store_batch(const struct store *s);

/* The store behind a daemon: of one watchdog's records, that of the token, which labels
 * what is added. It can be asked, and added to, nothing else (ERROR_USAGE). For
 * STORE_READ it connects when it is first asked. A connection that breaks is made again:
 * a few times for who asks (then ERROR_BUSY), for who watches not at all (ERROR_BUSY at
 * once, and the next call tries again), for as long as it takes for who adds. Offers are
 * stored once, however often they are sent; whether they had been stored before, the
 * daemon does not say. */
struct client_settings;
struct store *store_open_remote(const struct client_settings *settings, enum store_mode mode,
    struct error *e);

/* ---- making one ----------------------------------------------------------- */

/* An SQLite file is made by who first writes to it. In a PostgreSQL database the store is made
 * when that is asked for, by who may: or an older one that is there is migrated. */
#define STORE_INTERVAL 86400   /* seconds of arrival in a partition of logs, unless told otherwise */

enum store_made { STORE_MADE, STORE_MIGRATED, STORE_THERE };

/* Whole, or not at all; but the roles are left out where we may not make them: `*left` is then
 * why ("" if they were made). ERROR_USAGE: the engine has no schema. */
int store_create_schema(const char *url, double interval, enum store_made *made,
    struct error *left, struct error *e);

/* The same as SQL, for psql -1: all of it, or what makes and grants the roles alone, which
 * may be run again. */
int store_schema(double interval, bool roles_only, struct buf *text, struct error *e);

/* ---- add ---------------------------------------------------------------- */

/* What a sink is offered. With a source, a seq that is not above the source's
 * mark has been settled before and is dropped. */
struct store_offer {
	struct record record;
	struct str source;   /* data NULL: not numbered */
	int64_t seq;
	bool refused;        /* no record: only the mark moves */
};

struct store_added {
	uint64_t stored;
	uint64_t duplicates;
};

/* Take a batch, in one transaction with the marks of its sources. When this
 * returns 0 all of it is settled and durable; -1, and none of it is. Waits up
 * to 30 s for another writer (then ERROR_BUSY). */
int store_add(struct store *s, const struct store_offer *offers, size_t n,
    struct store_added *added, struct error *e);

/* ---- ask ---------------------------------------------------------------- */

struct answer;

/* The records that match, as of now: what arrives later is not in this answer.
 * Memory is bounded whatever matches. The query must outlive the answer. A long
 * answer reads ahead on a thread of its own: until it is closed, nothing else
 * may be asked of this store. (It can be closed anywhere, and asked for again
 * from its cursor on.) Caller owns it and closes it with answer_close(), before the store. */
struct answer *store_ask(struct store *s, const struct query *q, struct error *e);

/* The next record: 1, or 0 at the end, or -1; or 2 where the query has it pause:
 * answer_cursor() is how far it has looked, and to be asked again from. The record's
 * strings are good until the next call. ERROR_GONE: the store was removed or
 * replaced meanwhile. */
int answer_next(struct answer *a, struct record *r, struct error *e);

/* The position of the record that answer_next() gave last (of the query's own
 * cursor, before the first). */
void answer_cursor(const struct answer *a, struct cursor *c);
void answer_close(struct answer **a);

/* A cursor that some order gave, as one of the order of arrival: these can be compared with one
 * another, and with the end. (In the order of time an engine may know less of a place.) One of
 * another store stays as it is. */
int store_by_arrival(struct store *s, struct cursor *c, struct error *e);

/* The position behind everything that is there now. */
int store_end(struct store *s, struct cursor *c, struct error *e);

/* A file descriptor, owned by the store, that polls readable when records may
 * have arrived (or the store was removed or replaced) since store_watched()
 * was last called. -1: failed. */
int store_watch(struct store *s, struct error *e);
void store_watched(struct store *s);

/* For a store that is not there yet: wait until it may be, or until `stop_fd`
 * (-1: none) polls readable. 1: it may be there now, 0: stopped, -1: failed. */
int store_await(const char *url, int stop_fd, struct error *e);

/* ---- tally -------------------------------------------------------------- */

enum tally_by { TALLY_BY_KIND, TALLY_BY_SENDER, TALLY_BY_WATCHDOG, TALLY_BY_TIME };

struct tally {
	enum record_kind kind;   /* BY_KIND */
	struct str key;          /* BY_SENDER, BY_WATCHDOG: the name */
	double time;             /* BY_TIME: where the interval begins */
	int64_t level;           /* BY_TIME: counted a level */
	uint64_t count;
};

/* Count the records that match, in groups: by kind, by name (in the order of
 * the names' bytes), or by time and level (in that order; intervals begin at
 * multiples of `interval` seconds since the epoch, shifted by `offset`, and
 * empty ones are left out). The query's order, cursor and limit are ignored.
 * `row` is called for each group, its strings good until it returns; other
 * than 0 from it ends the tally with that value. */
int store_tally(struct store *s, const struct query *q, enum tally_by by, double interval,
    double offset, int (*row)(void *arg, const struct tally *t), void *arg, struct error *e);

/* The times of the first and the last record that match (by time): 1, or 0 if
 * there is none, or -1. */
int store_span(struct store *s, const struct query *q, double *first, double *last,
    struct error *e);

/* ---- care --------------------------------------------------------------- */

struct store_stats {
	uint64_t rows[RECORD_KINDS];
	double first[RECORD_KINDS], last[RECORD_KINDS];  /* by time; mean nothing at 0 rows */
	bool about;                    /* too many rows to count: about so many, names not counted */
	uint64_t watchdogs, senders;   /* names known */
	uint64_t sources;              /* marks kept */
	uint64_t bytes;                /* on disk, as the filesystem sees it, log files included */
	uint64_t free_bytes;           /* of these, room that the next records will use */
	uint64_t strays;               /* records whose time is far from their neighbours' */
	int64_t arrival;               /* records ever taken; of a store that was restored, more */
	int schema;
	const char *engine;            /* "sqlite" */
};
int store_stats(struct store *s, struct store_stats *st, struct error *e);

/* A consistent copy of the store into a file that must not exist yet, while
 * writers run. In the place of the store it goes on for sources and for cursors: its first writer
 * leaves arrivals out, so that none is given twice. */
int store_backup(struct store *s, const char *path, struct error *e);

/* Look through everything. `found` is told each thing that is wrong, one line
 * a call ("log block 8193: 2 rows unknown to its index ..."). Returns how many
 * there were, or -1 if it could not look. */
int64_t store_verify(struct store *s, void (*found)(void *arg, const char *text), void *arg,
    struct error *e);

struct store_salvaged {
	uint64_t records;     /* read from the old store and added to this one */
	uint64_t lost;        /* known to have been there, and not readable */
	uint64_t unnamed;     /* of the records: watchdog or sender name not readable ("lost-7") */
	bool lost_is_minimum; /* the old store's own counts are damaged, too, or it failed */
};

/* Read whatever can still be read of the damaged store at `path` into this one,
 * in batches; marks included. The old store is not changed. */
int store_salvage(struct store *s, const char *path, struct store_salvaged *out, struct error *e);

/* ---- purge -------------------------------------------------------------- */

/* What has expired. A window of 0 or less: nothing of that kind. A record has
 * expired when its time or its arrival is older than the window. */
struct purge {
	double now;
	double window[RECORD_KINDS];
	uint64_t max_size;             /* bytes on disk; oldest logs go until it fits. 0: no bound */
	uint64_t keep_free;            /* bytes free on the filesystem, likewise */
	double marks_window;           /* marks of sources silent for longer; 0: kept */
	const struct str *watchdogs;   /* only these; none: all */
	size_t watchdog_count;
	int64_t level_min;             /* only this level and the less severe (INT64_MIN: all) */
	bool whole;                    /* only partitions, of an engine that has such, of which all goes */
	bool dry_run;                  /* only count */
	bool shrink;                   /* give free space back to the filesystem, */
	uint64_t spare;                /* but keep so many bytes of it for the next records */
};

struct purged {
	uint64_t rows[RECORD_KINDS];
	uint64_t bytes[RECORD_KINDS];  /* what those rows took, about */
	uint64_t marks;
	uint64_t given_back;           /* by which the files became smaller */
	uint64_t size;                 /* what is left on disk; 0: stopped before that was known */
};

/* Purge in short transactions. Waits up to 10 s for a lock, then ERROR_BUSY
 * (what was purged until then stays purged). `stop`, if not NULL, is looked at
 * between them: set, the purge ends early, as it does once the store's `stop_fd` polls readable. */
int store_purge(struct store *s, const struct purge *p, const volatile int *stop,
    struct purged *out, struct error *e);

#endif
