/*
 * generate - make as many records as a bench needs, from a few real ones:
 *
 *   generate [-f FORMAT] [-w WATCHDOGS] [-s START] [-1] CORPUS RECORDS
 *
 * The messages, senders and levels of CORPUS (NDJSON) are repeated in their
 * order. Each record gets one of WATCHDOGS (1000) watchdogs and a new time:
 * the records are in the order of their times, from START (1700000000) on, each
 * watchdog with about 0.9 records a second; watchdog 0 is a hot one that sends
 * one record in 28. With -1 the clock of watchdog 1 stands at 1970. The same
 * arguments give the same bytes.
 *
 * FORMAT: ndjson (the default), csv (watchdog, level, time, sender, message),
 * or export (systemd's journal export format).
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "ndjson.h"

#define RATE 0.9          /* records a watchdog and second */
#define HOT 28
#define FULL (1 << 20)    /* write when so much has come together */

/* A record of the corpus as text, in the two or three pieces that stand around
 * its watchdog and its time. */
struct piece {
	struct buf level;     /* between watchdog and time */
	struct buf rest;      /* behind the time */
};

struct format {
	const char *name;
	const char *head;     /* before the watchdog */
	int (*pieces)(struct piece *p, const struct record *r);
	void (*time)(struct buf *b, uint64_t us);
};

static void
check(int failed)
{
	if (failed == -1)
		errx(1, "out of memory");
}

static char *
digits(char *end, uint64_t n, int width)
{
	while (n > 0 || width > 0) {
		*--end = (char)('0' + n % 10);
		n /= 10;
		width--;
	}
	return end;
}

/* ---- NDJSON, as Python's json.dumps writes it ----------------------------- */

static int
ndjson_pieces(struct piece *p, const struct record *r)
{
	return buf_printf(&p->level, "\", \"level\": %" PRId64 ", \"time\": ", r->level) == -1 ||
	    buf_add(&p->rest, ", \"sender\": ", 12) == -1 ||
	    ndjson_write_string(&p->rest, r->sender) == -1 ||
	    buf_add(&p->rest, ", \"message\": ", 13) == -1 ||
	    ndjson_write_string(&p->rest, r->message) == -1 ||
	    buf_add(&p->rest, "}\n", 2) == -1 ? -1 : 0;
}

static void
decimal_time(struct buf *b, uint64_t us)
{
	char text[32], *end = text + sizeof(text), *p = digits(end, us % 1000000, 6);

	*--p = '.';
	p = digits(p, us / 1000000, 1);
	check(buf_add(b, p, (size_t)(end - p)));
}

/* ---- CSV ------------------------------------------------------------------ */

static int
csv_field(struct buf *b, struct str s)
{
	int failed = buf_add(b, ",\"", 2);

	for (size_t i = 0; i < s.len; i++)
		failed |= buf_add(b, s.data[i] == '"' ? "\"\"" : s.data + i, s.data[i] == '"' ? 2 : 1);
	return failed | buf_add(b, "\"", 1);
}

static int
csv_pieces(struct piece *p, const struct record *r)
{
	return buf_printf(&p->level, ",%" PRId64 ",", r->level) == -1 ||
	    csv_field(&p->rest, r->sender) == -1 || csv_field(&p->rest, r->message) == -1 ||
	    buf_add(&p->rest, "\n", 1) == -1 ? -1 : 0;
}

/* ---- the journal ---------------------------------------------------------- */

static void
journal_time(struct buf *b, uint64_t us)
{
	char text[32], *end = text + sizeof(text), *p = digits(end, us, 1);

	check(buf_add(b, p, (size_t)(end - p)));
}

static int
journal_field(struct buf *b, const char *name, struct str s)
{
	uint64_t len = s.len;   /* the format wants it little-endian */

	if (memchr(s.data, '\n', s.len) == NULL)
		return buf_printf(b, "%s=%.*s\n", name, STR_ARGS(s));
	return buf_printf(b, "%s\n", name) == -1 || buf_add(b, &len, sizeof(len)) == -1 ||
	    buf_add_str(b, s) == -1 || buf_add(b, "\n", 1) == -1 ? -1 : 0;
}

static int
journal_pieces(struct piece *p, const struct record *r)
{
	return buf_printf(&p->level, "\nLEVEL=%" PRId64 "\n__REALTIME_TIMESTAMP=", r->level) == -1 ||
	    buf_add(&p->rest, "\n", 1) == -1 ||
	    buf_printf(&p->rest, "_BOOT_ID=00000000000000000000000000000001\n") == -1 ||
	    journal_field(&p->rest, "SENDER", r->sender) == -1 ||
	    journal_field(&p->rest, "MESSAGE", r->message) == -1 ||
	    buf_add(&p->rest, "\n", 1) == -1 ? -1 : 0;
}

/* --------------------------------------------------------------------------- */

