/*
 * faults.so - system calls that fail when a test wants them to (LD_PRELOAD).
 *
 *   FAULT=malloc:17          the 17th allocation fails
 *   FAULT=write:3+           the third write fails, and each one behind it
 *   FAULT=sync:1,sleep:1+    several
 *   FAULT_HIT=FILE           made when one of them has failed
 *
 * Calls: malloc (also calloc and realloc), open, read, write (to files, pipes
 * and sockets), sync (fsync and fdatasync), close (which closes all the same),
 * thread (pthread_create), sleep, which does not fail but does not sleep.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum call { MALLOC, OPEN, READ, WRITE, SYNC, CLOSE, THREAD, SLEEP, CALLS };

static struct {
	const char *name;
	int error;
	atomic_long count;
	long from;          /* 0: never */
	bool on;            /* and all behind it */
} calls[CALLS] = {
	[MALLOC] = { .name = "malloc", .error = ENOMEM },
	[OPEN] = { .name = "open", .error = EMFILE },
	[READ] = { .name = "read", .error = EIO },
	[WRITE] = { .name = "write", .error = ENOSPC },
	[SYNC] = { .name = "sync", .error = EIO },
	[CLOSE] = { .name = "close", .error = EIO },
	[THREAD] = { .name = "thread", .error = EAGAIN },
	[SLEEP] = { .name = "sleep", .error = 0 },
};

/* glibc's own, without a lookup that would itself allocate. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

__attribute__((constructor)) static void
begin(void)
{
	const char *at = getenv("FAULT");

	while (at != NULL && *at != '\0') {
		size_t name = strcspn(at, ":");
		for (int i = 0; i < CALLS && at[name] == ':'; i++)
			if (strlen(calls[i].name) == name && strncmp(at, calls[i].name, name) == 0) {
				char *end;
				calls[i].from = strtol(at + name + 1, &end, 10);
				calls[i].on = *end == '+';
			}
		at += strcspn(at, ",");
		at += *at == ',';
	}
}

/* Does this call fail? */
static bool
fails(enum call c)
{
	const char *hit;
	long n;

	if (calls[c].from == 0)
		return false;
	n = atomic_fetch_add(&calls[c].count, 1) + 1;
	if (n != calls[c].from && !(calls[c].on && n > calls[c].from))
		return false;
	if ((hit = getenv("FAULT_HIT")) != NULL)
		syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, hit, O_WRONLY | O_CREAT, 0644));
	errno = calls[c].error;
	return true;
}

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))(uintptr_t)dlsym(RTLD_NEXT, #name))

void *
malloc(size_t n)
{
	return fails(MALLOC) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return fails(MALLOC) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return fails(MALLOC) ? NULL : __libc_realloc(p, n);
}

static int
open_real(const char *path, int flags, mode_t mode)
{
	return fails(OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN_WITH_MODE(path, flags) \
	mode_t mode = 0; \
	va_list ap; \
	va_start(ap, flags); \
	if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) \
		mode = va_arg(ap, mode_t); \
	va_end(ap); \
	return open_real(path, flags, mode)

int
open(const char *path, int flags, ...)
{
	OPEN_WITH_MODE(path, flags);
}

int
open64(const char *path, int flags, ...)
{
	OPEN_WITH_MODE(path, flags);
}

ssize_t
read(int fd, void *p, size_t n)
{
	return fails(READ) ? -1 : syscall(SYS_read, fd, p, n);
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
	return fails(READ) ? -1 : syscall(SYS_pread64, fd, p, n, at);
}

ssize_t
pread64(int fd, void *p, size_t n, off64_t at)
{
	return fails(READ) ? -1 : syscall(SYS_pread64, fd, p, n, at);
}

ssize_t
recv(int fd, void *p, size_t n, int flags)
{
	return fails(READ) ? -1 : syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	return fails(WRITE) ? -1 : syscall(SYS_write, fd, p, n);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return fails(WRITE) ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return fails(WRITE) ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t
writev(int fd, const struct iovec *parts, int n)
{
	return fails(WRITE) ? -1 : syscall(SYS_writev, fd, parts, n);
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
	return fails(WRITE) ? -1 : syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
}

int
fsync(int fd)
{
	return fails(SYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return fails(SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int
close(int fd)
{
	int rc = (int)syscall(SYS_close, fd);

	return fails(CLOSE) ? -1 : rc;
}

int
pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
	if (fails(THREAD))
		return errno;
	return REAL(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *),
	    void *)(t, a, run, arg);
}

int
nanosleep(const struct timespec *t, struct timespec *rest)
{
	return fails(SLEEP) ? 0 : (int)syscall(SYS_nanosleep, t, rest);
}

int
usleep(useconds_t us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	return fails(SLEEP) ? 0 : (int)syscall(SYS_nanosleep, &t, NULL);
}
