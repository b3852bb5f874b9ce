/* proto.h: what is read out of a message, and what is said of one that is wrong. */
#include "proto.h"

#include <math.h>
#include <stdlib.h>

#include "proto_reader.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW 1000.0

static struct proto *reader;

/* ---- a request as text: all that is not as it would be without a word ---- */

static char shown[4096];
static size_t shown_len;

__attribute__((format(printf, 1, 2))) static void
add(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	shown_len += (size_t)vsnprintf(shown + shown_len, sizeof(shown) - shown_len, fmt, ap);
	va_end(ap);
}

static void
show_part(const char *name, struct str value)
{
	if (value.data != NULL)
		add(" %s=%.*s", name, STR_ARGS(value));
}

static void
show_read(const struct proto_read *q)
{
	static const char *const kinds[] = { "nothing", "log", "notification", "all" };
	static const char *const shapes[] = { [PROTO_LOG_ROWS] = "rows", [PROTO_NOTIFICATION_ROWS] =
		"rows with time", [PROTO_OBJECTS] = "objects", [PROTO_OBJECTS_CURSORS] =
		"objects with cursors", [PROTO_NEWS] = "news" };
	char cursor[CURSOR_TEXT_SIZE];

	add(" %s by %s%s, %s", kinds[q->kinds], q->order == QUERY_BY_TIME ? "time" : "arrival",
	    q->reverse ? " reversed" : "", shapes[q->shape]);
	for (size_t i = 0; i < q->sender_count; i++)
		show_part("sender", q->senders[i]);
	if (q->level_max != INT64_MAX)
		add(" level=%lld", (long long)q->level_max);
	if (q->level_min != INT64_MIN)
		add(" level_min=%lld", (long long)q->level_min);
	if (q->since != -INFINITY)
		add(" since=%.17g", q->since);
	if (q->until != INFINITY)
		add(" until=%.17g", q->until);
	show_part("text", q->text);
	if (q->has_cursor) {
		cursor_format(&q->cursor, cursor);
		add(" cursor=%s", cursor);
	}
	if (q->limit != SIZE_MAX)
		add(" limit=%zu", q->limit);
	add("%s", q->has_window ? " window" : "");
}

static const char *
show(const struct proto_request *r)
{
	shown_len = 0;
	add("%.*s", STR_ARGS(r->name));
	if (r->action == PROTO_UNKNOWN)
		add(" (unknown)");
	show_part("id", r->id);
	show_part("token", r->token);
	show_part("records", r->records);
	show_part("source", r->source);
	if (r->source.data != NULL)
		add(" seq=%lld", (long long)r->seq);
	if (r->read.kinds != 0)
		show_read(&r->read);
	return shown;
}

/* ---- the tests' words --------------------------------------------------- */

/* The message is read, and this is what it says; or it is not, and this is why. */
struct expect {
	const char *message, *says;
};

static void
reads(const char *message, const char *says)
{
	struct error e = { .text = "" };
	struct proto_request r;

	if (tap_ok(proto_read(reader, str_of(message), NOW, &r, &e) == 0, "%s is read", message))
		tap_is(show(&r), says, says);
	else
		printf("# error: %s\n", e.text);
}

static void
read_all(const struct expect *c, size_t n)
{
	for (; n > 0; n--, c++)
		reads(c->message, c->says);
}

static void
refuses(const char *message, const char *why)
{
	struct error e = { .text = "" };
	struct proto_request r;

	tap_ok(proto_read(reader, str_of(message), NOW, &r, &e) == -1 && e.kind == ERROR_INVALID,
	    "%.200s is refused", message);
	tap_is(e.text, why, why);
}

static void
refuse_all(const struct expect *c, size_t n)
{
	for (; n > 0; n--, c++)
		refuses(c->message, c->says);
}

/* ---- messages ----------------------------------------------------------- */

