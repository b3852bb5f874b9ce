#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* EINVAL, EROFS: of a filesystem that keeps nothing. */
static int
sync_directory(const char *dir, struct error *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd == -1)
		return errno == EACCES ? 0 : error_errno(e, errno, "%s", dir);
	if (fsync(fd) == -1 && errno != EINVAL && errno != EROFS)
		rc = error_errno(e, errno, "%s", dir);
	close(fd);
	return rc;
}

int
file_sync_directory(const char *path, struct error *e)
{
	char *dir = strdup(path), *slash;
	int rc;

	if (dir == NULL)
		return error_memory(e);
	if ((slash = strrchr(dir, '/')) != NULL)
		slash[slash == dir] = '\0';
	rc = sync_directory(slash != NULL ? dir : ".", e);
	free(dir);
	return rc;
}
