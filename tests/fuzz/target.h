/*
 * target.h - what fuzz targets have in common: an input, and what must hold for it.
 */
#ifndef MONITOR_TARGET_H
#define MONITOR_TARGET_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str input;   /* the one that is being tried */

/* Or it ends by abort(3), the bytes that showed it on standard error. */
static void
require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\ninput: ", program_invocation_short_name, what);
	for (size_t i = 0; i < input.len; i++) {
		unsigned char c = (unsigned char)input.data[i];
		fprintf(stderr, c < 0x20 || c > 0x7e || c == '\\' ? "\\x%02x" : "%c", c);
	}
	fputc('\n', stderr);
	abort();
}

#endif
