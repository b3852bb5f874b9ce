/* proto.h: what becomes of the records of an upload: lines, and what others are sent. */
#include <stdlib.h>

#include "ndjson.h"
#include "proto.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct proto *reader;
static struct buf out;

static const struct proto_labels bare = { .watchdog = { "w", 1 } };
static const struct proto_labels numbered = { .kind = RECORD_NOTIFICATION, .watchdog = { "w2", 2 },
	.source = { "w2/\"run\"", 8 }, .seq = 41, .origin = { "me", 2 } };

#define R(n) "{\"level\":" n ",\"time\":1.5,\"sender\":\"s\",\"message\":\"m\"}"
#define LINE(n, more) "{\"kind\":\"log\",\"watchdog\":\"w\",\"level\":" n \
	",\"time\":1.5,\"sender\":\"s\",\"message\":\"m\"" more "}\n"
#define NUMBERED(seq, n, more) "{\"source\":\"w2/\\\"run\\\"\",\"seq\":" seq "," \
	"\"kind\":\"notification\",\"watchdog\":\"w2\",\"level\":" n ",\"time\":1.5," \
	"\"sender\":\"s\",\"message\":\"m\"" more ",\"origin\":\"me\"}\n"
#define LOGS(list) "{\"action\":\"uploadLogs\",\"logs\":[" list "]}"
#define SINGLE(more) "{\"action\":\"uploadLogs\",\"level\":1,\"time\":1.5,\"sender\":\"s\"," \
	"\"message\":\"m\"" more "}"

static void
read_upload(const char *message, struct proto_request *r)
{
	struct error e;

	if (proto_read(reader, str_of(message), 0, r, &e) == -1) {
		printf("Bail out! %s: %s\n", message, e.text);
		exit(99);
	}
}

/* What is in `out`, as a string. */
static const char *
written(void)
{
	if (buf_add(&out, "", 1) == -1)
		exit(99);
	out.len--;
	return out.data;
}

static void
becomes(const char *message, const struct proto_labels *labels, size_t count, const char *lines)
{
	struct error e = { .text = "" };
	struct proto_request r;
	size_t got = 99;

	out.len = 0;
	read_upload(message, &r);
	if (!tap_ok(proto_lines(reader, &r, labels, 10, &out, &got, &e) == 0 && got == count,
	    "%s: %zu records", message, count))
		printf("# %zu, error: %s\n", got, e.text);
	tap_is(written(), lines, "these are the lines");
}

static void
fails(const char *message, const struct proto_labels *labels, size_t max, const char *why)
{
	struct error e = { .text = "" };
	struct proto_request r;
	size_t count;

	out.len = 0;
	buf_add_str(&out, str_of("kept"));
	read_upload(message, &r);
	tap_ok(proto_lines(reader, &r, labels, max, &out, &count, &e) == -1 &&
	    e.kind == ERROR_INVALID, "%.200s is refused", message);
	tap_is(e.text, why, why);
	tap_is(written(), "kept", "and leaves nothing");
}

/* ---- lines -------------------------------------------------------------- */

static void
lists(void)
{
	becomes(LOGS(""), &bare, 0, "");
	becomes(LOGS(" "), &numbered, 0, "");
	becomes(LOGS(R("1")), &bare, 1, LINE("1", ""));
	becomes(LOGS(" " R("1") " ,\n" R("2") "," R("3") "\t"), &bare, 3,
	    LINE("1", "") LINE("2", "") LINE("3", ""));
	becomes(LOGS(R("1") "," R("2")), &numbered, 2, NUMBERED("41", "1", "") NUMBERED("42", "2", ""));
	becomes("{\"action\":\"uploadLogs\",\"logs\":[7],\"level\":\"x\",\"logs\":[" R("1") "]}", &bare, 1,
	    LINE("1", ""));
	becomes(LOGS("{\"level\":1,\"time\":1.5,\"sender\":\"s\",\"message\":\"]},\\\"{[\\u0000\\ud800\"}"),
	    &bare, 1, "{\"kind\":\"log\",\"watchdog\":\"w\",\"level\":1,\"time\":1.5,\"sender\":\"s\","
	    "\"message\":\"]},\\\"{[\\u0000\xef\xbf\xbd\"}\n");
	becomes(LOGS("{\"message\":\"m\",\"sender\":\"s\",\"time\":15e-1,\"level\":1.0}"), &bare, 1,
	    LINE("1", ""));
	becomes(LOGS("{\"level\":1,\"time\":-1e308,\"sender\":\"s\",\"message\":\"m\"}"), &bare, 1,
	    "{\"kind\":\"log\",\"watchdog\":\"w\",\"level\":1,\"time\":-1e+308,\"sender\":\"s\","
	    "\"message\":\"m\"}\n");
}

