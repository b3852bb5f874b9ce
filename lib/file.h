/*
 * file.h - what files need to survive a power loss, besides fsync(2) of their own.
 */
#ifndef MONITOR_FILE_H
#define MONITOR_FILE_H

#include "error.h"

/* What was made or removed in the directory of `path` is on the disk. A directory that may not be
 * read cannot be brought there: that is no error. */
int file_sync_directory(const char *path, struct error *e);

#endif
