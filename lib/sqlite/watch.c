/*
 * Waiting for news. A writer's commit is seen as a write to the WAL - but that
 * write comes first, then it is synced, and only then does the commit become
 * visible, through shared memory and without any event. So after the last
 * event a timer asks for a few more looks, further and further apart. Where
 * the system gives us no events, the timer alone asks, four times a second.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "sqlite/sqlite.h"

#define FILE_EVENTS (IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
#define DIRECTORY_EVENTS (IN_CREATE | IN_MOVED_TO | IN_DELETE)

enum {
	PERIOD_MS = 250,
	AWAIT_MS = 1000,   /* a directory may be exchanged for another, without an event */
};

/* From the last event to the first look, from that to the second, ...: 10 ms,
 * 100 ms, 1 s and 10 s after the event. */
static const int look_ms[] = { 10, 90, 900, 9000 };
enum { LOOKS = sizeof(look_ms) / sizeof(look_ms[0]) };

struct watch {
	int epoll;          /* polls readable when one of the others does */
	int inotify;        /* -1: no events to be had */
	int timer;
	size_t look;        /* which of look_ms runs */
	bool periodic;      /* the timer runs for ever */
	char *directory, *wal;
	const char *name, *wal_name;   /* without the directory */
};

/* Everything before the last slash of a path. Caller frees. */
static char *
directory_of(const char *path)
{
	char *dir = strdup(path), *slash = dir != NULL ? strrchr(dir, '/') : NULL;

	if (slash == NULL) {
		free(dir);
		return dir != NULL ? strdup(".") : NULL;
	}
	slash[slash == dir] = '\0';
	return dir;
}

static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

void
sqlite_watch_free(struct watch **wp)
{
	struct watch *w = *wp;

	if (w == NULL)
		return;
	if (w->epoll != -1)
		close(w->epoll);
	if (w->inotify != -1)
		close(w->inotify);
	if (w->timer != -1)
		close(w->timer);
	free(w->directory);
	free(w->wal);
	free(w);
	*wp = NULL;
}

static void
set_timer(struct watch *w, int ms, bool again)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	struct itimerspec when = { .it_value = t };

	if (again)
		when.it_interval = t;
	timerfd_settime(w->timer, 0, &when, NULL);   /* fails for a wrong argument only */
}

/* Watch the files that are at our paths now. A file that is watched already
 * stays so; one that is missing will show itself in the directory. */
static void
follow_files(struct watch *w, const char *path)
{
	bool blind = w->inotify == -1;

	if (!blind) {
		blind = (inotify_add_watch(w->inotify, path, FILE_EVENTS) == -1 && errno != ENOENT) ||
		    (inotify_add_watch(w->inotify, w->wal, FILE_EVENTS) == -1 && errno != ENOENT) ||
		    inotify_add_watch(w->inotify, w->directory, DIRECTORY_EVENTS | IN_ONLYDIR) == -1;
	}
	if (blind && !w->periodic)
		set_timer(w, PERIOD_MS, true);
	w->periodic = w->periodic || blind;
}

static int
add_to_epoll(struct watch *w, int fd, struct error *e)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev) == -1 ?
	    error_errno(e, errno, "epoll_ctl") : 0;
}

static struct watch *
watch_new(const char *path, struct error *e)
{
	struct watch *w = calloc(1, sizeof(*w));
	size_t size = strlen(path) + sizeof("-wal");

	if (w == NULL) {
		error_memory(e);
		return NULL;
	}
	w->epoll = w->inotify = w->timer = -1;
	if ((w->directory = directory_of(path)) == NULL || (w->wal = malloc(size)) == NULL) {
		error_memory(e);
		goto fail;
	}
	snprintf(w->wal, size, "%s-wal", path);
	w->name = name_of(path);
	w->wal_name = name_of(w->wal);
	if ((w->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    (w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) == -1) {
		error_errno(e, errno, "%s: cannot be watched", path);
		goto fail;
	}
	w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (add_to_epoll(w, w->timer, e) == -1 ||
	    (w->inotify != -1 && add_to_epoll(w, w->inotify, e) == -1))
		goto fail;
	set_timer(w, look_ms[0], false);   /* for what came just before we watched */
	follow_files(w, path);
	return w;
fail:
	sqlite_watch_free(&w);
	return NULL;
}

int
sqlite_watch(void *impl, struct error *e)
{
	struct sqlite *s = impl;

	if (s->watch == NULL && (s->watch = watch_new(s->path, e)) == NULL)
		return -1;
	return s->watch->epoll;
}

/* Take all events. Returns whether any was about the store; `*moved` is set if
 * files came or went. */
static bool
drain(struct watch *w, bool *moved)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *ev;
	bool news = false;
	ssize_t n;

	while ((n = read(w->inotify, events, sizeof(events))) > 0)
		for (char *p = events; p < events + n; p += sizeof(*ev) + ev->len) {
			ev = (const struct inotify_event *)p;
			if (ev->len > 0 && strcmp(ev->name, w->name) != 0 &&
			    strcmp(ev->name, w->wal_name) != 0)
				continue;   /* another file in our directory */
			news = true;
			*moved = *moved || ev->mask != IN_MODIFY;
		}
	return news;
}

void
sqlite_watched(void *impl)
{
	struct sqlite *s = impl;
	struct watch *w = s->watch;
	bool moved = false;
	uint64_t ticks;

	if (w == NULL)
		return;
	if (w->inotify != -1 && drain(w, &moved)) {
		if (moved)
			follow_files(w, s->path);
		w->look = 0;
		if (!w->periodic)
			set_timer(w, look_ms[0], false);
	}
	if (read(w->timer, &ticks, sizeof(ticks)) == sizeof(ticks) && !w->periodic &&
	    ++w->look < LOOKS)
		set_timer(w, look_ms[w->look], false);
}

/* Something to poll for news of the directory; -1: there is none to be had. */
static int
watch_directory(const char *dir)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd != -1 && inotify_add_watch(fd, dir, DIRECTORY_EVENTS | IN_DELETE_SELF |
	    IN_MOVE_SELF | IN_ONLYDIR) == -1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Is it there? 1, 0, or -1 where it can never come to be. */
static int
look_for(const char *path, const char *dir, struct error *e)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return 1;
	if (errno != ENOENT)
		return error_errno(e, errno, "%s", path);
	return stat(dir, &st) == 0 ? 0 : error_errno(e, errno, "%s", dir);
}

int
sqlite_await(const char *path, int stop_fd, struct error *e)
{
	char *dir = directory_of(path), events[4096];
	struct pollfd fds[2] = { { .fd = stop_fd, .events = POLLIN } };
	int fd, rc;

	if (dir == NULL)
		return error_memory(e);
	fd = watch_directory(dir);
	fds[1] = (struct pollfd){ .fd = fd, .events = POLLIN };
	while ((rc = look_for(path, dir, e)) == 0) {
		if (poll(fds, 2, fd == -1 ? PERIOD_MS : AWAIT_MS) == -1 && errno != EINTR) {
			rc = error_errno(e, errno, "poll");
			break;
		}
		if (fds[0].revents != 0)
			break;
		while (fd != -1 && read(fd, events, sizeof(events)) > 0)
			;
	}
	if (fd != -1)
		close(fd);
	free(dir);
	return rc;
}
