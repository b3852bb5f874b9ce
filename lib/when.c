#include "when.h"

#include <ctype.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define DAY 86400

double
when_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

double
when_ticks(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- numbers ------------------------------------------------------------ */

/* Digits with an optional fraction; no sign, no exponent, no "inf". Steps
 * `*text` behind them. */
static bool
read_number(const char **text, double *value)
{
	const char *p = *text;

	if (!isdigit((unsigned char)*p))
		return false;
	while (isdigit((unsigned char)*p))
		p++;
	if (p[0] == '.' && isdigit((unsigned char)p[1]))
		for (p++; isdigit((unsigned char)*p); p++)
			;
	if (*p == 'e' || *p == 'E')
		return false;
	/* A lone digit by hand: strtod would read on in "0x10". */
	*value = p - *text == 1 ? **text - '0' : strtod(*text, NULL);
	*text = p;
	return true;
}

static const char *
skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* ---- durations and sizes ------------------------------------------------ */

static const struct unit {
	const char *name;
	double seconds;
} units[] = {
	{ "ms", 0.001 }, { "msec", 0.001 }, { "millisecond", 0.001 }, { "milliseconds", 0.001 },
	{ "s", 1 }, { "sec", 1 }, { "secs", 1 }, { "second", 1 }, { "seconds", 1 },
	{ "m", 60 }, { "min", 60 }, { "mins", 60 }, { "minute", 60 }, { "minutes", 60 },
	{ "h", 3600 }, { "hr", 3600 }, { "hrs", 3600 }, { "hour", 3600 }, { "hours", 3600 },
	{ "d", DAY }, { "day", DAY }, { "days", DAY },
	{ "w", 7 * DAY }, { "week", 7 * DAY }, { "weeks", 7 * DAY },
	{ "month", 30.44 * DAY }, { "months", 30.44 * DAY },
	{ "y", 365.25 * DAY }, { "year", 365.25 * DAY }, { "years", 365.25 * DAY },
};

static const struct unit *
read_unit(const char **text)
{
	size_t len = 0;

	while (isalpha((unsigned char)(*text)[len]))
		len++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i].name) == len && strncmp(*text, units[i].name, len) == 0) {
			*text += len;
			return &units[i];
		}
	return NULL;
}

int
when_parse_duration(const char *text, double *seconds, struct error *e)
{
	const char *p = skip_blanks(text);
	const struct unit *unit;
	double number, sum;

	if (!read_number(&p, &sum))
		goto bad;
	if (*skip_blanks(p) != '\0') {
		p = skip_blanks(text);
		for (sum = 0; *p != '\0'; p = skip_blanks(p)) {
			if (!read_number(&p, &number))
				goto bad;
			p = skip_blanks(p);
			if ((unit = read_unit(&p)) == NULL)
				goto bad;
			/* 250 ms is 250 / 1000: that is the nearest double, 250 * 0.001 is not. */
			sum += unit->seconds < 1 ? number / 1000 : number * unit->seconds;
		}
	}
	if (!isfinite(sum))
		return error_set(e, ERROR_INVALID, "'%.64s' is too long a duration", text);
	*seconds = sum;
	return 0;
bad:
	return error_set(e, ERROR_INVALID,
	    "'%.64s' is not a duration (seconds, or such as 90s, 10m, 2h30m, 7d)", text);
}

int
when_parse_size(const char *text, uint64_t *bytes, struct error *e)
{
	static const char letters[] = "KMGT";
	const char *p = skip_blanks(text), *letter;
	double number;
	uint64_t whole, factor = 1;

	if (!read_number(&p, &number))
		goto bad;
	p = skip_blanks(p);
	if (*p != '\0' && (letter = strchr(letters, toupper((unsigned char)*p))) != NULL) {
		factor = UINT64_C(1) << 10 * (letter - letters + 1);
		p++;
		if (p[0] == 'i' && p[1] == 'B')
			p++;
	}
	if (*p == 'B')
		p++;
	if (*skip_blanks(p) != '\0')
		goto bad;
	if (number * (double)factor >= 0x1p63)
		return error_set(e, ERROR_INVALID, "'%.64s' is too large a size", text);
	/* The whole part apart: a double would round it beyond 2^53. */
	whole = strtoull(skip_blanks(text), NULL, 10);
	*bytes = whole * factor + (uint64_t)((number - floor(number)) * (double)factor);
	return 0;
bad:
	return error_set(e, ERROR_INVALID, "'%.64s' is not a size (bytes, or such as 64k, 512M, 2G)",
	    text);
}

