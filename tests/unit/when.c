/* when.h: durations, sizes, and times in several zones. */
#include "when.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void
durations(void)
{
	static const struct { const char *text; double seconds; } good[] = {
		{ "0", 0 }, { "90", 90 }, { "1.5", 1.5 }, { "250ms", 0.25 }, { "10s", 10 },
		{ "10m", 600 }, { "10min", 600 }, { "2h", 7200 }, { "7d", 604800 },
		{ "2w", 1209600 }, { "1h30m", 5400 }, { "1h 30 min", 5400 }, { "2 hours", 7200 },
		{ "1day12hours", 129600 }, { "0.5d", 43200 }, { " 5 ", 5 }, { "1s1s", 2 },
		{ "0m", 0 }, { "1000000d", 86400e6 }, { "1y", 31557600 }, { "2 months", 5260032 },
	};
	static const char *const bad[] = {
		"", " ", "m", "-5", "+5", "5x", "5mm", "1h30", "30 1h", "1e3", "1e3s", "inf", "nan",
		"0x10", "1.", ".5", "5.m", "h5", "1,5", "5M", "5s!", "infinity",
	};
	struct error e;
	double s;
	char nines[512];

	for (size_t i = 0; i < COUNT(good); i++)
		tap_ok(when_parse_duration(good[i].text, &s, &e) == 0 && s == good[i].seconds,
		    "duration '%s' is %g s", good[i].text, good[i].seconds);
	for (size_t i = 0; i < COUNT(bad); i++)
		tap_ok(when_parse_duration(bad[i], &s, &e) == -1 && e.kind == ERROR_INVALID &&
		    strstr(e.text, "duration") != NULL, "duration '%s' is refused", bad[i]);
	memset(nines, '9', sizeof(nines));
	nines[sizeof(nines) - 1] = '\0';
	tap_ok(when_parse_duration(nines, &s, &e) == -1 && strstr(e.text, "too long") != NULL,
	    "a duration beyond every double is refused");
}

static void
duration_text(void)
{
	static const struct { double seconds; const char *text; } cases[] = {
		{ 0, "0s" }, { 90, "1m30s" }, { 0.25, "250ms" }, { 1, "1s" }, { 1.5, "1.5s" },
		{ 59.9999, "1m" }, { 3600, "1h" }, { 5400, "1h30m" }, { 86400, "1d" },
		{ 90061, "1d1h1m1s" }, { 604800, "7d" }, { -90, "-1m30s" }, { 0.0005, "0.5ms" },
		{ 12.345, "12.345s" }, { 0.99949, "999ms" }, { 0.99999, "1s" },
	};
	char text[WHEN_TEXT_SIZE];
	double back;
	struct error e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		tap_ok(when_format_duration(cases[i].seconds, text) == strlen(text), "length of %s", text);
		tap_is(text, cases[i].text, "a duration is written short");
		if (cases[i].seconds >= 0)
			tap_ok(when_parse_duration(text, &back, &e) == 0 &&
			    fabs(back - cases[i].seconds) < 0.001, "... and reads back");
	}
	when_format_duration(1e300, text);
	tap_is(text, "1e+300s", "a duration beyond all reason");
	when_format_duration(INFINITY, text);
	tap_is(text, "infs", "an endless duration");
}

static void
sizes(void)
{
	static const struct { const char *text; uint64_t bytes; } good[] = {
		{ "0", 0 }, { "4096", 4096 }, { "4k", 4096 }, { "4K", 4096 }, { "4KiB", 4096 },
		{ "4KB", 4096 }, { "4 kB", 4096 }, { "12B", 12 }, { "1M", 1 << 20 },
		{ "1.5M", 3 << 19 }, { "2G", UINT64_C(2) << 30 }, { "3TiB", UINT64_C(3) << 40 },
		{ "9007199254740993", UINT64_C(9007199254740993) },
	};
	static const char *const bad[] = {
		"", "k", "-1", "1x", "1kk", "1e3", "1ki", "1 2", "1MiBs", "9223372036854775808",
		"8388608T", "99999999999999999999999", "0x10",
	};
	struct error e;
	uint64_t n;

	for (size_t i = 0; i < COUNT(good); i++)
		tap_ok(when_parse_size(good[i].text, &n, &e) == 0 && n == good[i].bytes,
		    "size '%s' is %llu", good[i].text, (unsigned long long)good[i].bytes);
	for (size_t i = 0; i < COUNT(bad); i++)
		tap_ok(when_parse_size(bad[i], &n, &e) == -1 && e.kind == ERROR_INVALID,
		    "size '%s' is refused", bad[i]);
}

