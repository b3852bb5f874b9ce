/* ndjson.h: the numbers that lines carry under the sink contract, and its answers. */
#include "ndjson.h"

#include <stdlib.h>
#include <string.h>

#include "ndjson_lines.h"

static struct ndjson *reader;

/* `source` NULL: the line is refused for `why`, or has none. */
static void
number(const char *line, const char *why, const char *source, int64_t seq, const char *title)
{
	struct ndjson_line l;
	struct error e;
	bool ok;

	for (size_t i = 0; i < COUNT(readers); i++) {
		memset(&l, 0xff, sizeof(l));
		e = (struct error){ .text = "" };
		ok = readers[i].read(reader, str_of(line), &l, &e) == (why == NULL ? 0 : -1);
		ok &= strcmp(e.text, why == NULL ? "" : why) == 0;
		ok &= source == NULL ? l.source.data == NULL :
		    l.source.data != NULL && str_equal(l.source, str_of(source)) && l.seq == seq;
		if (!tap_ok(ok, "%s%s", title, readers[i].name))
			printf("# error: %s, source: %.*s, seq: %lld\n", e.text, STR_ARGS(l.source),
			    (long long)l.seq);
	}
}

static void
numbered(void)
{
	static const struct { const char *line, *why,
	    *source; int64_t seq; const char *title; } cases[] = {
		{ LINE(""), NULL, NULL, 0, "a line need not be numbered" },
		{ LINE(",\"source\":\"run 1\",\"seq\":7"), NULL, "run 1", 7,
		    "source and seq number it" },
		{ LINE(",\"seq\":0,\"source\":\"\\u0061\""), NULL, "a", 0, "in any order, from 0" },
		{ LINE(",\"seq\":9223372036854775807,\"source\":\"a\""), NULL, "a", INT64_MAX,
		    "up to 2^63 - 1" },
		{ LINE(",\"seq\":7.0,\"source\":\"a\""), NULL, "a", 7, "a seq may be written 7.0" },
		{ LINE(",\"seq\":\"x\",\"source\":\"a\",\"seq\":7"), NULL, "a", 7,
		    "the last seq counts" },
		{ LINE(",\"seq\":7"), "source: missing beside seq", NULL, 0,
		    "a seq needs a source" },
		{ LINE(",\"source\":\"a\""), "seq: missing beside source", NULL, 0,
		    "a source needs a seq" },
		{ LINE(",\"source\":\"\",\"seq\":7"), "source: must have 1 to 255 bytes", NULL, 0,
		    "a source is not empty" },
		{ LINE(",\"source\":1,\"seq\":7"), "source: must be a string", NULL, 0,
		    "nor a number" },
		{ LINE(",\"source\":\"a\",\"seq\":-1"), "seq: must not be negative", NULL, 0,
		    "a seq is not negative" },
		{ LINE(",\"source\":\"a\",\"seq\":1.5"), "seq: must be an integer", NULL, 0,
		    "nor a fraction" },
		{ LINE(",\"source\":\"a\",\"seq\":9223372036854775808"), "seq: out of range", NULL,
		    0, "nor beyond 64 bits" },
		{ "{\"source\":\"a\",\"seq\":7}", "level: missing", "a", 7,
		    "a refused line keeps its number" },
		{ "{\"level\":\"x\",\"time\":1,\"sender\":\"\",\"message\":\"\",\"source\":\"a\",\"seq\":7}",
		    "level: must be an integer", "a", 7, "also behind its fault" },
		{ "{\"source\":\"a\",\"seq\":7,\"level\":}",
		    "not JSON: unexpected token near '}', at byte 31",
		    "a", 7, "one that is not JSON keeps what stood before the fault" },
		{ "{\"level\":,\"source\":\"a\",\"seq\":7}",
		    "not JSON: unexpected token near ',', at byte 10",
		    "a", 7, "sometimes more" },
		{ "{\"m\":\"\xff\",\"source\":\"a\",\"seq\":7}", "invalid UTF-8 at byte 7", "a", 7,
		    "bytes that are not UTF-8 hide nothing" },
		{ "{\"source\":\"\xff\",\"seq\":7}", "invalid UTF-8 at byte 12", NULL, 0,
		    "but in the source itself" },
		{ "\"source\":\"a\",\"seq\":7", "not JSON: more than one value, at byte 9", NULL, 0,
		    "outside of an object there is none" },
		{ "{\"x\":{\"source\":\"a\",\"seq\":7}}", "level: missing", NULL, 0,
		    "nor deeper down" },
	};
	char line[1024], name[257];

	for (size_t i = 0; i < COUNT(cases); i++)
		number(cases[i].line, cases[i].why, cases[i].source, cases[i].seq, cases[i].title);
	memset(name, 'x', sizeof(name));
	name[255] = '\0';
	snprintf(line, sizeof(line), LINE(",\"source\":\"%s\",\"seq\":1"), name);
	number(line, NULL, name, 1, "a source may have 255 bytes");
	snprintf(line, sizeof(line), LINE(",\"source\":\"%sx\",\"seq\":1"), name);
	number(line, "source: must have 1 to 255 bytes", NULL, 0, "but not 256");
}

