#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "notify.h"
#include "progress.h"
#include "when.h"

#define EVENTS 64
#define CONNECTIONS 1000          /* at once; more have to wait */
#define PASS_ON ((size_t)64 << 10)   /* so much in a batch is passed on in the midst of a round */
#define PIPE_SIZE (1 << 20)
#define COMPLAINTS 60.0           /* seconds between two of the same */
#define PATIENCE 2.0              /* seconds for answers to leave after a signal, */
#define PATIENCE_REMOTE 5.0       /* and for a distant store to answer */

enum watch_kind { WATCH_SIGNAL, WATCH_SETTLED, WATCH_LISTENER, WATCH_INPUT, WATCH_ANSWERS };

struct watch {
	enum watch_kind kind;
	int fd;
	bool on;
	void *who;         /* a peer, or a listener */
};

/* A producer, and how it is waited for. */
struct peer {
	struct producer *producer;
	struct watch in, out;
	bool always;       /* its input is a file, which is always ready */
	bool connection;   /* it came in on a socket */
	bool ended;        /* on the list of those to be freed after this round */
	struct peer *prev, *next;
};

struct loop {
	const struct loop_setup *setup;
	struct loop_result *result;
	struct intake *intake;
	struct pipeline *pipeline;
	int epoll;
	struct watch signals, settled;
	struct watch *doors;          /* one a listener */
	size_t door_count;
	bool accepting;
	struct peer *peers, *ended;
	size_t connections;
	struct peer *reader;          /* of the files, one after another */
	size_t next_file;
	struct batch *batch;          /* being filled in this round */
	bool full;                    /* there was no batch to fill */
	bool waiters;                 /* some wait for a permit */
	double reopen;                /* when to accept again, if nobody leaves before */
	double complain;              /* not before that, again, of that */
	double deadline;              /* once stopped, for answers to leave, */
	double give_up;               /* and for a distant store to answer */
};

/* ---- watches ---- */

/* Turn a watch on or off. A descriptor that is always ready (EPERM: a file)
 * stays off; `always`, if not NULL, says so. */
static int
watch_set(struct loop *l, struct watch *w, bool on, bool *always, struct error *e)
{
	struct epoll_event ev = { .events = w->kind == WATCH_ANSWERS ? EPOLLOUT : EPOLLIN,
	    .data.ptr = w };

	if (w->on == on)
		return 0;
	if (epoll_ctl(l->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, w->fd, &ev) == -1) {
		if (errno != EPERM || always == NULL)
			return error_errno(e, errno, "epoll_ctl");
		*always = true;
		return 0;
	}
	w->on = on;
	return 0;
}

static int
doors_set(struct loop *l, bool open, struct error *e)
{
	l->accepting = open;
	for (size_t i = 0; i < l->door_count; i++)
		if (watch_set(l, &l->doors[i], open, NULL, e) == -1)
			return -1;
	return 0;
}

/* ---- peers ---- */

static void
close_own(struct watch *w)
{
	if (w->fd > STDERR_FILENO)
		close(w->fd);
	w->fd = -1;
}

static void
peer_free(struct loop *l, struct peer *p)
{
	struct error e;

	watch_set(l, &p->in, false, NULL, &e);
	watch_set(l, &p->out, false, NULL, &e);
	close_own(&p->in);
	close_own(&p->out);
	producer_free(&p->producer);
	free(p);
}

/* The descriptors are the peer's from now on (but for standard ones), also on
 * failure. */
static struct peer *
peer_new(struct loop *l, const char *name, int in, int out, struct error *e)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		close_own(&(struct watch){ .fd = in });
		close_own(&(struct watch){ .fd = out });
		error_memory(e);
		return NULL;
	}
	p->in = (struct watch){ .kind = WATCH_INPUT, .fd = in, .who = p };
	p->out = (struct watch){ .kind = WATCH_ANSWERS, .fd = out, .who = p };
	if ((p->producer = producer_new(name, in, out, e)) == NULL) {
		peer_free(l, p);
		return NULL;
	}
	p->producer->owner = p;
	if ((p->next = l->peers) != NULL)
		p->next->prev = p;
	l->peers = p;
	return p;
}