static void
actions(void)
{
	static const struct expect good[] = {
		{ "{\"action\":\"ping\"}", "ping" },
		{ " \n{ \"x\" : [ { } ] , \"action\" : \"keepalive\" }\t", "keepalive" },
		{ "{\"action\":\"disconnect\",\"id\":7}", "disconnect id=7" },
		{ "{\"action\":\"unsubscribe\",\"id\":{\"a\": [1,\"\\u0041\"]}}",
		    "unsubscribe id={\"a\": [1,\"\\u0041\"]}" },
		{ "{\"id\":null,\"action\":\"p\\u0069ng\"}", "ping id=null" },
		{ "{\"action\":\"ping\",\"\\u0069d\":1,\"id\":2}", "ping id=2" },
		{ "{\"action\":7,\"action\":\"ping\"}", "ping" },
		{ "{\"action\":\"Ping\"}", "Ping (unknown)" },
		{ "{\"action\":\"\"}", " (unknown)" },
		{ "{\"action\":\"a\\\"\\u00e9\",\"logs\":7,\"limit\":\"x\"}", "a\"\xc3\xa9 (unknown)" },
		{ "{\"action\":\"records\"}", "records (unknown)" },
	};
	static const struct expect bad[] = {
		{ "", "not valid JSON" }, { "{", "not valid JSON" }, { "{\"action\":\"ping\"", "not valid JSON" },
		{ "{\"action\":\"ping\",}", "not valid JSON" }, { "{'action':'ping'}", "not valid JSON" },
		{ "{\"action\":\"ping\"}{}", "not one JSON value" },
		{ "[{\"action\":\"ping\"}]", "not an object" }, { "\"ping\"", "not an object" },
		{ "null", "not an object" },
		{ "{}", "action: missing" }, { "{\"Action\":\"ping\"}", "action: missing" },
		{ "{\"x\":{\"action\":\"ping\"}}", "action: missing" },
		{ "{\"action\":null}", "action: must be a string" },
		{ "{\"action\":[\"ping\"]}", "action: must be a string" },
		{ "{\"action\":\"\\ud800\"}", "action: must be a string" },
		{ "{\"action\":\"ping\",\"x\":\"\xff\"}", "not valid JSON" },
		{ "{\"action\":\"ping\",\"\xc3\":1}", "not valid JSON" },
	};

	read_all(good, COUNT(good));
	refuse_all(bad, COUNT(bad));
	tap_is(proto_action_name(PROTO_UPLOAD_NOTIFICATIONS), "uploadNotifications", "an action has a name");
	tap_is(proto_action_name(PROTO_UNKNOWN), "", "the unknown one has none");
}

/* Nested as deeply as may be, and deeper. */
static void
depth(void)
{
	static char message[8192];

	for (size_t deep = 2047; deep <= 2048; deep++) {
		char *p = message + sprintf(message, "{\"action\":\"ping\",\"x\":");
		memset(p, '[', deep);
		memset(p + deep, ']', deep);
		strcpy(p + 2 * deep, "}");
		if (deep == 2047)
			reads(message, "ping");
		else
			refuses(message, "not valid JSON");
	}
}

/* What a refused message gives away of itself. */
static void
faults(void)
{
	static const struct { const char *message, *says; } cases[] = {
		{ "{\"id\":1,\"action\":\"getLogs\"}", "getLogs id=1" },
		{ "{\"id\":[2],\"action\":\"uploadLogs\",\"logs\":7}", "uploadLogs id=[2]" },
		{ "{\"id\":3,\"action\":\"\\ud800\"}", " (unknown) id=3" },
		{ "{\"id\":4}", " (unknown) id=4" },
		{ "{\"id\":5,", " (unknown)" },
	};
	struct proto_request r;

	for (size_t i = 0; i < COUNT(cases); i++) {
		tap_ok(proto_read(reader, str_of(cases[i].message), NOW, &r, NULL) == -1, "%s",
		    cases[i].message);
		r = (struct proto_request){ .action = r.action, .name = r.name, .id = r.id };
		tap_is(show(&r), cases[i].says, "is known as far as it could be read");
	}
}

static void
auth(void)
{
	static const struct expect good[] = {
		{ "{\"action\":\"auth\",\"token\":{\"code\":\"a\\/b\", \"id\":1}}",
		    "auth token={\"code\":\"a\\/b\", \"id\":1}" },
		{ "{\"token\":\"secret\",\"id\":1,\"action\":\"auth\"}", "auth id=1 token=\"secret\"" },
		{ "{\"action\":\"auth\",\"token\":null}", "auth token=null" },
		{ "{\"action\":\"auth\"}", "auth" },
		{ "{\"action\":\"ping\",\"token\":\"x\"}", "ping" },
	};

	read_all(good, COUNT(good));
}

