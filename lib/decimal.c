#include "decimal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The short cuts need arithmetic in plain doubles and twice 64 bits; without,
 * the C library does all the work. */
#if defined(__SIZEOF_INT128__) && FLT_EVAL_METHOD == 0
#define SHORT_CUTS 1
__extension__ typedef unsigned __int128 wide;
#else
#define SHORT_CUTS 0
#endif

#define EXACT_INTEGERS 9007199254740992u    /* 2^53: up to here a double skips none */
#define EXPONENT_BOUND 1000000000           /* beyond it only zero is finite */

static const double powers[] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static const uint64_t whole_powers[] = {
	1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u, 1000000000u,
	10000000000u, 100000000000u, 1000000000000u, 10000000000000u, 100000000000000u,
	1000000000000000u, 10000000000000000u, 100000000000000000u, 1000000000000000000u,
	10000000000000000000u,
};

/* ---- read --------------------------------------------------------------- */

static inline bool
is_digit(const char *p, const char *end)
{
	return p < end && (unsigned char)(*p - '0') <= 9;
}

static inline const char *
scan_digits(const char *p, const char *end, uint64_t *n)
{
	for (; is_digit(p, end); p++)
		*n = *n * 10 + (unsigned char)(*p - '0');
	return p;
}

/* Many digits from `p` to `end`, perhaps with a point among them: take the
 * first 19 that count, and into the exponent how many more there are. */
static void
count_digits(const char *p, const char *end, struct decimal *d)
{
	int room = 19;

	for (d->digits = 0; p < end; p++) {
		if (*p == '.')
			continue;
		if (room > 0) {
			d->digits = d->digits * 10 + (unsigned char)(*p - '0');
			room -= d->digits != 0;
		} else {
			d->cut |= *p != '0';
			d->exponent++;
		}
	}
}

static const char *
scan_exponent(const char *p, const char *end, int64_t *exponent)
{
	bool negative = false;
	int64_t n = 0;

	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	if (!is_digit(p, end))
		return NULL;
	for (; is_digit(p, end); p++) {
		if (n < EXPONENT_BOUND)
			n = n * 10 + (*p - '0');
	}
	*exponent = negative ? -n : n;
	return p;
}

const char *
decimal_scan(const char *p, const char *end, struct decimal *d)
{
	const char *start = p, *first, *point;
	int64_t exponent = 0;

	*d = (struct decimal){ .whole = true };
	if (p < end && *p == '-') {
		d->negative = true;
		p++;
	}
	first = p;
	p = scan_digits(p, end, &d->digits);
	if (p == first || (*first == '0' && p - first > 1))
		return NULL;
	if (p < end && *p == '.') {
		d->whole = false;
		point = ++p;
		if ((p = scan_digits(p, end, &d->digits)) == point)
			return NULL;
		d->exponent = point - p;
	}
	if (p - first > 19)
		count_digits(first, p, d);
	if (p < end && (*p == 'e' || *p == 'E')) {
		d->whole = false;
		if ((p = scan_exponent(p + 1, end, &exponent)) == NULL)
			return NULL;
		d->exponent += exponent;
	}
	d->text = (struct str){ start, (size_t)(p - start) };
	return p;
}

#if SHORT_CUTS
/* digits / 10^power, rounded once. 2^53 < digits, power <= 19. */
static double
divide(uint64_t digits, int power)
{
	int shift = __builtin_clzll(digits), drop;
	uint64_t by = whole_powers[power], top;
	wide n = (wide)(digits << shift) << 64, quotient = n / by;
	bool rest = n % by != 0;

	/* The quotient has 64 bits at least: keep 64, and in the last one
	 * whether anything was dropped, so that a tie is seen to be none. */
	drop = 64 - __builtin_clzll((uint64_t)(quotient >> 64) | 1);
	if (quotient >> 64 == 0)
		drop = 0;
	top = (uint64_t)(quotient >> drop);
	rest |= ((wide)top << drop) != quotient;
	return ldexp((double)(top | rest), drop - shift - 64);
}
#endif

/* Any number at all. The decimal point, which is the locale's in strtod(3), is
 * taken out and into the exponent. */
static int
read_slowly(const struct decimal *d, double *value)
{
	char small[128], *copy = small, *out;
	const char *p = d->text.data, *end = p + d->text.len;
	int64_t exponent = 0, fraction = 0;
	bool point = false;

	if (d->text.len > sizeof(small) - 32 && (copy = malloc(d->text.len + 32)) == NULL)
		return -1;
	for (out = copy; p < end && *p != 'e' && *p != 'E'; p++) {
		if (*p == '.') {
			point = true;
		} else {
			*out++ = *p;
			fraction += point;
		}
	}
	if (p < end)
		scan_exponent(p + 1, end, &exponent);
	snprintf(out, 32, "e%lld", (long long)(exponent - fraction));
	*value = strtod(copy, NULL);
	if (copy != small)
		free(copy);
	return 0;
}

