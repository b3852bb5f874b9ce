#include "cursor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
cursor_file_read(const char *path, struct cursor *c, struct error *e)
{
	char text[CURSOR_TEXT_SIZE + 2];
	FILE *f = fopen(path, "re");
	size_t n;
	int failed;

	if (f == NULL)
		return errno == ENOENT ? 0 : error_errno(e, errno, "%s", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	failed = ferror(f) ? errno : 0;
	fclose(f);
	if (failed != 0)
		return error_errno(e, failed, "%s", path);
	text[n] = '\0';
	if (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	if (n == 0)
		return 0;
	return cursor_parse(text, c, e) == -1 ? error_prefix(e, "%s", path) : 1;
}

/* The new file beside the old one; -1 or a descriptor, with its name. */
static int
open_beside(const char *path, char **name, struct error *e)
{
	struct stat st;
	int fd;

	/* Renaming over a device would do away with it. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(e, ERROR_SYSTEM, "%s: not a regular file", path);
	if (asprintf(name, "%s.%ld", path, (long)getpid()) == -1) {
		*name = NULL;
		return error_memory(e);
	}
	fd = open(*name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd == -1) {
		error_errno(e, errno, "%s: cannot be written", path);
		free(*name);
		*name = NULL;
	}
	return fd;
}

int
cursor_file_check(const char *path, struct error *e)
{
	char *name;
	int fd = open_beside(path, &name, e);

	if (fd == -1)
		return -1;
	close(fd);
	unlink(name);
	free(name);
	return 0;
}

int
cursor_file_write(const char *path, const struct cursor *c, struct error *e)
{
	char text[CURSOR_TEXT_SIZE + 1], *name = NULL;
	int fd = open_beside(path, &name, e), status = -1;
	ssize_t len;

	if (fd == -1)
		return -1;
	cursor_format(c, text);
	strcat(text, "\n");
	len = (ssize_t)strlen(text);
	errno = ENOSPC; /* for a write that ends early */
	if (write(fd, text, (size_t)len) != len || fsync(fd) == -1) {
		error_errno(e, errno, "%s", name);
		close(fd);
		goto out;
	}
	if (close(fd) == -1 || rename(name, path) == -1) {
		error_errno(e, errno, "%s", path);
		goto out;
	}
	status = 0;
out:
	if (status == -1)
		unlink(name);
	free(name);
	return status;
}
