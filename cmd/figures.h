/*
 * figures.h - a program's figures as text for Prometheus (text format, version 0.0.4), from
 * a table that says where each stands in a struct.
 */
#ifndef MONITOR_FIGURES_H
#define MONITOR_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum figure_type { FIGURE_COUNTER, FIGURE_GAUGE, FIGURE_SECONDS /* a gauge */ };

struct figure {
	const char *name;
	enum figure_type type;
	const char *help;
	size_t offset;         /* in the struct: of a uint64_t; of SECONDS, a double */
};

#define FIGURE_COUNT(figures) (sizeof(figures) / sizeof((figures)[0]))

/* Append them, their values from the struct at `values`. -1: no memory. */
int figures_write(const struct figure *figures, size_t count, const void *values,
    struct buf *text);

#endif
