#include "figures.h"

#include <inttypes.h>
#include <string.h>

static int
write_value(const struct figure *f, const void *values, struct buf *text)
{
	const char *at = (const char *)values + f->offset;
	uint64_t value;
	double seconds;

	if (f->type == FIGURE_SECONDS) {
		memcpy(&seconds, at, sizeof(seconds));
		return buf_printf(text, "%s %.6f\n", f->name, seconds);
	}
	memcpy(&value, at, sizeof(value));
	return buf_printf(text, "%s %" PRIu64 "\n", f->name, value);
}

int
figures_write(const struct figure *figures, size_t count, const void *values, struct buf *text)
{
	for (size_t i = 0; i < count; i++) {
		const struct figure *f = &figures[i];

		if (buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name,
		    f->type == FIGURE_COUNTER ? "counter" : "gauge") == -1 ||
		    write_value(f, values, text) == -1)
			return -1;
	}
	return 0;
}