/* now: 2024-11-22 13:33:20.5 UTC */
#define NOW 1732282400.5

static void
times(void)
{
	static const struct { const char *zone, *text; bool utc; double time; } good[] = {
		{ "UTC", "now", false, NOW },
		{ "UTC", "today", false, 1732233600 },
		{ "UTC", "Yesterday", false, 1732147200 },
		{ "UTC", "tomorrow", false, 1732320000 },
		{ "UTC", "-3h", false, NOW - 10800 },
		{ "UTC", "-1h30m", false, NOW - 5400 },
		{ "UTC", "+5m", false, NOW + 300 },
		{ "UTC", "3 hours ago", false, NOW - 10800 },
		{ "UTC", "1h30m Ago", false, NOW - 5400 },
		{ "UTC", "@1732280000.5", false, 1732280000.5 },
		{ "UTC", "@-1.25", false, -1.25 },
		{ "UTC", "@0", false, 0 },
		{ "UTC", "2024-11-22", false, 1732233600 },
		{ "UTC", "2024-11-22 13:33", false, 1732282380 },
		{ "UTC", "2024-11-22 13:33:20", false, 1732282400 },
		{ "UTC", "2024-11-22 13:33:20.125", false, 1732282400.125 },
		{ "UTC", "2024-11-22T13:33:20.123456Z", false, 1732282400.123456 },
		{ "UTC", "2024-11-22t13:33:20z", false, 1732282400 },
		{ "Europe/Berlin", "2024-11-22 13:33:20 UTC", false, 1732282400 },
		{ "UTC", "2024-11-22T13:33:20+01:00", false, 1732278800 },
		{ "UTC", "2024-11-22T13:33:20-0530", false, 1732302200 },
		{ "UTC", "2024-11-22 13:33:20 +01:00", false, 1732278800 },
		{ "UTC", "13:33", false, 1732282380 },
		{ "UTC", "00:00:00.5", false, 1732233600.5 },
		{ "UTC", "2024-02-29", false, 1709164800 },
		{ "UTC", "2000-02-29", false, 951782400 },
		{ "UTC", "1969-12-31 23:59:58.5", false, -1.5 },
		{ "UTC", "1900-01-01", false, -2208988800 },
		{ "UTC", "0000-01-01", false, -62167219200 },
		{ "UTC", "9999-12-31 23:59:59", false, 253402300799 },
		{ "UTC", "2016-12-31 23:59:60", false, 1483228800 },
		/* Zones; what `utc` and an explicit offset say beats them. */
		{ "Europe/Berlin", "2024-11-22 14:33:20", false, 1732282400 },
		{ "Europe/Berlin", "2024-11-22 13:33:20", true, 1732282400 },
		{ "Europe/Berlin", "2024-11-22T13:33:20Z", false, 1732282400 },
		{ "Europe/Berlin", "today", false, 1732230000 },
		{ "Europe/Berlin", "today", true, 1732233600 },
		{ "Europe/Berlin", "2024-07-01", false, 1719784800 },
		{ "Asia/Kolkata", "00:00", false, 1732213800 },
		{ "Pacific/Auckland", "today", false, 1732273200 }, /* it is the 23rd there */
		{ "Pacific/Auckland", "yesterday", false, 1732186800 },
		{ "America/St_Johns", "2024-11-22 10:03:20", false, 1732282400 },
		/* Clocks put forward: 02:30 is not there and means 03:30. */
		{ "Europe/Berlin", "2024-03-31 01:59:59", false, 1711846799 },
		{ "Europe/Berlin", "2024-03-31 02:30", false, 1711848600 },
		{ "Europe/Berlin", "2024-03-31 03:30", false, 1711848600 },
		{ "Australia/Lord_Howe", "2024-10-06 02:15", false, 1728143100 },
		/* A day without its midnight begins at one. */
		{ "Asia/Beirut", "2022-03-27", false, 1648332000 },
		/* Clocks put back: 02:30 is there twice, the first is meant. */
		{ "Europe/Berlin", "2024-10-27 02:30", false, 1729989000 },
		{ "Europe/Berlin", "2024-10-27 03:00", false, 1729994400 },
		{ "America/New_York", "2024-11-03 01:30", false, 1730611800 },
		/* ... as where no summer time is involved. */
		{ "Europe/Moscow", "2014-10-26 01:30", false, 1414272600 },
		/* A day that a country skipped. */
		{ "Pacific/Apia", "2011-12-31", false, 1325239200 },
	};
	struct error e;
	double t;

	for (size_t i = 0; i < COUNT(good); i++) {
		zone(good[i].zone);
		t = NAN;
		if (!tap_ok(when_parse(good[i].text, NOW, good[i].utc, &t, &e) == 0 &&
		    t == good[i].time, "'%s' in %s%s", good[i].text, good[i].zone,
		    good[i].utc ? ", as UTC" : ""))
			printf("#      got: %.6f\n# expected: %.6f\n", t, good[i].time);
	}
}

