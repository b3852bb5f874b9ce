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
json_free(struct json *j)
{
	if (j->scan.text.cap > 0)
		explicit_bzero(j->scan.text.data, j->scan.text.cap);
	scan_free(&j->scan);
}

/* Step over a value, its commas and spaces. */
static bool
take_value(struct scanner *s, struct str *value)
{
	const char *from;

	scan_space(s);
	from = s->p;
	if (!scan_skip(s))
		return false;
	*value = (struct str){ from, (size_t)(s->p - from) };
	scan_space(s);
	scan_take(s, ',');
	scan_space(s);
	return true;
}

bool
json_members(struct json *j, struct str object, const char *const names[], struct str values[],
    size_t count)
{
	struct scanner *s = &j->scan;
	struct str name, value;

	memset(values, 0, count * sizeof(*values));
	s->p = object.data;
	if (!scan_take(s, '{'))
		return false;
	scan_space(s);
	while (!scan_take(s, '}')) {
		if (!scan_string(s, &name))
			return false;
		scan_space(s);
		if (!scan_take(s, ':') || !take_value(s, &value))
			return false;
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
	struct scanner *s = &j->scan;
	const char *end = rest->data + rest->len;

	s->p = rest->data;
	scan_take(s, '[');
	scan_space(s);
	if (scan_take(s, ']') || !take_value(s, element))
		return false;
	*rest = (struct str){ s->p, (size_t)(end - s->p) };
	return true;
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
