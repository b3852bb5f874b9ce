#include "sink/link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 20)   /* of the child's input: fewer, larger reads and writes */
#define ALARM_MAX 1e9         /* seconds */

struct sink_link {
	const struct sink_settings *settings;
	char name[80];
	int epoll, timer;
	int in, out;              /* the sink's; of a connection the same. -1: closed */
	int child;                /* a pidfd, or -1 */
	pid_t pid;
	bool socket;              /* `in` is one */
	bool blocked;
};

/* What an event is about. */
enum watched { WATCHED_TIMER, WATCHED_IN, WATCHED_OUT, WATCHED_CHILD };

static int
watch(const struct sink_link *l, int op, int fd, enum watched what, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u32 = what };

	return epoll_ctl(l->epoll, op, fd, &event);
}

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

static bool
is_plain(const struct sink_link *l)
{
	return l->settings->command == NULL && l->settings->path == NULL;
}

static void
set_name(struct sink_link *l)
{
	const struct sink_settings *s = l->settings;

	if (s->command != NULL)
		snprintf(l->name, sizeof(l->name), "%s", s->command[0]);
	else if (s->path != NULL)
		snprintf(l->name, sizeof(l->name), "%s", s->path);
	else if (s->fd == STDOUT_FILENO)
		snprintf(l->name, sizeof(l->name), "standard output");
	else
		snprintf(l->name, sizeof(l->name), "descriptor %d", s->fd);
}

struct sink_link *
sink_link_new(const struct sink_settings *settings, struct error *e)
{
	struct sink_link *l = malloc(sizeof(*l));

	if (l == NULL) {
		error_memory(e);
		return NULL;
	}
	*l = (struct sink_link){ .settings = settings, .in = -1, .out = -1, .child = -1, .pid = -1 };
	set_name(l);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->epoll == -1 || l->timer == -1 ||
	    watch(l, EPOLL_CTL_ADD, l->timer, WATCHED_TIMER, EPOLLIN) == -1) {
		error_errno(e, errno, "%s: epoll and timerfd", l->name);
		sink_link_free(&l);
	}
	return l;
}

void
sink_link_free(struct sink_link **l)
{
	if (*l == NULL)
		return;
	sink_link_close(*l);
	close_fd(&(*l)->timer);
	close_fd(&(*l)->epoll);
	free(*l);
	*l = NULL;
}

const char *
sink_link_name(const struct sink_link *l)
{
	return l->name;
}

/* ---- a child ---- */

/* A child begins with a clean slate of signals, and in a session of its own: a Ctrl-C at
 * our terminal would reach it too and end it before it has settled what is on its way
 * there; so would the terminal's hang-up. It needs no terminal, and ends by itself
 * when its input does, whatever has become of us. (A process group alone would do for
 * Ctrl-C, but a group in the background can be stopped for writing to its terminal.)
 * -1 with errno. */
static int
spawn(struct sink_link *l, int in, int out)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	char *const *argv = l->settings->command;
	sigset_t all, none;
	int error;

	sigfillset(&all);
	sigemptyset(&none);
	if ((error = posix_spawn_file_actions_init(&files)) != 0) {
		errno = error;
		return -1;
	}
	if ((error = posix_spawnattr_init(&attr)) != 0)
		goto out;
	/* The ends of pipes are no standard descriptors themselves: even if the
	 * program was started without these, l->epoll and l->timer came first. */
	if ((error = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO)) == 0 &&
	    (error = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO)) == 0 &&
	    (error = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1)) == 0 &&
	    (error = posix_spawnattr_setsigdefault(&attr, &all)) == 0 &&
	    (error = posix_spawnattr_setsigmask(&attr, &none)) == 0 &&
	    (error = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF |
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID)) == 0)
		error = posix_spawnp(&l->pid, argv[0], &files, &attr, argv, environ);
	if (error != 0)
		l->pid = -1;
	posix_spawnattr_destroy(&attr);
out:
	posix_spawn_file_actions_destroy(&files);
	errno = error;
	return error == 0 ? 0 : -1;
}

