/* relay.h: the messages between push and pull. */
#include "relay.h"

#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Is this what `f` is written as, and read from? */
static void
as_written(const struct relay_frame *f, const char *bytes, size_t len, const char *title)
{
	struct relay_frame again;
	struct buf b = { 0 };
	struct error e;

	tap_ok(relay_write(&b, f) == 0 && b.len == len && memcmp(b.data, bytes, len) == 0, "%s", title);
	tap_ok(relay_read((struct str){ bytes, len }, &again, &e) == 0 && again.type == f->type &&
	    again.greeting == f->greeting && again.number == f->number &&
	    again.credit == f->credit && again.nth == f->nth && memcmp(again.run, f->run, RELAY_RUN_SIZE) == 0 &&
	    str_equal(again.text, f->text), "and is read as that");
	buf_free(&b);
}

#define GREETING "\0\0\0\0\0\0\0\7"
#define NUMBER "\0\0\0\0\0\0\1\2"
#define CREDIT "\xff\0\0\0\0\0\0\1"
#define NTH "\0\0\0\0\0\0\0\3"
#define RUN "0123456789abcdef"
#define BYTES(type, rest) "mzr1" type "\0\0\0" GREETING rest, sizeof("mzr1" type "\0\0\0" GREETING rest) - 1

static void
messages(void)
{
	struct relay_frame f = { .type = RELAY_GREETING, .greeting = 7, .number = 258, .run = RUN };
	char head[RELAY_LINES_HEAD];

	as_written(&f, BYTES("\0", NUMBER RUN), "a pusher greets");
	f = (struct relay_frame){ .type = RELAY_LINES, .greeting = 7, .number = 258,
	    .text = str_of("{}\n") };
	as_written(&f, BYTES("\1", NUMBER "{}\n"), "and sends lines");
	relay_write_lines_head(head, 7, 258);
	tap_ok(memcmp(head, "mzr1\1\0\0\0" GREETING NUMBER, sizeof(head)) == 0,
	    "whose head can be written alone");
	f = (struct relay_frame){ .type = RELAY_BYE, .greeting = 7 };
	as_written(&f, BYTES("\2", ""), "and takes leave");
	f = (struct relay_frame){ .type = RELAY_WELCOME, .greeting = 7,
	    .credit = 0xff00000000000001, .run = RUN };
	as_written(&f, BYTES("\3", CREDIT RUN), "a puller welcomes");
	f = (struct relay_frame){ .type = RELAY_ANSWERS, .greeting = 7, .number = 258,
	    .credit = 0xff00000000000001, .nth = 3, .text = str_of("{}\n{}\n") };
	as_written(&f, BYTES("\4", NUMBER CREDIT NTH "{}\n{}\n"), "and answers");
	f.text = (struct str){ NULL, 0 };
	as_written(&f, BYTES("\4", NUMBER CREDIT NTH), "or only gives credit");
	f = (struct relay_frame){ .type = RELAY_AGAIN, .greeting = 7 };
	as_written(&f, BYTES("\5", ""), "and asks to be greeted");
}

static void
refused(void)
{
	static const struct { const char *bytes; size_t len; enum error_kind kind; const char *title; } cases[] = {
		{ "", 0, ERROR_INVALID, "an empty message is none" },
		{ BYTES("\0", ""), ERROR_INVALID, "nor one that is cut short" },
		{ BYTES("\0", NUMBER RUN "x"), ERROR_INVALID, "nor one that is too long" },
		{ BYTES("\4", NUMBER CREDIT), ERROR_INVALID, "nor answers that are not counted" },
		{ BYTES("\1", NUMBER), ERROR_INVALID, "nor no lines at all" },
		{ BYTES("\1", NUMBER "{}\n{}"), ERROR_INVALID, "nor a line without its end" },
		{ BYTES("\4", NUMBER CREDIT NTH "{}"), ERROR_INVALID, "nor such an answer" },
		{ BYTES("\6", ""), ERROR_INVALID, "nor one of another type" },
		{ "mzr1\0\0\0\1" GREETING NUMBER RUN, 40, ERROR_INVALID, "nor with something in its zeroes" },
		{ "mzr2\0\0\0\0" GREETING NUMBER RUN, 40, ERROR_NEWER, "nor one of another version" },
		{ "notification.w1.{\"kind\":\"notification\"}", 40, ERROR_INVALID,
		    "nor what pub publishes" },
		{ "{\"action\":\"getLogs\",\"timewindow\":60}", 36, ERROR_INVALID, "nor a request" },
	};
	struct relay_frame f;
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++)
		tap_ok(relay_read((struct str){ cases[i].bytes, cases[i].len }, &f, &e) == -1 &&
		    e.kind == cases[i].kind, "%s", cases[i].title);
}

/* Of lines that are `each` bytes long there are so many: is that a batch? */
static bool
is_batch(size_t each, size_t count)
{
	struct relay_frame f = { .type = RELAY_LINES };
	struct buf text = { 0 }, message = { 0 };
	struct error e;
	bool is;

	for (size_t i = 0; i < count; i++) {
		if (buf_reserve(&text, each) == -1)
			return false;
		memset(text.data + text.len, ' ', each);
		text.len += each;
		text.data[text.len - 1] = '\n';
	}
	f.text = (struct str){ text.data, text.len };
	is = relay_write(&message, &f) == 0 &&
	    relay_read((struct str){ message.data, message.len }, &f, &e) == 0;
	buf_free(&text);
	buf_free(&message);
	return is;
}

static void
sizes(void)
{
	tap_ok(is_batch(1, RELAY_BATCH_MOST), "a batch may be as long as that");
	tap_ok(is_batch(RELAY_BATCH_MOST + 1, 1), "and longer if it is one line");
	tap_ok(!is_batch(1, RELAY_BATCH_MOST + 1), "but not if it is several");
}

int
main(void)
{
	messages();
	refused();
	sizes();
	return tap_done();
}
