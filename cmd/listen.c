#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_PASSED_FD 3   /* SD_LISTEN_FDS_START */

union address {
	struct sockaddr any;
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;
	struct sockaddr_un un;
};

static int
set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int
option_of(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/* ---- the list ---- */

/* Append. The descriptor and the path are the list's from now on, also on failure. */
static struct listener *
list_add(struct listener **list, int fd, char *path, struct error *e)
{
	struct listener *l = calloc(1, sizeof(*l));
	struct stat st;

	if (l == NULL) {
		close(fd);
		free(path);
		error_memory(e);
		return NULL;
	}
	l->fd = fd;
	l->path = path;
	if (path != NULL && lstat(path, &st) == 0) {
		l->device = st.st_dev;
		l->inode = st.st_ino;
	}
	while (*list != NULL)
		list = &(*list)->next;
	return *list = l;
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

/* ---- a unix socket of our own ---- */

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
	if (r == -1 || listen(fd, SOMAXCONN) == -1)
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
check_path(const char *path, struct error *e)
{
	size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (*path == '\0')
		return error_set(e, ERROR_USAGE, "unix: needs a path behind it");
	if (strlen(path) > max)
		return error_set(e, ERROR_USAGE, "unix:%s: a socket's path has at most %zu bytes", path,
		    max);
	return 0;
}

static int
open_unix(struct listener **list, const char *path, struct error *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct listener *l;
	int fd, lock, r;
	char *own;

	if (check_path(path, e) == -1)
		return -1;
	memcpy(a.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1)
		return error_errno(e, errno, "socket");
	lock = lock_directory(path);
	r = bind_and_listen(fd, &a, e);
	if (lock != -1)
		close(lock);
	if (r == 0 && (own = strdup(path)) != NULL) {
		if ((l = list_add(list, fd, own, e)) == NULL)
			return -1;
		snprintf(l->name, sizeof(l->name), "unix:%s", path);
		l->is_unix = l->local = true;
		return 0;
	}
	if (r == 0) {
		unlink(path);
		r = error_memory(e);
	}
	close(fd);
	return r;
}

/* ---- an IP socket of our own ---- */

/* Cut WHERE into a numeric address (an empty one: all) and a port. */
static int
split(const char *where, char host[LISTEN_NAME_SIZE], const char **port, struct error *e)
{
	const char *begin = where, *end = strrchr(where, ':');

	if (end == NULL || end - where >= LISTEN_NAME_SIZE)
		return error_set(e, ERROR_USAGE,
		    "%s: not an address and a port, such as 127.0.0.1:9000", where);
	*port = end + 1;
	if (*begin == '[' && end > begin && end[-1] == ']') {
		begin++;
		end--;
	} else if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
		return error_set(e, ERROR_USAGE, "%s: an IPv6 address needs brackets", where);
	} else if (end == begin + 1 && *begin == '*') {
		begin = end;
	}
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	return 0;
}

/* Caller frees with freeaddrinfo(). */
static int
resolve(const char *where, struct addrinfo **found, struct error *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	char host[LISTEN_NAME_SIZE], *end;
	const char *port = "";
	int r;

	if (split(where, host, &port, e) == -1)
		return -1;
	if (*port < '0' || *port > '9' || strtoul(port, &end, 10) > 65535 || *end != '\0')
		return error_set(e, ERROR_USAGE, "%s: not a port at its end", where);
	r = getaddrinfo(*host != '\0' ? host : "::", port, &hints, found);
	if (r == EAI_MEMORY)
		return error_memory(e);
	if (r != 0)
		return error_set(e, ERROR_USAGE, "%s: not a numeric address, such as 127.0.0.1", where);
	return 0;
}

static bool
is_loopback(const union address *a)
{
	const struct in6_addr *in6 = &a->ip6.sin6_addr;

	if (a->any.sa_family == AF_INET)
		return ntohl(a->ip4.sin_addr.s_addr) >> 24 == 127;
	return a->any.sa_family == AF_INET6 && (IN6_IS_ADDR_LOOPBACK(in6) ||
	    (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127));
}

/* What it has become: its address, with the port. */
static int
name_socket(struct listener *l, struct error *e)
{
	char host[LISTEN_NAME_SIZE - 8], port[8];
	union address a = { 0 };
	socklen_t len = sizeof(a);
	int r;

	if (getsockname(l->fd, &a.any, &len) == -1)
		return error_errno(e, errno, "getsockname");
	l->local = is_loopback(&a);
	r = getnameinfo(&a.any, len, host, sizeof(host) - 2, port, sizeof(port),
	    NI_NUMERICHOST | NI_NUMERICSERV);
	if (r != 0)
		return error_set(e, ERROR_SYSTEM, "getnameinfo: %s", gai_strerror(r));
	snprintf(l->name, sizeof(l->name), a.any.sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
	    port);
	return 0;
}

/* A socket that listens there, or -1 with errno. */
static int
bind_ip(const struct addrinfo *a, unsigned take)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;

	if (fd == -1)
		return -1;
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 &&
	    (!(take & LISTEN_REUSE_PORT) || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0) &&
	    (a->ai_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == 0) &&
	    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0 &&
	    bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* All addresses, where there is no IPv6. */
static int
bind_all_ip4(const struct addrinfo *all, unsigned take)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
	    .sin_port = ((const struct sockaddr_in6 *)(const void *)all->ai_addr)->sin6_port };
	struct addrinfo ip4 = { .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&a,
	    .ai_addrlen = sizeof(a) };

	return bind_ip(&ip4, take);
}

