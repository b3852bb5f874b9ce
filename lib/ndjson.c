#include "ndjson.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndjson_mend.h"
#include "scan.h"
#include "source.h"
#include "utf8.h"

/*
 * The slow reader. jansson judges the line and gives the values of our members;
 * the text of the others is taken from the line itself, so that numbers come
 * out as they came in. What is JSON and yet refused by jansson is put right in a
 * copy before it sees the line (ndjson_mend.h), so that its error positions are
 * those of the line; of a number that is ours, and was too large, the text is
 * looked at again.
 */
struct ndjson {
	struct ndjson_defaults defaults;
	char watchdog[64];            /* what defaults.watchdog points to */
	struct scanner scanner;
	struct buf mended;            /* the line, its lone surrogates replaced */
	struct buf digestible;        /* that, its too large numbers replaced */
	json_t *root;                 /* what jansson made of it; strings in `out` point into it */
	uint64_t replaced;
};

/* One of our members in a line that jansson has taken. */
struct found {
	json_t *value;                /* borrowed from the root; NULL: not there */
	struct str text;              /* as it stands in the line */
};

static const char *const names[MEMBER_EXTRA] = {
	[MEMBER_KIND] = "kind", [MEMBER_WATCHDOG] = "watchdog", [MEMBER_LEVEL] = "level",
	[MEMBER_TIME] = "time", [MEMBER_SENDER] = "sender", [MEMBER_MESSAGE] = "message",
	[MEMBER_SOURCE] = "source", [MEMBER_SEQ] = "seq",
};

struct ndjson *
ndjson_new(const struct ndjson_defaults *defaults, struct error *e)
{
	struct ndjson *r;

	if (defaults->watchdog.len > 0 && !record_watchdog_valid(defaults->watchdog)) {
		error_set(e, ERROR_USAGE, "%.*s: not a watchdog code ([A-Za-z0-9_-]{1,64})",
		    defaults->watchdog.len < 64 ? (int)defaults->watchdog.len : 64,
		    defaults->watchdog.data);
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL) {
		error_memory(e);
		return NULL;
	}
	r->defaults = *defaults;
	if (defaults->watchdog.len > 0)
		memcpy(r->watchdog, defaults->watchdog.data, defaults->watchdog.len);
	r->defaults.watchdog = (struct str){ r->watchdog, defaults->watchdog.len };
	return r;
}

void
ndjson_free(struct ndjson **r)
{
	if (*r == NULL)
		return;
	json_decref((*r)->root);
	scan_free(&(*r)->scanner);
	buf_free(&(*r)->mended);
	buf_free(&(*r)->digestible);
	free(*r);
	*r = NULL;
}

uint64_t
ndjson_replaced(const struct ndjson *r)
{
	return r->replaced;
}

/* ---- jansson ------------------------------------------------------------ */

/* Why jansson did not take `line`: its words, or ours where its own are about
 * files, and with nothing in them that could upset a terminal. When an
 * allocation fails it may call a line wrong that is not, and a record that is
 * refused is lost: so it has to find the scanner on its side. */