int
decimal_double(const struct decimal *d, double *value)
{
	double v = (double)d->digits;

	if (d->digits == 0 || (d->exponent == 0 && !d->cut))
		;
#if SHORT_CUTS
	else if (d->cut || d->exponent > 22 || d->exponent < -22)
		return read_slowly(d, value);
	else if (d->digits <= EXACT_INTEGERS)
		v = d->exponent < 0 ? v / powers[-d->exponent] : v * powers[d->exponent];
	else if (d->exponent < 0 && d->exponent >= -19)
		v = divide(d->digits, (int)-d->exponent);
#endif
	else
		return read_slowly(d, value);
	/* An integer has no negative zero; elsewhere "-0.0" is one. */
	*value = d->negative && !(d->whole && d->digits == 0) ? -v : v;
	return 0;
}

bool
decimal_whole(double value, int64_t *integer)
{
	if (!(value >= -9223372036854775808.0 && value < 9223372036854775808.0))
		return false;
	*integer = (int64_t)value;
	return (double)*integer == value;
}

bool
decimal_integer(const struct decimal *d, int64_t *value)
{
	uint64_t bound = (uint64_t)INT64_MAX + d->negative;
	double v;

	if (!d->whole)
		return decimal_double(d, &v) == 0 && decimal_whole(v, value);
	if (d->exponent != 0 || d->digits > bound)
		return false;
	*value = d->negative ? (int64_t)(0 - d->digits) : (int64_t)d->digits;
	return true;
}

/* ---- write -------------------------------------------------------------- */

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324"
    "25262728293031323334353637383940414243444546474849"
    "50515253545556575859606162636465666768697071727374"
    "75767778798081828384858687888990919293949596979899";

/* The digits of n, ending right before `end`; where they begin. */
static char *
write_digits(char *end, uint64_t n)
{
	for (; n >= 100; n /= 100)
		memcpy(end -= 2, pairs + n % 100 * 2, 2);
	if (n >= 10)
		memcpy(end -= 2, pairs + n * 2, 2);
	else
		*--end = (char)('0' + n);
	return end;
}

size_t
decimal_write_integer(char *out, int64_t n)
{
	char text[20], *p;
	size_t sign = n < 0, len;

	p = write_digits(text + sizeof(text), n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
	len = (size_t)(text + sizeof(text) - p);
	if (n < 0)
		*out = '-';
	memcpy(out + sign, p, len);
	return sign + len;
}

/* n / 10^places as "123.456", no zeros at its end but one behind the point. */
static size_t
write_fixed(char *out, uint64_t n, int places)
{
	uint64_t fraction = n % whole_powers[places];
	size_t len = decimal_write_integer(out, (int64_t)(n / whole_powers[places]));
	char *end;

	out[len++] = '.';
	if (fraction == 0) {
		out[len++] = '0';
		return len;
	}
	/* The zeros that open the fraction come with a 1 before them, whose
	 * place the point then takes. */
	end = out + len + places;
	write_digits(end, fraction + whole_powers[places]);
	out[len - 1] = '.';
	while (end[-1] == '0')
		end--;
	return (size_t)(end - out);
}

#if SHORT_CUTS
/* A double from 1 to 2^53: the first number of places that is enough. Seventeen
 * digits always are. */
static size_t
write_exactly(char *out, double d, int places)
{
	int exponent;
	uint64_t mantissa = (uint64_t)ldexp(frexp(d, &exponent), 53);
	int shift = 53 - exponent;
	struct decimal try = { 0 };
	double back;
	wide n;

	for (;; places++) {
		n = (wide)mantissa * whole_powers[places];
		if (shift > 0)
			n = (n + ((wide)1 << (shift - 1))) >> shift;
		try.digits = (uint64_t)n;
		try.exponent = -places;
		if (n >> 64 != 0 || decimal_double(&try, &back) == -1)
			return 0;
		if (back == d)
			return write_fixed(out, try.digits, places);
	}
}
#endif

/* Any finite double, through printf(3), whose decimal point is the locale's. */
static size_t
write_slowly(char *out, double d)
{
	char text[64];
	size_t len = 0;
	int precision = fabs(d) < DBL_MIN ? 1 : 15;
	bool mark = false;

	do
		snprintf(text, sizeof(text), "%.*g", precision, d);
	while (precision++ < 17 && strtod(text, NULL) != d);
	for (const char *p = text; *p != '\0'; p++) {
		if (strchr("0123456789+-e", *p) != NULL) {
			mark |= *p == 'e';
			out[len++] = *p;
		} else if (out[len - 1] != '.') {
			mark = true;
			out[len++] = '.';
		}
	}
	if (!mark) {
		memcpy(out + len, ".0", 2);
		len += 2;
	}
	return len;
}

size_t
decimal_write_double(char *out, double d)
{
	double a = fabs(d);
	size_t sign = signbit(d) != 0, len = 0;
	uint64_t micros;

	if (!isfinite(d)) {
		memcpy(out, "null", 4);
		return 4;
	}
	if (sign)
		*out = '-';
	/* Microseconds: below 2^32 no double has two such texts. */
	if (FLT_EVAL_METHOD == 0 && a < 4294967296.0) {
		micros = (uint64_t)(a * 1e6 + 0.5);
		if ((double)micros / 1e6 == a)
			return sign + write_fixed(out + sign, micros, 6);
	}
#if SHORT_CUTS
	if (a >= 1 && a < EXACT_INTEGERS)
		len = write_exactly(out + sign, a, a < 4294967296.0 ? 7 : 0);
#endif
	if (len == 0)
		len = write_slowly(out + sign, a);
	return sign + len;
}