/* Nobody forges a label, and all else is kept. */
static void
members(void)
{
#define AS(more) LOGS("{\"level\":1,\"time\":1.5,\"sender\":\"s\",\"message\":\"m\"" more "}")
	becomes(AS(",\"kind\":\"notification\",\"watchdog\":\"x\",\"source\":\"x\",\"seq\":1"), &bare, 1,
	    LINE("1", ""));
	becomes(AS(",\"seq\":[7],\"source\":null,\"watchdog\":\"no code\",\"k\\u0069nd\":{}"), &numbered, 1,
	    NUMBERED("41", "1", ""));
	becomes(AS(",\"id\":1,\"action\":2,\"success\":3,\"a\":[1, 2.50]"), &numbered, 1,
	    NUMBERED("41", "1", ",\"id\":1,\"action\":2,\"success\":3,\"a\":[1,2.50]"));
	becomes(AS(",\"origin\":\"you\",\"x\":1e999"), &numbered, 1,
	    NUMBERED("41", "1", ",\"origin\":\"you\",\"x\":1e999"));
	becomes(AS(",\"origin\":\"you\""), &bare, 1, LINE("1", ",\"origin\":\"you\""));
}

static void
singles(void)
{
	becomes(SINGLE(""), &bare, 1, LINE("1", ""));
	becomes(SINGLE(",\"id\":{\"a\":1},\"source\":\"s\",\"seq\":7,\"success\":true"), &numbered, 1,
	    NUMBERED("41", "1", ""));
	becomes(SINGLE(",\"kind\":7,\"watchdog\":\"x\""), &bare, 1, LINE("1", ""));
	becomes(SINGLE(",\"a\" : [ 1 , {} ], \"\\u0062\\n\":\"\\u00e9\",\"notifications\":7,\"token\":\"t\""),
	    &bare, 1, LINE("1", ",\"a\":[1,{}],\"b\\n\":\"\\u00e9\",\"notifications\":7,\"token\":\"t\""));
	becomes(SINGLE(",\"level\":2"), &bare, 1, LINE("2", ""));
	becomes(SINGLE(",\"\\u0061ction\":\"uploadLogs\",\"i\\u0064\":1"), &bare, 1, LINE("1", ""));
	fails("{\"action\":\"uploadLogs\",\"level\":1}", &bare, 1, "record 0: time: missing");
	fails(SINGLE(",\"level\":null"), &bare, 1, "record 0: level: must be an integer");
}

