/*
 * record.h - the record: what every tool here takes, keeps and gives.
 *
 * Five members and two labels; see monitor-record(5). All strings are UTF-8
 * and are slices owned by whoever made the record; they may hold U+0000.
 */
#ifndef MONITOR_RECORD_H
#define MONITOR_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "str.h"

enum record_kind { RECORD_LOG, RECORD_NOTIFICATION, RECORD_KINDS };

/* A set of kinds, one bit a kind. */
#define RECORD_KIND_BIT(kind) (1u << (kind))
#define RECORD_ALL_KINDS ((1u << RECORD_KINDS) - 1)

struct record {
	enum record_kind kind;
	int64_t level;        /* any integer; lower is more severe */
	double time;          /* seconds since the Unix epoch; always finite */
	struct str watchdog;  /* the tenant: [A-Za-z0-9_-]{1,64} */
	struct str sender;
	struct str message;
	struct str extra;     /* members that are not ours, as the text of one JSON
	                       * object ("{...}"); empty where there are none */
};

/* "log" and "notification", and back: -1 if `name` is no kind. */
const char *record_kind_name(enum record_kind kind);
int record_kind_parse(struct str name, enum record_kind *kind);

/* Is this a watchdog code? */
bool record_watchdog_valid(struct str code);

/* The named levels (protocol: 0 error, 10 warning, 20 notice, 30 info,
 * 40 debug, 50 verbose), most severe first; `name` NULL ends the table. */
struct level {
	int64_t value;
	const char *name;
};
extern const struct level record_levels[];

/* A level by name (any case; "err" and "warn" too) or number. */
int record_level_parse(const char *text, int64_t *level, struct error *e);

/* The least severe named level that is at least as severe as `level` would
 * need: 0 and below are "error", 1..10 "warning", ..., above 40 "verbose". */
const struct level *record_level_class(int64_t level);

#endif
