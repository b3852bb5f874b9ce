#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

static const char *const kind_names[RECORD_KINDS] = {
	[RECORD_LOG] = "log",
	[RECORD_NOTIFICATION] = "notification",
};

const struct level record_levels[] = {
	{ 0, "error" },
	{ 10, "warning" },
	{ 20, "notice" },
	{ 30, "info" },
	{ 40, "debug" },
	{ 50, "verbose" },
	{ 0, NULL },
};

/* Other names that people type. */
static const struct level aliases[] = {
	{ 0, "err" },
	{ 10, "warn" },
	{ 0, NULL },
};

const char *
record_kind_name(enum record_kind kind)
{
	return kind_names[kind];
}

int
record_kind_parse(struct str name, enum record_kind *kind)
{
	for (unsigned k = 0; k < RECORD_KINDS; k++) {
		if (str_equal(name, str_of(kind_names[k]))) {
			*kind = k;
			return 0;
		}
	}
	return -1;
}

bool
record_watchdog_valid(struct str code)
{
	/* A bit a character, 32 a word: [-0-9] in the second, [A-Z_], [a-z]. */
	static const uint32_t allowed[8] = { 0, 0x03ff2000, 0x87fffffe, 0x07fffffe, 0, 0, 0, 0 };
	uint32_t all = 1;

	if (code.len < 1 || code.len > 64)
		return false;
	for (size_t i = 0; i < code.len; i++) {
		unsigned char c = (unsigned char)code.data[i];
		all &= allowed[c >> 5] >> (c & 31);
	}
	return all & 1;
}

static const struct level *
find(const struct level *table, const char *name)
{
	for (; table->name != NULL; table++) {
		if (strcasecmp(table->name, name) == 0)
			return table;
	}
	return NULL;
}

int
record_level_parse(const char *text, int64_t *level, struct error *e)
{
	const struct level *named = find(record_levels, text);
	const char *digits = text + (*text == '-' || *text == '+');
	char *end;
	long long n;

	if (named == NULL)
		named = find(aliases, text);
	if (named != NULL) {
		*level = named->value;
		return 0;
	}
	if (*digits < '0' || *digits > '9')
		goto not_a_level;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (*end != '\0')
		goto not_a_level;
	if (errno == ERANGE)
		return error_set(e, ERROR_USAGE, "%.40s: out of range for a level", text);
	*level = n;
	return 0;

not_a_level:
	return error_set(e, ERROR_USAGE,
	    "%.40s: not a level (error, warning, notice, info, debug, verbose, or a number)", text);
}

const struct level *
record_level_class(int64_t level)
{
	const struct level *l = record_levels;

	while (l[1].name != NULL && level > l->value)
		l++;
	return l;
}