static void
not_times(void)
{
	static const struct { const char *text, *why; } bad[] = {
		{ "", "not a time" }, { "noon", "not a time" }, { "2024", "not a time" },
		{ "2024-11", "not a time" }, { "2024-1-2", "not a time" },
		{ "2024-11-22 ", "not a time" }, { "2024-11-22 13", "not a time" },
		{ "2024-11-22 13:3", "not a time" }, { "2024-11-22 13:33:2", "not a time" },
		{ "2024-11-22x13:33", "not a time" }, { "2024-11-22 13:33:20.", "not a time" },
		{ "2024-11-22 13:33:20.5e1", "not a time" }, { "2024-11-220", "not a time" },
		{ "2024-11-22Z", "not a time" }, { "13:33Z", "not a time" },
		{ "2024-11-22 13:33 CET", "not a time" }, { "2024-11-22T13:33:20+1", "not a time" },
		{ "12024-11-22", "not a time" }, { "-", "not a time" }, { "-3x", "not a time" },
		{ "--3h", "not a time" }, { "@", "not a time" }, { "@x", "not a time" },
		{ "@1e9", "not a time" }, { "@inf", "not a time" }, { "@nan", "not a time" },
		{ "@1 ", "not a time" }, { "1732280000", "not a time" }, { "now-3h", "not a time" },
		{ "ago", "not a time" }, { "3x ago", "not a time" }, { "-3h ago", "not a time" },
		{ "2024-11-22 13:33 UTCx", "not a time" },
		{ "2024-00-10", "month 0 is not in 1..12" },
		{ "2024-13-10", "month 13 is not in 1..12" },
		{ "2024-11-00", "day 0 is not in 1..30" },
		{ "2024-11-31", "day 31 is not in 1..30" },
		{ "2023-02-29", "day 29 is not in 1..28" },
		{ "1900-02-29", "day 29 is not in 1..28" },
		{ "2024-02-30", "day 30 is not in 1..29" },
		{ "2024-11-22 24:00", "hour 24 is not in 0..23" },
		{ "25:00", "hour 25 is not in 0..23" },
		{ "13:60", "minute 60 is not in 0..59" },
		{ "13:33:61", "second 61 is not in 0..60" },
		{ "2024-11-22T13:33:20+24:00", "zone hour 24 is not in 0..23" },
		{ "2024-11-22T13:33:20+01:60", "zone minute 60 is not in 0..59" },
	};
	struct error e;
	double t = 7;

	zone("UTC");
	for (size_t i = 0; i < COUNT(bad); i++)
		if (!tap_ok(when_parse(bad[i].text, NOW, false, &t, &e) == -1 &&
		    e.kind == ERROR_INVALID && strstr(e.text, bad[i].why) != NULL,
		    "'%s': %s", bad[i].text, bad[i].why))
			printf("# got: %s\n", e.text);
	tap_ok(t == 7, "what is refused changes nothing");
}

