/* proto.h: what happens when there is no memory. */
#include <string.h>

#include "proto.h"
#include "scarce.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#ifdef SCARCE
/* The lists have a record that only the slow reader takes. */
#define RECORD "\"level\":30,\"time\":1.5,\"sender\":\"s\",\"message\":\"m\\ud800\",\"a\":[1, 2]"
#define TWICE "{\"level\":1," RECORD ",\"origin\":\"me\"}"
#define UPLOAD "\"action\":\"uploadNotifications\",\"\\u0069d\":1,\"source\":\"\\u0061\",\"seq\":1"

static const char *const messages[] = {
	"{" UPLOAD ",\"notifications\":[{" RECORD "}, " TWICE "]}",
	"{" UPLOAD "," RECORD "}",
};

static struct proto_labels labels = { .kind = RECORD_NOTIFICATION, .watchdog = { "w", 1 },
	.source = { "w/a", 3 }, .origin = { "me", 2 } };

/* Everything that is done with an upload and its answers, the texts into `out`. A
 * step that fails must leave there what was there. */
static int
steps(struct proto *p, const char *message, struct buf *out, struct error *e)
{
	const struct cursor at = { 1, 2, 3 };
	struct record r = { .watchdog = { "w", 1 }, .sender = { "\n", 1 }, .message = { "m", 1 },
		.extra = { TWICE, sizeof(TWICE) - 1 } };
	struct proto_request request;
	struct str origin;
	size_t count, had = 0;
	int rc;

	if (proto_read(p, str_of(message), 0, &request, e) == -1)
		return -1;
	for (int step = 0; step < 13; step++) {
		had = out->len;
		switch (step) {
		case 0: rc = proto_lines(p, &request, &labels, 9, out, &count, e); break;
		case 1: rc = proto_forward(p, &request, out, e); break;
		case 2: rc = proto_take_origin(p, &r, &origin, e); break;
		case 3: rc = proto_reply(out, &request, true, "comment"); break;
		case 4: rc = proto_reply_auth(out, &request, 30); break;
		case 5: rc = proto_answer_begin(out, PROTO_GET_LOGS, request.id); break;
		case 6: rc = proto_answer_record(out, PROTO_LOG_ROWS, &r, &at, 1); break;
		case 7: rc = proto_answer_record(out, PROTO_OBJECTS_CURSORS, &r, &at, 1); break;
		case 8: rc = proto_answer_end(out, PROTO_OBJECTS, &at); break;
		case 9: rc = proto_records_begin(out, PROTO_OBJECTS); break;
		case 10: rc = proto_records_end(out, PROTO_OBJECTS, &at); break;
		case 11: rc = proto_forward_begin(out); break;
		default: rc = proto_forward_record(out, &r, 1); break;
		}
		if (step > 2 && rc == -1)
			error_memory(e);
		if (rc == -1)
			return out->len == had ? -1 : -2;
	}
	return proto_forward_end(out) == -1 ? error_memory(e) : 0;
}

/* 1: all is as it should be, 0: no memory, -1: anything else. */
static int
starve(const char *message, long allocation, struct str want, bool *met)
{
	struct error e = { .kind = ERROR_NONE };
	struct buf out = { 0 };
	struct proto *p;
	int rc = -1;

	left = allocation;
	if ((p = proto_new(&e)) != NULL)
		rc = steps(p, message, &out, &e);
	*met = left <= 0;
	left = -1;
	if (rc == 0)
		rc = str_equal((struct str){ out.data, out.len }, want) ? 1 : -1;
	else
		rc = rc == -1 && e.kind == ERROR_MEMORY ? 0 : -1;
	proto_free(&p);
	buf_free(&out);
	return rc;
}

static void
no_memory(const char *message)
{
	struct proto *p = proto_new(NULL);
	struct buf want = { 0 };
	struct error e;
	bool met, right;
	long n;
	int rc;

	tap_ok(p != NULL && steps(p, message, &want, &e) == 0, "%s is served", message);
	for (int i = 0; i < 2; i++) {
		for_good = i == 1;
		right = met = true;
		for (n = 1; met && right; n++) {
			rc = starve(message, n, (struct str){ want.data, want.len }, &met);
			right = rc == 1 || (rc == 0 && met);
		}
		tap_ok(right && n > 8, "%s %ld allocations fails, it is served well or not at all",
		    for_good ? "from whichever on of" : "whichever of", n - 2);
	}
	proto_free(&p);
	buf_free(&want);
}
#endif

int
main(void)
{
#ifdef SCARCE
	for (size_t i = 0; i < COUNT(messages); i++)
		no_memory(messages[i]);
#else
	tap_ok(true, "# SKIP malloc(3) is the sanitizer's");
#endif
	return tap_done();
}