size_t
when_format_duration(double seconds, char text[WHEN_TEXT_SIZE])
{
	static const struct unit large[] = { { "d", DAY }, { "h", 3600 }, { "m", 60 } };
	const char *sign = seconds < 0 ? "-" : "";
	double left = fabs(seconds);
	size_t len;

	if (left < 0.9995 && left > 0)   /* more would be 1000 */
		return (size_t)snprintf(text, WHEN_TEXT_SIZE, "%s%.3gms", sign, left * 1000);
	/* Where a day is the unit nobody asks for milliseconds. */
	left = left < DAY ? round(left * 1000) / 1000 : round(left);
	if (!(left < 1e15))
		return (size_t)snprintf(text, WHEN_TEXT_SIZE, "%s%.3gs", sign, left);
	len = (size_t)snprintf(text, WHEN_TEXT_SIZE, "%s", sign);
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		if (left >= large[i].seconds) {
			len += (size_t)snprintf(text + len, WHEN_TEXT_SIZE - len, "%.0f%s",
			    floor(left / large[i].seconds), large[i].name);
			left = fmod(left, large[i].seconds);
		}
	if (left > 0.0005 || seconds == 0)
		len += (size_t)snprintf(text + len, WHEN_TEXT_SIZE - len, "%.*gs",
		    left < 10 ? 4 : 5, left);
	return len;
}

/* ---- the calendar ------------------------------------------------------- */

/* Seconds by which local time is ahead of UTC at `t`; false where the C
 * library's calendar ends. */
static bool
offset_at(int64_t t, int64_t *offset)
{
	time_t clock = (time_t)t;
	struct tm tm;

	if (localtime_r(&clock, &tm) == NULL)
		return false;
	*offset = tm.tm_gmtoff;
	return true;
}

/* The moment at which clocks on the wall show `wall` (seconds since the epoch,
 * had they always shown UTC). Where they show it twice, as clocks are put back,
 * the first is meant; where they never do, as clocks are put forward, what
 * they would have shown without that. */
static int64_t
moment_of(int64_t wall, bool utc)
{
	int64_t before, after, then;

	if (utc || !offset_at(wall - DAY, &before) || !offset_at(wall + DAY, &after))
		return wall;
	if (offset_at(wall - before, &then) && then == before)
		return wall - before;
	if (offset_at(wall - after, &then) && then == after)
		return wall - after;
	return wall - before;
}

/* What clocks on the wall show at `t`. */
static int64_t
wall_of(int64_t t, bool utc)
{
	int64_t offset;

	return !utc && offset_at(t, &offset) ? t + offset : t;
}

/* Midnight on the wall, of the day that `now` is in. */
static int64_t
today(double now, bool utc)
{
	int64_t wall = wall_of((int64_t)floor(now), utc);

	return wall - ((wall % DAY) + DAY) % DAY;
}

/* ---- reading a time ----------------------------------------------------- */

/* What a form makes of a text: not its own, its own but wrong (the error is
 * set), or read. */
enum form { FORM_OTHER, FORM_WRONG, FORM_READ };

struct reader {
	const char *p;      /* what is left */
	const char *text;   /* all of it, for errors */
	struct error *e;
};

struct field {
	const char *name;
	int width;
	int min, max;
};

static enum form
read_field(struct reader *r, const struct field *f, int *value)
{
	int n = 0;

	for (int i = 0; i < f->width; i++) {
		if (!isdigit((unsigned char)r->p[i]))
			return FORM_OTHER;
		n = n * 10 + r->p[i] - '0';
	}
	if (n < f->min || n > f->max) {
		error_set(r->e, ERROR_INVALID, "'%.64s': %s %d is not in %d..%d", r->text,
		    f->name, n, f->min, f->max);
		return FORM_WRONG;
	}
	r->p += f->width;
	*value = n;
	return FORM_READ;
}

static bool
read_char(struct reader *r, const char *any)
{
	if (*r->p == '\0' || strchr(any, *r->p) == NULL)
		return false;
	r->p++;
	return true;
}

static int
days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* "YYYY-MM-DD": `*wall` is its midnight. */
static enum form
read_date(struct reader *r, int64_t *wall)
{
	static const struct field year = { "year", 4, 0, 9999 }, month = { "month", 2, 1, 12 };
	struct field day = { "day", 2, 1, 31 };
	enum form form;
	int y, m, d;

	if ((form = read_field(r, &year, &y)) != FORM_READ)
		return form;
	if (!read_char(r, "-"))
		return FORM_OTHER;
	if ((form = read_field(r, &month, &m)) != FORM_READ)
		return form;
	if (!read_char(r, "-"))
		return FORM_OTHER;
	day.max = days_in(y, m);
	if ((form = read_field(r, &day, &d)) != FORM_READ)
		return form;
	*wall = timegm(&(struct tm){ .tm_year = y - 1900, .tm_mon = m - 1, .tm_mday = d });
	return FORM_READ;
}

