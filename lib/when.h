/*
 * when.h - times and durations as people write and read them.
 *
 * A time is a double, seconds since the Unix epoch; a duration is a double,
 * seconds. Local time is that of the process (TZ).
 */
#ifndef MONITOR_WHEN_H
#define MONITOR_WHEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* Now, from CLOCK_REALTIME. */
double when_now(void);

/* Seconds on a clock that nobody sets, CLOCK_MONOTONIC: for what lies between two moments. */
double when_ticks(void);

/* A duration: a bare number is seconds; otherwise numbers with units
 * (ms, s, m or min, h, d, w, and their long names; month, 30.44 days, and y,
 * 365.25 days), added up: "1h30m".
 * Never negative, always finite. */
int when_parse_duration(const char *text, double *seconds, struct error *e);

/* A point in time: RFC 3339, "YYYY-MM-DD[ HH:MM[:SS[.frac]]]" and "HH:MM[:SS]"
 * (today) in local time or, with `utc`, in UTC; "today", "yesterday",
 * "tomorrow", "now"; "-3h", "3 hours ago" and "+5m" from `now`; "@1732280000.5". */
int when_parse(const char *text, double now, bool utc, double *time, struct error *e);

/* Format in local time or UTC. A time that no calendar holds (beyond the year
 * 9999, or before 0000) is written as "@seconds". Return the length. */
#define WHEN_TEXT_SIZE 48
size_t when_format(double time, bool utc, char text[WHEN_TEXT_SIZE]);   /* 2024-11-22 13:33:20.123 */
size_t when_rfc3339(double time, bool utc, char text[WHEN_TEXT_SIZE]);  /* 2024-11-22T13:33:20.123456+01:00 */

/* A duration, short: "90s" is "1m30s", 0.25 "250ms". */
size_t when_format_duration(double seconds, char text[WHEN_TEXT_SIZE]);

/* A size in bytes: a bare number, or one with k, M, G, T (powers of 1024;
 * an "iB" or "B" behind is allowed). */
int when_parse_size(const char *text, uint64_t *bytes, struct error *e);

#endif
