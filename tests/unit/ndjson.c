/*
 * ndjson.h: what becomes of every kind of line. Each line is read by both
 * readers, which must say the same; a record read is shown as it is written.
 */
#include "ndjson.h"

#include <stdlib.h>
#include <string.h>

#include "ndjson_lines.h"
#include "scan.h"

static struct ndjson *reader;

/* The line is a record, which is written as `want`. */
static void
reads(struct str line, struct str want, const char *title)
{
	struct ndjson_line l;
	struct error e = { .text = "" };

	for (size_t i = 0; i < COUNT(readers); i++) {
		struct buf b = { 0 };
		char *copy = exact(line);
		bool ok = readers[i].read(reader, (struct str){ copy, line.len }, &l, &e) == 0 &&
		    ndjson_write(&b, &l.record) == 0 &&
		    str_equal((struct str){ b.data, b.len }, want);
		if (!tap_ok(ok, "%s%s", title, readers[i].name))
			printf("# error: %s\n# written: %.*s\n", e.text, (int)b.len, b.data);
		buf_free(&b);
		free(copy);
	}
}

/* The line is none, and this is why. */
static void
refuses(struct str line, const char *why, const char *title)
{
	struct ndjson_line l;
	struct error e;

	for (size_t i = 0; i < COUNT(readers); i++) {
		char *copy = exact(line);
		e = (struct error){ .text = "" };
		bool ok = readers[i].read(reader, (struct str){ copy, line.len }, &l, &e) == -1 &&
		    e.kind == ERROR_INVALID && strcmp(e.text, why) == 0;
		if (!tap_ok(ok, "%s%s", title, readers[i].name))
			printf("# got: %s\n# not: %s\n", e.text, why);
		free(copy);
	}
}

struct good {
	const char *line, *written, *title;
};

static void
read_all(const struct good *g, size_t n)
{
	for (; n > 0; n--, g++)
		reads(str_of(g->line), str_of(g->written), g->title);
}

struct bad {
	const char *line, *why, *title;
};

static void
refuse_all(const struct bad *b, size_t n)
{
	for (; n > 0; n--, b++)
		refuses(str_of(b->line), b->why, b->title);
}

/* ---- records ------------------------------------------------------------ */

static void
shapes(void)
{
	static const struct good good[] = {
		{ LINE(""), WRITTEN(""), "kind and watchdog may be missing" },
		{ "{\"kind\":\"notification\",\"watchdog\":\"w-1_Z\"," PLAIN "}",
		    "{\"kind\":\"notification\",\"watchdog\":\"w-1_Z\"," PLAIN "}\n",
		    "or be there" },
		{ "{\"message\":\"m\",\"sender\":\"s\",\"time\":1.5,\"level\":30}", WRITTEN(""),
		    "the order of members is free" },
		{ " \t\r\n{ \"level\" :\t30 ,\n\"time\":1.5\r, \"sender\": \"s\" , \"message\" :\"m\" } \r\n",
		    WRITTEN(""), "so is space around everything" },
		{ LINE(",\"level\":40,\"level\":30"), WRITTEN(""),
		    "of a member given twice the last counts" },
		{ "{\"level\":\"no\"," PLAIN "}", WRITTEN(""), "even if the first is none" },
		{ "{\"lev\\u0065l\":30,\"time\":1.5,\"sender\":\"s\",\"message\":\"m\"}",
		    WRITTEN(""),
		    "an escape in a member's name changes nothing" },
		{ LINE(",\"le\\u0076el\":30"), WRITTEN(""), "and does not make it another" },
	};
	static const struct bad bad[] = {
		{ "", "an empty line", "an empty line is no record" },
		{ " \t\r\n", "an empty line", "neither is space" },
		{ "[" LINE("") "]", "not an object", "nor an array of one" },
		{ "null", "not an object", "nor null" },
		{ "\"" "x\"", "not an object", "nor a string" },
		{ "{}", "level: missing", "nor an object without members" },
		{ LINE("") "x", "not JSON: more than one value, at byte 51",
		    "nor one with garbage behind" },
		{ LINE("") LINE(""), "not JSON: more than one value, at byte 51",
		    "nor two in a line" },
		{ "\xef\xbb\xbf" LINE(""), "not JSON: a byte order mark (U+FEFF) in front",
		    "nor one behind a byte order mark" },
		{ "\xff\xfe{", "not JSON: UTF-16", "nor what begins as UTF-16 does" },
		{ "\x1f\x8b\x08", "not JSON: compressed by gzip", "nor a compressed file" },
		{ "hello", "not JSON: invalid token near 'hello', at byte 5", "nor a word" },
		{ LINE(","), "not JSON: string or '}' expected near '}', at byte 51",
		    "a comma too many is refused" },
		{ "{" PLAIN, "not JSON: the line ends too early",
		    "so is an object that does not end" },
		{ "{\"message\":\"m", "not JSON: the line ends too early", "and a string" },
		{ "{'level':30}", "not JSON: string or '}' expected near ''', at byte 2",
		    "and other quotes" },
	};
	struct ndjson_line l;
	struct buf b = { 0 };
	struct error e;

	read_all(good, COUNT(good));
	refuse_all(bad, COUNT(bad));
	tap_ok(ndjson_read(reader, (struct str){ NULL, 0 }, &l, &e) == -1, "nothing at all is no record");
	ndjson_peek(reader, (struct str){ NULL, 0 }, &l);
	tap_ok(l.source.data == NULL, "and has no source");
	l.record = (struct record){ .kind = RECORD_NOTIFICATION };
	tap_ok(ndjson_write(&b, &l.record) == 0 && str_equal((struct str){ b.data, b.len },
	    str_of("{\"kind\":\"notification\",\"watchdog\":\"\",\"level\":0,\"time\":0.0,"
	    "\"sender\":\"\",\"message\":\"\"}\n")), "strings that point nowhere are empty ones");
	buf_free(&b);
}

