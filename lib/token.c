#include "token.h"

#include <stdint.h>

#include "utf8.h"

enum { CODE, ID, TIME, BELONGS, PERM, SIGNATURE, MEMBERS };

static const char *const names[MEMBERS] = {
	"code", "id", "time", "belongs", "perm", "signature",
};

bool
token_code_valid(struct str s)
{
	if (s.len != TOKEN_CODE_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i], lower = (char)(c | 0x20);
		if (!(c >= '0' && c <= '9') && !(lower >= 'a' && lower <= 'z'))
			return false;
	}
	return true;
}

bool
token_email_valid(struct str s)
{
	const char *at;
	char last;

	if (s.len < 3 || s.len > TOKEN_EMAIL_MAX || utf8_check(s) != s.len)
		return false;
	last = s.data[s.len - 1];
	at = memchr(s.data + 1, '@', s.len - 2);
	if (at == NULL || last == '-' || last == '@' || (last >= '0' && last <= '9'))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];
		/* U+0080 to U+009F are control characters as well. */
		if (c <= ' ' || c == 0x7f || (c == 0xc2 && (unsigned char)s.data[i + 1] < 0xa0))
			return false;
	}
	return true;
}

/* ---- Python's repr() of a string ---------------------------------------- */

/* Does Python print this character, from U+0080 on? Not the control and format
 * characters, spaces and private ones (Cc, Cf, Zs, Zl, Zp, Co). */
static bool
printable(unsigned c)
{
	static const struct {
		unsigned from, to;
	} hidden[] = {
		{ 0x80, 0xa0 }, { 0xad, 0xad }, { 0x600, 0x605 }, { 0x61c, 0x61c }, { 0x6dd, 0x6dd },
		{ 0x70f, 0x70f }, { 0x890, 0x891 }, { 0x8e2, 0x8e2 }, { 0x1680, 0x1680 },
		{ 0x180e, 0x180e }, { 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
		{ 0x3000, 0x3000 }, { 0xe000, 0xf8ff }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
		{ 0x110bd, 0x110bd }, { 0x110cd, 0x110cd }, { 0x13430, 0x1343f },
		{ 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0001, 0xe0001 },
		{ 0xe0020, 0xe007f }, { 0xf0000, 0x10ffff },
	};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (c >= hidden[i].from && c <= hidden[i].to)
			return false;
	}
	return true;
}

/* The number of the character of `n` bytes at `p`. */
static unsigned
character(const char *p, size_t n)
{
	unsigned c = (unsigned char)*p;

	if (n > 1)
		c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)p[i] & 0x3f);
	return c;
}

