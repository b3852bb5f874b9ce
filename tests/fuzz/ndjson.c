/*
 * Hold the two readers of NDJSON against each other, and the writer against
 * both: on any bytes at all they must say the same, and what is written of a
 * record must read back as that record.
 *
 * Built with -fsanitize=fuzzer this is a libFuzzer target; built with
 * -DFUZZ_STANDALONE a program by itself, which mutates seeds of its own:
 *     fuzz-ndjson [RUNS [SEED]]
 */
#include "json.h"
#include "ndjson.h"
#include "target.h"

static struct ndjson *fast, *slow, *fast_only, *slow_only;
static unsigned long glanced, accepted;

static struct ndjson *
new_reader(bool only)
{
	struct ndjson_defaults defaults = {
		.kind = RECORD_LOG, .watchdog = str_of("local"), .only = only
	};
	struct error e;
	struct ndjson *r = ndjson_new(&defaults, &e);

	require(r != NULL, "no reader");
	return r;
}

static void
same_record(const struct record *a, const struct record *b)
{
	require(a->kind == b->kind, "kinds differ");
	require(str_equal(a->watchdog, b->watchdog), "watchdogs differ");
	require(a->level == b->level, "levels differ");
	require(memcmp(&a->time, &b->time, sizeof(a->time)) == 0, "times differ");
	require(str_equal(a->sender, b->sender), "senders differ");
	require(str_equal(a->message, b->message), "messages differ");
	require(str_equal(a->extra, b->extra), "extras differ");
}

static void
same_source(const struct ndjson_line *a, const struct ndjson_line *b)
{
	require((a->source.data == NULL) == (b->source.data == NULL), "one has a source");
	require(str_equal(a->source, b->source), "sources differ");
	require(a->source.data == NULL || a->seq == b->seq, "seqs differ");
}

/* An error is one line of ASCII that quotes little. */
static void
proper_error(const struct error *e)
{
	size_t len = strlen(e->text);

	require(e->kind == ERROR_INVALID, "an error of another kind");
	require(len > 0 && len < 200, "an error too long");
	for (size_t i = 0; i < len; i++)
		require(e->text[i] >= ' ' && e->text[i] <= '~', "an error that is not plain ASCII");
}

/* Written, it is one line, and reads back as the same in both readers. */
static void
survives_writing(const struct record *r)
{
	struct ndjson *other = new_reader(false);   /* the first still holds the record */
	struct buf b = { 0 };
	struct ndjson_line again;
	struct str line;
	struct error e;

	require(ndjson_write(&b, r) == 0, "not written");
	require(memchr(b.data, '\n', b.len) == b.data + b.len - 1, "not one line");
	line = (struct str){ b.data, b.len - 1 };
	require(ndjson_read(other, line, &again, &e) == 0, "what was written is refused");
	same_record(r, &again.record);
	require(again.source.data == NULL, "a source was written");
	require(ndjson_read_slow(other, line, &again, &e) == 0,
	    "what was written is refused by the slow reader");
	same_record(r, &again.record);
	ndjson_free(&other);
	buf_free(&b);
}

/* With another number it has that one, for every reader, and says what it said. */
static void
survives_renumbering(const struct ndjson_line *l)
{
	struct ndjson *other = new_reader(false);
	struct ndjson_line renumbered = *l, again;
	struct buf b = { 0 };
	struct str line;
	struct error e;

	renumbered.source = str_of("curve:\"x\"/1");
	renumbered.seq = INT64_MAX;
	require(ndjson_renumber(&b, &renumbered) == 0, "not renumbered");
	require(b.data[b.len - 1] == '\n', "not a line");
	line = (struct str){ b.data, b.len - 1 };
	require(ndjson_read_slow(other, line, &again, &e) == 0, "renumbered it is refused");
	same_source(&renumbered, &again);
	same_record(&l->record, &again.record);
	ndjson_free(&other);
	buf_free(&b);
}

/* Both readers say the same. 0: and it is a record. */
static int
readers_agree(struct ndjson *f, struct ndjson *s, struct ndjson_line *line)
{
	struct ndjson_line other;
	struct error ea = { .kind = ERROR_NONE }, eb = ea;
	uint64_t had_a = ndjson_replaced(f), had_b = ndjson_replaced(s);
	int ra = ndjson_read(f, input, line, &ea), rb = ndjson_read_slow(s, input, &other, &eb);

	require(ra == rb,
	    ra == 0 ? "only the fast reader takes it" : "only the slow reader takes it");
	require(ndjson_replaced(f) - had_a == ndjson_replaced(s) - had_b,
	    "lone surrogates counted differently");
	same_source(line, &other);
	if (ra == 0) {
		same_record(&line->record, &other.record);
	} else {
		require(strcmp(ea.text, eb.text) == 0, "errors differ");
		proper_error(&ea);
	}
	return ra;
}

