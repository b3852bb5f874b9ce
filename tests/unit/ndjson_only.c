/* ndjson.h: a reader for which only its own kind, watchdog, source and seq count. */
#include "ndjson.h"

#include <stdlib.h>
#include <string.h>

#include "ndjson_lines.h"
#include "scan.h"

static struct ndjson *
only_reader(const char *watchdog)
{
	struct ndjson_defaults defaults = {
		.kind = RECORD_NOTIFICATION, .watchdog = str_of(watchdog), .only = true
	};
	struct error e;
	struct ndjson *r = ndjson_new(&defaults, &e);

	if (r == NULL) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return r;
}

#define OURS(more) "{\"kind\":\"notification\",\"watchdog\":\"w\"," PLAIN more "}\n"

static const struct { const char *line, *written; } good[] = {
	{ LINE(""), OURS("") },
	{ LINE(",\"kind\":\"log\",\"watchdog\":\"other\",\"source\":\"s\",\"seq\":1"), OURS("") },
	{ LINE(",\"kind\":7,\"watchdog\":[\"]\",{\"a\":\"}\"}],\"source\":null,\"seq\":\"x\""), OURS("") },
	{ LINE(",\"kind\":{},\"watchdog\":\"no code\",\"source\":\"\",\"seq\":-1.5"), OURS("") },
	{ LINE(",\"seq\":1"), OURS("") },
	{ LINE(",\"seq\":1e999,\"source\":99999999999999999999"), OURS("") },
	{ LINE(",\"kind\":1,\"a\":2,\"kind\":3,\"k\\u0069nd\":4,\"b\":5"), OURS(",\"a\":2,\"b\":5") },
	{ LINE(",\"a\":{\"kind\":1,\"seq\":2}"), OURS(",\"a\":{\"kind\":1,\"seq\":2}") },
	{ "{\"watchdog\":\"\\ud800\"," PLAIN "}", OURS("") },
};

static const struct { const char *line, *why; } bad[] = {
	{ "{\"kind\":\"log\",\"seq\":1}", "level: missing" },
	{ LINE(",\"kind\":tru"), "not JSON: invalid token near 'tru', at byte 60" },
	{ LINE(",\"seq\":01"), "not JSON: invalid token near '0', at byte 57" },
	{ LINE(",\"source\":{\"a\":1"), "not JSON: the line ends too early" },
	{ "{\"level\":\"x\",\"source\":\"s\",\"seq\":1,\"time\":1,\"sender\":\"\",\"message\":\"\"}",
	    "level: must be an integer" },
};

static void
reads(void)
{
	struct ndjson *r = only_reader("w");
	struct ndjson_line l;
	struct error e = { .text = "" };
	struct buf b = { 0 };

	for (size_t i = 0; i < COUNT(good) * COUNT(readers); i++) {
		const char *line = good[i / 2].line;
		char *copy = exact(str_of(line));
		b.len = 0;
		bool ok = readers[i % 2].read(r, (struct str){ copy, strlen(line) }, &l, &e) == 0 &&
		    l.source.data == NULL && ndjson_write(&b, &l.record) == 0 &&
		    str_equal((struct str){ b.data, b.len }, str_of(good[i / 2].written));
		if (!tap_ok(ok, "%s%s", line, readers[i % 2].name))
			printf("# error: %s\n# written: %.*s\n", e.text, (int)b.len, b.data);
		free(copy);
	}
	tap_ok(ndjson_replaced(r) == 2, "lone surrogates count where nothing else does");
	buf_free(&b);
	ndjson_free(&r);
}

static void
refuses(void)
{
	struct ndjson *r = only_reader("w");
	struct ndjson_line l;
	struct error e;

	for (size_t i = 0; i < COUNT(bad) * COUNT(readers); i++) {
		e = (struct error){ .text = "" };
		tap_ok(readers[i % 2].read(r, str_of(bad[i / 2].line), &l, &e) == -1 &&
		    l.source.data == NULL, "%s is refused, and has no number%s", bad[i / 2].line,
		    readers[i % 2].name);
		tap_is(e.text, bad[i / 2].why, bad[i / 2].why);
	}
	ndjson_free(&r);
}

/* No watchdog is one, too: who reads so labels the record later. */
static void
nobody(void)
{
	struct ndjson *r = only_reader("");
	struct ndjson_line l;
	struct error e;

	for (size_t i = 0; i < COUNT(readers); i++)
		tap_ok(readers[i].read(r, str_of(LINE(",\"watchdog\":\"x\"")), &l, &e) == 0 &&
		    l.record.watchdog.len == 0, "a record may be nobody's%s", readers[i].name);
	ndjson_free(&r);
}

/* One of several in a list. */
static void
next(void)
{
	static const struct { const char *text, *rest, *why; } cases[] = {
		{ LINE(",\"seq\":1") " , 7]", ", 7]", "" },
		{ LINE(",\"level\":30") "]", "]", "" },     /* which only the slow reader takes */
		{ "{\"a\":[1, 2]} ]", "]", "level: missing" },
		{ "[{}] ,{}", ",{}", "not an object" },
		{ "7", "", "not an object" },
	};
	struct ndjson *r = only_reader("w");
	struct ndjson_line l;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct error e = { .text = "" };
		char *copy = exact(str_of(cases[i].text));
		struct str rest = { copy, strlen(cases[i].text) };
		tap_ok(ndjson_read_next(r, &rest, &l, &e) == (cases[i].why[0] == '\0' ? 0 : -1) &&
		    str_equal(rest, str_of(cases[i].rest)), "%s: one is taken", cases[i].text);
		tap_is(e.text, cases[i].why, "or is refused");
		free(copy);
	}
	ndjson_free(&r);
}

/* What the fast reader must not hand on. */
static void
fast(void)
{
	struct ndjson_defaults defaults = { .only = true };
	struct scanner s = { 0 };
	struct ndjson_line l;

	for (size_t i = 0; i < COUNT(good); i++)
		tap_ok(scan_line(&s, str_of(good[i].line), &defaults, &l), "%s is read fast",
		    good[i].line);
	scan_free(&s);
}

int
main(void)
{
	reads();
	refuses();
	nobody();
	next();
	fast();
	return tap_done();
}