/* Nothing of a token, whose escapes had to be undone, is left behind. */
static void
secrets(void)
{
	static const char *const messages[] = {
		"{\"action\":\"auth\",\"token\":\"s\\u0065cret\"}",
		"{\"action\":\"\\u0061uth\",\"token\":{\"code\":\"s\\u0065cret\"}}",
		"{\"token\":\"s\\u0065cret\",\"action\":\"auth\"",
		"{\"token\":\"s\\u0065cret\"}",
	};
	struct proto_request r;

	for (size_t i = 0; i < COUNT(messages); i++) {
		const struct buf *b = &reader->json.scan.text;
		proto_read(reader, str_of(messages[i]), NOW, &r, NULL);
		tap_ok(b->cap >= strlen(messages[i]) &&
		    memmem(b->data, strlen(messages[i]), "cret", 4) == NULL, "%s is forgotten",
		    messages[i]);
	}
}

/* ---- uploads ------------------------------------------------------------ */

#define NUMBERED(more) "{\"action\":\"uploadLogs\",\"logs\":[]" more "}"

static void
uploads(void)
{
	static const struct expect good[] = {
		{ "{\"action\":\"uploadLogs\",\"logs\":[]}", "uploadLogs records=[]" },
		{ "{\"action\":\"uploadLogs\",\"logs\": [ 1, {\"a\":\"]\"} ] }",
		    "uploadLogs records=[ 1, {\"a\":\"]\"} ]" },
		{ "{\"action\":\"uploadNotifications\",\"logs\":7,\"notifications\":[{}]}",
		    "uploadNotifications records=[{}]" },
		{ "{\"action\":\"uploadLogs\",\"logs\":7,\"logs\":[7]}", "uploadLogs records=[7]" },
		{ "{\"action\":\"uploadLogs\",\"logs\":[],\"level\":\"x\"}", "uploadLogs records=[]" },
		{ "{\"action\":\"uploadLogs\",\"level\":\"x\"}", "uploadLogs" },
		{ "{\"action\":\"uploadLogs\",\"time\":null}", "uploadLogs" },
		{ "{\"action\":\"uploadLogs\",\"sender\":\"\"}", "uploadLogs" },
		{ "{\"action\":\"uploadNotifications\",\"message\":\"\"}", "uploadNotifications" },
		{ NUMBERED(",\"source\":\"s\",\"seq\":0"), "uploadLogs records=[] source=s seq=0" },
		{ NUMBERED(",\"seq\":9223372036854775807,\"source\":\"\\u00e9\\\"\""),
		    "uploadLogs records=[] source=\xc3\xa9\" seq=9223372036854775807" },
		{ NUMBERED(",\"seq\":5.0,\"source\":\"s\""), "uploadLogs records=[] source=s seq=5" },
		{ NUMBERED(",\"seq\":null,\"source\":null"), "uploadLogs records=[]" },
	};
	static const struct expect bad[] = {
		{ "{\"action\":\"uploadLogs\"}", "Please submit logs as list of length >= 1" },
		{ "{\"action\":\"uploadLogs\",\"logs\":null}", "Please submit logs as list of length >= 1" },
		{ "{\"action\":\"uploadLogs\",\"logs\":{},\"level\":1}",
		    "Please submit logs as list of length >= 1" },
		{ "{\"action\":\"uploadLogs\",\"logs\":\"[]\"}", "Please submit logs as list of length >= 1" },
		{ "{\"action\":\"uploadLogs\",\"notifications\":[]}",
		    "Please submit logs as list of length >= 1" },
		{ "{\"action\":\"uploadNotifications\",\"notifications\":7}",
		    "Please submit notifications as list of length >= 1" },
		{ "{\"action\":\"uploadNotifications\",\"kind\":\"log\",\"source\":\"s\",\"seq\":1}",
		    "Please submit notifications as list of length >= 1" },
		{ NUMBERED(",\"seq\":1"), "source: missing beside seq" },
		{ NUMBERED(",\"seq\":1,\"source\":null"), "source: missing beside seq" },
		{ NUMBERED(",\"source\":\"s\""), "seq: missing beside source" },
		{ NUMBERED(",\"source\":\"\",\"seq\":1"), "source: must be a string of 1 to 64 characters" },
		{ NUMBERED(",\"source\":7,\"seq\":1"), "source: must be a string of 1 to 64 characters" },
		{ NUMBERED(",\"source\":\"\\udc00\",\"seq\":1"),
		    "source: must be a string of 1 to 64 characters" },
		{ NUMBERED(",\"source\":\"s\",\"seq\":-1"), "seq: must be an integer, not negative" },
		{ NUMBERED(",\"source\":\"s\",\"seq\":0.5"), "seq: must be an integer, not negative" },
		{ NUMBERED(",\"source\":\"s\",\"seq\":\"1\""), "seq: must be an integer, not negative" },
		{ NUMBERED(",\"source\":\"s\",\"seq\":9223372036854775808"),
		    "seq: must be an integer, not negative" },
	};
	char source[200] = "", message[512], says[512];

	read_all(good, COUNT(good));
	refuse_all(bad, COUNT(bad));
	for (int i = 0; i < PROTO_SOURCE_MAX; i++)
		strcat(source, i % 2 == 0 ? "x" : "\xe2\x82\xac");
	snprintf(message, sizeof(message), NUMBERED(",\"source\":\"%s\",\"seq\":1"), source);
	snprintf(says, sizeof(says), "uploadLogs records=[] source=%s seq=1", source);
	reads(message, says);
	snprintf(message, sizeof(message), NUMBERED(",\"source\":\"%sx\",\"seq\":1"), source);
	refuses(message, "source: must be a string of 1 to 64 characters");
}

