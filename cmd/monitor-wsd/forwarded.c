#include "forwarded.h"

#include <strings.h>

static struct str
trim(struct str s)
{
	while (s.len > 0 && (*s.data == ' ' || *s.data == '\t')) {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Take the last part off that `separator` sets apart. (Not even in quotes may an address
 * have one, and what the client sent in front must not join the proxy's.) */
static struct str
take_last(struct str *rest, char separator)
{
	const char *found = memrchr(rest->data, separator, rest->len);
	struct str last = *rest;

	if (found == NULL) {
		*rest = (struct str){ 0 };
	} else {
		last = (struct str){ found + 1, (size_t)(rest->data + rest->len - found - 1) };
		rest->len = (size_t)(found - rest->data);
	}
	return trim(last);
}

/* An address, which may have a port behind it, brackets and quotes around it. */
static bool
read_node(struct str s, struct address *a)
{
	const char *end;

	if (s.len >= 2 && *s.data == '"' && s.data[s.len - 1] == '"')
		s = (struct str){ s.data + 1, s.len - 2 };
	if (s.len > 0 && *s.data == '[') {
		if ((end = memchr(s.data, ']', s.len)) == NULL)
			return false;
		return address_parse((struct str){ s.data + 1, (size_t)(end - s.data - 1) }, a);
	}
	if (address_parse(s, a))
		return true;
	end = memchr(s.data, ':', s.len);
	return end != NULL && address_parse((struct str){ s.data, (size_t)(end - s.data) }, a);
}

/* The value of "for" in an element of Forwarded. */
static struct str
value_of_for(struct str element)
{
	while (element.len > 0) {
		struct str pair = take_last(&element, ';');

		if (pair.len >= 4 && strncasecmp(pair.data, "for=", 4) == 0)
			return (struct str){ pair.data + 4, pair.len - 4 };
	}
	return (struct str){ "", 0 };
}

static bool
find(struct str header, bool standard, const struct network *trusted, size_t count,
    struct address *client)
{
	bool found = false;

	while (header.len > 0) {
		struct str node = take_last(&header, ',');
		struct address a;

		if (standard)
			node = value_of_for(node);
		if (!read_node(node, &a))
			break;
		*client = a;
		found = true;
		if (!network_any_has(trusted, count, &a))
			break;
	}
	return found;
}

bool
forwarded_x_for(struct str header, const struct network *trusted, size_t count,
    struct address *client)
{
	return find(header, false, trusted, count, client);
}

bool
forwarded_standard(struct str header, const struct network *trusted, size_t count,
    struct address *client)
{
	return find(header, true, trusted, count, client);
}
