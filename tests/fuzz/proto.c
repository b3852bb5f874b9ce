/*
 * Give the reader of requests any bytes at all. What it takes must keep to lib/proto.h;
 * an upload's lines must be the records that the slow reader alone finds in it, with
 * our labels and nobody else's; and whatever is written must be JSON that says the same.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which mutates seeds of its own:
 *     fuzz-proto [RUNS [SEED]]
 */
#include <math.h>

#include "json.h"
#include "ndjson.h"
#include "proto.h"
#include "target.h"
#include "utf8.h"

#define NOW 1732280000.0

static struct proto *reader, *again;
static struct ndjson *slow, *plain;
static size_t most;   /* records in an upload */
static unsigned long accepted, stored;

static const struct proto_labels labels = { .kind = RECORD_NOTIFICATION, .watchdog = { "w", 1 },
	.source = { "w/src", 5 }, .seq = INT64_MAX - 1, .origin = { "me", 2 } };

/* An error is one line of ASCII that quotes little: fit for a comment. */
static void
proper_error(const struct error *e)
{
	size_t len = strlen(e->text);

	require(e->kind == ERROR_INVALID, "an error of another kind");
	require(len > 0 && len < 100, "an error too long");
	for (size_t i = 0; i < len; i++)
		require(e->text[i] >= ' ' && e->text[i] <= '~', "an error that is not plain ASCII");
}

/* ---- questions ---------------------------------------------------------- */

static void
proper_read(enum proto_action action, const struct proto_read *q)
{
	bool rows = action == PROTO_GET_LOGS || action == PROTO_GET_NOTIFICATIONS;

	require(q->kinds != 0 && q->kinds <= RECORD_ALL_KINDS, "no kinds");
	require(q->sender_count <= PROTO_SENDERS_MAX, "too many senders");
	for (size_t i = 0; i < q->sender_count; i++)
		require(utf8_check(q->senders[i]) == q->senders[i].len, "a sender that is no text");
	require(!isnan(q->since) && !isnan(q->until), "a time that is none");
	require(q->text.data == NULL || (q->text.len >= 1 && q->text.len <= PROTO_TEXT_MAX &&
	    utf8_check(q->text) == q->text.len), "a text that is none");
	require(!q->has_cursor || (isfinite(q->cursor.time) && q->cursor.arrival >= 0),
	    "a cursor that is none");
	require(!rows || ((q->has_window || q->has_cursor) && q->reverse &&
	    q->order == QUERY_BY_TIME && q->shape != PROTO_NEWS), "rows of something else");
	require(action != PROTO_SUBSCRIBE || (q->order == QUERY_BY_ARRIVAL && !q->reverse),
	    "a subscription in another order");
}

/* ---- uploads ------------------------------------------------------------ */

static void
same_record(const struct record *a, const struct record *b)
{
	require(a->level == b->level, "levels differ");
	require(memcmp(&a->time, &b->time, sizeof(a->time)) == 0, "times differ");
	require(str_equal(a->sender, b->sender), "senders differ");
	require(str_equal(a->message, b->message), "messages differ");
}

/* `lines` begins with the line number `n` of this record: step behind it. */
static void
same_line(struct str *lines, size_t n, const struct record *want, bool single)
{
	const char *newline = memchr(lines->data, '\n', lines->len);
	struct ndjson_line l;
	struct str origin;
	struct error e;

	require(newline != NULL, "a line too few");
	require(ndjson_read(plain, (struct str){ lines->data, (size_t)(newline - lines->data) }, &l,
	    &e) == 0, "a line that is no record");
	require(l.record.kind == labels.kind && str_equal(l.record.watchdog, labels.watchdog) &&
	    str_equal(l.source, labels.source) && l.seq == labels.seq + (int64_t)n, "labels differ");
	same_record(&l.record, want);
	require(proto_take_origin(again, &l.record, &origin, &e) == 0 &&
	    str_equal(origin, labels.origin), "another origin");
	/* Beside the action stand members that are no record's, and it may have had an
	 * origin of its own. */
	if (!single && (want->extra.len == 0 ||
	    memmem(want->extra.data, want->extra.len, "origin", 6) == NULL))
		require(str_equal(l.record.extra, want->extra), "other members differ");
	lines->len -= (size_t)(newline + 1 - lines->data);
	lines->data = newline + 1;
}