static void
peeking(void)
{
	static const struct { const char *line,
	    *source; int64_t seq; const char *title; } cases[] = {
		{ "{\"source\":\"a\",\"seq\":7,\"message\":\"cut h", "a", 7,
		    "of a line cut short, its number can be read" },
		{ "{\"seq\":7,\"source\":\"\\u0061\",\"mess", "a", 7, "wherever it is cut" },
		{ "{\"x\":[{\"]\":\"\\\"}\"}],\"source\":\"a\",\"seq\":7,", "a", 7,
		    "other values are stepped over" },
		{ "{\"source\":\"a\",\"seq\":7", NULL, 0, "but digits at the cut may not be all" },
		{ "{\"source\":\"a\",\"seq\":7}", "a", 7, "a whole object is as good" },
		{ "{\"source\":\"abc", NULL, 0, "nor may a text" },
		{ "{\"source\":\"abc\"", NULL, 0, "a source alone says nothing" },
		{ "{\"message\":\"long", NULL, 0, "what is not there is not found" },
		{ "", NULL, 0, "nor in nothing" },
	};
	struct ndjson_line l;

	for (size_t i = 0; i < COUNT(cases); i++) {
		char *copy = exact(str_of(cases[i].line));
		memset(&l, 0xff, sizeof(l));
		ndjson_peek(reader, (struct str){ copy, strlen(cases[i].line) }, &l);
		tap_ok(cases[i].source == NULL ? l.source.data == NULL :
		    str_equal(l.source, str_of(cases[i].source)) && l.seq == cases[i].seq,
		    "%s", cases[i].title);
		free(copy);
	}
}

static void
labelled(void)
{
	static const struct { const char *source; int64_t seq; const char *origin, *written; } cases[] = {
		{ NULL, 0, NULL, WRITTEN(",\"a\":1") },
		{ "run \"1\"", 7, NULL,
		    "{\"source\":\"run \\\"1\\\"\",\"seq\":7,\"kind\":\"log\",\"watchdog\":\"local\"," PLAIN
		    ",\"a\":1}\n" },
		{ NULL, 0, "me", WRITTEN(",\"a\":1,\"origin\":\"me\"") },
		{ "", INT64_MAX, "",
		    "{\"source\":\"\",\"seq\":9223372036854775807,\"kind\":\"log\",\"watchdog\":\"local\","
		    PLAIN ",\"a\":1,\"origin\":\"\"}\n" },
	};
	struct ndjson_line l;
	struct buf b = { 0 };
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str origin = { NULL, 0 };
		if (cases[i].origin != NULL)
			origin = str_of(cases[i].origin);
		b.len = 0;
		tap_ok(ndjson_read(reader, str_of(LINE(",\"a\":1")), &l, &e) == 0, "a record is read");
		if (cases[i].source != NULL)
			l.source = str_of(cases[i].source);
		l.seq = cases[i].seq;
		tap_ok(ndjson_write_line(&b, &l, origin) == 0 && buf_add(&b, "", 1) == 0,
		    "and written with more around it");
		tap_is(b.data, cases[i].written, "the number in front, the origin behind");
	}
	b.len = 0;
	tap_ok(ndjson_write_members(&b, &l.record, false) == 0 && buf_add(&b, "", 1) == 0 &&
	    strcmp(b.data, PLAIN ",\"a\":1") == 0, "its members can be written alone");
	buf_free(&b);
}

#define KIND "\"kind\":\"log\",\"watchdog\":\"w\","
#define RENUMBERED "{\"source\":\"k/a\",\"seq\":8,"