static int
open_ip(struct listener **list, const char *where, unsigned take, struct error *e)
{
	struct addrinfo *found;
	struct listener *l;
	int fd;

	if (resolve(where, &found, e) == -1)
		return -1;
	fd = bind_ip(found, take);
	if (fd == -1 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
	    (*where == ':' || *where == '*'))
		fd = bind_all_ip4(found, take);
	if (fd == -1)
		error_errno(e, errno, "%s", where);
	freeaddrinfo(found);
	if (fd == -1 || (l = list_add(list, fd, NULL, e)) == NULL)
		return -1;
	return name_socket(l, e);
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

/* What kind is it? 0: none that is taken. */
static unsigned
kind_of(int fd, unsigned take)
{
	int domain = option_of(fd, SO_DOMAIN);

	if (option_of(fd, SO_TYPE) != SOCK_STREAM || option_of(fd, SO_ACCEPTCONN) != 1)
		return 0;
	if (domain == AF_UNIX)
		return take & LISTEN_UNIX;
	return domain == AF_INET || domain == AF_INET6 ? take & LISTEN_IP : 0;
}

static int
take_passed(struct listener **list, int fd, unsigned take, struct error *e)
{
	unsigned kind = kind_of(fd, take);
	struct listener *l;
	int flags;

	if (kind == 0)
		return error_set(e, ERROR_USAGE, "systemd: descriptor %d is no listening %sstream socket",
		    fd, take & LISTEN_IP ? "" : "unix ");
	if ((flags = fcntl(fd, F_GETFL)) == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ||
	    (kind == LISTEN_IP && set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == -1))
		return error_errno(e, errno, "systemd: descriptor %d", fd);
	if ((l = list_add(list, fd, NULL, e)) == NULL)
		return -1;
	l->is_unix = l->local = kind == LISTEN_UNIX;
	if (kind == LISTEN_IP)
		return name_socket(l, e);
	snprintf(l->name, sizeof(l->name), "systemd:");
	return 0;
}

static int
open_passed(struct listener **list, unsigned take, struct error *e)
{
	long n = env_number("LISTEN_FDS");

	if (n <= 0 || n > 1000 || env_number("LISTEN_PID") != (long)getpid())
		return error_set(e, ERROR_USAGE,
		    "systemd: no sockets were passed (see sd_listen_fds(3))");
	for (int fd = FIRST_PASSED_FD; fd < FIRST_PASSED_FD + (int)n; fd++)
		if (take_passed(list, fd, take, e) == -1)
			return -1;
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return 0;
}

/* ---- all of them ---- */

int
listen_check(const char *where, unsigned take, bool *local, struct error *e)
{
	struct addrinfo *found;

	*local = true;
	if (strncmp(where, "unix:", 5) == 0)
		return check_path(where + 5, e);
	if (strcmp(where, "systemd:") == 0)
		return 0;
	if (!(take & LISTEN_IP))
		return error_set(e, ERROR_USAGE, "--listen %s: neither unix:PATH nor systemd:", where);
	if (resolve(where, &found, e) == -1)
		return -1;
	*local = is_loopback((const union address *)(const void *)found->ai_addr);
	freeaddrinfo(found);
	return 0;
}

int
listen_open(struct listener **list, const char *where, unsigned take, struct error *e)
{
	bool local;

	if (listen_check(where, take, &local, e) == -1)
		return -1;
	if (strncmp(where, "unix:", 5) == 0)
		return open_unix(list, where + 5, e);
	if (strcmp(where, "systemd:") == 0)
		return open_passed(list, take, e);
	return open_ip(list, where, take, e);
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
