#include "sqlite/pages_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PAGE_DEFAULT = 4096,
	WAL_HEADER = 32,
	WAL_FRAME = 24,           /* before each page */
};

/* All of it, or zeros: false. */
static bool
read_at(int fd, uint64_t offset, unsigned char *to, size_t n)
{
	size_t have = 0;
	ssize_t got;

	while (have < n) {
		got = pread(fd, to + have, n - have, (off_t)(offset + have));
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		have += (size_t)got;
	}
	if (have < n)
		memset(to, 0, n);
	return have == n;
}

bool
pages_file_read(const struct pages_file *f, uint32_t page, unsigned char *to)
{
	uint32_t frame = f->frames[page];
	bool whole = frame != 0 ? read_at(f->wal, WAL_HEADER + WAL_FRAME +
	    (uint64_t)(frame - 1) * (f->size + WAL_FRAME), to, f->size) :
	    read_at(f->fd, (uint64_t)(page - 1) * f->size, to, f->size);

	return whole && (to[0] != 0 || memcmp(to, to + 1, f->size - 1) != 0);
}

static bool
valid_size(uint32_t size)
{
	return size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
}

/* The WAL's running checksum, over `n` bytes (a multiple of 8). */
static void
add_checksum(uint32_t sum[2], const unsigned char *p, size_t n, bool big)
{
	for (const unsigned char *end = p + n; p < end; p += 8) {
		uint32_t a = page_u32(p), b = page_u32(p + 4);
		sum[0] += (big ? a : __builtin_bswap32(a)) + sum[1];
		sum[1] += (big ? b : __builtin_bswap32(b)) + sum[0];
	}
}

/* The header of the WAL: whether it is one, of our page size. */
static bool
wal_begin(const struct pages_file *f, unsigned char header[WAL_HEADER], uint32_t sum[2], bool *big)
{
	uint32_t magic;

	read_at(f->wal, 0, header, WAL_HEADER);
	magic = page_u32(header);
	*big = magic == 0x377f0683;
	sum[0] = sum[1] = 0;
	add_checksum(sum, header, 24, *big);
	return (*big || magic == 0x377f0682) && page_u32(header + 8) == f->size &&
	    sum[0] == page_u32(header + 24) && sum[1] == page_u32(header + 28);
}

/* Find the committed pages in the WAL: with `note` they are noted, else only the
 * size of the database after the last commit is found out (0: none). */
static uint32_t
wal_scan(struct pages_file *f, uint32_t last, bool note, uint32_t *commit)
{
	unsigned char header[WAL_HEADER], frame[WAL_FRAME];
	uint32_t sum[2], count = 0;
	bool big;

	*commit = 0;
	if (f->wal == -1 || !wal_begin(f, header, sum, &big))
		return 0;
	for (uint32_t i = 1; i <= last; i++) {
		uint64_t at = WAL_HEADER + (uint64_t)(i - 1) * (f->size + WAL_FRAME);
		uint32_t page;
		read_at(f->wal, at, frame, sizeof(frame));
		page = page_u32(frame);
		if (page == 0 || memcmp(frame + 8, header + 16, 8) != 0)
			break;
		if (note) {
			if (page <= f->count)
				f->frames[page] = i;
			continue;
		}
		read_at(f->wal, at + WAL_FRAME, f->page, f->size);
		add_checksum(sum, frame, 8, big);
		add_checksum(sum, f->page, f->size, big);
		if (sum[0] != page_u32(frame + 16) || sum[1] != page_u32(frame + 20))
			break;
		if (page_u32(frame + 4) != 0) {
			count = page_u32(frame + 4);
			*commit = i;
		}
	}
	return count;
}

