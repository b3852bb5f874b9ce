#include "json.h"

static int
begin(struct scanner *s, struct str text, struct error *e)
{
	scan_begin(s, text);
	/* All the room that its strings can need, so that scan_string() below
	 * fails for no other reason than that it is no string. */
	if (buf_reserve(&s->text, text.len) == -1)
		return error_memory(e);
	scan_space(s);
	return 0;
}

/* The text has been read up to s->p, from the value's begin on. */
static int
finish(struct scanner *s, const char *from, bool right, struct str *value, struct error *e)
{
	if (!right)
		return error_set(e, ERROR_INVALID, "not valid JSON");
	*value = (struct str){ from, (size_t)(s->p - from) };
	scan_space(s);
	if (s->p != s->end)
		return error_set(e, ERROR_INVALID, "not one JSON value");
	return 0;
}

int
json_open(struct json *j, struct str text, struct str *value, struct error *e)
{
	struct scanner *s = &j->scan;
	const char *from;

	if (begin(s, text, e) == -1)
		return -1;
	from = s->p;
	return finish(s, from, scan_value(s, 1), value, e);
}

/* The members of an object, from behind its brace on: each is checked, and kept if
 * its name is one of those wanted. */
static bool
check_members(struct scanner *s, const struct str names[], struct str values[], size_t count)
{
	const char *from;
	struct str name;
	size_t i;

	scan_space(s);
	if (scan_take(s, '}'))
		return true;
	do {
		scan_space(s);
		if (!scan_name(s, &name))
			return false;
		for (i = 0; i < count && !str_equal(name, names[i]); i++)
			;
		from = s->p;
		if (!scan_value(s, 2))
			return false;
		if (i < count)
			values[i] = (struct str){ from, (size_t)(s->p - from) };
		scan_space(s);
	} while (scan_take(s, ','));
	return scan_take(s, '}');
}

int
json_open_object(struct json *j, struct str text, const struct str names[], struct str values[],
    size_t count, struct str *object, struct error *e)
{
	struct scanner *s = &j->scan;
	const char *from;

	memset(values, 0, count * sizeof(*values));
	if (begin(s, text, e) == -1)
		return -1;
	from = s->p;
	if (scan_take(s, '{'))
		return finish(s, from, check_members(s, names, values, count), object, e);
	if (json_open(j, text, object, e) == -1)
		return -1;
	return error_set(e, ERROR_INVALID, "not an object");
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

/* Step over a value, which ends a part of an object or array. */
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

/* Step to the next part: `rest` begins with the bracket or, later, with a comma. At
 * its end it begins with the other bracket. */
static bool
step(struct scanner *s, const struct str *rest, char bracket)
{
	s->p = rest->data;
	if (!scan_take(s, bracket) && !scan_take(s, ','))
		return false;
	scan_space(s);
	return *s->p != ']' && *s->p != '}';
}

bool
json_next_member(struct json *j, struct str *rest, struct str *name, struct str *value)
{
	return step(&j->scan, rest, '{') && scan_name(&j->scan, name) &&
	    take_value(&j->scan, value, rest);
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
json_step(struct json *j, struct str *rest)
{
	const char *end = rest->data + rest->len;

	if (!step(&j->scan, rest, '['))
		return false;
	*rest = (struct str){ j->scan.p, (size_t)(end - j->scan.p) };
	return true;
}

bool
json_next(struct json *j, struct str *rest, struct str *element)
{
	return step(&j->scan, rest, '[') && take_value(&j->scan, element, rest);
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