static void
records_agree(void)
{
	struct ndjson_line a, b, peeked;
	int plain = readers_agree(fast, slow, &a), only = readers_agree(fast_only, slow_only, &b);

	if (plain == 0) {
		accepted++;
		survives_writing(&a.record);
		survives_renumbering(&a);
		require(only == 0, "with less to go wrong it is none");
		a.record.kind = b.record.kind;
		a.record.watchdog = b.record.watchdog;
		same_record(&a.record, &b.record);
	}
	require(b.source.data == NULL, "a source that does not count");
	require(only != 0 || (b.record.kind == RECORD_LOG &&
	    str_equal(b.record.watchdog, str_of("local"))), "labels that do not count");
	ndjson_peek(slow, input, &peeked);
	same_source(&a, &peeked);
	/* Cut short, a line gives away its source or nothing. */
	ndjson_peek(slow, (struct str){ input.data, input.len / 2 }, &peeked);
	require(peeked.source.data != NULL || peeked.source.len == 0, "half a source");
}

/* One of several in a list is read as it is alone. */
static void
same_in_a_list(void)
{
	static const char behind[] = " , {\"level\":1}]";
	struct json j = { 0 };
	struct str value, rest;
	struct buf text = { 0 };
	struct ndjson_line a, b;
	struct error ea = { .text = "" }, eb = ea;

	if (json_open(&j, input, &value, &ea) == 0) {
		ea.text[0] = '\0';
		require(buf_add_str(&text, value) == 0 && buf_add_str(&text, str_of(behind)) == 0,
		    "no memory");
		rest = (struct str){ text.data, text.len };
		require(ndjson_read(slow, input, &a, &ea) == ndjson_read_next(fast, &rest, &b, &eb) &&
		    strcmp(ea.text, eb.text) == 0, "in a list it is something else");
		if (ea.text[0] == '\0')
			same_record(&a.record, &b.record);
		same_source(&a, &b);
		require(str_equal(rest, str_of(behind + 1)), "not all of it, or more, was taken");
	}
	buf_free(&text);
	json_free(&j);
}

/* At a glance a line has the number that it has for every reader, and under another source
 * it has that, even if it is no record. */
static void
glance_is_right(void)
{
	struct ndjson_line seen = { .seq = -1 }, read, again;
	struct buf b = { 0 };
	struct str line, behind;
	struct error e;
	bool right;

	if (!ndjson_glance(input, &seen, &behind) || memchr(input.data, '\n', input.len) != NULL)
		return;
	glanced++;
	right = ndjson_read_slow(slow, input, &read, &e) == 0;
	require(!right || (str_equal(seen.source, read.source) && seen.seq == read.seq),
	    "another number than at a glance");
	seen.source = str_of("curve:k/1");
	require(ndjson_write_begin(&b, seen.source) == 0 && buf_add_str(&b, behind) == 0, "not renamed");
	line = (struct str){ b.data, b.len };
	if (right) {
		require(ndjson_read_slow(slow_only, line, &again, &e) == 0, "renamed it is refused");
		require(again.record.level == read.record.level, "renamed it is another");
	}
	if (ndjson_read_slow(slow, line, &again, &e) == -1)
		require(again.source.data == NULL || e.kind == ERROR_INVALID, "an error of another kind");
	require(again.source.data == NULL || (str_equal(again.source, seen.source) &&
	    again.seq == seen.seq), "another number is in it");
	ndjson_peek(slow, (struct str){ line.data, line.len / 2 + line.len / 4 }, &again);
	require(again.source.data == NULL || str_equal(again.source, seen.source),
	    "another number is in a part of it");
	buf_free(&b);
}