/* What the slow reader makes of a list of records: the same as proto_lines() did. */
static void
same_list(struct str list, struct str lines, int rc, size_t count, const struct error *e)
{
	char why[sizeof(e->text)];
	struct json j = { 0 };
	struct str rest, record;
	struct ndjson_line l;
	struct error bad;
	size_t n = 0;

	require(json_open(&j, list, &rest, &bad) == 0, "a list that is none");
	for (; json_next(&j, &rest, &record); n++) {
		snprintf(why, sizeof(why), "more than %zu records", most);
		if (n == most)
			break;
		snprintf(why, sizeof(why), "seq: out of range");
		if (n == 2)
			break;
		if (ndjson_read_slow(slow, record, &l, &bad) == -1) {
			snprintf(why, sizeof(why), "record %zu: %.100s", n, bad.text);
			break;
		}
		if (rc == 0)
			same_line(&lines, n, &l.record, false);
		why[0] = '\0';
	}
	if (rc == 0)
		require(lines.len == 0 && count == n, "lines too many");
	else
		require(strcmp(e->text, why) == 0, "another error");
	json_free(&j);
}

static void
proper_upload(const struct proto_request *r)
{
	struct buf lines = { 0 };
	struct ndjson_line l;
	struct error e = { .text = "" }, bad;
	struct str text;
	size_t count;
	int rc;

	require(r->source.data == NULL || (r->seq >= 0 && r->source.len >= 1 &&
	    r->source.len <= 4 * PROTO_SOURCE_MAX), "a number that is none");
	rc = proto_lines(reader, r, &labels, most, &lines, &count, &e);
	text = (struct str){ lines.data, lines.len };
	if (rc == -1) {
		proper_error(&e);
		require(lines.len == 0, "lines of what was refused");
	} else {
		stored += count;
	}
	if (r->records.data != NULL) {
		same_list(r->records, text, rc, count, &e);
	} else {
		require((ndjson_read_slow(slow, r->message, &l, &bad) == 0) == (rc == 0),
		    "one reader refuses a single record");
		if (rc == 0)
			same_line(&text, 0, &l.record, true);
	}
	buf_free(&lines);
}

/* What others are sent is an upload of the same records, and no more than that. */
static void
proper_forward(const struct proto_request *r)
{
	static const char *const success[] = { "success" };
	struct json j = { 0 };
	struct buf out = { 0 }, compact = { 0 };
	struct proto_request f;
	struct str value;
	struct error e;

	require(proto_forward(reader, r, &out, &e) == 0, "not forwarded");
	require(proto_read(again, (struct str){ out.data, out.len }, NOW, &f, &e) == 0 &&
	    f.action == PROTO_UPLOAD_NOTIFICATIONS && f.records.data != NULL, "no upload");
	require(f.id.data == NULL && f.source.data == NULL, "somebody's own number");
	require(json_open(&j, (struct str){ out.data, out.len }, &value, &e) == 0 &&
	    json_members(&j, value, success, &value, 1) && str_equal(value, str_of("true")),
	    "no success");
	if (r->records.data != NULL)
		require(scan_compact(r->records, &compact) == 0 &&
		    str_equal(f.records, (struct str){ compact.data, compact.len }), "another list");
	json_free(&j);
	buf_free(&out);
	buf_free(&compact);
}

/* ---- replies ------------------------------------------------------------ */

static void
proper_reply(const struct proto_request *r, const struct error *e)
{
	static const struct str names[] = { { "action", 6 }, { "id", 2 }, { "comment", 7 } };
	struct buf out = { 0 };
	struct json j = { 0 };
	struct str object, values[3], text;
	struct error bad;

	require(proto_reply(&out, r, e->kind == ERROR_NONE, e->text) == 0, "not answered");
	require(json_open_object(&j, (struct str){ out.data, out.len }, names, values, 3, &object,
	    &bad) == 0, "a reply that is no JSON");
	require(json_string(&j, values[0], &text) && str_equal(text, r->name), "another action");
	require(str_equal(values[1], r->id), "another id");
	require(json_string(&j, values[2], &text) && str_equal(text, str_of(e->text)),
	    "another comment");
	json_free(&j);
	buf_free(&out);
}

static void
begin(void)
{
	struct ndjson_defaults defaults = { .watchdog = { "local", 5 } };
	struct error e;

	require((reader = proto_new(&e)) != NULL && (again = proto_new(&e)) != NULL &&
	    (plain = ndjson_new(&defaults, &e)) != NULL, "no reader");
	defaults.only = true;
	require((slow = ndjson_new(&defaults, &e)) != NULL, "no reader");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error e = { .text = "" };
	struct proto_request r;

	if (reader == NULL)
		begin();
	input = (struct str){ (const char *)data, size };
	most = 2 + size % 2;
	if (proto_read(reader, input, NOW, &r, &e) == -1) {
		proper_error(&e);
		require((r.name.len == 0) == (r.action == PROTO_UNKNOWN), "half an action");
		proper_reply(&r, &e);
		return 0;
	}
	accepted++;
	require(utf8_check(input) == input.len, "a message that is no text");
	require(r.action == PROTO_UNKNOWN || str_equal(r.name, str_of(proto_action_name(r.action))),
	    "another name");
	if (r.action == PROTO_UPLOAD_LOGS || r.action == PROTO_UPLOAD_NOTIFICATIONS)
		proper_upload(&r);
	if (r.action == PROTO_UPLOAD_NOTIFICATIONS)
		proper_forward(&r);
	if (r.action >= PROTO_GET_LOGS && r.action <= PROTO_SUBSCRIBE)
		proper_read(r.action, &r.read);
	proper_reply(&r, &e);
	return 0;
}