static void
missing(void)
{
	static const struct bad bad[] = {
		{ "{\"time\":1,\"sender\":\"\",\"message\":\"\"}", "level: missing",
		    "a level must be there" },
		{ "{\"level\":1,\"sender\":\"\",\"message\":\"\"}", "time: missing",
		    "a time must be there" },
		{ "{\"level\":1,\"time\":1,\"message\":\"\"}", "sender: missing",
		    "a sender must be there" },
		{ "{\"level\":1,\"time\":1,\"sender\":\"\"}", "message: missing",
		    "a message must be there" },
	};
	struct ndjson *strict = new_reader(RECORD_NOTIFICATION, ""), *kept = reader;
	struct ndjson_defaults wrong = { .kind = RECORD_LOG, .watchdog = str_of("no code") };
	struct error e = { .text = "" };

	refuse_all(bad, COUNT(bad));
	reader = strict;
	refuses(str_of(LINE("")), "watchdog: missing",
	    "a watchdog must be there if nothing stands for it");
	reads(str_of("{\"watchdog\":\"w\"," PLAIN "}"),
	    str_of("{\"kind\":\"notification\",\"watchdog\":\"w\"," PLAIN "}\n"),
	    "what stands for the kind is used");
	reader = kept;
	ndjson_free(&strict);
	tap_ok(strict == NULL, "a reader that is freed is forgotten");
	ndjson_free(&strict);
	tap_ok(ndjson_new(&wrong, &e) == NULL && e.kind == ERROR_USAGE &&
	    strcmp(e.text, "no code: not a watchdog code ([A-Za-z0-9_-]{1,64})") == 0,
	    "what stands for the watchdog must be a code");
}

static void
types(void)
{
	static const char *const values[] = { "1", "\"x\"", "true", "null", "[]", "{}" };
	static const struct { const char *name, *must; unsigned fits; } members[] = {
		{ "level", "level: must be an integer", 1 << 0 },
		{ "time", "time: must be a number", 1 << 0 },
		{ "sender", "sender: must be a string", 1 << 1 },
		{ "message", "message: must be a string", 1 << 1 },
		{ "watchdog", "watchdog: must be a string", 1 << 1 },
		{ "kind", "kind: must be a string", 1 << 1 },
	};
	char line[256], title[128];

	for (size_t m = 0; m < COUNT(members); m++) {
		for (size_t v = 0; v < COUNT(values); v++) {
			if (members[m].fits & 1u << v)
				continue;
			snprintf(line, sizeof(line), LINE(",\"%s\":%s"), members[m].name,
			    values[v]);
			snprintf(title, sizeof(title), "%s cannot be %s", members[m].name,
			    values[v]);
			refuses(str_of(line), members[m].must, title);
		}
	}
}