static int
not_json(struct scanner *s, struct str line, const json_error_t *j, struct error *e)
{
	char text[JSON_ERROR_TEXT_LENGTH];
	bool right;

	scan_begin(s, line);
	scan_space(s);
	right = scan_value(s, 1);
	scan_space(s);
	if (j->text[0] == '\0' || (right && s->p == s->end))
		return error_memory(e);
	switch (json_error_code(j)) {
	case json_error_premature_end_of_input:
		return error_set(e, ERROR_INVALID, "not JSON: the line ends too early");
	case json_error_end_of_input_expected:
		return error_set(e, ERROR_INVALID, "not JSON: more than one value, at byte %d",
		    j->position);
	case json_error_stack_overflow:
		return error_set(e, ERROR_INVALID, "nested too deeply, at byte %d", j->position);
	case json_error_null_byte_in_key:
		return error_set(e, ERROR_INVALID, "U+0000 in the name of a member, at byte %d",
		    j->position);
	default:
		break;
	}
	snprintf(text, sizeof(text), "%s", j->text);
	for (char *p = text; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
	return error_set(e, ERROR_INVALID, "not JSON: %s, at byte %d", text, j->position);
}

/* What else a file may turn out to be, by its first bytes. */
static int
check_beginning(struct str line, struct error *e)
{
	static const struct { const char *bytes, *what; } others[] = {
		{ "\x1f\x8b", "compressed by gzip" },
		{ "\x28\xb5\x2f\xfd", "compressed by zstd" },
		{ "\xfd" "7zXZ", "compressed by xz" },
		{ "\xff\xfe", "UTF-16" }, { "\xfe\xff", "UTF-16" },
		{ "\xef\xbb\xbf", "a byte order mark (U+FEFF) in front" },
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		size_t len = strlen(others[i].bytes);

		if (line.len >= len && memcmp(line.data, others[i].bytes, len) == 0)
			return error_set(e, ERROR_INVALID, "not JSON: %s", others[i].what);
	}
	return 0;
}

/* Have jansson read `line` into r->root. *text is then the line with its lone
 * surrogates replaced, *replaced of them. */
static int
load(struct ndjson *r, struct str line, struct str *text, uint64_t *replaced, struct error *e)
{
	const size_t flags = JSON_ALLOW_NUL | JSON_DECODE_ANY;
	const char *nul = line.len > 0 ? memchr(line.data, '\0', line.len) : NULL;
	size_t valid = utf8_check(line);
	struct str shown;
	json_error_t j;

	json_decref(r->root);
	r->root = NULL;
	*text = line;
	*replaced = 0;
	scan_begin(&r->scanner, line);
	scan_space(&r->scanner);
	if (r->scanner.p == r->scanner.end)
		return error_set(e, ERROR_INVALID, "an empty line");
	if (check_beginning(line, e) == -1)
		return -1;
	if (valid < line.len)
		return error_set(e, ERROR_INVALID, "invalid UTF-8 at byte %zu", valid + 1);
	if (nul != NULL)   /* jansson steps over some as if they were not there */
		return error_set(e, ERROR_INVALID, "not JSON: a zero byte, at byte %zu",
		    (size_t)(nul - line.data) + 1);
	/* In not_json() the scanner must not want for memory, too. */
	if (buf_reserve(&r->scanner.text, line.len) == -1 ||
	    ndjson_mend_surrogates(&r->mended, text, replaced) == -1)
		return error_memory(e);
	shown = *text;
	r->root = json_loadb(shown.data, shown.len, flags, &j);
	if (r->root == NULL && j.text[0] != '\0' &&
	    json_error_code(&j) == json_error_numeric_overflow) {
		if (ndjson_mend_numbers(&r->scanner, &r->digestible, &shown) == -1)
			return error_memory(e);
		r->root = json_loadb(shown.data, shown.len, flags, &j);
	}
	if (r->root == NULL)
		return not_json(&r->scanner, shown, &j, e);
	if (!json_is_object(r->root))
		return error_set(e, ERROR_INVALID, "not an object");
	return 0;
}

static struct str
string_of(const json_t *value)
{
	return (struct str){ json_string_value(value), json_string_length(value) };
}

/* ---- the members -------------------------------------------------------- */

/* Find our members in `text`, which jansson has taken: the values in its root,
 * the text on the line. Where the values of the others begin goes into
 * `extras`, by name. -1: no memory. */
static int
find_members(struct ndjson *r, struct str text, struct found found[MEMBER_EXTRA], json_t *extras)
{
	struct scanner *s = &r->scanner;
	struct str key;
	const char *value;
	enum member m;

	scan_begin(s, text);
	scan_space(s);
	scan_take(s, '{');
	scan_space(s);
	while (!scan_take(s, '}')) {
		if (!scan_string(s, &key))
			return -1;
		scan_colon(s);
		value = s->p;
		if (!scan_skip(s))
			return -1;
		m = scan_member(key);
		if (r->defaults.only && scan_is_label(m)) {
			;   /* as if it were not there */
		} else if (m < MEMBER_EXTRA) {
			found[m].value = json_object_getn(r->root, key.data, key.len);
			found[m].text = (struct str){ value, (size_t)(s->p - value) };
		} else if (json_object_setn_new_nocheck(extras, key.data, key.len,
		    json_integer(value - text.data)) == -1) {
			return -1;
		}
		scan_space(s);
		scan_take(s, ',');
		scan_space(s);
	}
	return 0;
}

/* The members that are not ours, as one object in their order. */
static int
write_extras(struct scanner *s, struct str text, json_t *extras, struct str *out)
{
	struct buf *b = &s->extra;
	const char *key, *value;
	json_t *at;
	size_t len;

	if (json_object_size(extras) == 0)
		return 0;
	scan_begin(s, text);
	json_object_keylen_foreach(extras, key, len, at) {
		s->p = value = s->start + json_integer_value(at);
		if (!scan_skip(s) || buf_add(b, b->len == 0 ? "{" : ",", 1) == -1 ||
		    ndjson_write_string(b, (struct str){ key, len }) == -1 ||
		    buf_add(b, ":", 1) == -1 ||
		    scan_compact((struct str){ value, (size_t)(s->p - value) }, b) == -1)
			return -1;
	}
	if (buf_add(b, "}", 1) == -1)
		return -1;
	*out = (struct str){ b->data, b->len };
	return 0;
}

/* A number that is there only by its text: jansson was shown a null. */
static bool
unseen_number(const struct found *f, struct decimal *d)
{
	const char *end = f->text.data + f->text.len;

	return json_is_null(f->value) && decimal_scan(f->text.data, end, d) != NULL;
}

static int
get_integer(const struct found *f, const char *name, int64_t *out, struct error *e)
{
	struct decimal d;

	if (json_is_integer(f->value)) {
		*out = json_integer_value(f->value);
		return 0;
	}
	if (json_is_real(f->value) && decimal_whole(json_real_value(f->value), out))
		return 0;
	if (unseen_number(f, &d) || (json_is_real(f->value) &&
	    fabs(json_real_value(f->value)) >= 9223372036854775808.0))
		return error_set(e, ERROR_INVALID, "%s: out of range", name);
	return error_set(e, ERROR_INVALID, "%s: must be an integer", name);
}

static int
get_time(const struct found *f, double *out, struct error *e)
{
	struct decimal d;

	if (unseen_number(f, &d)) {
		if (decimal_double(&d, out) == -1)
			return error_memory(e);
		if (!isfinite(*out))
			return error_set(e, ERROR_INVALID, "time: out of range");
		return 0;
	}
	if (!json_is_number(f->value))
		return error_set(e, ERROR_INVALID, "time: must be a number");
	*out = json_number_value(f->value);
	return 0;
}

static int
get_string(const struct found *f, const char *name, struct str *out, struct error *e)
{
	if (!json_is_string(f->value))
		return error_set(e, ERROR_INVALID, "%s: must be a string", name);
	*out = string_of(f->value);
	return 0;
}

static int
get_watchdog(const struct found *f, struct str *out, struct error *e)
{
	char text[25];
	size_t n = 0;

	if (get_string(f, "watchdog", out, e) == -1)
		return -1;
	if (record_watchdog_valid(*out))
		return 0;
	for (; n < out->len && n < sizeof(text) - 1; n++)
		text[n] = out->data[n] < ' ' || out->data[n] > '~' ? '?' : out->data[n];
	text[n] = '\0';
	return error_set(e, ERROR_INVALID,
	    "watchdog: \"%s%s\" is not a watchdog code ([A-Za-z0-9_-]{1,64})", text,
	    n < out->len ? "..." : "");
}

/* The pair by which a sink settles lines: both or none. */
static int
get_number(const struct found *source, const struct found *seq, struct ndjson_line *out,
    struct error *e)
{
	struct str name;
	int64_t n;

	if (source->value == NULL && seq->value == NULL)
		return 0;
	if (source->value == NULL)
		return error_set(e, ERROR_INVALID, "source: missing beside seq");
	if (seq->value == NULL)
		return error_set(e, ERROR_INVALID, "seq: missing beside source");
	if (get_string(source, "source", &name, e) == -1 || get_integer(seq, "seq", &n, e) == -1)
		return -1;
	if (name.len < 1 || name.len > SOURCE_MAX)
		return error_set(e, ERROR_INVALID, "source: must have 1 to %d bytes",
		    SOURCE_MAX);
	if (n < 0)
		return error_set(e, ERROR_INVALID, "seq: must not be negative");
	out->source = name;
	out->seq = n;
	return 0;
}

static int
get_record(const struct ndjson *r, const struct found found[MEMBER_EXTRA], struct record *out,
    struct error *e)
{
	static const enum member must[] = {
		MEMBER_LEVEL, MEMBER_TIME, MEMBER_SENDER, MEMBER_MESSAGE
	};
	struct str kind;

	*out = (struct record){ .kind = r->defaults.kind, .watchdog = r->defaults.watchdog };
	if (found[MEMBER_KIND].value != NULL) {
		if (get_string(&found[MEMBER_KIND], "kind", &kind, e) == -1)
			return -1;
		if (record_kind_parse(kind, &out->kind) == -1)
			return error_set(e, ERROR_INVALID,
			    "kind: must be \"log\" or \"notification\"");
	}
	if (found[MEMBER_WATCHDOG].value != NULL) {
		if (get_watchdog(&found[MEMBER_WATCHDOG], &out->watchdog, e) == -1)
			return -1;
	} else if (out->watchdog.len == 0 && !r->defaults.only) {
		return error_set(e, ERROR_INVALID, "watchdog: missing");
	}
	for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
		if (found[must[i]].value == NULL)
			return error_set(e, ERROR_INVALID, "%s: missing", names[must[i]]);
	}
	if (get_integer(&found[MEMBER_LEVEL], "level", &out->level, e) == -1 ||
	    get_time(&found[MEMBER_TIME], &out->time, e) == -1 ||
	    get_string(&found[MEMBER_SENDER], "sender", &out->sender, e) == -1 ||
	    get_string(&found[MEMBER_MESSAGE], "message", &out->message, e) == -1)
		return -1;
	return 0;
}

