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
	/* Or of an array of them, one for each value that a label has: */
	const char *label;     /* NULL: just one, without a label */
	const char *const *values;
	size_t count;
};

/* The end of a row without a label. */
#define FIGURE_AT(type, member) offsetof(type, member), NULL, NULL, 0

#define FIGURE_COUNT(figures) (sizeof(figures) / sizeof((figures)[0]))

/* Append them, their values from the struct at `values`. -1: no memory. */
int figures_write(const struct figure *figures, size_t count, const void *values,
    struct buf *text);

/* The two lines that stand before a figure; for one that no table can hold. `type` is
 * the format's word for it. */
int figures_head(const char *name, const char *help, const char *type, struct buf *text);

#endif
