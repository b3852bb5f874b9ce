/* record.h: kinds, watchdog codes and levels. */
#include "record.h"

#include <string.h>

#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
kinds(void)
{
	static const char *const bad[] = { "", "lo", "logs", "Log", "notifications", "all" };
	enum record_kind kind = RECORD_LOG;

	tap_is(record_kind_name(RECORD_LOG), "log", "a log is named log");
	tap_is(record_kind_name(RECORD_NOTIFICATION), "notification",
	    "a notification is named notification");
	tap_ok(record_kind_parse(str_of("notification"), &kind) == 0 && kind == RECORD_NOTIFICATION,
	    "notification is a kind");
	tap_ok(record_kind_parse(str_of("log"), &kind) == 0 && kind == RECORD_LOG, "log is a kind");
	for (size_t i = 0; i < COUNT(bad); i++)
		tap_ok(record_kind_parse(str_of(bad[i]), &kind) == -1, "'%s' is no kind", bad[i]);
	tap_ok(record_kind_parse((struct str){ "log\0", 4 }, &kind) == -1,
	    "log and a U+0000 is no kind");
}

static void
watchdogs(void)
{
	static const char allowed[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	char code[66];
	bool right = true, within = true;

	for (int c = 0; c < 256; c++) {
		bool want = c != 0 && strchr(allowed, c) != NULL;
		code[0] = (char)c;
		right &= record_watchdog_valid((struct str){ code, 1 }) == want;
		/* A wrong character is found wherever it stands. */
		memset(code, 'a', sizeof(code));
		code[7] = (char)c;
		within &= record_watchdog_valid((struct str){ code, 16 }) == want;
	}
	tap_ok(right, "a watchdog code is of [A-Za-z0-9_-]");
	tap_ok(within, "one other character anywhere makes it none");
	memset(code, '0', sizeof(code));
	tap_ok(!record_watchdog_valid((struct str){ code, 0 }), "it is not empty");
	tap_ok(record_watchdog_valid((struct str){ code, 64 }), "it may have 64 characters");
	tap_ok(!record_watchdog_valid((struct str){ code, 65 }), "it may not have 65");
}

static void
levels(void)
{
	static const struct { const char *text; int64_t level; } good[] = {
		{ "error", 0 }, { "err", 0 }, { "warning", 10 }, { "warn", 10 }, { "notice", 20 },
		{ "info", 30 }, { "debug", 40 }, { "verbose", 50 }, { "WARNING", 10 }, { "Err", 0 },
		{ "0", 0 }, { "35", 35 }, { "-5", -5 }, { "+5", 5 }, { "007", 7 },
		{ "9223372036854775807", INT64_MAX }, { "-9223372036854775808", INT64_MIN },
	};
	static const char *const bad[] = {
		"", " ", "errors", "e", "5.0", "5e0", " 5", "5 ", "0x10", "-", "+", "--5", "five",
		"9223372036854775808", "-9223372036854775809", "1,2",
	};
	struct error e;
	int64_t level;

	for (size_t i = 0; i < COUNT(good); i++)
		tap_ok(record_level_parse(good[i].text, &level, &e) == 0 && level == good[i].level,
		    "level '%s' is %lld", good[i].text, (long long)good[i].level);
	for (size_t i = 0; i < COUNT(bad); i++) {
		level = 77;
		tap_ok(record_level_parse(bad[i], &level, &e) == -1 && e.kind == ERROR_USAGE &&
		    level == 77, "level '%s' is refused", bad[i]);
	}
	record_level_parse("9223372036854775808", &level, &e);
	tap_is(e.text, "9223372036854775808: out of range for a level",
	    "a number too large is told from a word that is no level");
}

static void
classes(void)
{
	static const struct { int64_t level; const char *name; } classes[] = {
		{ INT64_MIN, "error" }, { -1, "error" }, { 0, "error" }, { 1, "warning" },
		{ 10, "warning" }, { 11, "notice" }, { 20, "notice" }, { 30, "info" },
		    { 31, "debug" },
		{ 40, "debug" }, { 41, "verbose" }, { 50, "verbose" }, { 51, "verbose" },
		{ INT64_MAX, "verbose" },
	};

	for (size_t i = 0; i < COUNT(classes); i++)
		tap_ok(strcmp(record_level_class(classes[i].level)->name, classes[i].name) == 0,
		    "%lld is of class %s", (long long)classes[i].level, classes[i].name);
}

int
main(void)
{
	kinds();
	watchdogs();
	levels();
	classes();
	return tap_done();
}