/* ---- questions ---------------------------------------------------------- */

#define CURSOR "c1;t=41d9cf2e8c07e6b7;a=000000000000002a;s=00000000000000ff"
#define LOGS(more) "{\"action\":\"getLogs\",\"since\":1" more "}"
#define LOGS_SAYS(more) "getLogs log by time reversed, rows" more
#define RECORDS(more) "{\"action\":\"getRecords\"" more "}"
#define SUBSCRIBE(more) "{\"action\":\"subscribe\"" more "}"

static void
rows(void)
{
	static const struct expect good[] = {
		{ LOGS(""), LOGS_SAYS(" since=1 window") },
		{ "{\"action\":\"getNotifications\",\"until\":5,\"id\":\"x\"}",
		    "getNotifications id=\"x\" notification by time reversed, rows with time until=5 window" },
		{ "{\"action\":\"getLogs\",\"cursor\":\"" CURSOR "\"}", LOGS_SAYS(" cursor=" CURSOR) },
		{ LOGS(",\"records\":true"), "getLogs log by time reversed, objects since=1 window" },
		{ LOGS(",\"records\":false"), LOGS_SAYS(" since=1 window") },
		{ LOGS(",\"cursors\":true"),
		    "getLogs log by time reversed, objects with cursors since=1 window" },
		{ LOGS(",\"cursors\":true,\"records\":false"),
		    "getLogs log by time reversed, objects with cursors since=1 window" },
		{ LOGS(",\"cursors\":false,\"records\":true"),
		    "getLogs log by time reversed, objects since=1 window" },
		{ "{\"action\":\"getNotifications\",\"since\":1,\"records\":true}",
		    "getNotifications notification by time reversed, objects since=1 window" },
		/* What is for others means nothing here. */
		{ LOGS(",\"kind\":7,\"order\":7,\"reverse\":7,\"message\":7,\"seq\":7,\"token\":7"),
		    LOGS_SAYS(" since=1 window") },
	};
	static const struct expect bad[] = {
		{ "{\"action\":\"getLogs\"}", "timewindow: missing" },
		{ "{\"action\":\"getNotifications\",\"sender\":\"s\",\"limit\":1}", "timewindow: missing" },
		{ "{\"action\":\"getLogs\",\"timewindow\":null}", "timewindow: missing" },
		{ "{\"action\":\"getLogs\",\"since\":null,\"until\":null,\"cursor\":null}",
		    "timewindow: missing" },
		{ "{\"action\":\"getLogs\",\"timewindow\":\"60\"}", "timewindow: must be a number" },
		{ "{\"action\":\"getNotifications\",\"timewindow\":true}", "timewindow: must be a number" },
		{ "{\"action\":\"getLogs\",\"timewindow\":[60]}", "timewindow: must be a number" },
		{ "{\"action\":\"getLogs\",\"timewindow\":\"x\",\"since\":1}", "timewindow: must be a number" },
		{ LOGS(",\"records\":1"), "records: must be true or false" },
		{ LOGS(",\"records\":\"true\""), "records: must be true or false" },
		{ LOGS(",\"cursors\":[]"), "cursors: must be true or false" },
	};

	read_all(good, COUNT(good));
	refuse_all(bad, COUNT(bad));
}