static void
labels(void)
{
	static const struct bad bad[] = {
		{ LINE(",\"kind\":\"logs\""), "kind: must be \"log\" or \"notification\"",
		    "another kind is refused" },
		{ LINE(",\"kind\":\"log\\u0000\""), "kind: must be \"log\" or \"notification\"",
		    "so is one with U+0000 behind it" },
		{ LINE(",\"watchdog\":\"a b\""),
		    "watchdog: \"a b\" is not a watchdog code ([A-Za-z0-9_-]{1,64})",
		    "a space is in no watchdog code" },
		{ LINE(",\"watchdog\":\"\""),
		    "watchdog: \"\" is not a watchdog code ([A-Za-z0-9_-]{1,64})",
		    "none is empty" },
		{ LINE(",\"watchdog\":\"\\u001b[31m\xc3\xa9\""),
		    "watchdog: \"?[31m??\" is not a watchdog code ([A-Za-z0-9_-]{1,64})",
		    "an error carries no control characters" },
		{ LINE(",\"watchdog\":\"0123456789012345678901234567890123456789012345678901234567890123x\""),
		    "watchdog: \"012345678901234567890123...\" is not a watchdog code ([A-Za-z0-9_-]{1,64})",
		    "nor all of what is wrong" },
	};

	refuse_all(bad, COUNT(bad));
}

/* ---- numbers ------------------------------------------------------------ */

#define LEVEL(n) "{\"level\":" n ",\"time\":1.5,\"sender\":\"s\",\"message\":\"m\"}"
#define LEVEL_WRITTEN(n) "{\"kind\":\"log\",\"watchdog\":\"local\"," \
	"\"level\":" n ",\"time\":1.5,\"sender\":\"s\",\"message\":\"m\"}\n"
#define TIME(n) "{\"level\":30,\"time\":" n ",\"sender\":\"s\",\"message\":\"m\"}"
#define TIME_WRITTEN(n) "{\"kind\":\"log\",\"watchdog\":\"local\"," \
	"\"level\":30,\"time\":" n ",\"sender\":\"s\",\"message\":\"m\"}\n"

