/*
 * ndjson_lines.h - what the tests of ndjson.h share: readers, and lines.
 */
#ifndef MONITOR_NDJSON_LINES_H
#define MONITOR_NDJSON_LINES_H

#include <stdlib.h>

#include "ndjson.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A record that lacks nothing, with more members behind it; and as written. */
#define PLAIN "\"level\":30,\"time\":1.5,\"sender\":\"s\",\"message\":\"m\""
#define LINE(more) "{" PLAIN more "}"
#define WRITTEN(more) "{\"kind\":\"log\",\"watchdog\":\"local\"," PLAIN more "}\n"

__attribute__((unused)) static struct ndjson *
new_reader(enum record_kind kind, const char *watchdog)
{
	struct ndjson_defaults defaults = { .kind = kind, .watchdog = str_of(watchdog) };
	struct error e;
	struct ndjson *r = ndjson_new(&defaults, &e);

	if (r == NULL) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return r;
}

/* A copy of the very size, so that a sanitizer sees who reads behind it. */
__attribute__((unused)) static char *
exact(struct str s)
{
	char *copy = malloc(s.len + (s.len == 0));

	if (copy == NULL) {
		printf("Bail out! out of memory\n");
		exit(1);
	}
	if (s.len > 0)
		memcpy(copy, s.data, s.len);
	return copy;
}

typedef int (*read_function)(struct ndjson *, struct str, struct ndjson_line *, struct error *);
__attribute__((unused)) static const struct {
	read_function read;
	const char *name;
} readers[] = { { ndjson_read, "" }, { ndjson_read_slow, ", slowly" } };

#endif