/* A pipe whose end `ours` (0 or 1) does not block: the child's end does. */
static int
open_pipe(int fds[2], int ours)
{
	if (pipe2(fds, O_CLOEXEC) == -1)
		return -1;
	if (ours == 1)
		(void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);   /* or not */
	return fcntl(fds[ours], F_SETFL, O_NONBLOCK | (ours == 1 ? O_WRONLY : O_RDONLY));
}

static int
start(struct sink_link *l, struct error *e)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	int r = -1;

	if (open_pipe(in, 1) == 0 && open_pipe(out, 0) == 0 && spawn(l, in[0], out[1]) == 0 &&
	    (l->child = pidfd_open(l->pid, 0)) != -1 &&
	    watch(l, EPOLL_CTL_ADD, l->child, WATCHED_CHILD, EPOLLIN) == 0 &&
	    watch(l, EPOLL_CTL_ADD, in[1], WATCHED_IN, 0) == 0 &&
	    watch(l, EPOLL_CTL_ADD, out[0], WATCHED_OUT, EPOLLIN) == 0)
		r = 0;
	else
		error_errno(e, errno, "%s", l->name);
	l->in = in[1];
	l->out = out[0];
	l->socket = false;
	close_fd(&in[0]);
	close_fd(&out[1]);
	return r;
}

bool
sink_link_runs(const struct sink_link *l)
{
	return l->pid != -1;
}

void
sink_link_kill(const struct sink_link *l)
{
	if (l->pid != -1)
		kill(-l->pid, SIGKILL);   /* it leads a group */
}

void
sink_link_reap(struct sink_link *l, char *text, size_t size)
{
	const char *signal;
	int status;
	pid_t pid;

	while ((pid = waitpid(l->pid, &status, 0)) == -1 && errno == EINTR)
		;
	l->pid = -1;
	if (pid == -1)
		snprintf(text, size, "%s: ended", l->name);   /* somebody else knows how */
	else if (WIFEXITED(status))
		snprintf(text, size, "%s: ended with status %d", l->name, WEXITSTATUS(status));
	else if ((signal = sigabbrev_np(WTERMSIG(status))) != NULL)
		snprintf(text, size, "%s: killed by SIG%s", l->name, signal);
	else
		snprintf(text, size, "%s: killed by signal %d", l->name, WTERMSIG(status));
}

/* ---- a connection, a descriptor ---- */

