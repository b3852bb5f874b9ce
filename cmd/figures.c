#include "figures.h"

#include <inttypes.h>
#include <string.h>

int
figures_head(const char *name, const char *help, const char *type, struct buf *text)
{
	return buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static int
write_value(const struct figure *f, const char *at, struct buf *text)
{
	uint64_t value;
	double seconds;

	if (f->type == FIGURE_SECONDS) {
		memcpy(&seconds, at, sizeof(seconds));
		return buf_printf(text, " %.6f\n", seconds);
	}
	memcpy(&value, at, sizeof(value));
	return buf_printf(text, " %" PRIu64 "\n", value);
}

static int
write_figure(const struct figure *f, const char *at, struct buf *text)
{
	if (f->label == NULL)
		return buf_printf(text, "%s", f->name) == 0 ? write_value(f, at, text) : -1;
	for (size_t i = 0; i < f->count; i++)
		if (buf_printf(text, "%s{%s=\"%s\"}", f->name, f->label, f->values[i]) == -1 ||
		    write_value(f, at + i * sizeof(uint64_t), text) == -1)
			return -1;
	return 0;
}

int
figures_write(const struct figure *figures, size_t count, const void *values, struct buf *text)
{
	for (size_t i = 0; i < count; i++) {
		const struct figure *f = &figures[i];

		if (figures_head(f->name, f->help, f->type == FIGURE_COUNTER ? "counter" : "gauge",
		    text) == -1 || write_figure(f, (const char *)values + f->offset, text) == -1)
			return -1;
	}
	return 0;
}
