/*
 * cursor_file.h - a position kept in a file.
 *
 * The file is replaced as a whole: whoever reads it, after whatever crash,
 * finds an old position or a new one.
 */
#ifndef MONITOR_QUERY_CURSOR_FILE_H
#define MONITOR_QUERY_CURSOR_FILE_H

#include "error.h"
#include "query.h"

/* 1: read; 0: there is none yet (no file, or an empty one); -1. */
int cursor_file_read(const char *path, struct cursor *c, struct error *e);

/* Could it be written? Better known before anything is shown. */
int cursor_file_check(const char *path, struct error *e);

int cursor_file_write(const char *path, const struct cursor *c, struct error *e);

#endif
