#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	report_format *format;
} formats[] = {
	{ "text", report_text },
	{ "ndjson", report_ndjson },
	{ "json", report_ndjson },
};

report_format *
report_find(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i].name, name) == 0)
			return formats[i].format;
	return NULL;
}

#define SIZE_TEXT 32

static const char *
size_text(uint64_t bytes, char text[SIZE_TEXT])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double n = (double)bytes / 1024;
	unsigned u = 0;

	if (bytes < 1024) {
		snprintf(text, SIZE_TEXT, "%" PRIu64 " bytes", bytes);
		return text;
	}
	for (; n >= 1024 && u < 5; u++)
		n /= 1024;
	snprintf(text, SIZE_TEXT, "%.1f %s", n, units[u]);
	return text;
}

void
report_text(const struct purged *out, double now, bool dry_run)
{
	char size[SIZE_TEXT];

	(void)now;
	printf(dry_run ? "would purge" : "purged");
	for (unsigned k = 0; k < RECORD_KINDS; k++)
		printf("%s %" PRIu64 " %s%s (%s)", k > 0 ? "," : "", out->rows[k],
		    record_kind_name(k), out->rows[k] == 1 ? "" : "s", size_text(out->bytes[k], size));
	if (out->marks > 0)
		printf(", %" PRIu64 " mark%s", out->marks, out->marks == 1 ? "" : "s");
	if (!dry_run)
		printf("; %s given back", size_text(out->given_back, size));
	if (out->size > 0)
		printf("; %s on disk", size_text(out->size, size));
	putchar('\n');
}

void
report_ndjson(const struct purged *out, double now, bool dry_run)
{
	printf("{\"time\":%.6f", now);
	for (unsigned k = 0; k < RECORD_KINDS; k++)
		printf(",\"%s\":{\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", record_kind_name(k),
		    out->rows[k], out->bytes[k]);
	printf(",\"marks\":%" PRIu64 ",\"given_back\":%" PRIu64, out->marks, out->given_back);
	if (out->size > 0)
		printf(",\"size\":%" PRIu64, out->size);
	printf(",\"dry_run\":%s}\n", dry_run ? "true" : "false");
}
