/*
 * decimal.h - numbers as JSON writes them, exactly.
 *
 * What is read is the double nearest to the text; what is written reads back
 * as the same double. Neither asks the locale.
 */
#ifndef MONITOR_DECIMAL_H
#define MONITOR_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "str.h"

/* A number taken apart: digits x 10^exponent, times -1 if negative. */
struct decimal {
	struct str text;
	uint64_t digits;    /* the first 19 significant digits */
	int64_t exponent;
	bool negative;
	bool whole;         /* written without fraction and exponent */
	bool cut;           /* there are digits beyond the 19 */
};

/* Take the number (RFC 8259, section 6) at `p`. Returns where it ends, or NULL
 * if there is none. The text is not copied. */
const char *decimal_scan(const char *p, const char *end, struct decimal *d);

/* The nearest double; an infinity where there is none. -1: no memory (only for
 * numbers of hundreds of digits). */
int decimal_double(const struct decimal *d, double *value);

/* Its value as an integer: exact if it is written as one, else by way of the
 * double. False: it has a fraction, or is out of range. */
bool decimal_integer(const struct decimal *d, int64_t *value);

/* The integer a double is; false if it is none, or out of range. */
bool decimal_whole(double value, int64_t *integer);

/* Write to `out`, without a NUL; the number of bytes. A finite double is
 * written with the fewest digits that read back as the same double (of those
 * nearest to it), and has a '.' or an 'e'; JSON has no others: "null". */
#define DECIMAL_TEXT_SIZE 40
size_t decimal_write_integer(char *out, int64_t n);
size_t decimal_write_double(char *out, double d);

#endif
