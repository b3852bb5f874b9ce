/*
 * fdatasync - what it costs here to make a page durable:
 *
 *   fdatasync FILE
 *
 * writes 4 KiB pages one behind the other into a file that has its size
 * already (as a write-ahead log has, once it has been around), with an
 * fdatasync(2) behind each, and prints "P50 P99 MAX" in seconds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "percentile.h"

#define PAGE 4096
#define PAGES 1000

static void
write_page(int fd, const char *path, const char *page, off_t at)
{
	if (pwrite(fd, page, PAGE, at) != PAGE)
		err(1, "%s", path);
}

int
main(int argc, char **argv)
{
	struct latencies took = { 0 };
	char page[PAGE];
	double start;
	int fd;

	if (argc != 2)
		errx(2, "usage: fdatasync FILE");
	if ((fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600)) == -1)
		err(1, "%s", argv[1]);
	memset(page, 'x', sizeof(page));
	for (int i = 0; i < PAGES; i++)
		write_page(fd, argv[1], page, (off_t)i * PAGE);
	if (fsync(fd) == -1)
		err(1, "%s", argv[1]);
	for (int i = 0; i < PAGES; i++) {
		start = monotonic();
		write_page(fd, argv[1], page, (off_t)i * PAGE);
		if (fdatasync(fd) == -1)
			err(1, "%s", argv[1]);
		latencies_add(&took, monotonic() - start);
	}
	printf("%.6f %.6f %.6f\n", latencies_at(&took, 0.5), latencies_at(&took, 0.99),
	    latencies_at(&took, 1));
	free(took.seconds);
	close(fd);
	return unlink(argv[1]) == -1;
}
