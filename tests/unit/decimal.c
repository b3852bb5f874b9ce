/* decimal.h: numbers to doubles and back, exactly; utf8.h beside it. */
#include "decimal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "utf8.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint64_t state = 88172645463325252u;

static uint64_t
any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* Read a text that must be a number and nothing else. */
static bool
read_all(const char *text, size_t len, double *value)
{
	struct decimal d;

	return decimal_scan(text, text + len, &d) == text + len && decimal_double(&d, value) == 0;
}

static bool
same(double a, double b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static void
grammar(void)
{
	static const char *const bad[] = {
		"", "-", "+1", ".5", "1.", "01", "00", "-01", "1.e5", "1e", "1e+", "e5", "-.5",
		    "NaN",
		"Infinity", " 1",
	};
	static const struct { const char *text; size_t len; } part[] = {
		{ "1,", 1 }, { "1 ", 1 }, { "0}", 1 }, { "1.5]", 3 }, { "1e5x", 3 }, { "-0-", 2 },
		{ "1.5.5", 3 }, { "12a", 2 }, { "0x1p3", 1 }, { "1E+05e", 5 },
	};
	struct decimal d;
	const char *end;

	for (size_t i = 0; i < COUNT(bad); i++)
		tap_ok(decimal_scan(bad[i], bad[i] + strlen(bad[i]), &d) == NULL,
		    "'%s' is no number", bad[i]);
	for (size_t i = 0; i < COUNT(part); i++) {
		end = decimal_scan(part[i].text, part[i].text + strlen(part[i].text), &d);
		tap_ok(end == part[i].text + part[i].len && d.text.data == part[i].text &&
		    d.text.len == part[i].len, "of '%s', %zu bytes are a number", part[i].text,
		    part[i].len);
	}
}

static void
doubles(void)
{
	static const struct { const char *text; double value; } good[] = {
		{ "0", 0 }, { "-0", 0 }, { "-0.0", -0.0 }, { "-0e5", -0.0 }, { "1732280000.123456",
		1732280000.123456 }, { "17322800001234567e-7", 1732280000.1234567 },
		{ "9007199254740993", 9007199254740992.0 }, { "9007199254740993.0000000001",
		9007199254740994.0 }, { "0.1", 0.1 }, { "1e22", 1e22 }, { "1e23", 1e23 },
		{ "123456789012345678901234567890", 123456789012345678901234567890.0 },
		{ "1.7976931348623157e308", DBL_MAX }, { "1.7976931348623159e308", INFINITY },
		{ "-1e309", -INFINITY }, { "1e99999999999999999999", INFINITY },
		{ "0e99999999999999999999", 0 }, { "1e-99999999999999999999", 0 },
		{ "4.9e-324", 4.9406564584124654e-324 }, { "2e-324", 0 },
		{ "2.2250738585072011e-308", 2.2250738585072011e-308 },
		{ "0.000000000000000000000000000001", 1e-30 },
		    { "100000000000000000000000e-23", 1 },
		{ "18446744073709551615", 18446744073709551616.0 },
		{ "18446744073709551616", 18446744073709551616.0 },
		{ "4503599627370496.5", 4503599627370496.5 },
		{ "4503599627370497.5", 4503599627370497.5 },
	};
	char text[1100];
	double v;

	for (size_t i = 0; i < COUNT(good); i++)
		tap_ok(read_all(good[i].text, strlen(good[i].text), &v) && same(v, good[i].value),
		    "%s is read as %.17g", good[i].text, good[i].value);
	memset(text, '0', sizeof(text));
	text[0] = '1';
	memcpy(text + 1000, "e-1000", 6);
	tap_ok(read_all(text, 1006, &v) && v == 0.1, "a thousand digits are read exactly");
	memset(text, '9', sizeof(text));
	text[1] = '.';
	tap_ok(read_all(text, sizeof(text), &v) && v == 10, "so are a thousand places");
}

/* Every text that strtod(3) reads, we read alike. */
static void
against_strtod(void)
{
	char text[96];
	size_t wrong = 0;
	double v;

	for (int i = 0; i < 200000; i++) {
		int before = (int)(any() % 20) + 1, behind = (int)(any() % 20), n = 0;
		n += sprintf(text + n, "%s%d", any() % 4 == 0 ? "-" : "", (int)(any() % 9) + 1);
		while (before-- > 1)
			text[n++] = (char)('0' + (any() % 3 ? any() % 10 : 0));
		if (behind > 0)
			text[n++] = '.';
		while (behind-- > 0)
			text[n++] = (char)('0' + (any() % 3 ? any() % 10 : 0));
		if (any() % 3 == 0)
			n += sprintf(text + n, "e%d", (int)(any() % 700) - 350);
		text[n] = '\0';
		if (!read_all(text, (size_t)n, &v) || !same(v, strtod(text, NULL)))
			wrong++;
	}
	tap_ok(wrong == 0, "200,000 random numbers are read as strtod(3) reads them");
}

/* Numbers right between two doubles, where one digit decides. */
static void
half_way(void)
{
	char text[96];
	size_t wrong = 0;
	double v;

	for (int i = 0; i < 20000; i++) {
		uint64_t odd = (uint64_t)1 << 53 | any() >> 11 | 1;   /* 54 bits */
		int n = sprintf(text, "%llu", (unsigned long long)(odd >> 3));
		n += sprintf(text + n, ".%03d", (int)(odd & 7) * 125);
		wrong += !read_all(text, (size_t)n, &v) || v != strtod(text, NULL);
		text[n] = '1';
		text[n + 1] = '\0';
		wrong += !read_all(text, (size_t)n + 1, &v) || v != strtod(text, NULL);
	}
	tap_ok(wrong == 0, "ties go to the even double, and a last 1 breaks them");
}

static void
integers(void)
{
	static const struct { const char *text; bool is; int64_t n; } cases[] = {
		{ "0", true, 0 }, { "-0", true, 0 }, { "5", true, 5 }, { "5.0", true, 5 },
		{ "5e0", true, 5 }, { "50e-1", true, 5 }, { "-0.0", true, 0 },
		    { "1e3", true, 1000 },
		{ "9223372036854775807", true, INT64_MAX }, { "9223372036854775808", false, 0 },
		{ "-9223372036854775808", true, INT64_MIN }, { "-9223372036854775809", false, 0 },
		{ "10000000000000000000", false, 0 }, { "100000000000000000000", false, 0 },
		{ "9007199254740993", true, 9007199254740993 }, { "5.5", false, 0 },
		{ "1e-1", false, 0 }, { "9.3e18", false, 0 },
		    { "9.2e18", true, 9200000000000000000 },
		{ "-9223372036854775808.0", true, INT64_MIN }, { "1e999", false, 0 },
	};
	struct decimal d;
	int64_t n = 0;

	for (size_t i = 0; i < COUNT(cases); i++) {
		decimal_scan(cases[i].text, cases[i].text + strlen(cases[i].text), &d);
		tap_ok(decimal_integer(&d, &n) == cases[i].is && (!cases[i].is || n == cases[i].n),
		    "%s is %s", cases[i].text, cases[i].is ? "an integer" : "no 64-bit integer");
	}
	tap_ok(!decimal_whole(NAN, &n) && !decimal_whole(INFINITY, &n),
	    "NaN and infinity are none");
}

static void
writing(void)
{
	static const struct { double d; const char *text; } cases[] = {
		{ 0, "0.0" }, { -0.0, "-0.0" }, { 1, "1.0" }, { -1.5, "-1.5" }, { 0.1, "0.1" },
		{ 1732280000, "1732280000.0" }, { 1732280000.123456, "1732280000.123456" },
		{ 1732280000.1234567, "1732280000.1234567" },
		    { 1732280000.000001, "1732280000.000001" },
		{ 0.000001, "0.000001" }, { 1e-7, "1e-07" }, { 1e22, "1e+22" }, { 1.0 / 3,
		"0.3333333333333333" }, { 9007199254740991, "9007199254740991.0" },
		{ 9007199254740992, "9007199254740992.0" }, { 4294967296.1, "4294967296.1" },
		{ 8589934592.00001, "8589934592.00001" }, { 2.0 / 3 + 1, "1.6666666666666665" },
		{ DBL_MAX, "1.7976931348623157e+308" }, { DBL_MIN, "2.2250738585072014e-308" },
		{ 4.9406564584124654e-324, "5e-324" }, { INFINITY, "null" }, { NAN, "null" },
		    { 123456789.123456789, "123456789.12345679" },
	};
	static const int64_t whole[] = { 0, 7, 10, 99, 100, 12345, -1, -100, INT64_MAX, INT64_MIN };
	char text[DECIMAL_TEXT_SIZE + 1], want[32];

	for (size_t i = 0; i < COUNT(cases); i++) {
		text[decimal_write_double(text, cases[i].d)] = '\0';
		tap_is(text, cases[i].text, cases[i].text);
	}
	for (size_t i = 0; i < COUNT(whole); i++) {
		text[decimal_write_integer(text, whole[i])] = '\0';
		snprintf(want, sizeof(want), "%lld", (long long)whole[i]);
		tap_is(text, want, want);
	}
}

static void
round_trip(void)
{
	char text[DECIMAL_TEXT_SIZE + 1];
	size_t wrong = 0, unmarked = 0, len;
	uint64_t bits;
	double d, back;

	for (int i = 0; i < 200000; i++) {
		bits = any();
		if (i % 4 == 0)
			memcpy(&d, &bits, sizeof(d));
		else if (i % 4 == 1)
			d = ldexp((double)(bits >> 11), -(int)(any() % 60));
		else if (i % 4 == 2)
			d = ldexp(1, (int)(bits % 2098) - 1074);
		else
			d = 1.7e9 + ldexp((double)(bits >> 11), -26);
		if (!isfinite(d))
			continue;
		len = decimal_write_double(text, d);
		text[len] = '\0';
		wrong += !read_all(text, len, &back) || !same(back, d) ||
		    !same(strtod(text, NULL), d);
		unmarked += strpbrk(text, ".e") == NULL;
	}
	tap_ok(wrong == 0, "200,000 random doubles are written and read back unchanged");
	tap_ok(unmarked == 0, "each with a '.' or an 'e'");
}

static void
characters(void)
{
	static const struct { const char *text; size_t good; const char *what; } cases[] = {
		{ "", 0, "nothing" }, { "abcdefghijklmnop", 16, "ASCII" }, { "\x7f", 1, "U+007F" },
		{ "\xc2\x80", 2, "U+0080" }, { "\xdf\xbf", 2, "U+07FF" },
		    { "\xe0\xa0\x80", 3, "U+0800" },
		{ "\xed\x9f\xbf", 3, "U+D7FF" }, { "\xee\x80\x80", 3, "U+E000" },
		{ "\xef\xbf\xbf", 3, "U+FFFF" }, { "\xf0\x90\x80\x80", 4, "U+10000" },
		{ "\xf4\x8f\xbf\xbf", 4, "U+10FFFF" }, { "\xf4\x90\x80\x80", 0, "above U+10FFFF" },
		{ "\xf5\x80\x80\x80", 0, "a lead byte F5" }, { "\xed\xa0\x80", 0, "a surrogate" },
		{ "\xed\xbf\xbf", 0, "the last surrogate" },
		    { "\xc0\x80", 0, "an overlong U+0000" },
		{ "\xc1\xbf", 0, "an overlong two bytes" }, { "\xe0\x9f\xbf", 0, "overlong three" },
		{ "\xf0\x8f\xbf\xbf", 0, "overlong four" }, { "\x80", 0, "a lone continuation" },
		{ "ab\xc3", 2, "a cut two bytes" }, { "ab\xe2\x82", 2, "a cut three bytes" },
		{ "ab\xf0\x9f\x98", 2, "a cut four bytes" }, { "\xc3(", 0, "no continuation" },
		{ "\xe2(\x82", 0, "no second byte" }, { "\xe2\x82(", 0, "no third" },
		{ "\xf0\x9f\x98(", 0, "no fourth" }, { "0123456\xff", 7, "FF behind ASCII" },
		{ "01234567\xfe", 8, "FE behind eight" },
	};
	char out[4];
	bool all = true;

	for (size_t i = 0; i < COUNT(cases); i++)
		tap_ok(utf8_check(str_of(cases[i].text)) == cases[i].good, "UTF-8: %s",
		    cases[i].what);
	for (unsigned c = 0; c < 0x110000; c += c == 0xd7ff ? 0x801 : 1) {
		size_t n = utf8_put(out, c);
		all &= utf8_length(out, out + n) == n &&
		    (n == 1 || utf8_length(out, out + n - 1) == 0);
	}
	tap_ok(all, "every character that is put is one, and cut short it is none");
}

int
main(void)
{
	grammar();
	doubles();
	against_strtod();
	half_way();
	integers();
	writing();
	round_trip();
	characters();
	return tap_done();
}
