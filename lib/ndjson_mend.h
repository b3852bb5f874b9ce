/*
 * ndjson_mend.h - what is JSON and yet refused by jansson, put right before it sees the line. Part
 * of ndjson.c.
 *
 * *text is a line, or a copy of it in `copy`, which is made when there is something to be replaced:
 * *text is that then. Every replacement is as long as what it replaces. -1: no memory.
 */
#ifndef MONITOR_NDJSON_MEND_H
#define MONITOR_NDJSON_MEND_H

#include "scan.h"

/* Lone surrogates: "\ud800" becomes "\ufffd", and is counted. */
int ndjson_mend_surrogates(struct buf *copy, struct str *text, uint64_t *replaced);

/* Numbers that neither 64 bits nor a double can hold: "1e999" becomes "null ". */
int ndjson_mend_numbers(struct scanner *s, struct buf *copy, struct str *text);

#endif