/* May it be read from now? */
static bool
is_readable(const struct producer *p)
{
	return p->in != -1 && !p->waiting && p->answers.len <= PRODUCER_ANSWERS;
}

/* Wait for what this peer needs now; if that is nothing any more, end it. */
static int
peer_update(struct loop *l, struct peer *p, struct error *e)
{
	struct producer *pr = p->producer;

	if (p->ended)
		return 0;
	if (pr->waiting)
		l->waiters = true;
	if (!p->always && watch_set(l, &p->in, is_readable(pr), &p->always, e) == -1)
		return -1;
	if (pr->in == -1)
		close_own(&p->in);
	if (watch_set(l, &p->out, pr->answers.len > 0, NULL, e) == -1)
		return -1;
	if (pr->in != -1 || pr->marks > 0 || pr->answers.len > 0 || p == l->reader)
		return 0;
	p->ended = true;
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		l->peers = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	p->next = l->ended;
	l->ended = p;
	return 0;
}

/* Free those that ended in this round (no event speaks of them any more). */
static int
bury(struct loop *l, struct error *e)
{
	struct peer *p;

	while ((p = l->ended) != NULL) {
		l->ended = p->next;
		l->connections -= p->connection;
		peer_free(l, p);
		if (!l->accepting && doors_set(l, true, e) == -1)
			return -1;
	}
	return 0;
}

/* ---- files ---- */