/* ---- lines -------------------------------------------------------------- */

static int
read_slowly(struct ndjson *r, struct str line, struct ndjson_line *out, struct error *e)
{
	struct found found[MEMBER_EXTRA] = { { 0 } };
	uint64_t replaced;
	json_t *extras = NULL;
	struct str text;
	int rc = -1;

	if (load(r, line, &text, &replaced, e) == -1)
		return -1;
	if ((extras = json_object()) == NULL || find_members(r, text, found, extras) == -1) {
		error_memory(e);
		goto out;
	}
	if (get_record(r, found, &out->record, e) == -1 ||
	    get_number(&found[MEMBER_SOURCE], &found[MEMBER_SEQ], out, e) == -1)
		goto out;
	if (write_extras(&r->scanner, text, extras, &out->record.extra) == -1) {
		error_memory(e);
		goto out;
	}
	r->replaced += replaced;
	rc = 0;
out:
	json_decref(extras);
	return rc;
}

int
ndjson_read_slow(struct ndjson *r, struct str line, struct ndjson_line *out, struct error *e)
{
	*out = (struct ndjson_line){ .seq = 0 };
	if (read_slowly(r, line, out, e) == 0)
		return 0;
	if (!r->defaults.only)
		ndjson_peek(r, line, out);
	return -1;
}