static void
renumbered(void)
{
	static const struct { const char *line, *written, *title; } cases[] = {
		{ "{\"source\":\"a\",\"seq\":7," KIND PLAIN ",\"x\": 1.50}",
		    RENUMBERED KIND PLAIN ",\"x\": 1.50}\n", "a line gets another number, and stays as it was" },
		{ "{ \"seq\" : 7 , \"source\" : \"a\" , " PLAIN " , " KIND "\"x\":1 } ",
		    RENUMBERED " " PLAIN " , " KIND "\"x\":1 }\n", "its spaces and order, too" },
		{ "{" KIND PLAIN "}", RENUMBERED KIND PLAIN "}\n", "one that had none gets one" },
		{ "{" KIND "\"source\":\"a\",\"seq\":7," PLAIN "}", RENUMBERED KIND PLAIN "}\n",
		    "a number that stands elsewhere goes" },
		{ "{\"source\":\"a\",\"seq\":7," KIND PLAIN ",\"source\":\"b\"}",
		    RENUMBERED KIND PLAIN "}\n", "nor is one left that would count in its place" },
		{ "{\"source\":\"a\",\"seq\":7," KIND PLAIN ",\"s\\u006furce\":\"b\"}",
		    RENUMBERED KIND PLAIN "}\n", "however its name is written" },
		{ "{\"source\":\"a\",\"x\":{},\"seq\":7," KIND PLAIN "}",
		    RENUMBERED KIND PLAIN ",\"x\":{}}\n", "what stands within it does not" },
		{ "{\"source\":\"a\",\"seq\":7," PLAIN "}",
		    RENUMBERED "\"kind\":\"log\",\"watchdog\":\"local\"," PLAIN "}\n",
		    "labels that it lacks are the reader's" },
	};
	struct ndjson_line l;
	struct buf b = { 0 };
	struct error e;

	for (size_t i = 0; i < COUNT(readers); i++) {
		for (size_t k = 0; k < COUNT(cases); k++) {
			b.len = 0;
			tap_ok(readers[i].read(reader, str_of(cases[k].line), &l, &e) == 0, "a line is read");
			l.source = str_of("k/a");
			l.seq = 8;
			tap_ok(ndjson_renumber(&b, &l) == 0 && buf_add(&b, "", 1) == 0, "and renumbered");
			if (i == 0)
				tap_is(b.data, cases[k].written, cases[k].title);
			else
				tap_ok(strncmp(b.data, RENUMBERED, strlen(RENUMBERED)) == 0,
				    "%s, slowly", cases[k].title);
		}
	}
	buf_free(&b);
}

#define BEGIN "{\"source\":\"a"
#define HEAD BEGIN "\",\"seq\":7," KIND

/* Is a line seen at a glance that has `tail` so many bytes further on? */
static bool
glances_at(int pad, const char *tail)
{
	struct ndjson_line l;
	struct str behind;
	char line[200];
	char *copy;
	bool taken;

	snprintf(line, sizeof(line), HEAD "%*s%s", pad, "", tail);
	copy = exact(str_of(line));
	taken = ndjson_glance((struct str){ copy, strlen(line) }, &l, &behind);
	free(copy);
	return taken;
}

static void
glances(void)
{
	static const struct { const char *line; bool taken; const char *title; } cases[] = {
		{ HEAD PLAIN "}", true, "the number of a line as the tools write it is seen at a glance" },
		{ HEAD "\"message\":\"say \\\"seq\\\"\\n\"", true, "whatever else may be in it" },
		{ HEAD, true, "or not" },
		{ HEAD PLAIN ",\"seq\":8}", false, "but there must not be another" },
		{ HEAD "\"x\":1,\"source\":\"b\"," PLAIN "}", false, "wherever it stands" },
		{ HEAD "\"x\":1,\"s\\u006furce\":\"b\"," PLAIN "}", false, "however it is written" },
		{ HEAD "\"x\":\"\\u006f\"," PLAIN "}", false, "or might be" },
		{ HEAD PLAIN ",\"123456\":\"\\", false, "or would be if it went on" },
		{ "{\"source\":\"a\",\"seq\":7," PLAIN "}", false, "nor may labels be missing" },
		{ "{\"source\":\"\",\"seq\":7," KIND PLAIN "}", false, "nor the source be empty" },
		{ "{\"source\":\"\xc3\xa9\",\"seq\":7," KIND PLAIN "}", false, "nor hard to read" },
		{ "{\"source\":\"a\",\"seq\":07," KIND PLAIN "}", false, "nor the number" },
		{ "{\"source\":\"a\",\"seq\":1234567890123456789," KIND PLAIN "}", false, "nor be so large" },
		{ "{\"source\":\"a\",\"seq\":7.0," KIND PLAIN "}", false, "nor be one only by its value" },
	};
	struct ndjson_line l;
	struct str behind;
	struct buf b = { 0 };
	int hidden = 0;

	for (size_t i = 0; i < COUNT(cases); i++) {
		char *copy = exact(str_of(cases[i].line));
		bool taken = ndjson_glance((struct str){ copy, strlen(cases[i].line) }, &l, &behind);
		tap_ok(taken == cases[i].taken && (!taken || (str_equal(l.source, str_of("a")) &&
		    l.seq == 7 && str_equal(behind, str_of(cases[i].line + strlen(BEGIN))))),
		    "%s", cases[i].title);
		free(copy);
	}
	for (int pad = 0; pad < 40; pad++)
		hidden += glances_at(pad, ",\"seq\":8}") + glances_at(pad, "\\u") + glances_at(pad, "\\");
	tap_ok(hidden == 0, "at no place is another number overlooked");
	tap_ok(ndjson_write_begin(&b, str_of("a")) == 0 && buf_add(&b, "", 1) == 0 &&
	    strcmp(b.data, BEGIN) == 0, "what stands before that is written for any source");
	buf_free(&b);
}