static int
repr_character(struct buf *b, const char *p, size_t n, char quote)
{
	unsigned c = character(p, n);

	if (c == (unsigned char)quote || c == '\\')
		return buf_printf(b, "\\%c", (int)c);
	if (c >= 0x80 ? printable(c) : c >= ' ' && c < 0x7f)
		return buf_add(b, p, n);
	switch (c) {
	case '\t':
		return buf_add(b, "\\t", 2);
	case '\n':
		return buf_add(b, "\\n", 2);
	case '\r':
		return buf_add(b, "\\r", 2);
	default:
		return buf_printf(b, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
	}
}

/* Append what Python's repr() makes of a string: 'a', "it's". Which characters
 * beyond ASCII it prints and which it escapes follows Unicode's tables; here those
 * that no version has assigned are printed. -1: no memory. */
static int
add_repr(struct buf *b, struct str s)
{
	const char *p = s.data, *end = p + s.len;
	char quote = '\'';
	size_t n;

	if (s.len > 0 && memchr(p, '\'', s.len) != NULL && memchr(p, '"', s.len) == NULL)
		quote = '"';
	if (buf_add(b, &quote, 1) == -1)
		return -1;
	for (; p < end; p += n) {
		if ((n = utf8_length(p, end)) == 0)
			n = 1;   /* not to be: strings have been checked */
		if (repr_character(b, p, n, quote) == -1)
			return -1;
	}
	return buf_add(b, &quote, 1);
}

/* ---- the members -------------------------------------------------------- */

static enum token_result
invalid(struct error *e, const char *why)
{
	error_set(e, ERROR_INVALID, "invalid token: %s", why);
	return TOKEN_INVALID;
}

static enum token_result
no_memory(struct error *e)
{
	error_memory(e);
	return TOKEN_FAILED;
}

static enum token_result
read_code(struct token *t, struct json *j, struct str value, struct error *e)
{
	struct str code;

	if (!json_string(j, value, &code))
		return invalid(e, "code: must be a string");
	if (token_code_valid(code))
		memcpy(t->watchdog, code.data, code.len);
	else if (token_email_valid(code))
		memcpy(t->name, code.data, code.len);
	else
		return invalid(e, "code: is neither a watchdog's code nor an e-mail address");
	t->person = t->name[0] != '\0';
	return buf_add_str(&t->text, code) == 0 ? TOKEN_OK : no_memory(e);
}

/* The text of a JSON integer is Python's, of any size, but for "-0". */
static enum token_result
read_integer(struct token *t, struct str value, struct error *e, const char *what)
{
	struct decimal d;

	if (!json_number(value, &d) || !d.whole || str_equal(value, str_of("-0")))
		return invalid(e, what);
	return buf_add_str(&t->text, value) == 0 ? TOKEN_OK : no_memory(e);
}

/* Python's repr(float) and decimal_write_double() both write the fewest digits
 * that read back the same; as to exponents, no time that is let in needs one. */
static enum token_result
read_time(struct token *t, struct str value, double now, struct error *e)
{
	char text[DECIMAL_TEXT_SIZE];
	struct decimal d;
	double time;

	if (!json_number(value, &d))
		return invalid(e, "time: must be a number");
	if (decimal_double(&d, &time) == -1)
		return no_memory(e);
	if (!(time <= now + TOKEN_AHEAD))
		return invalid(e, "time: is ahead of now");
	t->expires = time + TOKEN_LIFETIME;
	if (d.whole)
		return read_integer(t, value, e, "time: must be a number");
	if (buf_add(&t->text, text, decimal_write_double(text, time)) == -1)
		return no_memory(e);
	return TOKEN_OK;
}

static enum token_result
read_belongs(struct token *t, struct json *j, struct str value, struct error *e)
{
	struct str rest = value, element, s;
	size_t count = 0;

	if (json_null(value) && !t->person)
		return buf_add_str(&t->text, str_of("None")) == 0 ? TOKEN_OK : no_memory(e);
	if (!json_is_array(value))
		return invalid(e, "belongs: must be an array");
	if (buf_add_str(&t->text, str_of("[")) == -1)
		return no_memory(e);
	for (; json_next(j, &rest, &element); count++) {
		if (!json_string(j, element, &s))
			return invalid(e, "belongs: must be strings");
		if (t->person && !token_code_valid(s))
			return invalid(e, "belongs: must be watchdogs' codes");
		if (t->person && count == 0)
			memcpy(t->watchdog, s.data, s.len);
		if ((count > 0 && buf_add_str(&t->text, str_of(", ")) == -1) ||
		    add_repr(&t->text, s) == -1)
			return no_memory(e);
	}
	if (t->person && count == 0)
		return invalid(e, "belongs: must not be empty");
	return buf_add_str(&t->text, str_of("]")) == 0 ? TOKEN_OK : no_memory(e);
}

/* Base64 (RFC 4648, section 4), with its padding; the ends of lines that some
 * encoders put in are skipped. What is none leaves the signature empty, which
 * verifies nowhere. */
static enum token_result
read_signature(struct token *t, struct json *j, struct str value, struct error *e)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct buf *b = &t->signature;
	unsigned bits = 0, count = 0, padding = 0;
	const char *digit;
	struct str s;

	if (!json_string(j, value, &s))
		return invalid(e, "signature: must be a string");
	if (buf_reserve(b, s.len) == -1)
		return no_memory(e);
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == '\n' || s.data[i] == '\r')
			continue;
		if (s.data[i] == '=' && ++padding <= 2)
			continue;
		digit = memchr(digits, s.data[i], 64);
		if (digit == NULL || padding > 0)
			goto none;
		bits = bits << 6 | (unsigned)(digit - digits);
		if (count++ % 4 != 0)
			b->data[b->len++] = (char)(bits >> (6 - 2 * ((count - 1) % 4)));
	}
	if ((count + padding) % 4 == 0)
		return TOKEN_OK;
none:
	b->len = 0;
	return TOKEN_OK;
}

/* In the order in which they are signed: t->text grows from one to the next. */
static enum token_result
read_members(struct token *t, struct json *j, const struct str values[MEMBERS], double now,
    struct error *e)
{
	enum token_result r;

	if ((r = read_code(t, j, values[CODE], e)) != TOKEN_OK ||
	    (r = read_integer(t, values[ID], e, "id: must be an integer")) != TOKEN_OK ||
	    (r = read_time(t, values[TIME], now, e)) != TOKEN_OK ||
	    (r = read_belongs(t, j, values[BELONGS], e)) != TOKEN_OK ||
	    (r = read_integer(t, values[PERM], e, "perm: must be an integer")) != TOKEN_OK ||
	    (r = read_signature(t, j, values[SIGNATURE], e)) != TOKEN_OK)
		return r;
	if (!(now < t->expires)) {
		error_set(e, ERROR_INVALID, "the token has expired");
		return TOKEN_EXPIRED;
	}
	return TOKEN_OK;
}

enum token_result
token_read(struct token *t, struct str json, double now, struct error *e)
{
	struct json j = { 0 };
	struct str value, values[MEMBERS];
	struct error why = { .kind = ERROR_NONE };
	enum token_result r;

	*t = (struct token){ 0 };
	if (json_open(&j, json, &value, &why) == -1) {
		r = why.kind == ERROR_MEMORY ? no_memory(e) : invalid(e, why.text);
		goto out;
	}
	if (json_members(&j, value, names, values, MEMBERS))
		r = read_members(t, &j, values, now, e);
	else
		r = invalid(e, "must be an object");
out:
	json_free(&j);
	return r;
}

void
token_free(struct token *t)
{
	buf_free(&t->text);
	buf_free(&t->signature);
}

enum token_result
token_verify(const struct token *t, const struct crypto_key *key, struct error *e)
{
	struct str text = { t->text.data, t->text.len };
	struct str signature = { t->signature.data, t->signature.len };

	if (signature.len > 0) {
		switch (crypto_key_verify(key, text, signature, e)) {
		case 1:
			return TOKEN_OK;
		case -1:
			return TOKEN_FAILED;
		}
	}
	error_set(e, ERROR_INVALID, "the signature does not verify");
	return TOKEN_UNSIGNED;
}
