/* proto.h: every text that goes out. */
#include <math.h>
#include <stdlib.h>

#include "proto.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct proto *reader;
static struct buf out;

/* What is in `out`, which is empty then. */
static void
says(const char *want, const char *title)
{
	if (buf_add(&out, "", 1) == -1)
		exit(99);
	tap_is(out.data, want, title);
	out.len = 0;
}

static struct proto_request
request(const char *message)
{
	struct proto_request r;

	proto_read(reader, str_of(message), 0, &r, NULL);
	return r;
}

static void
replies(void)
{
	static const struct { const char *message; bool success; const char *comment, *says; } cases[] = {
		{ "{\"action\":\"ping\"}", true, NULL, "{\"success\":true,\"action\":\"ping\"}" },
		{ "{\"action\":\"keepalive\",\"id\": {\"a\": [1]} }", true, NULL,
		    "{\"success\":true,\"action\":\"keepalive\",\"id\":{\"a\": [1]}}" },
		{ "{\"action\":\"disconnect\",\"id\":null}", true, NULL,
		    "{\"success\":true,\"action\":\"disconnect\",\"id\":null}" },
		{ "{\"action\":\"subscribe\"}", true, NULL, "{\"success\":true,\"action\":\"subscribe\"}" },
		{ "{\"action\":\"unsubscribe\"}", true, NULL,
		    "{\"success\":true,\"action\":\"unsubscribe\"}" },
		{ "{\"action\":\"uploadLogs\",\"logs\":[]}", false, "Only wds can upload logs.",
		    "{\"success\":false,\"action\":\"uploadLogs\",\"comment\":\"Only wds can upload logs.\"}" },
		{ "{\"action\":\"auth\",\"id\":\"\\u00e9\"}", false, "Invalid token",
		    "{\"success\":false,\"action\":\"auth\",\"id\":\"\\u00e9\",\"comment\":\"Invalid token\"}" },
		{ "{\"action\":\"fly \\\"\\u00e9\\\"\\n\"}", false, "Unknown Action",
		    "{\"success\":false,\"action\":\"fly \\\"\xc3\xa9\\\"\\n\",\"comment\":\"Unknown Action\"}" },
		{ "{\"action\":\"uploadNotifications\",\"notifications\":[]}", false,
		    "Only wds can upload notifications.", "{\"success\":false,\"action\":\"uploadNotifications\","
		    "\"comment\":\"Only wds can upload notifications.\"}" },
		{ "{\"id\":1}", false, "action: missing",
		    "{\"success\":false,\"action\":\"\",\"id\":1,\"comment\":\"action: missing\"}" },
		{ "{", false, "say \"what\"?",
		    "{\"success\":false,\"action\":\"\",\"comment\":\"say \\\"what\\\"?\"}" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proto_request r = request(cases[i].message);
		tap_ok(proto_reply(&out, &r, cases[i].success, cases[i].comment) == 0, "%s is answered",
		    cases[i].message);
		says(cases[i].says, "like this");
	}
}

/* All that has to be kept of a request that is answered later. */
static void
later(void)
{
	struct proto_request r = { .action = PROTO_UPLOAD_LOGS, .id = { "7", 1 } };

	tap_ok(proto_reply(&out, &r, true, "Inserted 1 log(s) into db.") == 0, "an upload is answered");
	says("{\"success\":true,\"action\":\"uploadLogs\",\"id\":7,"
	    "\"comment\":\"Inserted 1 log(s) into db.\"}", "by action and id");
}

static void
authenticated(void)
{
	struct proto_request r = request("{\"action\":\"auth\",\"token\":\"x\"}");

	tap_ok(proto_reply_auth(&out, &r, 30) == 0, "auth is answered");
	says("{\"success\":true,\"action\":\"auth\",\"timeout\":30}", "with the timeout");
	r = request("{\"action\":\"auth\",\"id\":7}");
	tap_ok(proto_reply_auth(&out, &r, 0.5) == 0, "with an id");
	says("{\"success\":true,\"action\":\"auth\",\"id\":7,\"timeout\":0.5}", "and a short one");
}

static void
inserted(void)
{
	char comment[PROTO_COMMENT_SIZE];

	proto_inserted(PROTO_UPLOAD_LOGS, 0, comment);
	tap_is(comment, "Inserted 0 log(s) into db.", "no logs");
	proto_inserted(PROTO_UPLOAD_LOGS, 100, comment);
	tap_is(comment, "Inserted 100 log(s) into db.", "many logs");
	proto_inserted(PROTO_UPLOAD_NOTIFICATIONS, 1, comment);
	tap_is(comment, "Inserted 1 notification(s) into db.", "one notification");
	proto_inserted(PROTO_UPLOAD_NOTIFICATIONS, SIZE_MAX, comment);
	tap_is(comment, "Inserted 18446744073709551615 notification(s) into db.", "as many as can be");
}

/* ---- answers ------------------------------------------------------------ */

static const struct record records[] = {
	{ .kind = RECORD_NOTIFICATION, .level = -5, .time = 1732280000.123456, .watchdog = { "w", 1 },
	    .sender = { "a\"b", 3 }, .message = { "]\n\0", 3 }, .extra = { "{\"x\":1}", 7 } },
	{ .kind = RECORD_LOG, .level = 30, .time = 17, .watchdog = { "w", 1 }, .sender = { "", 0 },
	    .message = { "m", 1 } },
};
static const struct cursor at[] = { { 1.0, 1, 255 }, { 2.0, 2, 255 }, { 3.0, 3, 255 } };

#define CURSOR(bits, n) "\"cursor\":\"c1;t=" bits "00000000000;a=000000000000000" n ";s=00000000000000ff\""
#define FIRST "\"kind\":\"notification\",\"watchdog\":\"w\",\"level\":-5,\"time\":1732280000.123456," \
	"\"sender\":\"a\\\"b\",\"message\":\"]\\n\\u0000\",\"x\":1"
#define SECOND "\"kind\":\"log\",\"watchdog\":\"w\",\"level\":30,\"time\":17.0,\"sender\":\"\",\"message\":\"m\""

static void
answer(enum proto_action action, const char *id, enum proto_shape shape, size_t n,
    const struct cursor *end, const char *want)
{
	struct str value = { id, id == NULL ? 0 : strlen(id) };
	bool ok = proto_answer_begin(&out, action, value) == 0;

	for (size_t i = 0; i < n; i++)
		ok = ok && proto_answer_record(&out, shape, &records[i], &at[i], i) == 0;
	tap_ok(ok && proto_answer_end(&out, shape, end) == 0, "%s, shape %d, of %zu",
	    proto_action_name(action), (int)shape, n);
	says(want, "an answer");
}

static void
answers(void)
{
	answer(PROTO_GET_LOGS, NULL, PROTO_LOG_ROWS, 0, &at[2],
	    "{\"success\":true,\"action\":\"getLogs\",\"logs\":[]}");
	answer(PROTO_GET_LOGS, "\"x\"", PROTO_LOG_ROWS, 2, &at[2],
	    "{\"success\":true,\"action\":\"getLogs\",\"id\":\"x\",\"logs\":[[\"a\\\"b\",\"]\\n\\u0000\",-5],"
	    "[\"\",\"m\",30]]}");
	answer(PROTO_GET_NOTIFICATIONS, NULL, PROTO_NOTIFICATION_ROWS, 2, NULL,
	    "{\"success\":true,\"action\":\"getNotifications\",\"notifications\":"
	    "[[\"a\\\"b\",\"]\\n\\u0000\",-5,1732280000.123456],[\"\",\"m\",30,17.0]]}");
	answer(PROTO_GET_LOGS, NULL, PROTO_OBJECTS, 1, &at[2],
	    "{\"success\":true,\"action\":\"getLogs\",\"logs\":[{" FIRST "}]," CURSOR("40080", "3") "}");
	answer(PROTO_GET_RECORDS, "7", PROTO_OBJECTS, 2, NULL,
	    "{\"success\":true,\"action\":\"getRecords\",\"id\":7,\"records\":[{" FIRST "},{" SECOND "}]}");
	answer(PROTO_GET_RECORDS, NULL, PROTO_OBJECTS_CURSORS, 2, &at[1],
	    "{\"success\":true,\"action\":\"getRecords\",\"records\":[{" FIRST "," CURSOR("3ff00", "1") "},"
	    "{" SECOND "," CURSOR("40000", "2") "}]," CURSOR("40000", "2") "}");
	answer(PROTO_GET_RECORDS, NULL, PROTO_OBJECTS, 0, &at[2],
	    "{\"success\":true,\"action\":\"getRecords\",\"records\":[]," CURSOR("40080", "3") "}");
}

static void
subscription(enum proto_shape shape, size_t n, const struct cursor *end, const char *want)
{
	bool ok = proto_records_begin(&out, shape) == 0;

	for (size_t i = 0; i < n; i++)
		ok = ok && proto_answer_record(&out, shape, &records[i], &at[i], i) == 0;
	tap_ok(ok && proto_records_end(&out, shape, end) == 0, "shape %d, of %zu", (int)shape, n);
	says(want, "what a subscription brings");
}

static void
subscriptions(void)
{
	subscription(PROTO_OBJECTS, 2, &at[1],
	    "{\"action\":\"records\",\"records\":[{" FIRST "},{" SECOND "}]," CURSOR("40000", "2") "}");
	subscription(PROTO_OBJECTS_CURSORS, 1, &at[0],
	    "{\"action\":\"records\",\"records\":[{" FIRST "," CURSOR("3ff00", "1") "}],"
	    CURSOR("3ff00", "1") "}");
	subscription(PROTO_OBJECTS, 1, NULL, "{\"action\":\"records\",\"records\":[{" FIRST "}]}");
	subscription(PROTO_NEWS, 2, &at[1], "{\"action\":\"records\"," CURSOR("40000", "2") "}");
	subscription(PROTO_NEWS, 0, NULL, "{\"action\":\"records\"}");
}

int
main(void)
{
	struct error e;

	if ((reader = proto_new(&e)) == NULL) {
		printf("Bail out! %s\n", e.text);
		return 99;
	}
	replies();
	later();
	authenticated();
	inserted();
	answers();
	subscriptions();
	proto_free(&reader);
	buf_free(&out);
	return tap_done();
}