static void
numbers(void)
{
	static const struct good good[] = {
		{ LEVEL("5.0"), LEVEL_WRITTEN("5"), "a level may be written 5.0" },
		{ LEVEL("5e0"), LEVEL_WRITTEN("5"), "or 5e0" },
		{ LEVEL("-0"), LEVEL_WRITTEN("0"), "a level of -0 is 0" },
		{ LEVEL("-0.0"), LEVEL_WRITTEN("0"), "so is one of -0.0" },
		{ LEVEL("9223372036854775807"), LEVEL_WRITTEN("9223372036854775807"),
		    "a level is exact up to 2^63 - 1" },
		{ LEVEL("-9223372036854775808"), LEVEL_WRITTEN("-9223372036854775808"),
		    "and down to -2^63" },
		{ LEVEL("-9223372036854775808.0"), LEVEL_WRITTEN("-9223372036854775808"),
		    "either way" },
		{ TIME("1732280000"), TIME_WRITTEN("1732280000.0"), "a time may be an integer" },
		{ TIME("1732280000.1234567"), TIME_WRITTEN("1732280000.1234567"),
		    "a time comes back as the same double" },
		{ TIME("17322800001234567e-7"), TIME_WRITTEN("1732280000.1234567"),
		    "however it is written" },
		{ TIME("-0.0"), TIME_WRITTEN("-0.0"), "the negative zero too" },
		{ TIME("-0"), TIME_WRITTEN("0.0"), "but an integer has none" },
		{ TIME("1e308"), TIME_WRITTEN("1e+308"), "a time may be huge" },
		{ TIME("-1e308"), TIME_WRITTEN("-1e+308"), "or very long ago" },
		{ TIME("1e-400"), TIME_WRITTEN("0.0"), "or nearly 0" },
		{ TIME("4.9e-324"), TIME_WRITTEN("5e-324"), "or a denormal" },
		{ TIME("100000000000000000000"), TIME_WRITTEN("1e+20"),
		    "or an integer beyond 64 bits" },
		{ TIME("9007199254740993"), TIME_WRITTEN("9007199254740992.0"),
		    "rounded once, to even" },
	};
	static const struct bad bad[] = {
		{ LEVEL("5.5"), "level: must be an integer", "a level has no fraction" },
		{ LEVEL("9223372036854775808"), "level: out of range",
		    "a level of 2^63 is refused" },
		{ LEVEL("-9223372036854775809"), "level: out of range", "so is one of -2^63 - 1" },
		{ LEVEL("9223372036854775808.0"), "level: out of range",
		    "either way it is written" },
		{ LEVEL("1e999"), "level: out of range", "as is what no double holds" },
		{ TIME("1e309"), "time: out of range", "a time that no double holds is refused" },
		{ TIME("-1e309"), "time: out of range", "so is one before all doubles" },
		{ TIME("NaN"), "not JSON: invalid token near 'NaN', at byte 22",
		    "NaN is no number" },
		{ TIME("Infinity"), "not JSON: invalid token near 'Infinity', at byte 27",
		    "nor infinity" },
		{ TIME("01"), "not JSON: invalid token near '0', at byte 20",
		    "nor one with a 0 before it" },
		{ TIME("+1"), "not JSON: invalid token near '+', at byte 20",
		    "nor one with a plus" },
		{ TIME("1."), "not JSON: invalid token near '1.', at byte 21",
		    "nor one that ends in a point" },
		{ TIME(".5"), "not JSON: invalid token near '.', at byte 20",
		    "nor one that begins with it" },
		{ TIME("0x10"), "not JSON: '}' expected near 'x', at byte 21",
		    "nor a hexadecimal one" },
	};
	char *line = malloc(3000000);
	int n;

	read_all(good, COUNT(good));
	refuse_all(bad, COUNT(bad));
	if (line == NULL)
		exit(1);
	n = sprintf(line, "{\"level\":30,\"time\":0.");
	memset(line + n, '0', 2000000);
	n += 2000000;
	n += sprintf(line + n, "15e2000001,\"sender\":\"s\",\"message\":\"m\"}");
	reads((struct str){ line, (size_t)n }, str_of(WRITTEN("")),
	    "a time may have two million digits");
	/* The first number makes jansson give up for its size; then looking for
	 * it again must not take the square of what follows. */
	n = sprintf(line, "{\"a\":1e999,\"b\":");
	memset(line + n, '1', 2000000);
	n += 2000000;
	line[n++] = '.';
	line[n++] = '}';
	refuses((struct str){ line, (size_t)n }, "not JSON: invalid token, at byte 2000016",
	    "a broken number of two million digits is refused at once");
	free(line);
}

/* ---- text --------------------------------------------------------------- */

#define MESSAGE(m) "{\"level\":30,\"time\":1.5,\"sender\":\"s\",\"message\":\"" m "\"}"
#define MESSAGE_WRITTEN(m) "{\"kind\":\"log\",\"watchdog\":\"local\"," \
	"\"level\":30,\"time\":1.5,\"sender\":\"s\",\"message\":\"" m "\"}\n"

