#include "newtoken.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli.h"

/* Does what is there end within a line? */
static bool
lacks_newline(int fd, off_t size)
{
	char last;

	return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

/* All of it, or nothing: a line that is cut short would make the whole file useless. */
static int
write_line(int fd, struct str line)
{
	off_t size = lseek(fd, 0, SEEK_END);
	struct buf b = { 0 };
	ssize_t n = -1;
	int r = -1, error;

	errno = ENOMEM;
	if ((!lacks_newline(fd, size) || buf_add(&b, "\n", 1) == 0) && buf_add_str(&b, line) == 0)
		n = write(fd, b.data, b.len);
	if (n >= 0 && (size_t)n < b.len)
		errno = ENOSPC;
	else if (n >= 0)
		r = fsync(fd);
	error = errno;
	if (r == -1)
		(void)!ftruncate(fd, size);
	buf_free(&b);
	errno = error;
	return r;
}

static int
append(const char *path, struct str line, struct error *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640), r = 0;

	if (fd == -1)
		return error_errno(e, errno, "%s", path);
	if (flock(fd, LOCK_EX) == -1 || write_line(fd, line) == -1)
		r = error_errno(e, errno, "%s", path);
	if (close(fd) == -1 && r == 0)
		r = error_errno(e, errno, "%s", path);
	return r;
}

int
newtoken_make(const struct settings *s)
{
	char token[AUTH_TOKEN_SIZE];
	struct buf line = { 0 };
	struct error e;
	int r;

	if ((r = auth_new_token(str_of(s->new_token), s->role, token, &line, &e)) == 0 &&
	    s->auth.tokens != NULL)
		r = append(s->auth.tokens, (struct str){ line.data, line.len }, &e);
	if (r == -1)
		cli_warn("%s", e.text);
	else if (s->auth.tokens == NULL)
		fprintf(stderr, "%.*s", (int)line.len, line.data);
	if (r == 0)
		puts(token);
	explicit_bzero(token, sizeof(token));
	buf_free(&line);
	if (r == -1)
		return e.kind == ERROR_USAGE || e.kind == ERROR_INVALID ? EXIT_USAGE : EXIT_ERROR;
	return cli_close_stdout() == 0 ? EXIT_SUCCESS : EXIT_ERROR;
}
