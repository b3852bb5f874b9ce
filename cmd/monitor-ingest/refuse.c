#include "refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli.h"
#include "file.h"
#include "progress.h"
#include "when.h"

#define MESSAGES_A_SECOND 20

/* ---- messages ---- */

/* Reasons may quote what was refused: nothing in it may act on a terminal. */
static void
disarm(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

void
refuse_say_rest(struct refuse *r, int end)
{
	if (r->unsaid == 0 || (!end && (int64_t)when_ticks() == r->second))
		return;
	progress_clear();
	cli_warn("and %" PRIu64 " more refused", r->unsaid);
	r->unsaid = 0;
}

void
refuse_say(struct refuse *r, const char *name, uint64_t number, const char *reason)
{
	char text[sizeof(((struct error *)0)->text)];
	int64_t now = (int64_t)when_ticks();

	r->count++;
	refuse_say_rest(r, 0);
	if (now != r->second) {
		r->second = now;
		r->said = 0;
	}
	if (r->said >= MESSAGES_A_SECOND) {
		r->unsaid++;
		return;
	}
	r->said++;
	snprintf(text, sizeof(text), "%s", reason);
	disarm(text);
	progress_clear();
	cli_warn("%s:%" PRIu64 ": %s", name, number, text);
}

/* ---- the file ---- */

/* Does it end with a newline? One that may only be written to is taken for one that does not:
 * an empty line does no harm. */
static bool
ends_whole(const char *path, off_t size)
{
	char last = '\0';
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd != -1 && pread(fd, &last, 1, size - 1) == -1)
		last = '\0';
	if (fd != -1)
		close(fd);
	return last == '\n';
}

int
refuse_open(struct refuse *r, const char *path, struct error *e)
{
	struct stat st;

	*r = (struct refuse){ .path = path, .fd = -1 };
	if (path == NULL)
		return 0;
	r->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (r->fd == -1 || fstat(r->fd, &st) == -1)
		return error_errno(e, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (st.st_size == 0)
		return file_sync_directory(path, e);
	/* What a full disk cut short must not be joined by the next. */
	return ends_whole(path, st.st_size) ? 0 : refuse_keep(r, (struct str){ NULL, 0 }, e);
}

int
refuse_sync(const struct refuse *r, struct error *e)
{
	/* EINVAL, EROFS: it is a pipe or the like, which has no disk. */
	if (r->fd == -1 || fdatasync(r->fd) == 0 || errno == EINVAL || errno == EROFS)
		return 0;
	return error_errno(e, errno, "%s", r->path);
}

int
refuse_close(struct refuse *r, struct error *e)
{
	int rc = r->kept ? refuse_sync(r, e) : 0;

	if (r->fd != -1 && close(r->fd) == -1 && rc == 0)
		rc = error_errno(e, errno, "%s", r->path);
	r->fd = -1;
	return rc;
}

/* All of `part`, which is used up. */
static int
write_all(struct refuse *r, struct iovec *part, int parts, struct error *e)
{
	r->kept = true;
	while (parts > 0) {
		ssize_t n = writev(r->fd, part, parts);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_errno(e, errno, "%s", r->path);
		for (; parts > 0 && (size_t)n >= part->iov_len; part++, parts--)
			n -= (ssize_t)part->iov_len;
		if (parts > 0) {
			part->iov_base = (char *)part->iov_base + n;
			part->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int
refuse_keep(struct refuse *r, struct str line, struct error *e)
{
	char newline[] = "\n";
	struct iovec parts[] = {
		{ (void *)(uintptr_t)line.data, line.len },
		{ newline, 1 },
	};

	return r->fd == -1 ? 0 : write_all(r, parts, 2, e);
}

int
refuse_spool(struct refuse *r, FILE **spool, struct str piece, struct error *e)
{
	if (r->fd == -1 || piece.len == 0)
		return 0;
	if ((*spool == NULL && (*spool = tmpfile()) == NULL) ||
	    fwrite(piece.data, 1, piece.len, *spool) != piece.len)
		return error_errno(e, errno, "a temporary file for an overlong line");
	return 0;
}

static int
copy_spool(struct refuse *r, FILE *spool, struct error *e)
{
	char piece[16384];
	size_t n;

	rewind(spool);
	while ((n = fread(piece, 1, sizeof(piece), spool)) > 0)
		if (write_all(r, &(struct iovec){ piece, n }, 1, e) == -1)
			return -1;
	if (ferror(spool))
		return error_errno(e, errno, "a temporary file for an overlong line");
	return refuse_keep(r, (struct str){ NULL, 0 }, e);
}

int
refuse_keep_spooled(struct refuse *r, FILE **spool, struct error *e)
{
	int result;

	if (*spool == NULL)
		return 0;
	if (fflush(*spool) == EOF)
		result = error_errno(e, errno, "a temporary file for an overlong line");
	else
		result = copy_spool(r, *spool, e);
	fclose(*spool);
	*spool = NULL;
	return result;
}