static void
faults(void)
{
	struct proto_labels last = numbered;

	fails(LOGS("{}"), &bare, 9, "record 0: level: missing");
	fails(LOGS(R("1") "," R("2") "," R("3") "," R("\"4\"")), &bare, 9,
	    "record 3: level: must be an integer");
	fails(LOGS(R("1") ",7"), &bare, 9, "record 1: not an object");
	fails(LOGS(R("1") ",[" R("2") "]," R("3")), &bare, 9, "record 1: not an object");
	fails(LOGS("null"), &numbered, 9, "record 0: not an object");
	fails(LOGS(R("9223372036854775808")), &bare, 9, "record 0: level: out of range");
	fails(LOGS("{\"level\":1,\"time\":1e999,\"sender\":\"s\",\"message\":\"m\"}"), &bare, 9,
	    "record 0: time: out of range");
	fails(LOGS("{\"level\":1,\"time\":\"now\",\"sender\":\"s\",\"message\":\"m\"}"), &bare, 9,
	    "record 0: time: must be a number");
	fails(LOGS("{\"level\":1,\"time\":1,\"sender\":null,\"message\":\"m\"}"), &bare, 9,
	    "record 0: sender: must be a string");
	fails(LOGS("{\"level\":1,\"time\":1,\"sender\":\"s\",\"message\":[\"m\"]}"), &bare, 9,
	    "record 0: message: must be a string");
	fails(LOGS(R("1") "," R("2") "," R("3")), &bare, 2, "more than 2 records");
	last.seq = INT64_MAX - 1;
	becomes(LOGS(R("1") "," R("2")), &last, 2,
	    NUMBERED("9223372036854775806", "1", "") NUMBERED("9223372036854775807", "2", ""));
	fails(LOGS(R("1") "," R("2") "," R("3")), &last, 9, "seq: out of range");
	last.seq = INT64_MAX;
	becomes(LOGS(""), &last, 0, "");
}

/* ---- what others are sent ----------------------------------------------- */

static void
forwards(const char *message, const char *want)
{
	struct proto_request r;
	struct error e;

	out.len = 0;
	read_upload(message, &r);
	tap_ok(proto_forward(reader, &r, &out, &e) == 0, "%s is forwarded", message);
	tap_is(written(), want, "like this");
}

#define UPLOAD(members) "{\"action\":\"uploadNotifications\"," members "}"

static void
forwarding(void)
{
	forwards(UPLOAD("\"notifications\":[" R("1") "]"),
	    UPLOAD("\"notifications\":[" R("1") "],\"success\":true"));
	forwards(UPLOAD("\"notifications\":[ ]"), UPLOAD("\"notifications\":[],\"success\":true"));
	forwards("{\"success\":\"no\",\"id\":1,\"source\":\"s\",\"seq\":7,\"notifications\":[{\"id\":1,\"seq\":2}],"
	    "\"action\":\"uploadNotifications\"}",
	    UPLOAD("\"notifications\":[{\"id\":1,\"seq\":2}],\"success\":true"));
	forwards(UPLOAD("\"a\" : [ 1, 2.50, \" x \\u00e9\\/\" ] ,\"notifications\": [ {\"level\" : 1} ],\"b\":{}"),
	    UPLOAD("\"notifications\":[{\"level\":1}],\"a\":[1,2.50,\" x \\u00e9\\/\"],\"b\":{},\"success\":true"));
	forwards(UPLOAD("\"notifications\":[1],\"notifications\":[2],\"level\":3,\"\\u0069d\":4"),
	    UPLOAD("\"notifications\":[2],\"level\":3,\"success\":true"));
	forwards(UPLOAD("\"notifications\":[{\"message\":\"]}\\\",{\"}]"),
	    UPLOAD("\"notifications\":[{\"message\":\"]}\\\",{\"}],\"success\":true"));
	forwards(UPLOAD("\"id\":1,\"level\":1,\"time\":1.50,\"sender\":\"s\",\"source\":\"x\",\"seq\":1,"
	    "\"message\":\"m\",\"success\":0,\"a\":[ ]"),
	    UPLOAD("\"notifications\":[{\"level\":1,\"time\":1.50,\"sender\":\"s\",\"message\":\"m\",\"a\":[]}],"
	    "\"success\":true"));
}

