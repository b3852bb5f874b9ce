#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define FIRST_PASSED_FD 3   /* SD_LISTEN_FDS_START */

static int
list_add(struct listener **list, int fd, char *path, struct error *e)
{
	struct listener *l = calloc(1, sizeof(*l));
	struct stat st;

	if (l == NULL) {
		close(fd);
		free(path);
		return error_memory(e);
	}
	l->fd = fd;
	l->path = path;
	if (path != NULL && lstat(path, &st) == 0) {
		l->device = st.st_dev;
		l->inode = st.st_ino;
	}
	l->next = *list;
	*list = l;
	return 0;
}

void
listen_close(struct listener **list)
{
	struct listener *l;
	struct stat st;

	while ((l = *list) != NULL) {
		*list = l->next;
		/* Another one may stand there by now: that is not ours. */
		if (l->path != NULL && lstat(l->path, &st) == 0 && st.st_dev == l->device &&
		    st.st_ino == l->inode)
			unlink(l->path);
		close(l->fd);
		free(l->path);
		free(l);
	}
}

/* ---- a socket of our own ---- */

/* Does somebody answer there? Only a refused connection says no. */
static bool
is_alive(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd == -1)
		return true;
	alive = connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno != ECONNREFUSED;
	close(fd);
	return alive;
}

/* Bind, with the right mode from the first moment on. */
static int
bind_here(int fd, const struct sockaddr_un *a)
{
	mode_t mask = umask(0117);
	int r = bind(fd, (const struct sockaddr *)a, sizeof(*a)), error = errno;

	umask(mask);
	errno = error;
	return r;
}

static int
bind_and_listen(int fd, const struct sockaddr_un *a, struct error *e)
{
	struct stat st;
	int r = bind_here(fd, a);

	if (r == -1 && errno == EADDRINUSE) {
		if (lstat(a->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
			return error_set(e, ERROR_USAGE, "unix:%s: there is a file, and it is no socket",
			    a->sun_path);
		if (is_alive(a))
			return error_set(e, ERROR_BUSY, "unix:%s: another process answers there",
			    a->sun_path);
		if (unlink(a->sun_path) == 0 || errno == ENOENT)
			r = bind_here(fd, a);
	}
	if (r == -1 || listen(fd, BACKLOG) == -1)
		return error_errno(e, errno, "unix:%s", a->sun_path);
	return 0;
}

/* Lock the directory of `path`, so that of two that start at once and find the
 * same dead socket only one takes its place. -1 where that cannot be done. */
static int
lock_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
	int fd = -1;

	if (name != NULL && (fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) != -1)
		flock(fd, LOCK_EX);
	free(name);
	return fd;
}

static int
open_unix(struct listener **list, const char *path, struct error *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, lock, r;
	char *own;

	if (*path == '\0')
		return error_set(e, ERROR_USAGE, "unix: needs a path behind it");
	if (strlen(path) >= sizeof(a.sun_path))
		return error_set(e, ERROR_USAGE, "unix:%s: a socket's path has at most %zu bytes", path,
		    sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return error_errno(e, errno, "socket");
	lock = lock_directory(path);
	r = bind_and_listen(fd, &a, e);
	if (lock != -1)
		close(lock);
	if (r == 0 && (own = strdup(path)) != NULL)
		return list_add(list, fd, own, e);
	if (r == 0) {
		unlink(path);
		r = error_memory(e);
	}
	close(fd);
	return r;
}

/* ---- sockets that were passed ---- */

/* A number from the environment; -1 if it is none. */
static long
env_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long n;

	if (text == NULL || *text == '\0')
		return -1;
	errno = 0;
	n = strtol(text, &end, 10);
	return *end == '\0' && errno == 0 ? n : -1;
}

static int
option_of(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

static int
open_passed(struct listener **list, struct error *e)
{
	long n = env_number("LISTEN_FDS");
	int flags, fd;

	if (n <= 0 || n > 1000 || env_number("LISTEN_PID") != (long)getpid())
		return error_set(e, ERROR_USAGE,
		    "systemd: no sockets were passed (see sd_listen_fds(3))");
	for (fd = FIRST_PASSED_FD; fd < FIRST_PASSED_FD + (int)n; fd++) {
		if (option_of(fd, SO_DOMAIN) != AF_UNIX || option_of(fd, SO_TYPE) != SOCK_STREAM ||
		    option_of(fd, SO_ACCEPTCONN) != 1)
			return error_set(e, ERROR_USAGE,
			    "systemd: descriptor %d is no listening unix stream socket", fd);
		if ((flags = fcntl(fd, F_GETFL)) == -1 ||
		    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
		    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
			return error_errno(e, errno, "systemd: descriptor %d", fd);
		if (list_add(list, fd, NULL, e) == -1)
			return -1;
	}
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return 0;
}

int
listen_open(struct listener **list, const char *where, struct error *e)
{
	if (strncmp(where, "unix:", 5) == 0)
		return open_unix(list, where + 5, e);
	if (strcmp(where, "systemd:") == 0)
		return open_passed(list, e);
	return error_set(e, ERROR_USAGE, "--listen %s: neither unix:PATH nor systemd:", where);
}

int
listen_peer(int fd, uid_t *uid, pid_t *pid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		return -1;
	*uid = peer.uid;
	*pid = peer.pid;
	return 0;
}

void
listen_notify(const char *state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len;
	int fd;

	if (path == NULL || (*path != '/' && *path != '@') ||
	    (len = strlen(path)) >= sizeof(a.sun_path))
		return;
	memcpy(a.sun_path, path, len);
	if (*path == '@')
		a.sun_path[0] = '\0';
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return;
	/* Best effort: the service manager has its own timeout. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&a,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}
