#include "figures.h"

#include <inttypes.h>
#include <string.h>

int
figures_write(const struct figure *figures, size_t count, const void *values, struct buf *text)
{
	uint64_t value;

	for (size_t i = 0; i < count; i++) {
		const struct figure *f = &figures[i];

		memcpy(&value, (const char *)values + f->offset, sizeof(value));
		if (buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", f->name, f->help,
		    f->name, f->type == FIGURE_COUNTER ? "counter" : "gauge", f->name, value) == -1)
			return -1;
	}
	return 0;
}
