/*
 * recut.h - every token whose signed text is the same: what a stranger tries who
 * has one signature and moves bytes from one signed part to the next.
 */
#ifndef MONITOR_RECUT_H
#define MONITOR_RECUT_H

#include <stdlib.h>

#include "ndjson.h"
#include "scan.h"
#include "token.h"
#include "utf8.h"

typedef void recut_found(const struct token *t, void *arg);

static void
recut_need(bool ok)
{
	if (!ok)
		abort();
}

/* One character of a Python string at *p, appended to `out`. */
static bool
recut_character(const char **p, const char *end, struct buf *out)
{
	static const char plain[] = "\\'\"tnr", means[] = "\\'\"\t\n\r";
	char text[4], digits[9] = "", *stop;
	const char *at;
	size_t n;
	unsigned long c;

	if (**p != '\\') {
		n = utf8_length(*p, end);
		recut_need(buf_add(out, *p, n) == 0);
		*p += n;
		return n > 0;
	}
	if (end - ++*p < 1)
		return false;
	if (**p != '\0' && (at = strchr(plain, **p)) != NULL) {
		recut_need(buf_add(out, means + (at - plain), 1) == 0);
		++*p;
		return true;
	}
	n = **p == 'x' ? 2 : **p == 'u' ? 4 : **p == 'U' ? 8 : 0;
	if (n == 0 || (size_t)(end - *p) < n + 1)
		return false;
	memcpy(digits, *p + 1, n);
	c = strtoul(digits, &stop, 16);
	if (stop != digits + n || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return false;
	*p += n + 1;
	recut_need(buf_add(out, text, utf8_put(text, (unsigned)c)) == 0);
	return true;
}

/* A Python list of strings, from p to end exactly, as a JSON array. */
static bool
recut_list(const char *p, const char *end, struct buf *json)
{
	struct buf s = { 0 };
	bool good = false, first = true;
	char quote;

	recut_need(buf_add(json, "[", 1) == 0);
	if (end - p == 2 && p[1] == ']')
		return buf_add(json, "]", 1) == 0;
	for (p++; p < end; first = false) {
		if (!first) {
			if (end - p == 1 && *p == ']') {
				good = true;
				break;
			}
			if (end - p < 2 || memcmp(p, ", ", 2) != 0)
				break;
			p += 2;
		}
		if (p == end || (*p != '\'' && *p != '"'))
			break;
		quote = *p++;
		for (s.len = 0; p < end && *p != quote; )
			if (!recut_character(&p, end, &s))
				goto out;
		if (p++ == end)
			break;
		recut_need(first || buf_add(json, ",", 1) == 0);
		recut_need(ndjson_write_string(json, (struct str){ s.data, s.len }) == 0);
	}
out:
	buf_free(&s);
	return good && buf_add(json, "]", 1) == 0;
}

static bool
recut_number(const char *p, const char *end)
{
	struct decimal d;

	return decimal_scan(p, end, &d) == end;
}

/* Try one: a token of which `text` is the signed text, if these parts are parts. */
static void
recut_try(struct str text, size_t id, size_t time, size_t belongs, size_t perm, struct str list,
    double now, recut_found *found, void *arg)
{
	const char *p = text.data, *end = p + text.len;
	struct buf json = { 0 };
	struct token t;
	struct error e;

	if (utf8_check((struct str){ p, id }) != id || !recut_number(p + id, p + time) ||
	    !recut_number(p + time, p + belongs) || !recut_number(p + perm, end))
		return;
	recut_need(buf_add(&json, "{\"code\":", 8) == 0 &&
	    ndjson_write_string(&json, (struct str){ p, id }) == 0 &&
	    buf_printf(&json, ",\"id\":%.*s,\"time\":%.*s,\"belongs\":%.*s,\"perm\":%.*s,"
	    "\"signature\":\"AAAA\"}", (int)(time - id), p + id, (int)(belongs - time), p + time,
	    STR_ARGS(list), (int)(text.len - perm), p + perm) == 0);
	/* What Python would write otherwise than it stands here has another text. */
	if (token_read(&t, (struct str){ json.data, json.len }, now, &e) == TOKEN_OK &&
	    str_equal((struct str){ t.text.data, t.text.len }, text))
		found(&t, arg);
	token_free(&t);
	buf_free(&json);
}

/* Find them all. */
static void
recut(struct str text, double now, recut_found *found, void *arg)
{
	const char *p = text.data;
	struct buf list = { 0 };
	size_t perm;
	bool good;

	for (size_t belongs = 3; belongs < text.len; belongs++) {
		for (perm = belongs + 1; perm < text.len; perm++) {
			list.len = 0;
			if (p[belongs] == 'N')
				good = perm == belongs + 4 && memcmp(p + belongs, "None", 4) == 0 &&
				    buf_add(&list, "null", 4) == 0;
			else
				good = p[belongs] == '[' && p[perm - 1] == ']' &&
				    recut_list(p + belongs, p + perm, &list);
			for (size_t time = 2; good && time < belongs; time++)
				for (size_t id = 1; id < time; id++)
					recut_try(text, id, time, belongs, perm,
					    (struct str){ list.data, list.len }, now, found, arg);
		}
	}
	buf_free(&list);
}

#endif