static const struct format formats[] = {
	{ "ndjson", "{\"watchdog\": \"", ndjson_pieces, decimal_time },
	{ "csv", "", csv_pieces, decimal_time },
	{ "export", "__MONOTONIC_TIMESTAMP=1\nWATCHDOG=", journal_pieces, journal_time },
};

static const struct format *
find_format(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	errx(2, "%s: not a format (ndjson, csv, export)", name);
}

static struct piece *
read_corpus(const char *path, const struct format *format, size_t *count)
{
	const struct ndjson_defaults defaults = { .kind = RECORD_LOG, .watchdog = str_of("local") };
	struct piece *pieces = NULL, *grown;
	struct ndjson_line line;
	struct ndjson *reader;
	char *text = NULL;
	size_t size = 0;
	struct error e;
	ssize_t len;
	FILE *f;

	if ((f = fopen(path, "r")) == NULL)
		err(1, "%s", path);
	if ((reader = ndjson_new(&defaults, &e)) == NULL)
		errx(1, "%s", e.text);
	for (*count = 0; (len = getline(&text, &size, f)) != -1; ++*count) {
		len -= text[len - 1] == '\n';
		if (ndjson_read(reader, (struct str){ text, (size_t)len }, &line, &e) == -1)
			errx(1, "%s:%zu: %s", path, *count + 1, e.text);
		if ((grown = realloc(pieces, (*count + 1) * sizeof(*pieces))) == NULL)
			err(1, NULL);
		pieces = grown;
		memset(&pieces[*count], 0, sizeof(*pieces));
		check(format->pieces(&pieces[*count], &line.record));
	}
	if (*count == 0)
		errx(1, "%s: no records", path);
	ndjson_free(&reader);
	free(text);
	fclose(f);
	return pieces;
}

/* The n-th of a fixed row of random numbers (splitmix64). */
static uint64_t
scatter(uint64_t n)
{
	n = (n + 1) * 0x9e3779b97f4a7c15;
	n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
	n = (n ^ n >> 27) * 0x94d049bb133111eb;
	return n ^ n >> 31;
}

static void
flush(struct buf *b)
{
	size_t done = 0;
	ssize_t n;

	while (done < b->len) {
		if ((n = write(STDOUT_FILENO, b->data + done, b->len - done)) == -1) {
			if (errno == EINTR)
				continue;
			err(1, "standard output");
		}
		done += (size_t)n;
	}
	b->len = 0;
}

static void
generate(const struct format *format, const struct piece *pieces, size_t count,
    uint64_t records, uint64_t watchdogs, double start, bool at_1970)
{
	size_t head = strlen(format->head);
	struct buf out = { 0 };
	char code[16];

	for (uint64_t i = 0; i < records; i++) {
		const struct piece *p = &pieces[i % count];
		uint64_t r = scatter(i), watchdog = r % HOT == 0 ? 0 : (r >> 8) % watchdogs;
		double t = (double)i / (RATE * (double)watchdogs);

		if (!(at_1970 && watchdog == 1))
			t += start;
		digits(code + sizeof(code), watchdog, sizeof(code));
		check(buf_add(&out, format->head, head));
		check(buf_add(&out, code, sizeof(code)));
		check(buf_add(&out, p->level.data, p->level.len));
		format->time(&out, (uint64_t)(t * 1e6));
		check(buf_add(&out, p->rest.data, p->rest.len));
		if (out.len >= FULL)
			flush(&out);
	}
	flush(&out);
	buf_free(&out);
}

static uint64_t
number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	n *= *end == 'k' ? 1000 : *end == 'M' ? 1000000 : 1;
	end += *end == 'k' || *end == 'M';
	if (n == 0 || *end != '\0')
		errx(2, "%s: not a number", text);
	return n;
}

int
main(int argc, char **argv)
{
	const struct format *format = &formats[0];
	uint64_t watchdogs = 1000;
	double start = 1700000000;
	bool at_1970 = false;
	struct piece *pieces;
	size_t count;
	int option;

	while ((option = getopt(argc, argv, "1f:s:w:")) != -1) {
		switch (option) {
		case '1': at_1970 = true; break;
		case 'f': format = find_format(optarg); break;
		case 's': start = (double)number(optarg); break;
		case 'w': watchdogs = number(optarg); break;
		default: return 2;
		}
	}
	if (argc - optind != 2)
		errx(2, "usage: generate [-f FORMAT] [-w WATCHDOGS] [-s START] [-1] CORPUS RECORDS");
	pieces = read_corpus(argv[optind], format, &count);
	generate(format, pieces, count, number(argv[optind + 1]), watchdogs, start, at_1970);
	for (size_t i = 0; i < count; i++) {
		buf_free(&pieces[i].level);
		buf_free(&pieces[i].rest);
	}
	free(pieces);
	return 0;
}
