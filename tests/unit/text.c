/*
 * Texts on their way to PostgreSQL and back: whatever their bytes are, no U+0000 gets there.
 */
#include <stdlib.h>

#include "postgres/postgres.h"
#include "tap.h"

static bool
comes_back(struct str s, struct str stored)
{
	struct buf b = { 0 };
	bool ok = text_encode(&b, s) == 0 && str_equal((struct str){ b.data, b.len }, stored) &&
	    text_is_plain(s) == str_equal(s, stored) && memchr(stored.data, '\0', stored.len) == NULL;

	ok = ok && text_decode(b.data, b.len) == s.len &&
	    str_equal((struct str){ b.data, s.len }, s);
	buf_free(&b);
	return ok;
}

/* All texts of up to 6 bytes of four kinds. */
static bool
all_come_back(void)
{
	static const char bytes[] = { '\0', '\x10', '0', 'x' };
	char text[6];

	for (int n = 0; n <= 6; n++)
		for (int i = 0; i < 1 << 2 * n; i++) {
			struct buf b = { 0 };
			for (int k = 0; k < n; k++)
				text[k] = bytes[i >> 2 * k & 3];
			if (text_encode(&b, (struct str){ text, (size_t)n }) == -1 ||
			    (b.len > 0 && memchr(b.data, '\0', b.len) != NULL) ||
			    text_decode(b.data, b.len) != (size_t)n ||
			    (n > 0 && memcmp(b.data, text, (size_t)n) != 0))
				return false;
			buf_free(&b);
		}
	return true;
}

int
main(void)
{
	tap_ok(comes_back(str_of("plain"), str_of("plain")), "a plain text stays as it is");
	tap_ok(comes_back((struct str){ "a\0b", 3 }, str_of("a\x10" "0b")), "U+0000 is escaped");
	tap_ok(comes_back(str_of("\x10"), str_of("\x10\x10")), "so is what escapes it");
	tap_ok(comes_back(str_of("\x10" "0"), str_of("\x10\x10" "0")), "and what looks like it");
	tap_ok(comes_back((struct str){ "\0\0", 2 }, str_of("\x10" "0\x10" "0")), "several");
	tap_ok(all_come_back(), "all short texts come back, and hold no U+0000 meanwhile");
	return tap_done();
}