#ifdef FUZZ_STANDALONE

#include "mutate.h"

static const char *const seeds[] = {
	"{\"action\":\"uploadLogs\",\"logs\":[{\"level\":20,\"time\":1732280000.123456,\"sender\":\"Bridge\","
	"\"message\":\"Watchdog started\"},{\"level\":0,\"time\":-1,\"sender\":\"\",\"message\":\"\\u00e9]}\\\"\"}]}",
	"{\"action\":\"uploadNotifications\",\"id\":[1],\"source\":\"run-1\",\"seq\":17,\"x\":{\"a\": 1},"
	"\"notifications\" : [ {\"time\":1,\"kind\":7,\"level\":30.0,\"watchdog\":[],\"message\":\"m\\ud800\","
	"\"sender\":\"s\",\"b\":[1, 2.50]} ] }",
	"{\"level\":10,\"time\":1732280000,\"sender\":\"s\",\"message\":\"m\",\"action\":\"uploadNotifications\","
	"\"id\":\"x\",\"source\":\"\xc3\xa9\",\"seq\":0,\"success\":0,\"n\":null}",
	"{\"action\":\"uploadLogs\",\"level\":10,\"time\":5,\"sender\":\"s\",\"message\":\"m\",\"origin\":\"you\"}",
	"{\"action\":\"getLogs\",\"timewindow\":60,\"sender\":\"Bridge\",\"level\":20,\"id\":null}",
	"{\"action\":\"getNotifications\",\"since\":1732280000.5,\"until\":1e10,\"limit\":100,\"text\":\"door\","
	"\"records\":true,\"cursor\":\"c1;t=41d9cf2e8c07e6b7;a=000000000000002a;s=00000000000000ff\"}",
	"{\"action\":\"getRecords\",\"kind\":\"log\",\"order\":\"arrival\",\"reverse\":true,\"cursors\":true,"
	"\"sender\":[\"a\",\"b\"],\"level\":50,\"level_min\":-5}",
	"{\"action\":\"subscribe\",\"kind\":\"all\",\"timewindow\":-0.0,\"records\":false,\"text\":\"\"}",
	"{\"action\":\"auth\",\"token\":{\"code\":\"0000000000000004\",\"id\":1},\"id\":7}",
	"{\"action\":\"p\\u0069ng\",\"id\":{\"a\":[\"\\n\"]}}",
};

static const char *const pieces[] = {
	"\"", "\\", "\\u", "\\ud800", "\\u0000", "\\\"", "{", "}", "[", "]", ",", ":", " ", "\n", "-", ".",
	"0", "9", "null", "true", "false", "1e999", "-1e999", "5.0", "9223372036854775807",
	"9223372036854775808", "[]", "{}", "\"\"", "[{", "}]", "},{",
	"\"action\":", "\"id\":", "\"logs\":", "\"notifications\":", "\"source\":", "\"seq\":", "\"level\":",
	"\"time\":", "\"sender\":", "\"message\":", "\"kind\":", "\"watchdog\":", "\"success\":", "\"origin\":",
	"\"timewindow\":", "\"since\":", "\"text\":", "\"limit\":", "\"cursor\":", "\"records\":", "\"s\",",
	"\"uploadLogs\"", "\"uploadNotifications\"", "\"getLogs\"", "\"subscribe\"", "\xc3\xa9", "\xff", "\xed\xa0\x80",
};

int
main(int argc, char **argv)
{
	struct mutate m = { seeds, COUNT(seeds), pieces, COUNT(pieces), 0 };
	unsigned long runs = mutate_main(&m, argc, argv, 100000, mutate_seed);

	require(runs < 1000 || (accepted > runs / 20 && stored > runs / 40), "hardly anything was taken");
	printf(", %lu of them requests, with %lu records\n", accepted, stored);
	proto_free(&reader);
	proto_free(&again);
	ndjson_free(&slow);
	ndjson_free(&plain);
	return 0;
}

#endif
