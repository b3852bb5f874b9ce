/*
 * A file of nothing beside the store. Deleting takes room in the WAL, which a
 * full disk does not have; a purge that meets one deletes this file first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sqlite/sqlite.h"

enum {
	RESERVE_BYTES = 32 << 20,   /* as much as the WAL is allowed to grow to; but no more */
	RESERVE_LEAST = 8 << 20,    /* than the store is large (and nothing for a small one), */
	RESERVE_FREE = 4,           /* nor than this part of what is free */
};

static bool
reserve_name(const char *path, char *name, size_t size)
{
	return (size_t)snprintf(name, size, "%s-reserve", path) < size;
}

static off_t
reserve_size(const char *path)
{
	struct statvfs v;
	struct stat st;
	struct rlimit limit;
	uint64_t bytes = RESERVE_BYTES, available;

	if (statvfs(path, &v) == -1 || stat(path, &st) == -1 || st.st_size < RESERVE_LEAST)
		return 0;
	available = (uint64_t)v.f_bavail * v.f_frsize / RESERVE_FREE;
	if (bytes > available)
		bytes = available;
	if (bytes > (uint64_t)st.st_size)
		bytes = (uint64_t)st.st_size;
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < bytes)
		return 0;
	return (off_t)bytes;
}

void
reserve_make(const char *path)
{
	char name[4096];
	struct stat st;
	off_t bytes = reserve_size(path);
	int fd;

	if (bytes == 0 || !reserve_name(path, name, sizeof(name)))
		return;
	if (stat(name, &st) == 0 && st.st_size >= bytes)
		return;
	if ((fd = open(name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640)) == -1)
		return;
	/* Where the filesystem cannot promise the room there is no use in the file. */
	if (fallocate(fd, 0, 0, bytes) == -1)
		unlink(name);
	close(fd);
}

bool
reserve_release(const char *path)
{
	char name[4096];

	return reserve_name(path, name, sizeof(name)) && unlink(name) == 0;
}
