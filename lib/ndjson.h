/*
 * ndjson.h - records as lines of JSON (RFC 8259, one value a line), and the
 * lines of the sink contract. See monitor-record(5).
 *
 * Two readers stand behind ndjson_read(): a scanner for the record's usual
 * shape, and jansson (this module is its only user) for all the rest. They
 * agree on every line; tests/fuzz/ndjson.c holds them to it.
 */
#ifndef MONITOR_NDJSON_H
#define MONITOR_NDJSON_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"
#include "record.h"
#include "str.h"

/* What stands in for a member that a line leaves out. */
struct ndjson_defaults {
	enum record_kind kind;
	struct str watchdog;
	bool only;            /* whatever a line has as kind, watchdog, source and seq is
	                       * stepped over: these count always (an empty watchdog too) */
};

/* A line as it was read: the record, and the number it carries under the sink
 * contract. `source.data` is NULL where there is none (then seq means
 * nothing). Both must be there to count; one without the other is an error. */
struct ndjson_line {
	struct record record;
	struct str source;    /* 1..255 bytes */
	int64_t seq;          /* 0.. */
	struct str rest;      /* what stands behind source and seq, see ndjson_renumber(); data
	                       * NULL where that cannot be told */
};

/* A reader: memory that it uses again from line to line. */
struct ndjson;
struct ndjson *ndjson_new(const struct ndjson_defaults *defaults, struct error *e);
void ndjson_free(struct ndjson **r);

/* Read one line (without its newline; it is not changed). The strings in `out`
 * point into the line or into the reader, and are good until the next call or
 * until the line goes. On failure the error names member and reason, and as
 * much of `out->source` and `out->seq` as stood, readable, before the fault is
 * filled in, so that a refusal can be answered. Not strict where it need not be:
 *   - "kind" and "watchdog" may be missing; the order of members is free;
 *   - of members given twice the last one counts;
 *   - a level may be written 5.0 or 5e0; a time as any finite number;
 *   - members that are not ours are kept in record.extra, their values as they
 *     were written (numbers of any size, escapes) but for the spaces between
 *     their parts; one given twice stands where the first stood;
 *   - a lone surrogate escape becomes U+FFFD and is counted.
 * Refused: what is not one JSON object; invalid UTF-8; a level or seq beyond 64
 * bits, a time beyond all doubles; and by jansson's limits, U+0000 in a member's
 * name and more than 2048 values inside one another. */
int ndjson_read(struct ndjson *r, struct str line, struct ndjson_line *out, struct error *e);

/* Read the record that `rest` begins with, one of several values in a text that is known
 * to be right, and step behind it and the spaces there, whatever it is. */
int ndjson_read_next(struct ndjson *r, struct str *rest, struct ndjson_line *out, struct error *e);

/* The slow reader alone, for tests to hold the fast one against. */
int ndjson_read_slow(struct ndjson *r, struct str line, struct ndjson_line *out, struct error *e);

/* What of source and seq can be read at the head of a line that is no record
 * (broken, or cut because it was too long): fills `out`'s two, or leaves
 * source.data NULL. Good until the next call on the reader. */
void ndjson_peek(struct ndjson *r, struct str line, struct ndjson_line *out);

/* The number of a line that is written as the tools write theirs, source, seq, kind and
 * watchdog in front. Fills the first two; the others are not looked at, and
 * it may be no record, even no JSON, but whoever reads it will find no other number in it.
 * `behind` is what stands behind the name of the source, whose end it begins with: behind
 * ndjson_write_begin() it is that line under another source. False: it is written otherwise. */
bool ndjson_glance(struct str line, struct ndjson_line *out, struct str *behind);

/* How many lone surrogates have been replaced so far. */
uint64_t ndjson_replaced(const struct ndjson *r);

/* Writing. All append to `b` and return -1 only where memory ran out. */
int ndjson_write(struct buf *b, const struct record *r);      /* the line, newline included */

/* A line with what goes around a record: source and seq in front, where they are seen
 * even if the line is cut (source.data NULL: without); `origin`, the run that sends it,
 * behind all others (data NULL: without). */
int ndjson_write_line(struct buf *b, const struct ndjson_line *l, struct str origin);

/* Write a line that was read, and had no newline in it, with another number: `l`'s source
 * and seq as they are now. What else was in it stays as it was written if it can; of the
 * number that it had nothing is left. */
int ndjson_renumber(struct buf *b, const struct ndjson_line *l);

/* How a line of this source begins, up to the name's last letter. */
int ndjson_write_begin(struct buf *b, struct str source);

/* A record's members alone, without braces, for who has more to write around them;
 * `labels`: kind and watchdog too. */
int ndjson_write_members(struct buf *b, const struct record *r, bool labels);

int ndjson_write_string(struct buf *b, struct str s);         /* quoted and escaped */
int ndjson_write_integer(struct buf *b, int64_t n);
int ndjson_write_double(struct buf *b, double d);             /* shortest text that reads back as `d`; has a '.' or an 'e' */

/* The sink contract's answers, newline included. */
int ndjson_write_ack(struct buf *b, struct str source, int64_t seq);
int ndjson_write_reject(struct buf *b, struct str source, int64_t seq, const char *reason);

struct ndjson_answer {
	enum { NDJSON_ACK, NDJSON_REJECT } type;
	struct str source;
	int64_t seq;
	struct str reason;
};

/* Read such an answer; strings as for ndjson_read(). */
int ndjson_read_answer(struct ndjson *r, struct str line, struct ndjson_answer *out, struct error *e);

#endif
