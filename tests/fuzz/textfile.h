/*
 * textfile.h - an input as a file, for what is read by its path: one in memory, used again.
 */
#ifndef MONITOR_TEXTFILE_H
#define MONITOR_TEXTFILE_H

#include <sys/mman.h>
#include <unistd.h>

#include "target.h"

/* Its path, good until the next call. */
static const char *
textfile(struct str text)
{
	static char path[40];
	static int fd = -1;

	if (fd == -1) {
		require((fd = memfd_create("input", MFD_CLOEXEC)) != -1, "no file in memory");
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	require(ftruncate(fd, 0) == 0 && pwrite(fd, text.data, text.len, 0) == (ssize_t)text.len,
	    "the file cannot be written");
	return path;
}

#endif