static void
answers(void)
{
	static const struct { const char *line, *why; } bad[] = {
		{ "{}", "neither ack nor reject" },
		{ "[]", "not an object" },
		{ "{\"ack\":1}", "ack: source: must be a string of 1 to 255 bytes" },
		{ "{\"ack\":{\"source\":\"\",\"seq\":1}}",
		    "ack: source: must be a string of 1 to 255 bytes" },
		{ "{\"ack\":{\"source\":\"a\"}}", "ack: seq: must be an integer, not negative" },
		{ "{\"ack\":{\"source\":\"a\",\"seq\":-1}}",
		    "ack: seq: must be an integer, not negative" },
		{ "{\"reject\":{\"source\":\"a\",\"seq\":\"1\",\"reason\":\"\"}}",
		    "reject: seq: must be an integer, not negative" },
		{ "{\"reject\":{\"source\":\"a\",\"seq\":1}}", "reject: reason: must be a string" },
		{ "{\"ack\":", "not JSON: the line ends too early" },
	};
	struct ndjson_answer a;
	struct buf b = { 0 };
	struct error e;

	tap_ok(ndjson_write_ack(&b, str_of("run \"1\""), 12) == 0 && buf_add(&b, "", 1) == 0,
	    "an ack is written");
	tap_is(b.data, "{\"ack\":{\"source\":\"run \\\"1\\\"\",\"seq\":12}}\n",
	    "as the contract has it");
	tap_ok(ndjson_read_answer(reader, (struct str){ b.data, b.len - 2 }, &a, &e) == 0 &&
	    a.type == NDJSON_ACK &&
	    str_equal(a.source, str_of("run \"1\"")) && a.seq == 12 && a.reason.data == NULL,
	    "and read");
	b.len = 0;
	tap_ok(ndjson_write_reject(&b, str_of("r"), INT64_MAX, "level: \"x\"") == 0 &&
	    buf_add(&b, "", 1) == 0,
	    "a reject is written");
	tap_is(b.data,
	    "{\"reject\":{\"source\":\"r\",\"seq\":9223372036854775807,\"reason\":\"level: \\\"x\\\"\"}}\n",
	    "with its reason");
	tap_ok(ndjson_read_answer(reader, (struct str){ b.data, b.len - 2 }, &a, &e) == 0 &&
	    a.type == NDJSON_REJECT && str_equal(a.source, str_of("r")) && a.seq == INT64_MAX &&
	    str_equal(a.reason, str_of("level: \"x\"")), "and read");
	for (size_t i = 0; i < COUNT(bad); i++) {
		e = (struct error){ .text = "" };
		tap_ok(ndjson_read_answer(reader, str_of(bad[i].line), &a, &e) == -1 &&
		    e.kind == ERROR_INVALID, "%s is no answer", bad[i].line);
		tap_is(e.text, bad[i].why, bad[i].why);
	}
	buf_free(&b);
}

int
main(void)
{
	reader = new_reader(RECORD_LOG, "local");
	numbered();
	peeking();
	labelled();
	renumbered();
	glances();
	answers();
	ndjson_free(&reader);
	return tap_done();
}