static void
strings(void)
{
	static const struct good good[] = {
		{ MESSAGE(""), MESSAGE_WRITTEN(""), "a message may be empty" },
		{ MESSAGE("\\\"\\\\\\/\\b\\f\\n\\r\\t"),
		    MESSAGE_WRITTEN("\\\"\\\\/\\b\\f\\n\\r\\t"),
		    "every escape is undone, and made again where it must be" },
		{ MESSAGE("a\\u0000b"), MESSAGE_WRITTEN("a\\u0000b"), "U+0000 survives" },
		{ MESSAGE("\\u001F\\u007f\x7f"), MESSAGE_WRITTEN("\\u001f\x7f\x7f"),
		    "control characters are escaped, U+007F is not" },
		{ MESSAGE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
		    MESSAGE_WRITTEN("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
		    "UTF-8 comes out as it came in" },
		{ MESSAGE("\\u00e9\\u20AC\\ud83d\\uDE00"),
		    MESSAGE_WRITTEN("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
		    "escaped characters become UTF-8, pairs of surrogates one character" },
		{ MESSAGE("\xef\xbf\xbf\\uffff\\ufdd0"),
		    MESSAGE_WRITTEN("\xef\xbf\xbf\xef\xbf\xbf\xef\xb7\x90"),
		    "noncharacters are characters" },
		{ MESSAGE("\\\\ud800"), MESSAGE_WRITTEN("\\\\ud800"),
		    "an escaped backslash escapes nothing else" },
		{ MESSAGE("{\\\"level\\\":1}],"), MESSAGE_WRITTEN("{\\\"level\\\":1}],"),
		    "brackets, quotes and commas in a text are text" },
	};
	static const struct bad bad[] = {
		{ MESSAGE("\t"), "not JSON: control character 0x9 near '\"', at byte 47",
		    "a raw control character is refused" },
		{ MESSAGE("\n"), "not JSON: unexpected newline near '\"', at byte 47",
		    "so is a raw newline" },
		{ MESSAGE("\\x41"), "not JSON: invalid escape near '\"\\x', at byte 49",
		    "and another escape" },
		{ MESSAGE("\\u12g4"), "not JSON: invalid escape near '\"\\u12g', at byte 52",
		    "and four digits that are not" },
		{ MESSAGE("\\u123"), "not JSON: invalid escape near '\"\\u123\"', at byte 53",
		    "or not four" },
	};
	static const char zero[] = MESSAGE("a\0b"), outside[] = "{\"level\":30\0,\"time\":1.5}";

	read_all(good, COUNT(good));
	refuse_all(bad, COUNT(bad));
	refuses((struct str){ zero, sizeof(zero) - 1 }, "not JSON: a zero byte, at byte 49",
	    "a raw zero byte is refused");
	refuses((struct str){ outside, sizeof(outside) - 1 }, "not JSON: a zero byte, at byte 12",
	    "outside of strings too");
}

static void
utf8(void)
{
	static const struct { const char *bytes, *what; } bad[] = {
		{ "\x80", "a lone continuation byte" }, { "\xc0\xaf", "an overlong '/'" },
		{ "\xe0\x80\xaf", "an overlong '/' of three bytes" },
		{ "\xf0\x80\x80\xaf", "an overlong '/' of four bytes" },
		{ "\xed\xa0\x80", "an encoded surrogate" },
		    { "\xed\xa0\xbd\xed\xb8\x80", "a pair of them" },
		{ "\xf4\x90\x80\x80", "what is above U+10FFFF" }, { "\xff", "the byte FF" },
		{ "\xc3", "a character cut short" }, { "\xe2\x82", "one cut in its middle" },
		{ "\xf0\x9f\x98", "one cut before its end" },
	};
	char line[256], title[128];

	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(line, sizeof(line), MESSAGE("%s"), bad[i].bytes);
		snprintf(title, sizeof(title), "%s is refused", bad[i].what);
		refuses(str_of(line), "invalid UTF-8 at byte 48", title);
		snprintf(line, sizeof(line), LINE(",\"x%s\":1"), bad[i].bytes);
		snprintf(title, sizeof(title), "%s is refused in a member's name", bad[i].what);
		refuses(str_of(line), "invalid UTF-8 at byte 53", title);
	}
	/* Wherever the bad byte stands, and however the text around it lies. */
	for (size_t at = 0; at < 40; at++) {
		int n = snprintf(line, sizeof(line), MESSAGE("%40s"), "");
		line[47 + at] = '\xff';
		snprintf(title, sizeof(title), "invalid UTF-8 at byte %zu", 48 + at);
		refuses((struct str){ line, (size_t)n }, title, title);
	}
}

static void
surrogates(void)
{
	static const struct { const char *line, *written; unsigned replaced; } cases[] = {
		{ MESSAGE("\\ud800"), MESSAGE_WRITTEN("\xef\xbf\xbd"), 1 },
		{ MESSAGE("\\uDFFF!"), MESSAGE_WRITTEN("\xef\xbf\xbd!"), 1 },
		{ MESSAGE("\\ud800\\ud800\\udc00"), MESSAGE_WRITTEN("\xef\xbf\xbd\xf0\x90\x80\x80"),
		    1 },
		{ MESSAGE("\\udc00\\ud800"), MESSAGE_WRITTEN("\xef\xbf\xbd\xef\xbf\xbd"), 2 },
		{ MESSAGE("\\ud800\\u0041"), MESSAGE_WRITTEN("\xef\xbf\xbd" "A"), 1 },
		{ MESSAGE("\\ud83d\\ude00"), MESSAGE_WRITTEN("\xf0\x9f\x98\x80"), 0 },
		{ LINE(",\"x\":\"\\ud800\""), WRITTEN(",\"x\":\"\\ufffd\""), 1 },
		{ LINE(",\"\\udfff\":[\"\\ud800\"]"), WRITTEN(",\"\xef\xbf\xbd\":[\"\\ufffd\"]"),
		    2 },
	};
	uint64_t had;

	for (size_t i = 0; i < COUNT(cases); i++) {
		had = ndjson_replaced(reader);
		reads(str_of(cases[i].line), str_of(cases[i].written),
		    "a lone surrogate becomes U+FFFD");
		tap_ok(ndjson_replaced(reader) - had == 2 * cases[i].replaced,
		    "and is counted: %u in this line", cases[i].replaced);
	}
	had = ndjson_replaced(reader);
	refuses(str_of("{\"message\":\"\\ud800\"}"), "level: missing", "in a line that is refused");
	tap_ok(ndjson_replaced(reader) == had, "it does not count");
}

/* ---- members that are not ours ------------------------------------------ */

static void
extras(void)
{
	static const struct good good[] = {
		{ "{\"a\":1," PLAIN ",\"b\":\"x\"}", WRITTEN(",\"a\":1,\"b\":\"x\""),
		    "other members are kept, in their order" },
		{ LINE(",\"a\":true,\"b\":false,\"c\":null"),
		    WRITTEN(",\"a\":true,\"b\":false,\"c\":null"),
		    "words too" },
		{ LINE(",\"origin\":\"x\",\"ack\":{},\"Level\":1"),
		    WRITTEN(",\"origin\":\"x\",\"ack\":{},\"Level\":1"),
		    "none of them means anything" },
		{ LINE(",\"a\":1.0,\"b\":1E2,\"c\":0.1,\"d\":-0"),
		    WRITTEN(",\"a\":1.0,\"b\":1E2,\"c\":0.1,\"d\":-0"),
		    "a number in them is kept as it was written" },
		{ LINE(",\"a\":[1.0,1E2,0.1]"), WRITTEN(",\"a\":[1.0,1E2,0.1]"), "at any depth" },
		{ LINE(",\"a\":123456789012345678901234567890"),
		    WRITTEN(",\"a\":123456789012345678901234567890"),
		    "one beyond 64 bits too" },
		{ LINE(",\"a\":[-9223372036854775809,1e999]"),
		    WRITTEN(",\"a\":[-9223372036854775809,1e999]"),
		    "and one beyond all doubles" },
		{ LINE(",\"a\":\"\\u00e9\\/\""), WRITTEN(",\"a\":\"\\u00e9\\/\""), "so is a text" },
		{ LINE(",\"a\" : { \"b\" : [ 1 , \" x \" ] ,\n\"c\":{ } }"),
		    WRITTEN(",\"a\":{\"b\":[1,\" x \"],\"c\":{}}"),
		    "space between parts goes, newlines with it" },
		{ LINE(",\"a\":1,\"b\":2,\"a\":3"), WRITTEN(",\"a\":3,\"b\":2"),
		    "of a member given twice the last counts, in the first one's place" },
		{ LINE(",\"a\":1,\"\\u0061\":[2]"), WRITTEN(",\"a\":[2]"),
		    "written with an escape or not" },
		{ LINE(",\"a\":{\"x\":1,\"x\":2}"), WRITTEN(",\"a\":{\"x\":1,\"x\":2}"),
		    "but deeper down it is not ours to choose" },
		{ LINE(",\"\":1"), WRITTEN(",\"\":1"), "a name may be empty" },
		{ LINE(",\"\\\"\\n\\u00e9\xe2\x82\xac\":1"),
		    WRITTEN(",\"\\\"\\n\xc3\xa9\xe2\x82\xac\":1"), "or hold anything" },
		{ LINE(",\"level \":1,\"leve\":2,\"levels\":3"),
		    WRITTEN(",\"level \":1,\"leve\":2,\"levels\":3"),
		    "even almost a name of ours" },
		{ LINE(",\"a\":{}"), WRITTEN(",\"a\":{}"), "an empty object is one" },
		{ LINE(",\"source\":\"x\",\"seq\":1"), WRITTEN(""),
		    "source and seq are not among them" },
	};
	static const struct bad bad[] = {
		{ LINE(",\"\\u0000\":1"), "U+0000 in the name of a member, at byte 58",
		    "but U+0000, which is refused" },
		{ LINE(",\"a\":tru"), "not JSON: invalid token near 'tru', at byte 57",
		    "a wrong word is refused" },
		{ LINE(",\"a\":truex"), "not JSON: invalid token near 'truex', at byte 59",
		    "also if it begins well" },
		{ LINE(",\"a\":[1e999,01]"), "not JSON: invalid token near '0', at byte 62",
		    "a large number hides no fault behind it" },
		{ LINE(",\"a\":1e9999x"), "not JSON: '}' expected near 'x', at byte 61",
		    "nor right behind it" },
		{ LINE(",\"a\":[1}"), "not JSON: ']' expected near '}', at byte 57",
		    "brackets must match" },
		{ LINE(",\"a\""), "not JSON: ':' expected near '}', at byte 54",
		    "a name needs a value" },
	};

	read_all(good, COUNT(good));
	refuse_all(bad, COUNT(bad));
}

static void
many_extras(void)
{
	struct buf line = { 0 }, want = { 0 };
	char title[64];
	bool ok = true;

	for (int n = 1; n <= 1000; n *= 10) {
		line.len = want.len = 0;
		ok &= buf_printf(&line, "{" PLAIN) == 0 &&
		    buf_printf(&want, "{\"kind\":\"log\",\"watchdog\":\"local\"," PLAIN) == 0;
		for (int i = 0; i < n; i++)
			ok &= buf_printf(&line, ",\"member %d\": %d", i, i) == 0 &&
			    buf_printf(&want, ",\"member %d\":%d", i, i) == 0;
		ok &= buf_printf(&line, "}") == 0 && buf_printf(&want, "}\n") == 0;
		snprintf(title, sizeof(title), "there may be %d of them", n);
		reads((struct str){ line.data, line.len }, (struct str){ want.data, want.len },
		    title);
	}
	tap_ok(ok, "(there was memory for that)");
	buf_free(&line);
	buf_free(&want);
}

/* jansson counts values inside one another, the innermost and the line's object
 * among them. */
static void
depth(void)
{
	static const struct { int arrays; const char *inside; bool good; } cases[] = {
		{ 2, "", true }, { 100, "1", true }, { 2046, "1", true }, { 2047, "", true },
		{ 2047, "1", false }, { 2048, "", false }, { 100000, "", false },
	};
	static const char before[] = "{" PLAIN ",\"a\":";
	static const char written[] = "{\"kind\":\"log\",\"watchdog\":\"local\"," PLAIN ",\"a\":";
	struct buf value = { 0 }, line = { 0 }, want = { 0 };
	char title[64];
	bool ok = true;

	for (size_t i = 0; i < COUNT(cases); i++) {
		value.len = line.len = want.len = 0;
		for (int n = 0; n < cases[i].arrays; n++)
			ok &= buf_add(&value, "[", 1) == 0;
		ok &= buf_add_str(&value, str_of(cases[i].inside)) == 0;
		for (int n = 0; n < cases[i].arrays; n++)
			ok &= buf_add(&value, "]", 1) == 0;
		ok &= buf_add_str(&line, str_of(before)) == 0 &&
		    buf_add(&line, value.data, value.len) == 0 &&
		    buf_add(&line, "}", 1) == 0;
		ok &= buf_add_str(&want, str_of(written)) == 0 &&
		    buf_add(&want, value.data, value.len) == 0 && buf_add(&want, "}\n", 2) == 0;
		snprintf(title, sizeof(title), "%d arrays, %s in the last", cases[i].arrays,
		    cases[i].inside[0] == '\0' ? "nothing" : "a number");
		if (cases[i].good)
			reads((struct str){ line.data, line.len },
			    (struct str){ want.data, want.len }, title);
		else
			refuses((struct str){ line.data, line.len },
			    "nested too deeply, at byte 2102", title);
	}
	tap_ok(ok, "(there was memory for that)");
	buf_free(&value);
	buf_free(&line);
	buf_free(&want);
}

static void
long_line(void)
{
	size_t size = 10 << 20;
	struct buf line = { 0 }, want = { 0 };
	bool ok = buf_printf(&line,
	    "{\"level\":30,\"time\":1.5,\"sender\":\"s\",\"message\":\"\\u0041") == 0 &&
	    buf_printf(&want,
	    "{\"kind\":\"log\",\"watchdog\":\"local\",\"level\":30,\"time\":1.5,\"sender\":\"s\",\"message\":\"A") == 0 &&
	    buf_reserve(&line, size) == 0 && buf_reserve(&want, size) == 0;

	if (!tap_ok(ok, "there is memory for a line of 10 MiB"))
		return;
	memset(line.data + line.len, 'x', size);
	memset(want.data + want.len, 'x', size);
	line.len += size;
	want.len += size;
	ok = buf_printf(&line, "\"}") == 0 && buf_printf(&want, "\"}\n") == 0;
	reads((struct str){ line.data, line.len }, (struct str){ want.data, want.len },
	    "a line of 10 MiB is a line");
	line.data[line.len - 3] = '\xff';
	refuses((struct str){ line.data, line.len }, "invalid UTF-8 at byte 10485813",
	    "a bad byte is found at the end of one");
	line.data[line.len - 3] = '\x01';
	refuses((struct str){ line.data, line.len },
	    "not JSON: control character 0x1, at byte 10485812",
	    "and its error does not quote it");
	buf_free(&line);
	buf_free(&want);
}

/* The lines that the fast reader must take by itself: were it to hand them on,
 * nothing else would show it. */
static void
fast(void)
{
	static const char *const lines[] = {
		"{\"kind\":\"log\",\"watchdog\":\"0000000000000004\"," PLAIN "}",
		"{\"watchdog\": \"w\", \"level\": 30, \"time\": 1700000000.0935691, \"sender\": \"a b\", \"message\": \"\"}",
		LINE(",\"source\":\"run 1\",\"seq\":12"),
		    LINE(",\"a\":1e999,\"b\":\"\\n\",\"c\":null"),
		LINE(",\"a\":{\"b\": [1, {}, \"\\u00e9\"], \"c\": {\"d\": null}}"),
		LEVEL("5.0"), TIME("-1e308"),
		    MESSAGE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \\u00e9\\ud83d\\ude00\\\"\\u0000\\ud800"),
	};
	struct ndjson_defaults defaults = { .kind = RECORD_LOG, .watchdog = str_of("local") };
	struct scanner s = { 0 };
	struct ndjson_line l;

	for (size_t i = 0; i < COUNT(lines); i++)
		tap_ok(scan_line(&s, str_of(lines[i]), &defaults, &l), "%.60s... is read fast",
		    lines[i]);
	scan_free(&s);
}

int
main(void)
{
	reader = new_reader(RECORD_LOG, "local");
	shapes();
	missing();
	types();
	labels();
	numbers();
	strings();
	utf8();
	surrogates();
	extras();
	many_extras();
	depth();
	long_line();
	fast();
	ndjson_free(&reader);
	return tap_done();
}