static int
dial(struct sink_link *l, struct error *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	/* Its length was looked at in sink_new(). */
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", l->settings->path);
	l->in = l->out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	l->socket = true;
	if (l->in == -1 || connect(l->in, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    watch(l, EPOLL_CTL_ADD, l->in, WATCHED_OUT, EPOLLIN) == -1)
		return error_errno(e, errno, "%s", l->name);
	return 0;
}

static int
use_plain(struct sink_link *l, struct error *e)
{
	struct stat st;

	l->in = l->settings->fd;
	/* A file cannot be waited for, and need not be. */
	if (fstat(l->in, &st) == -1 ||
	    (watch(l, EPOLL_CTL_ADD, l->in, WATCHED_IN, 0) == -1 && errno != EPERM))
		return error_errno(e, errno, "%s", l->name);
	l->socket = S_ISSOCK(st.st_mode);
	return 0;
}

int
sink_link_open(struct sink_link *l, struct error *e)
{
	int r;

	if (l->settings->command != NULL)
		r = start(l, e);
	else if (l->settings->path != NULL)
		r = dial(l, e);
	else
		r = use_plain(l, e);
	l->blocked = false;
	if (r == -1)
		sink_link_close(l);
	return r;
}

void
sink_link_close(struct sink_link *l)
{
	char text[128];

	if (l->pid != -1) {
		sink_link_kill(l);
		sink_link_reap(l, text, sizeof(text));
	}
	if (is_plain(l))
		l->in = -1;
	if (l->out == l->in)
		l->out = -1;
	close_fd(&l->in);
	close_fd(&l->out);
	close_fd(&l->child);
}

/* ---- sending and reading ---- */

static int
set_blocked(struct sink_link *l, bool blocked)
{
	bool both = l->in == l->out;

	l->blocked = blocked;
	return watch(l, EPOLL_CTL_MOD, l->in, both ? WATCHED_OUT : WATCHED_IN,
	    (both ? EPOLLIN : 0) | (blocked ? EPOLLOUT : 0));
}

/* The descriptor may be anybody's too, so its flags stay as they are; but a pipe
 * that polls writable takes PIPE_BUF without waiting. */
static ssize_t
send_plain(const struct sink_link *l, struct iovec *iov, size_t count)
{
	struct pollfd fd = { .fd = l->in, .events = POLLOUT };
	size_t bytes = 0, n = 0;
	int r = poll(&fd, 1, 0);

	if (r <= 0)
		return r;
	for (; n < count && bytes < PIPE_BUF; n++) {
		if (iov[n].iov_len > PIPE_BUF - bytes)
			iov[n].iov_len = PIPE_BUF - bytes;
		bytes += iov[n].iov_len;
	}
	return writev(l->in, iov, (int)n);
}

ssize_t
sink_link_send(struct sink_link *l, struct iovec *iov, size_t count)
{
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = count };
	size_t bytes = 0;
	ssize_t n;

	for (size_t i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	do {
		if (l->socket)
			n = sendmsg(l->in, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		else if (is_plain(l))
			n = send_plain(l, iov, count);
		else
			n = writev(l->in, iov, (int)count);
	} while (n == -1 && errno == EINTR);
	if (n == (ssize_t)bytes || (n > 0 && is_plain(l)) || (n == -1 && errno != EAGAIN))
		return n;
	/* Where not all went there is room for no more. */
	if (set_blocked(l, true) == -1)
		return -1;
	return n > 0 ? n : 0;
}

bool
sink_link_blocked(const struct sink_link *l)
{
	return l->blocked;
}

ssize_t
sink_link_read(struct sink_link *l, char *data, size_t size)
{
	ssize_t n;

	if (l->out == -1)
		return -1;
	while ((n = read(l->out, data, size)) == -1 && errno == EINTR)
		;
	if (n > 0)
		return n;
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (l->out != l->in)
		close_fd(&l->out);
	return -1;
}

void
sink_link_shut(struct sink_link *l)
{
	close_fd(&l->in);
}

/* ---- events ---- */

void
sink_link_alarm(struct sink_link *l, double seconds)
{
	struct itimerspec t = { .it_value.tv_nsec = 1 };   /* 0 would disarm it */

	if (seconds > ALARM_MAX)
		seconds = ALARM_MAX;
	if (seconds > 0) {
		t.it_value.tv_sec = (time_t)seconds;
		t.it_value.tv_nsec = (long)((seconds - (double)t.it_value.tv_sec) * 1e9) | 1;
	}
	timerfd_settime(l->timer, 0, &t, NULL);
}

int
sink_link_fd(const struct sink_link *l)
{
	return l->epoll;
}

unsigned
sink_link_events(struct sink_link *l)
{
	struct epoll_event got[4];
	unsigned found = 0;
	uint64_t times;
	int n = epoll_wait(l->epoll, got, 4, 0);

	for (int i = 0; i < n; i++) {
		uint32_t events = got[i].events;
		switch ((enum watched)got[i].data.u32) {
		case WATCHED_TIMER:
			if (read(l->timer, &times, sizeof(times)) == sizeof(times))
				found |= LINK_ALARM;
			break;
		case WATCHED_CHILD:
			found |= LINK_EXIT;
			break;
		case WATCHED_OUT:
			if (events & ~(uint32_t)EPOLLOUT)
				found |= LINK_ANSWERS;
			break;
		case WATCHED_IN:
			if (events & (EPOLLERR | EPOLLHUP))
				found |= LINK_SHUT;
			break;
		}
		if (events & EPOLLOUT && set_blocked(l, false) == -1)
			found |= LINK_SHUT;
	}
	return found;
}

void
sink_link_wait(const struct sink_link *l)
{
	struct pollfd fd = { .fd = l->epoll, .events = POLLIN };

	poll(&fd, 1, -1);
}