static void
filters(void)
{
	static const struct expect good[] = {
		{ LOGS(",\"sender\":\"B\\u00fcro\""), LOGS_SAYS(" sender=B\xc3\xbcro since=1 window") },
		{ LOGS(",\"sender\":\"\""), LOGS_SAYS(" sender= since=1 window") },
		{ LOGS(",\"sender\":null"), LOGS_SAYS(" since=1 window") },
		{ LOGS(",\"sender\":[ \"a\" , \"\\\"b,\" ]"),
		    LOGS_SAYS(" sender=a sender=\"b, since=1 window") },
		{ LOGS(",\"level\":10"), LOGS_SAYS(" level=10 since=1 window") },
		{ LOGS(",\"level\":-9223372036854775808"),
		    LOGS_SAYS(" level=-9223372036854775808 since=1 window") },
		{ LOGS(",\"level\":5.0,\"level_min\":5e0"), LOGS_SAYS(" level=5 level_min=5 since=1 window") },
		{ LOGS(",\"level\":null,\"level_min\":null"), LOGS_SAYS(" since=1 window") },
		{ LOGS(",\"text\":\"a.*\\\"\""), LOGS_SAYS(" since=1 text=a.*\" window") },
		{ LOGS(",\"text\":\"\""), LOGS_SAYS(" since=1 window") },
		{ LOGS(",\"text\":null"), LOGS_SAYS(" since=1 window") },
		{ LOGS(",\"limit\":0"), LOGS_SAYS(" since=1 limit=0 window") },
		{ LOGS(",\"limit\":9223372036854775807"),
		    LOGS_SAYS(" since=1 limit=9223372036854775807 window") },
		{ LOGS(",\"limit\":null"), LOGS_SAYS(" since=1 window") },
	};
	static const struct expect bad[] = {
		{ LOGS(",\"sender\":7"), "sender: must be a string, or a list of 1 to 100 strings" },
		{ LOGS(",\"sender\":[]"), "sender: must be a string, or a list of 1 to 100 strings" },
		{ LOGS(",\"sender\":[\"a\",null]"), "sender: must be a string, or a list of 1 to 100 strings" },
		{ LOGS(",\"sender\":[\"a\",[\"b\"]]"),
		    "sender: must be a string, or a list of 1 to 100 strings" },
		{ LOGS(",\"sender\":{\"a\":\"b\"}"), "sender: must be a string, or a list of 1 to 100 strings" },
		{ LOGS(",\"sender\":\"\\ud800\""), "sender: must be a string, or a list of 1 to 100 strings" },
		{ LOGS(",\"level\":\"10\""), "level: must be an integer" },
		{ LOGS(",\"level\":true"), "level: must be an integer" },
		{ LOGS(",\"level\":1.5"), "level: must be an integer" },
		{ LOGS(",\"level\":9223372036854775808"), "level: must be an integer" },
		{ LOGS(",\"level_min\":[]"), "level_min: must be an integer" },
		{ LOGS(",\"text\":7"), "text: must be a string of at most 1024 bytes" },
		{ LOGS(",\"text\":\"\\ud800\""), "text: must be a string of at most 1024 bytes" },
		{ LOGS(",\"limit\":-1"), "limit: must be an integer, not negative" },
		{ LOGS(",\"limit\":0.5"), "limit: must be an integer, not negative" },
		{ LOGS(",\"limit\":1e30"), "limit: must be an integer, not negative" },
		{ LOGS(",\"limit\":\"1\""), "limit: must be an integer, not negative" },
		{ LOGS(",\"cursor\":7"), "cursor: must be a cursor" },
		{ LOGS(",\"cursor\":\"\""), "cursor: must be a cursor" },
		{ LOGS(",\"cursor\":\"c1\""), "cursor: must be a cursor" },
		{ LOGS(",\"cursor\":\"" CURSOR "\\u0000\""), "cursor: must be a cursor" },
		{ LOGS(",\"cursor\":\"" CURSOR CURSOR "\""), "cursor: must be a cursor" },
	};

	read_all(good, COUNT(good));
	refuse_all(bad, COUNT(bad));
}