/* The page size, from whichever header can be believed. */
static uint32_t
find_size(const struct pages_file *f, const unsigned char header[100])
{
	unsigned char wal[WAL_HEADER];
	uint32_t size = page_u16(header + 16) == 1 ? 65536 : page_u16(header + 16);

	if (memcmp(header, "SQLite format 3", 16) == 0 && valid_size(size))
		return size;
	if (f->wal != -1) {
		read_at(f->wal, 0, wal, sizeof(wal));
		if ((page_u32(wal) | 1) == 0x377f0683 && valid_size(page_u32(wal + 8)))
			return page_u32(wal + 8);
	}
	return PAGE_DEFAULT;
}

/* What page 1, as the WAL has it, says of all. */
static void
read_header(struct pages_file *f, uint64_t file_pages)
{
	const unsigned char *h = f->page;
	uint32_t size;

	pages_file_read(f, 1, f->page);
	size = page_u16(h + 16) == 1 ? 65536 : page_u16(h + 16);
	f->header.sound = memcmp(h, "SQLite format 3", 16) == 0 && size == f->size &&
	    h[20] <= f->size - 480 && h[21] == 64 && h[22] == 32 && h[23] == 32;
	f->usable = f->size - (f->header.sound ? h[20] : 0);
	f->mapped = !f->header.sound || page_u32(h + 52) != 0;
	f->header.cut = f->header.sound && page_u32(h + 28) > file_pages && page_u32(h + 28) > f->count;
	f->header.application_id = page_u32(h + 68);
	f->header.user_version = page_u32(h + 60);
}

/* How many pages, and which of them the WAL has. */
static int
survey(struct pages_file *f, const char *path, struct error *e)
{
	unsigned char header[100];
	struct stat st;
	uint64_t count;
	uint32_t commit, committed;

	if (fstat(f->fd, &st) == -1)
		return error_errno(e, errno, "%s", path);
	read_at(f->fd, 0, header, sizeof(header));
	f->size = find_size(f, header);
	if ((f->page = malloc(f->size)) == NULL)
		return error_memory(e);
	count = ((uint64_t)st.st_size + f->size - 1) / f->size;
	committed = wal_scan(f, UINT32_MAX - 1, false, &commit);
	if (committed > count + commit)   /* each page that is new has a frame */
		committed = (uint32_t)count + commit;
	f->count = commit != 0 ? committed : count < UINT32_MAX - 1 ? (uint32_t)count : UINT32_MAX - 1;
	if (f->count == 0)
		return error_set(e, ERROR_INVALID, "%s: is empty", path);
	if ((f->frames = calloc((size_t)f->count + 1, sizeof(*f->frames))) == NULL)
		return error_memory(e);
	wal_scan(f, commit, true, &commit);
	read_header(f, count);
	return 0;
}

/* The file and, beside it (not beside a link to it), its WAL if it has one. */
static int
open_files(struct pages_file *f, const char *path, struct error *e)
{
	char *file = realpath(path, NULL), *wal = NULL;
	size_t size;
	int rc = -1;

	if (file == NULL || (f->fd = open(file, O_RDONLY | O_CLOEXEC)) == -1) {
		error_errno(e, errno, "%s", path);
		goto out;
	}
	size = strlen(file) + sizeof("-wal");
	if ((wal = malloc(size)) == NULL) {
		error_memory(e);
		goto out;
	}
	snprintf(wal, size, "%s-wal", file);
	if ((f->wal = open(wal, O_RDONLY | O_CLOEXEC)) == -1 && errno != ENOENT)
		error_errno(e, errno, "%s", wal);
	else
		rc = 0;
out:
	free(file);
	free(wal);
	return rc;
}

int
pages_file_open(struct pages_file *f, const char *path, struct error *e)
{
	*f = (struct pages_file){ .fd = -1, .wal = -1 };
	return open_files(f, path, e) == -1 ? -1 : survey(f, path, e);
}

void
pages_file_close(struct pages_file *f)
{
	if (f->fd != -1)
		close(f->fd);
	if (f->wal != -1)
		close(f->wal);
	free(f->frames);
	free(f->page);
}