/* The lines are made of the same upload, before or behind. */
static void
both(void)
{
	struct proto_request r;
	struct error e;
	size_t count;

	read_upload(UPLOAD("\"notifications\":[" R("1") "],\"source\":\"\\u0061\",\"seq\":1"), &r);
	for (int i = 0; i < 2; i++) {
		out.len = 0;
		tap_ok(proto_forward(reader, &r, &out, &e) == 0, "it is forwarded");
		tap_is(written(), UPLOAD("\"notifications\":[" R("1") "],\"success\":true"), "as it is");
		out.len = 0;
		tap_ok(proto_lines(reader, &r, &numbered, 1, &out, &count, &e) == 0, "and is lines");
		tap_is(written(), NUMBERED("41", "1", ""), "as they are");
		tap_ok(str_equal(r.source, str_of("a")), "the request stays good");
	}
}

/* Records that come as lines from elsewhere. */
static void
regrouped(void)
{
	static const char line[] = "{\"kind\":\"notification\",\"watchdog\":\"w\",\"level\":1,\"time\":1.5,"
	    "\"sender\":\"s\",\"message\":\"m\",\"a\":1}";
	const struct ndjson_defaults defaults = { .watchdog = str_of("local") };
	struct ndjson_line l;
	struct ndjson *lines;
	struct error e;

	if ((lines = ndjson_new(&defaults, &e)) == NULL || ndjson_read(lines, str_of(line), &l, &e) == -1)
		exit(99);
	out.len = 0;
	tap_ok(proto_forward_begin(&out) == 0 && proto_forward_record(&out, &l.record, 0) == 0 &&
	    proto_forward_end(&out) == 0, "one record is forwarded");
	tap_is(written(), UPLOAD("\"notifications\":[{\"level\":1,\"time\":1.5,\"sender\":\"s\",\"message\":\"m\","
	    "\"a\":1}],\"success\":true"), "as if it had been uploaded here");
	out.len = 0;
	l.record.extra = (struct str){ NULL, 0 };
	tap_ok(proto_forward_begin(&out) == 0 && proto_forward_record(&out, &l.record, 0) == 0 &&
	    proto_forward_record(&out, &l.record, 1) == 0 && proto_forward_end(&out) == 0, "or two are");
	tap_is(written(), UPLOAD("\"notifications\":[" R("1") "," R("1") "],\"success\":true"), "in a list");
	ndjson_free(&lines);
}

static void
origins(void)
{
	static const struct { const char *extra, *origin, *rest; } cases[] = {
		{ "", NULL, "" },
		{ "{\"a\":1}", NULL, "{\"a\":1}" },
		{ "{\"origin\":\"me\"}", "me", "" },
		{ "{\"a\":[\"origin\"],\"origin\":\"me\"}", "me", "{\"a\":[\"origin\"]}" },
		{ "{\"origin\":\"m\\u0065\",\"b\":{\"origin\":1}}", "me", "{\"b\":{\"origin\":1}}" },
		{ "{\"origin\":\"you\",\"b\":2,\"origin\":\"me\"}", "me", "{\"b\":2}" },
		{ "{\"origin\":\"\\ud800\"}", NULL, "{\"origin\":\"\\ud800\"}" },
		{ "{\"origin\":7}", NULL, "{\"origin\":7}" },
		{ "{\"a\":\"x\\\",\\\"origin\\\":\\\"me\"}", NULL, "{\"a\":\"x\\\",\\\"origin\\\":\\\"me\"}" },
	};
	struct record r;
	struct str origin;
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		r.extra = str_of(cases[i].extra);
		tap_ok(proto_take_origin(reader, &r, &origin, &e) == 0 &&
		    str_equal(r.extra, str_of(cases[i].rest)) && (cases[i].origin == NULL ?
		    origin.data == NULL : str_equal(origin, str_of(cases[i].origin))),
		    "%s: the origin is taken out", cases[i].extra);
	}
}

int
main(void)
{
	struct error e;

	if ((reader = proto_new(&e)) == NULL) {
		printf("Bail out! %s\n", e.text);
		return 99;
	}
	lists();
	members();
	singles();
	faults();
	forwarding();
	both();
	regrouped();
	origins();
	proto_free(&reader);
	buf_free(&out);
	return tap_done();
}