/* "HH:MM[:SS[.frac]]": what it adds to a midnight. */
static enum form
read_clock(struct reader *r, int64_t *seconds, double *fraction)
{
	static const struct field hour = { "hour", 2, 0, 23 }, minute = { "minute", 2, 0, 59 };
	static const struct field second = { "second", 2, 0, 60 }; /* 60: a leap second */
	enum form form;
	int h, m, s = 0;

	*fraction = 0;
	if ((form = read_field(r, &hour, &h)) != FORM_READ)
		return form;
	if (!read_char(r, ":"))
		return FORM_OTHER;
	if ((form = read_field(r, &minute, &m)) != FORM_READ)
		return form;
	if (read_char(r, ":")) {
		if ((form = read_field(r, &second, &s)) != FORM_READ)
			return form;
		if (r->p[0] == '.' && isdigit((unsigned char)r->p[1])) {
			*fraction = strtod(r->p, NULL);
			r->p += 1 + strspn(r->p + 1, "0123456789");
		}
	}
	*seconds = h * 3600 + m * 60 + s;
	return FORM_READ;
}

/* "Z", "UTC", "+HH:MM" or "+HHMM": seconds ahead of UTC. */
static enum form
read_zone(struct reader *r, int64_t *offset)
{
	static const struct field hour = { "zone hour", 2, 0, 23 };
	static const struct field minute = { "zone minute", 2, 0, 59 };
	bool west = *r->p == '-';
	enum form form;
	int h, m;

	*offset = 0;
	if (strcasecmp(r->p, "UTC") == 0) {
		r->p += strlen(r->p);
		return FORM_READ;
	}
	if (read_char(r, "Zz"))
		return FORM_READ;
	if (!read_char(r, "+-"))
		return FORM_OTHER;
	if ((form = read_field(r, &hour, &h)) != FORM_READ)
		return form;
	read_char(r, ":");
	if ((form = read_field(r, &minute, &m)) != FORM_READ)
		return form;
	*offset = (west ? -1 : 1) * (h * 3600 + m * 60);
	return FORM_READ;
}

/* "today" and its like, "now". */
static enum form
read_word(struct reader *r, double now, bool utc, double *time)
{
	static const struct { const char *word; int days; } words[] = {
		{ "yesterday", -1 }, { "today", 0 }, { "tomorrow", 1 },
	};

	if (strcasecmp(r->p, "now") == 0) {
		*time = now;
		return FORM_READ;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(r->p, words[i].word) == 0) {
			*time = (double)moment_of(today(now, utc) + words[i].days * DAY, utc);
			return FORM_READ;
		}
	return FORM_OTHER;
}

/* "3 hours ago". */
static enum form
read_ago(const struct reader *r, double now, double *time)
{
	static const char ago[] = "ago";
	char duration[64];
	size_t len = strlen(r->p), before = len - strlen(ago);
	double number;

	if (len <= strlen(ago) || before >= sizeof(duration) || strcasecmp(r->p + before, ago) != 0)
		return FORM_OTHER;
	memcpy(duration, r->p, before);
	duration[before] = '\0';
	if (when_parse_duration(duration, &number, NULL) == -1)
		return FORM_OTHER;
	*time = now - number;
	return FORM_READ;
}

/* "-3h", "+5m" and "@1732280000.5". */
static enum form
read_relative(struct reader *r, double now, double *time)
{
	char sign = *r->p;
	double number;

	if (!read_char(r, "+-@"))
		return FORM_OTHER;
	if (sign != '@') {
		if (when_parse_duration(r->p, &number, NULL) == -1)
			return FORM_OTHER;
		*time = sign == '-' ? now - number : now + number;
		return FORM_READ;
	}
	sign = *r->p;
	read_char(r, "+-");
	if (!read_number(&r->p, &number) || *r->p != '\0' || !isfinite(number))
		return FORM_OTHER;
	*time = sign == '-' ? -number : number;
	return FORM_READ;
}