static void
answers_survive(void)
{
	struct ndjson_answer a, again;
	struct buf b = { 0 };
	struct error e;
	char *reason;

	if (ndjson_read_answer(fast, input, &a, &e) == -1) {
		proper_error(&e);
		return;
	}
	if (a.type == NDJSON_ACK) {
		require(ndjson_write_ack(&b, a.source, a.seq) == 0, "not written");
	} else {
		reason = strndup(a.reason.data, a.reason.len);
		require(reason != NULL, "no memory");
		require(ndjson_write_reject(&b, a.source, a.seq, reason) == 0, "not written");
		a.reason.len = strlen(reason);
		free(reason);
	}
	require(ndjson_read_answer(slow, (struct str){ b.data, b.len - 1 }, &again, &e) == 0,
	    "an answer that was written is refused");
	require(a.type == again.type && a.seq == again.seq && str_equal(a.source, again.source) &&
	    str_equal(a.reason, again.reason), "answers differ");
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (fast == NULL) {
		fast = new_reader(false);
		slow = new_reader(false);
		fast_only = new_reader(true);
		slow_only = new_reader(true);
	}
	input = (struct str){ (const char *)data, size };
	records_agree();
	same_in_a_list();
	glance_is_right();
	answers_survive();
	return 0;
}

#ifdef FUZZ_STANDALONE

#include "mutate.h"

static const char *const seeds[] = {
	"{\"kind\":\"log\",\"watchdog\":\"0000000000000004\",\"level\":20,\"time\":1732280000.123456,"
	"\"sender\":\"Bridge\",\"message\":\"Watchdog started\"}",
	"{ \"watchdog\" : \"w-1_Z\", \"level\" : 30, \"time\" : 1700000000.0935691, \"sender\" : \"unix.hw\", "
	"\"message\" : \"a\\nb \\u00e9 \\ud83d\\ude00 \\\\042 \\\"quoted\\\" \\/ \\u0000\" }",
	"{\"source\":\"run-17\",\"seq\":9223372036854775807,\"level\":-5,\"time\":-0.0,\"sender\":\"\","
	"\"message\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\",\"host\":\"a\",\"n\":12345678901234567890123}",
	"{\"level\":5.0,\"time\":1e-7,\"sender\":\"s\",\"message\":\"m\",\"ctx\":{\"a\":[1, 2.50,{\"b\":null}],"
	"\"c\":\"\\ud800\"},\"ok\":true,\"no\":false,\"x\":null,\"big\":1e999,\"x\":0.1}",
	"{\"lev\\u0065l\":5e0,\"level\":7,\"time\":18446744073709551616,\"sender\":\"\\udc00\\ud800\","
	"\"message\":\"\\b\\f\\n\\r\\t\",\"kind\":\"notification\",\"a\\u0062\":1,\"ab\":[ ]}",
	"{\"source\":\"run-17\",\"seq\":41,\"kind\":\"log\",\"watchdog\":\"w1\",\"level\":30,\"time\":1.5,"
	"\"sender\":\"s\",\"message\":\"a \\\"source\\\" of much\",\"x\":[\"sour\",\"ce\"]}",
	"{\"ack\":{\"source\":\"run-17\",\"seq\":12}}",
	"{\"reject\":{\"source\":\"run-17\",\"seq\":13,\"reason\":\"level: must be an integer\"}}",
	"[{}]",
};

static const char *const pieces[] = {
	"\"", "\\", "\\u", "\\ud800", "\\udc00", "\\u0000", "\\\"", "{", "}", "[", "]", ",", ":",
	    " ", "\n",
	"-", ".", "e", "E+", "0", "9", "null", "true", "false", "-0", "1e999", "1e-999", "5.0",
	    "0.1",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808",
	    "-9223372036854775809",
	"9007199254740993", "17322800001234567890.5", "4.9e-324", "2.2250738585072011e-308",
	"\"level\":", "\"time\":", "\"kind\":", "\"watchdog\":", "\"sender\":", "\"message\":",
	"\"source\":", "\"seq\":", "\"x\":", "\"log\"", "\"s\",", "\xc3\xa9", "\xed\xa0\x80",
	    "\xc0\xaf",
	"\xf4\x90\x80\x80", "\xef\xbb\xbf", "\xff", "\x01", "\x7f", "aaaaaaaaaaaaaaaaaaaaaaaa",
};

int
main(int argc, char **argv)
{
	struct mutate m = { seeds, COUNT(seeds), pieces, COUNT(pieces), 0 };
	unsigned long runs = mutate_main(&m, argc, argv, 100000, mutate_seed);

	require(runs < 1000 || accepted > runs / 20, "hardly anything was a record");
	require(runs < 1000 || glanced > runs / 100, "hardly any number was seen at a glance");
	printf(", %lu of them records\n", accepted);
	ndjson_free(&fast);
	ndjson_free(&slow);
	ndjson_free(&fast_only);
	ndjson_free(&slow_only);
	return 0;
}

#endif