static void
bounds(void)
{
	char message[4096], says[4096], *p = message, *q = says;

	p += sprintf(p, "{\"action\":\"getLogs\",\"since\":1,\"sender\":[");
	q += sprintf(q, LOGS_SAYS(""));
	for (int i = 0; i < PROTO_SENDERS_MAX; i++) {
		p += sprintf(p, "%s\"%d\"", i == 0 ? "" : ",", i);
		q += sprintf(q, " sender=%d", i);
	}
	sprintf(p, "]}");
	sprintf(q, " since=1 window");
	reads(message, says);
	sprintf(p, ",\"x\"]}");
	refuses(message, "sender: must be a string, or a list of 1 to 100 strings");

	p = message + sprintf(message, "{\"action\":\"getLogs\",\"since\":1,\"text\":\"\\u0061");
	q = says + sprintf(says, LOGS_SAYS(" since=1 text=a"));
	memset(p, 'x', PROTO_TEXT_MAX - 1);
	memset(q, 'x', PROTO_TEXT_MAX - 1);
	strcpy(p + PROTO_TEXT_MAX - 1, "\"}");
	strcpy(q + PROTO_TEXT_MAX - 1, " window");
	reads(message, says);
	strcpy(p + PROTO_TEXT_MAX - 1, "x\"}");
	refuses(message, "text: must be a string of at most 1024 bytes");
}

/* What a window, a since and an until come to, at the time 1000. */
static void
windows(void)
{
	static const struct { const char *members; double since, until; } cases[] = {
		{ "\"timewindow\":60", 940.0000000000001, INFINITY },
		{ "\"timewindow\":6e1", 940.0000000000001, INFINITY },
		{ "\"timewindow\":0.5", 999.5000000000001, INFINITY },
		{ "\"timewindow\":0", 1000.0000000000001, INFINITY },
		{ "\"timewindow\":-10", 1010.0000000000001, INFINITY },
		{ "\"timewindow\":1000", 5e-324, INFINITY },
		{ "\"timewindow\":1e308", -9.999999999999998e307, INFINITY },
		{ "\"timewindow\":-1e308", 1.0000000000000002e308, INFINITY },
		{ "\"timewindow\":1e999", -1.7976931348623157e308, INFINITY },
		{ "\"timewindow\":-1e999", INFINITY, INFINITY },
		{ "\"since\":940", 940, INFINITY },
		{ "\"since\":-1.5,\"until\":1732280000.123456", -1.5, 1732280000.123456 },
		{ "\"until\":7", -INFINITY, 7 },
		{ "\"since\":1e999,\"until\":-1e999", INFINITY, -INFINITY },
		{ "\"timewindow\":60,\"since\":950", 950, INFINITY },
		{ "\"timewindow\":60,\"since\":900,\"until\":960", 940.0000000000001, 960 },
	};
	char message[256];
	struct proto_request r;

	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(message, sizeof(message), "{\"action\":\"getLogs\",%s}", cases[i].members);
		tap_ok(proto_read(reader, str_of(message), NOW, &r, NULL) == 0 &&
		    r.read.since == cases[i].since && r.read.until == cases[i].until &&
		    r.read.has_window, "%s: from %.17g to %.17g", cases[i].members, cases[i].since,
		    cases[i].until);
	}
	refuses("{\"action\":\"getLogs\",\"since\":\"1\"}", "since: must be a number");
	refuses("{\"action\":\"getLogs\",\"until\":false}", "until: must be a number");
}

