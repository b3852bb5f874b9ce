#include "push_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto.h"
#include "log.h"

int
push_lines_begin(struct push_lines *l, const unsigned char run[RELAY_RUN_SIZE],
    const struct ndjson_defaults *defaults, struct error *e)
{
	memcpy(l->source, "push-", 5);
	crypto_hex(run, RELAY_RUN_SIZE, l->source + 5);
	l->reader = ndjson_new(defaults, e);
	return l->reader != NULL ? 0 : -1;
}

void
push_lines_end(struct push_lines *l)
{
	ndjson_free(&l->reader);
	input_free(&l->input);
	buf_free(&l->own);
}

static void
tell(uint64_t number, const char *why)
{
	log_limited("refused", LOG_WARNING, "standard input:%" PRIu64 ": %s", number, why);
}

static void
refuse(struct push_lines *l, uint64_t number, const char *why)
{
	l->refused++;
	tell(number, why);
}

/* ---- lines -------------------------------------------------------------- */

static int
add(struct push_lines *l, struct str text, struct error *e)
{
	return buf_add_str(&l->own, text) == 0 ? 0 : error_memory(e);
}

static int
take_other(struct push_lines *l, struct str line, struct error *e)
{
	struct ndjson_line read;
	struct error why;
	int r = ndjson_read(l->reader, line, &read, &why);

	if (r == -1 && why.kind == ERROR_MEMORY) {
		*e = why;
		return -1;
	}
	if (l->ack && read.source.data != NULL)
		return add(l, line, e) == -1 ? -1 : add(l, str_of("\n"), e);
	if (r == -1) {
		refuse(l, l->input.lines, why.text);
		return 0;
	}
	read.source = str_of(l->source);
	read.seq = (int64_t)l->input.lines;
	return ndjson_renumber(&l->own, &read) == 0 ? 0 : error_memory(e);
}

/* One that is too long. If it is numbered its producer is told, and as there has to be an
 * acknowledgement that covers it, its number alone is sent, to be refused there once more. */
static int
take_cut(struct push_lines *l, struct str head, struct error *e)
{
	struct buf reject = { 0 };
	struct ndjson_line read = { 0 };
	char why[80];
	int r = 0;

	snprintf(why, sizeof(why), "the line is longer than %zu bytes", l->input.max);
	tell(l->input.lines, why);
	if (l->ack)
		ndjson_peek(l->reader, head, &read);
	if (read.source.data == NULL) {
		l->refused++;
		return 0;
	}
	if (ndjson_write_reject(&reject, read.source, read.seq, why) == -1 ||
	    output_add(l->answers, (struct str){ reject.data, reject.len }) == -1 ||
	    buf_printf(&l->own, "{\"source\":") == -1 ||
	    ndjson_write_string(&l->own, read.source) == -1 ||
	    buf_printf(&l->own, ",\"seq\":%" PRId64 "}\n", read.seq) == -1)
		r = error_memory(e);
	buf_free(&reject);
	return r;
}

/* Whoever numbers lines has one that was cut off by the end still, and whole. */
static bool
is_cut_off(const struct push_lines *l, struct str line)
{
	const struct input *in = &l->input;

	return l->ack && in->ended && line.data + line.len == in->text.data + in->text.len;
}

/* Is it numbered, at a glance, and whole? */
static bool
goes_as_it_is(const struct push_lines *l, struct str line)
{
	static const char head[] = "{\"source\":\"";

	return l->ack && line.len >= sizeof(head) && memcmp(line.data, head, sizeof(head) - 1) == 0 &&
	    !is_cut_off(l, line);
}

static int
take_line(struct push_lines *l, struct str line, bool cut, struct error *e)
{
	if (cut)
		return take_cut(l, line, e);
	if (is_cut_off(l, line) || str_is_blank(line))
		return 0;
	return take_other(l, line, e);
}

/* Keep what was made up here, then what stands in the input and goes as it is. */
static int
keep(struct push_lines *l, struct str *run, struct error *e)
{
	if (relay_push_add(l->relay, (struct str){ l->own.data, l->own.len }, e) == -1 ||
	    relay_push_add(l->relay, *run, e) == -1)
		return -1;
	l->own.len = run->len = 0;
	return 0;
}

int
push_lines_read(struct push_lines *l, struct error *e)
{
	struct str piece, line, run = { NULL, 0 };
	bool cut;

	if (input_read(&l->input, &piece, e) == -1)
		return -1;
	while (input_line(&l->input, &line, &cut)) {
		if (!cut && goes_as_it_is(l, line)) {
			if (run.len == 0)
				run.data = line.data;
			run.len += line.len + 1;
			continue;
		}
		if ((run.len > 0 && keep(l, &run, e) == -1) || take_line(l, line, cut, e) == -1)
			return -1;
	}
	return keep(l, &run, e);
}

/* ---- answers ------------------------------------------------------------ */

/* Is it about what was numbered here? Nobody waits for that, but a refusal is to be told. */
static int
take_own(struct push_lines *l, struct str line, bool *own, struct error *e)
{
	struct ndjson_answer a;
	struct error why;
	char reason[200];

	*own = memmem(line.data, line.len, l->source, strlen(l->source)) != NULL;
	if (!*own)
		return 0;
	if (ndjson_read_answer(l->reader, line, &a, &why) == -1) {
		if (why.kind != ERROR_MEMORY)
			return 0;
		*e = why;
		return -1;
	}
	*own = str_equal(a.source, str_of(l->source));
	if (*own && a.type == NDJSON_REJECT) {
		snprintf(reason, sizeof(reason), "%.*s", STR_ARGS(a.reason));
		refuse(l, (uint64_t)a.seq, reason);
	}
	return 0;
}

/* As lib/ndjson.h writes it. */
static bool
is_reject(struct str line)
{
	static const char head[] = "{\"reject\":";

	return line.len >= sizeof(head) && memcmp(line.data, head, sizeof(head) - 1) == 0;
}

int
push_lines_answer(struct push_lines *l, struct str answers, struct error *e)
{
	struct str line;
	bool own;

	while (str_take_line(&answers, &line)) {
		if (take_own(l, line, &own, e) == -1)
			return -1;
		l->refused += !own && is_reject(line);
		line.len++;   /* with its newline */
		if (!own && l->ack && output_add(l->answers, line) == -1)
			return error_memory(e);
	}
	return 0;
}