int
ndjson_read(struct ndjson *r, struct str line, struct ndjson_line *out, struct error *e)
{
	uint64_t replaced = r->scanner.replaced;

	if (scan_line(&r->scanner, line, &r->defaults, out)) {
		r->replaced += r->scanner.replaced - replaced;
		return 0;
	}
	return ndjson_read_slow(r, line, out, e);
}

int
ndjson_read_next(struct ndjson *r, struct str *rest, struct ndjson_line *out, struct error *e)
{
	struct scanner *s = &r->scanner;
	uint64_t replaced = s->replaced;
	struct str value = *rest;
	bool read;

	scan_begin(s, value);
	read = scan_record(s, &r->defaults, out);
	if (read) {
		r->replaced += s->replaced - replaced;
	} else {
		s->p = s->start;
		scan_skip(s);
		value.len = (size_t)(s->p - s->start);
	}
	scan_space(s);
	*rest = (struct str){ s->p, (size_t)(s->end - s->p) };
	return read ? 0 : ndjson_read_slow(r, value, out, e);
}

/* Is the value from s->p on a source, or a seq? */
static bool
peek_source(struct scanner *s, struct str *source)
{
	return scan_string(s, source) && source->len >= 1 && source->len <= SOURCE_MAX;
}

static bool
peek_seq(struct scanner *s, int64_t *seq)
{
	struct decimal d;
	const char *end = decimal_scan(s->p, s->end, &d);

	/* At the very end of the line, digits may have been cut off. */
	return end != NULL && end < s->end && decimal_integer(&d, seq) && *seq >= 0;
}