static void
records(void)
{
	static const struct expect good[] = {
		{ RECORDS(""), "getRecords all by time, objects" },
		{ RECORDS(",\"kind\":\"log\",\"order\":\"arrival\",\"reverse\":true"),
		    "getRecords log by arrival reversed, objects" },
		{ RECORDS(",\"kind\":\"notification\",\"order\":\"time\",\"reverse\":false"),
		    "getRecords notification by time, objects" },
		{ RECORDS(",\"kind\":null,\"order\":null,\"reverse\":null"),
		    "getRecords all by time, objects" },
		{ RECORDS(",\"kind\":\"all\",\"records\":false"), "getRecords all by time, objects" },
		{ RECORDS(",\"cursors\":true,\"timewindow\":1000,\"sender\":\"s\",\"level\":1,\"level_min\":0,"
		    "\"text\":\"t\",\"limit\":3,\"cursor\":\"" CURSOR "\""),
		    "getRecords all by time, objects with cursors sender=s level=1 level_min=0 "
		    "since=4.9406564584124654e-324 text=t cursor=" CURSOR " limit=3 window" },
	};
	static const struct expect bad[] = {
		{ RECORDS(",\"kind\":\"logs\""), "kind: must be \"log\", \"notification\" or \"all\"" },
		{ RECORDS(",\"kind\":0"), "kind: must be \"log\", \"notification\" or \"all\"" },
		{ RECORDS(",\"kind\":\"log\\u0000\""), "kind: must be \"log\", \"notification\" or \"all\"" },
		{ RECORDS(",\"order\":\"newest\""), "order: must be \"time\" or \"arrival\"" },
		{ RECORDS(",\"order\":[\"time\"]"), "order: must be \"time\" or \"arrival\"" },
		{ RECORDS(",\"reverse\":1"), "reverse: must be true or false" },
	};

	read_all(good, COUNT(good));
	refuse_all(bad, COUNT(bad));
}

static void
subscriptions(void)
{
	static const struct expect good[] = {
		{ SUBSCRIBE(""), "subscribe all by arrival, objects" },
		{ SUBSCRIBE(",\"kind\":\"notification\",\"sender\":[\"a\",\"b\"],\"level\":20,\"level_min\":1,"
		    "\"text\":\"t\",\"cursor\":\"" CURSOR "\",\"timewindow\":0,\"id\":1"),
		    "subscribe id=1 notification by arrival, objects sender=a sender=b level=20 level_min=1 "
		    "since=1000.0000000000001 text=t cursor=" CURSOR " window" },
		{ SUBSCRIBE(",\"order\":\"time\",\"reverse\":true"), "subscribe all by arrival, objects" },
		{ SUBSCRIBE(",\"records\":true"), "subscribe all by arrival, objects" },
		{ SUBSCRIBE(",\"cursors\":true"), "subscribe all by arrival, objects with cursors" },
		{ SUBSCRIBE(",\"records\":false"), "subscribe all by arrival, news" },
		{ SUBSCRIBE(",\"records\":false,\"cursors\":true"), "subscribe all by arrival, news" },
	};
	static const struct expect bad[] = {
		{ SUBSCRIBE(",\"kind\":\"x\""), "kind: must be \"log\", \"notification\" or \"all\"" },
		{ SUBSCRIBE(",\"timewindow\":\"x\""), "timewindow: must be a number" },
		{ SUBSCRIBE(",\"records\":0"), "records: must be true or false" },
	};

	read_all(good, COUNT(good));
	refuse_all(bad, COUNT(bad));
}

/* Nothing of a message that is over comes back. */
static void
again(void)
{
	reads(LOGS(",\"sender\":\"a\\n\",\"text\":\"b\",\"limit\":1,\"cursor\":\"" CURSOR "\""),
	    LOGS_SAYS(" sender=a\n since=1 text=b cursor=" CURSOR " limit=1 window"));
	reads("{\"action\":\"getLogs\",\"until\":1}", LOGS_SAYS(" until=1 window"));
	reads("{\"action\":\"ping\"}", "ping");
}

int
main(void)
{
	struct error e;

	if ((reader = proto_new(&e)) == NULL) {
		printf("Bail out! %s\n", e.text);
		return 99;
	}
	actions();
	depth();
	faults();
	auth();
	secrets();
	uploads();
	rows();
	filters();
	bounds();
	windows();
	records();
	subscriptions();
	again();
	proto_free(&reader);
	tap_ok(reader == NULL, "a reader that is freed is forgotten");
	proto_free(&reader);
	return tap_done();
}
