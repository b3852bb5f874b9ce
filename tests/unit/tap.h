/*
 * tap.h - the little that a C test needs to speak TAP.
 */
#ifndef MONITOR_TAP_H
#define MONITOR_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

/* One test point; returns `ok`. */
__attribute__((format(printf, 2, 3), unused)) static bool
tap_ok(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", ok ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	tap_failed += !ok;
	return ok;
}

/* Are these two NUL-terminated strings the same? Shows both if not. */
__attribute__((unused)) static bool
tap_is(const char *got, const char *want, const char *name)
{
	bool same = strcmp(got, want) == 0;

	tap_ok(same, "%s", name);
	if (!same)
		printf("#      got: %s\n# expected: %s\n", got, want);
	return same;
}

/* The plan; the value for main() to return. */
__attribute__((unused)) static int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
