#include "json.h"

int
json_open(struct json *j, struct str text, struct str *value, struct error *e)
{
	struct scanner *s = &j->scan;
	const char *from;

	scan_begin(s, text);
	/* All the room that its strings can need, so that scan_string() below
	 * fails for no other reason than that it is no string. */
	if (buf_reserve(&s->text, text.len) == -1)
		return error_memory(e);
	scan_space(s);
	from = s->p;
	if (!scan_value(s, 1))
		return error_set(e, ERROR_INVALID, "not valid JSON");
	*value = (struct str){ from, (size_t)(s->p - from) };
	scan_space(s);
	if (s->p != s->end)
		return error_set(e, ERROR_INVALID, "not one JSON value");
	return 0;
}

void
json_wipe(struct json *j)
{
	/* Text only gets shorter as its escapes are undone. */
	size_t used = (size_t)(j->scan.end - j->scan.start);

	if (used > j->scan.text.cap)
		used = j->scan.text.cap;
	if (used > 0)
		explicit_bzero(j->scan.text.data, used);
}

void
json_free(struct json *j)
{
	if (j->scan.text.cap > 0)
		explicit_bzero(j->scan.text.data, j->scan.text.cap);
	scan_free(&j->scan);
}

/* Stand before the next part of an object or array: `rest` begins with its bracket
 * or, later, with the comma. At its end it begins with the other bracket. */
static bool
next_part(struct scanner *s, struct str rest, char bracket)
{
	s->p = rest.data;
	if (!scan_take(s, bracket) && !scan_take(s, ','))
		return false;
	scan_space(s);
	return true;
}

/* Step over a value, which ends a part. */
static bool
take_value(struct scanner *s, struct str *value, struct str *rest)
{
	const char *from = s->p, *end = rest->data + rest->len;

	if (!scan_skip(s))
		return false;
	*value = (struct str){ from, (size_t)(s->p - from) };
	scan_space(s);
	*rest = (struct str){ s->p, (size_t)(end - s->p) };
	return true;
}

bool
json_is_object(struct str value)
{
	return value.len > 0 && *value.data == '{';
}

bool
json_next_member(struct json *j, struct str *rest, struct str *name, struct str *value)
{
	struct scanner *s = &j->scan;
	size_t had = s->text.len;

	if (!next_part(s, *rest, '{') || !scan_string(s, name))
		return false;
	s->text.len = had;
	scan_space(s);
	if (!scan_take(s, ':'))
		return false;
	scan_space(s);
	return take_value(s, value, rest);
}

bool
json_members(struct json *j, struct str object, const char *const names[], struct str values[],
    size_t count)
{
	struct str name, value;

	memset(values, 0, count * sizeof(*values));
	if (!json_is_object(object))
		return false;
	while (json_next_member(j, &object, &name, &value)) {
		for (size_t i = 0; i < count; i++) {
			if (str_equal(name, str_of(names[i])))
				values[i] = value;
		}
	}
	return true;
}

bool
json_is_array(struct str value)
{
	return value.len > 0 && *value.data == '[';
}

bool
json_next(struct json *j, struct str *rest, struct str *element)
{
	return next_part(&j->scan, *rest, '[') && take_value(&j->scan, element, rest);
}

bool
json_string(struct json *j, struct str value, struct str *out)
{
	struct scanner *s = &j->scan;
	uint64_t replaced = s->replaced;

	if (value.len == 0 || *value.data != '"')
		return false;
	s->p = value.data;
	return scan_string(s, out) && s->replaced == replaced;
}

bool
json_number(struct str value, struct decimal *d)
{
	if (value.len == 0)
		return false;
	return decimal_scan(value.data, value.data + value.len, d) == value.data + value.len;
}

bool
json_null(struct str value)
{
	return str_equal(value, str_of("null"));
}

bool
json_bool(struct str value, bool *b)
{
	*b = str_equal(value, str_of("true"));
	return *b || str_equal(value, str_of("false"));
}