void
ndjson_peek(struct ndjson *r, struct str line, struct ndjson_line *out)
{
	struct scanner *s = &r->scanner;
	bool has_source = false, has_seq = false;
	const char *value;
	struct str key;
	enum member m;

	scan_begin(s, line);
	scan_space(s);
	if (!scan_take(s, '{'))
		s->p = s->end;
	do {
		scan_space(s);
		if (!scan_string(s, &key) || !scan_colon(s))
			break;
		value = s->p;
		m = scan_member(key);
		if (m == MEMBER_SOURCE)
			has_source = peek_source(s, &out->source);
		else if (m == MEMBER_SEQ)
			has_seq = peek_seq(s, &out->seq);
		s->p = value;
		if (!scan_skip(s))
			break;
		scan_space(s);
	} while (scan_take(s, ','));
	if (!has_source || !has_seq) {
		out->source = (struct str){ NULL, 0 };
		out->seq = 0;
	}
}

/* ---- answers ------------------------------------------------------------ */

int
ndjson_read_answer(struct ndjson *r, struct str line, struct ndjson_answer *out, struct error *e)
{
	static const char *const types[] = { [NDJSON_ACK] = "ack", [NDJSON_REJECT] = "reject" };
	json_t *body, *source, *seq, *reason;
	uint64_t replaced;
	struct str text;

	if (load(r, line, &text, &replaced, e) == -1)
		return -1;
	out->type = NDJSON_ACK;
	if ((body = json_object_get(r->root, types[out->type])) == NULL) {
		out->type = NDJSON_REJECT;
		body = json_object_get(r->root, types[out->type]);
	}
	if (body == NULL)
		return error_set(e, ERROR_INVALID, "neither ack nor reject");
	source = json_object_get(body, "source");
	seq = json_object_get(body, "seq");
	reason = json_object_get(body, "reason");
	if (!json_is_string(source) || json_string_length(source) < 1 ||
	    json_string_length(source) > SOURCE_MAX)
		return error_set(e, ERROR_INVALID, "%s: source: must be a string of 1 to %d bytes",
		    types[out->type], SOURCE_MAX);
	if (!json_is_integer(seq) || json_integer_value(seq) < 0)
		return error_set(e, ERROR_INVALID, "%s: seq: must be an integer, not negative",
		    types[out->type]);
	if (out->type == NDJSON_REJECT && !json_is_string(reason))
		return error_set(e, ERROR_INVALID, "reject: reason: must be a string");
	out->source = string_of(source);
	out->seq = json_integer_value(seq);
	out->reason = out->type == NDJSON_REJECT ? string_of(reason) : (struct str){ NULL, 0 };
	return 0;
}