static void
time_text(void)
{
	static const struct { const char *zone; double time; bool utc; const char *plain, *rfc; } cases[] = {
		{ "UTC", 1732282400.123456, false, "2024-11-22 13:33:20.123", "2024-11-22T13:33:20.123456+00:00" },
		{ "UTC", 1732282400.123456, true, "2024-11-22 13:33:20.123", "2024-11-22T13:33:20.123456Z" },
		{ "Europe/Berlin", 1732282400.5, false, "2024-11-22 14:33:20.500", "2024-11-22T14:33:20.500000+01:00" },
		{ "Europe/Berlin", 1719784800, false, "2024-07-01 00:00:00.000", "2024-07-01T00:00:00.000000+02:00" },
		{ "Europe/Berlin", 1732282400.5, true, "2024-11-22 13:33:20.500", "2024-11-22T13:33:20.500000Z" },
		{ "America/St_Johns", 1732282400, false, "2024-11-22 10:03:20.000", "2024-11-22T10:03:20.000000-03:30" },
		{ "UTC", 1732280000.123, true, "2024-11-22 12:53:20.123", "2024-11-22T12:53:20.123000Z" },
		{ "UTC", 0.9999, true, "1970-01-01 00:00:00.999", "1970-01-01T00:00:00.999900Z" },
		{ "UTC", 0.9999999, true, "1970-01-01 00:00:01.000", "1970-01-01T00:00:01.000000Z" },
		{ "UTC", -0.25, true, "1969-12-31 23:59:59.750", "1969-12-31T23:59:59.750000Z" },
		{ "UTC", -62167219200, true, "0000-01-01 00:00:00.000", "0000-01-01T00:00:00.000000Z" },
		{ "UTC", 253402300799, true, "9999-12-31 23:59:59.000", "9999-12-31T23:59:59.000000Z" },
		{ "UTC", 253402300800, true, "@253402300800", "@253402300800" },
		{ "UTC", -62167219201, true, "@-62167219201", "@-62167219201" },
		{ "UTC", 1e300, false, "@1e+300", "@1e+300" },
		{ "UTC", -1e300, false, "@-1e+300", "@-1e+300" },
		/* Local mean time, before there were zones: 53 min 28 s ahead. */
		{ "Europe/Berlin", -2500000000, false, "1890-10-11 20:26:48.000", "1890-10-11T19:33:20.000000Z" },
	};
	char text[WHEN_TEXT_SIZE];
	struct error e;
	double back;

	for (size_t i = 0; i < COUNT(cases); i++) {
		zone(cases[i].zone);
		tap_ok(when_format(cases[i].time, cases[i].utc, text) == strlen(text), "length of %s", text);
		tap_is(text, cases[i].plain, "a time as people read it");
		tap_ok(when_rfc3339(cases[i].time, cases[i].utc, text) == strlen(text), "length of %s", text);
		tap_is(text, cases[i].rfc, "a time by RFC 3339");
		if (fabs(cases[i].time) < 1e11)
			tap_ok(when_parse(text, NOW, false, &back, &e) == 0 &&
			    fabs(back - cases[i].time) < 1e-6, "... reads back");
	}
}

int
main(void)
{
	double a = when_now(), b = when_now();

	tap_ok(a > 1.7e9 && b >= a, "the clock goes forward");
	durations();
	duration_text();
	sizes();
	times();
	not_times();
	time_text();
	return tap_done();
}