static int
open_input(const char *path)
{
	if (strcmp(path, "-") == 0)
		return STDIN_FILENO;
	/* Not to hang on a FIFO while signals are blocked; reading waits for
	 * input anyway. */
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* Let the reader go on with the next file that can be opened; without one it
 * has come to its end. */
static int
next_file(struct loop *l, struct error *e)
{
	const struct loop_setup *s = l->setup;
	struct peer *p = l->reader;
	int fd = -1;

	while (fd == -1 && l->next_file < s->file_count) {
		const char *path = s->files[l->next_file++];
		const char *name = strcmp(path, "-") == 0 ? "standard input" : path;

		if ((fd = open_input(path)) == -1) {
			progress_clear();
			cli_warn("%s: %s", name, strerror(errno));
			l->result->failed = true;
			continue;
		}
		p->in = (struct watch){ .kind = WATCH_INPUT, .fd = fd, .who = p };
		p->always = false;
		(void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);   /* fewer, larger reads; or not */
		if (producer_input(p->producer, name, fd, e) == -1)
			return -1;
	}
	if (fd == -1)
		l->reader = NULL;
	return peer_update(l, p, e);
}

/* ---- connections ---- */

/* -1 with errno if there is no room for it. */
static int
greet(struct loop *l, int fd)
{
	struct error e;
	char name[80];
	struct peer *p;
	uid_t uid;
	pid_t pid;
	int out = -1;

	if (listen_peer(fd, &uid, &pid) == -1 ||
	    (l->intake->ack && (out = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1)) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	snprintf(name, sizeof(name), "process %ld of user %lu", (long)pid, (unsigned long)uid);
	if ((p = peer_new(l, name, fd, out, &e)) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	snprintf(p->producer->prefix, sizeof(p->producer->prefix), "uid:%lu/", (unsigned long)uid);
	p->connection = true;
	l->connections++;
	if (peer_update(l, p, &e) == 0)
		return 0;
	producer_stop(p->producer, l->intake);
	peer_update(l, p, &e);
	errno = ENOSPC;   /* epoll's limit of watches a user */
	return -1;
}

/* Take in whoever stands at the door. With no room or no descriptors left the
 * door is closed until somebody leaves, or for a second. */
static int
accept_all(struct loop *l, const struct watch *door, struct error *e)
{
	double now = when_ticks();
	int fd;

	while (l->connections < CONNECTIONS) {
		fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd != -1 && greet(l, fd) == 0)
			continue;
		if (fd == -1 && errno == EAGAIN)
			return 0;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (now >= l->complain) {
			cli_warn("cannot take in a producer: %s", strerror(errno));
			l->complain = now + COMPLAINTS;
		}
		break;
	}
	l->reopen = now + 1;
	return doors_set(l, false, e);
}

/* ---- answers ---- */

/* Stop reading: from this peer and, if it is the reader of files, from all. */
static int
stop_peer(struct loop *l, struct peer *p, struct error *e)
{
	if (p == l->reader) {
		l->next_file = l->setup->file_count;
		l->reader = NULL;
	}
	producer_stop(p->producer, l->intake);
	return peer_update(l, p, e);
}

/* Has all of it been read, though nobody has looked? (What is read here is not
 * wanted any more.) */
static bool
nothing_left(const struct producer *p)
{
	struct pollfd fd = { .fd = p->in, .events = POLLIN };
	char c;

	return p->line.len == 0 && poll(&fd, 1, 0) == 1 && read(p->in, &c, 1) == 0;
}

/* Send what answers can be sent. A connection whose other end is gone is read
 * to its end all the same; but where nobody reads the standard output, nobody
 * wants the standard input taken any further. */
static int
flush_peer(struct loop *l, struct peer *p, struct error *e)
{
	struct error gone;

	if (p->ended)
		return 0;
	if (producer_flush(p->producer, &gone) == -1 && !p->connection &&
	    (p->producer->in != -1 || gone.kind != ERROR_GONE)) {
		if (gone.kind != ERROR_GONE || !nothing_left(p->producer)) {
			progress_clear();
			cli_warn("%s", gone.text);
			l->result->failed = true;
		}
		if (stop_peer(l, p, e) == -1)
			return -1;
	}
	return peer_update(l, p, e);
}

/* Answer for a batch that is settled. */
static int
answer(struct loop *l, const struct batch *b, struct error *e)
{
	l->full = false;
	l->result->added.stored += b->added.stored;
	l->result->added.duplicates += b->added.duplicates;
	for (size_t i = 0; i < b->mark_count; i++)
		b->marks[i].producer->marks--;
	for (size_t i = 0; i < b->mark_count; i++) {
		const struct batch_mark *m = &b->marks[i];
		if (producer_ack(m->producer, m->source, m->seq, e) == -1)
			return -1;
	}
	for (size_t i = 0; i < b->mark_count; i++)
		if (flush_peer(l, b->marks[i].producer->owner, e) == -1)
			return -1;
	return 0;
}

static int
settle(struct loop *l, struct error *e)
{
	struct batch *b;
	int r;

	while ((r = pipeline_settled(l->pipeline, &b, e)) == 1) {
		r = answer(l, b, e);
		pipeline_recycle(l->pipeline, b);
		if (r == -1)
			break;
	}
	return r;
}

/* ---- reading ---- */

static int
read_peer(struct loop *l, struct peer *p, struct error *e)
{
	struct error fault;
	int r;

	if (p->ended || p->producer->in == -1)
		return 0;
	if (l->batch != NULL && l->batch->bytes >= PASS_ON) {
		pipeline_give(l->pipeline, l->batch);
		l->batch = NULL;
	}
	if (l->batch == NULL && (l->batch = pipeline_take(l->pipeline)) == NULL) {
		l->full = true;
		return 0;
	}
	if ((r = producer_read(p->producer, l->intake, l->batch, &fault, e)) == -1)
		return -1;
	if (fault.kind != ERROR_NONE) {
		progress_clear();
		cli_warn("%s", fault.text);
		l->result->failed = true;
	}
	/* Rejects are answered at once. */
	if (flush_peer(l, p, e) == -1)
		return -1;
	return r == 0 && p == l->reader ? next_file(l, e) : 0;
}

/* Permits that were given back go to those who wait for them. */
static int
hand_out_permits(struct loop *l, struct error *e)
{
	if (!l->waiters || l->intake->permits == 0)
		return 0;
	l->waiters = false;
	for (struct peer *p = l->peers; p != NULL; p = p->next) {
		if (!p->producer->waiting)
			continue;
		producer_permit(p->producer, l->intake);
		if (peer_update(l, p, e) == -1)
			return -1;
	}
	return 0;
}

/* ---- signals ---- */

static int
stop(struct loop *l, struct error *e)
{
	struct signalfd_siginfo info;
	struct peer *p, *next;

	/* What is pending must be taken, or it would strike when unblocked. */
	while (read(l->signals.fd, &info, sizeof(info)) > 0)
		;
	l->result->stopped = true;
	l->deadline = when_ticks() + PATIENCE;
	l->give_up = when_ticks() + PATIENCE_REMOTE;
	notify_send("STOPPING=1");
	if (watch_set(l, &l->signals, false, NULL, e) == -1 || doors_set(l, false, e) == -1)
		return -1;
	l->door_count = 0;
	listen_close(l->setup->listeners);
	for (p = l->peers; p != NULL; p = next) {
		next = p->next;
		if (stop_peer(l, p, e) == -1)
			return -1;
	}
	/* A second signal need not be patient. */
	pthread_sigmask(SIG_UNBLOCK, l->setup->signals, NULL);
	return 0;
}

/* ---- the loop ---- */

static bool
at_end(struct loop *l)
{
	if (l->door_count > 0 || pipeline_busy(l->pipeline))
		return false;
	return l->peers == NULL || (l->result->stopped && when_ticks() >= l->deadline);
}

/* Is there a file to read on in? */
static bool
file_ready(const struct loop *l)
{
	return l->reader != NULL && l->reader->always && is_readable(l->reader->producer);
}

/* How long may a wait take, in milliseconds? */
static int
timeout(const struct loop *l)
{
	if (file_ready(l) && !l->full)
		return 0;
	if (progress_on() || l->result->stopped)
		return 200;
	return l->intake->refuse.unsaid > 0 || !l->accepting ? 1000 : -1;
}

/* Wait for events. While there is no batch to fill, only for what changes that. */
static int
wait_for(struct loop *l, struct epoll_event *events, struct error *e)
{
	struct pollfd only[] = {
		{ .fd = l->settled.fd, .events = POLLIN },
		{ .fd = l->signals.fd, .events = POLLIN },
	};
	int n;

	if (!l->full) {
		n = epoll_wait(l->epoll, events, EVENTS, timeout(l));
	} else if ((n = poll(only, l->result->stopped ? 1 : 2, timeout(l))) > 0) {
		n = 0;
		if (only[1].revents != 0)
			events[n++].data.ptr = &l->signals;
	}
	if (n == -1 && errno != EINTR)
		return error_errno(e, errno, "waiting for input");
	return n == -1 ? 0 : n;
}

static int
act(struct loop *l, const struct watch *w, struct error *e)
{
	switch (w->kind) {
	case WATCH_SIGNAL:
		return stop(l, e);
	case WATCH_LISTENER:
		return l->accepting && l->door_count > 0 ? accept_all(l, w, e) : 0;
	case WATCH_INPUT:
		return read_peer(l, w->who, e);
	case WATCH_ANSWERS:
		return flush_peer(l, w->who, e);
	case WATCH_SETTLED:
		break;   /* looked at in every round */
	}
	return 0;
}

/* One wait, and everything that it brought; what was read goes out as one. */
static int
play_round(struct loop *l, struct error *e)
{
	struct epoll_event events[EVENTS];
	int n = wait_for(l, events, e);

	if (n == -1 || settle(l, e) == -1)
		return -1;
	for (int i = 0; i < n; i++)
		if (act(l, events[i].data.ptr, e) == -1)
			return -1;
	if (file_ready(l) && read_peer(l, l->reader, e) == -1)
		return -1;
	if (hand_out_permits(l, e) == -1)
		return -1;
	if (l->batch != NULL)
		pipeline_give(l->pipeline, l->batch);
	l->batch = NULL;
	/* It may have been written at once. */
	if (settle(l, e) == -1)
		return -1;
	refuse_say_rest(&l->intake->refuse, 0);
	progress_show(l->result->added.stored + l->result->added.duplicates, l->intake->bytes);
	if (!l->accepting && when_ticks() >= l->reopen && doors_set(l, true, e) == -1)
		return -1;
	if (l->result->stopped && when_ticks() >= l->give_up)
		eventfd_write(l->setup->give_up_fd, 1);
	return bury(l, e);
}

static int
loop_open(struct loop *l, struct error *e)
{
	struct listener *door = *l->setup->listeners;
	size_t n = 0;

	for (struct listener *d = door; d != NULL; d = d->next)
		n++;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll == -1)
		return error_errno(e, errno, "epoll_create");
	if ((l->signals.fd = signalfd(-1, l->setup->signals, SFD_CLOEXEC | SFD_NONBLOCK)) == -1)
		return error_errno(e, errno, "signalfd");
	l->settled.fd = pipeline_fd(l->pipeline);
	if (watch_set(l, &l->signals, true, NULL, e) == -1 ||
	    watch_set(l, &l->settled, true, NULL, e) == -1)
		return -1;
	if (n == 0) {
		if ((l->reader = peer_new(l, "", -1, l->intake->ack ? STDOUT_FILENO : -1, e)) == NULL)
			return -1;
		return next_file(l, e);
	}
	if ((l->doors = calloc(n, sizeof(*l->doors))) == NULL)
		return error_memory(e);
	for (; door != NULL; door = door->next)
		l->doors[l->door_count++] = (struct watch){ .kind = WATCH_LISTENER, .fd = door->fd };
	return doors_set(l, true, e);
}

/* Whatever stopped the run: what had been read whole is stored and answered,
 * if the store still takes it. */
static void
drain(struct loop *l)
{
	struct pollfd settled = { .fd = pipeline_fd(l->pipeline), .events = POLLIN };
	struct error e;

	if (l->batch != NULL)
		pipeline_give(l->pipeline, l->batch);
	l->batch = NULL;
	pthread_sigmask(SIG_UNBLOCK, l->setup->signals, NULL);
	while (settle(l, &e) == 0 && pipeline_busy(l->pipeline))
		poll(&settled, 1, -1);
}

static void
loop_close(struct loop *l)
{
	struct peer *p;

	while ((p = l->peers) != NULL) {
		l->peers = p->next;
		peer_free(l, p);
	}
	while ((p = l->ended) != NULL) {
		l->ended = p->next;
		peer_free(l, p);
	}
	free(l->doors);
	if (l->signals.fd != -1)
		close(l->signals.fd);
	if (l->epoll != -1)
		close(l->epoll);
	listen_close(l->setup->listeners);
}

int
loop_run(const struct loop_setup *setup, struct loop_result *result, struct error *e)
{
	struct loop l = {
		.setup = setup, .result = result, .intake = setup->intake,
		.pipeline = setup->pipeline, .epoll = -1, .accepting = true,
		.signals = { .kind = WATCH_SIGNAL, .fd = -1 },
		.settled = { .kind = WATCH_SETTLED, .fd = -1 },
	};
	int r;

	*result = (struct loop_result){ 0 };
	r = loop_open(&l, e);
	while (r == 0 && !at_end(&l))
		r = play_round(&l, e);
	progress_clear();
	if (r == -1)
		drain(&l);
	loop_close(&l);
	return r;
}