/* A date, a time of day, or both, and then perhaps a zone. */
static enum form
read_calendar(struct reader *r, double now, bool utc, double *time)
{
	int64_t wall, clock = 0, offset;
	double fraction = 0;
	enum form form;

	if (r->p[0] != '\0' && r->p[1] != '\0' && r->p[2] == ':') {
		wall = today(now, utc);
		form = read_clock(r, &clock, &fraction);
	} else if ((form = read_date(r, &wall)) == FORM_READ && read_char(r, "Tt ")) {
		form = read_clock(r, &clock, &fraction);
		if (form == FORM_READ && *(r->p = skip_blanks(r->p)) != '\0') {
			if ((form = read_zone(r, &offset)) == FORM_READ) {
				wall -= offset;
				utc = true;
			}
		}
	}
	if (form != FORM_READ)
		return form;
	if (*r->p != '\0')
		return FORM_OTHER;
	*time = (double)moment_of(wall + clock, utc) + fraction;
	return FORM_READ;
}

int
when_parse(const char *text, double now, bool utc, double *time, struct error *e)
{
	struct reader r = { text, text, e };
	enum form form;

	if ((form = read_word(&r, now, utc, time)) == FORM_OTHER &&
	    (form = read_ago(&r, now, time)) == FORM_OTHER &&
	    (form = read_relative(&r, now, time)) == FORM_OTHER) {
		r.p = text;
		form = read_calendar(&r, now, utc, time);
	}
	if (form == FORM_OTHER)
		return error_set(e, ERROR_INVALID, "'%.64s' is not a time (such as 2024-11-22, "
		    "'2024-11-22 13:33', 13:33, 2024-11-22T13:33:20Z, today, '3 hours ago', @1732280000)", text);
	return form == FORM_READ ? 0 : -1;
}

/* ---- writing a time ----------------------------------------------------- */

/* The seconds on the calendar and the microseconds behind them (a double holds
 * no more of a time of today). False where no calendar of four-digit years
 * holds it. */
static bool
split(double time, bool utc, struct tm *tm, int *micro)
{
	double whole = floor(time);
	time_t clock;

	if (!(time > -1e11 && time < 1e12))
		return false;
	*micro = (int)lround((time - whole) * 1e6);
	if (*micro == 1000000) {
		whole++;
		*micro = 0;
	}
	clock = (time_t)whole;
	if ((utc ? gmtime_r(&clock, tm) : localtime_r(&clock, tm)) == NULL)
		return false;
	return tm->tm_year >= -1900 && tm->tm_year <= 9999 - 1900;
}

static size_t
format_number(double time, char text[WHEN_TEXT_SIZE])
{
	int len = 0;

	for (int digits = 15; digits <= DBL_DECIMAL_DIG; digits++) {
		len = snprintf(text, WHEN_TEXT_SIZE, "@%.*g", digits, time);
		if (strtod(text + 1, NULL) == time)
			break;
	}
	return (size_t)len;
}

/* A number in so many digits; the place behind them. */
static char *
put(char *out, long n, int width)
{
	for (int i = width; i-- > 0; n /= 10)
		out[i] = (char)('0' + n % 10);
	return out + width;
}

/* "2024-11-22 13:33:20.", with `between` in the middle. By hand: this is done
 * for each record of an answer. */
static char *
put_calendar(char *p, const struct tm *tm, char between)
{
	p = put(p, tm->tm_year + 1900, 4);
	*p++ = '-';
	p = put(p, tm->tm_mon + 1, 2);
	*p++ = '-';
	p = put(p, tm->tm_mday, 2);
	*p++ = between;
	p = put(p, tm->tm_hour, 2);
	*p++ = ':';
	p = put(p, tm->tm_min, 2);
	*p++ = ':';
	p = put(p, tm->tm_sec, 2);
	*p++ = '.';
	return p;
}

size_t
when_format(double time, bool utc, char text[WHEN_TEXT_SIZE])
{
	struct tm tm;
	int micro;
	char *p;

	if (!split(time, utc, &tm, &micro))
		return format_number(time, text);
	p = put(put_calendar(text, &tm, ' '), micro / 1000, 3);
	*p = '\0';
	return (size_t)(p - text);
}

size_t
when_rfc3339(double time, bool utc, char text[WHEN_TEXT_SIZE])
{
	struct tm tm;
	int micro;
	long offset;
	char *p;

	/* RFC 3339 knows no seconds in an offset, which local time had before
	 * there were zones. */
	if (!split(time, utc, &tm, &micro) || (tm.tm_gmtoff % 60 != 0 &&
	    !split(time, utc = true, &tm, &micro)))
		return format_number(time, text);
	p = put(put_calendar(text, &tm, 'T'), micro, 6);
	if (utc) {
		*p++ = 'Z';
	} else {
		offset = labs(tm.tm_gmtoff) / 60;
		*p++ = tm.tm_gmtoff < 0 ? '-' : '+';
		p = put(p, offset / 60, 2);
		*p++ = ':';
		p = put(p, offset % 60, 2);
	}
	*p = '\0';
	return (size_t)(p - text);
}
