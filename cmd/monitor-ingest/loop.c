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
#include "peer.h"
#include "progress.h"
#include "when.h"

#define EVENTS 64
#define CONNECTIONS 1000          /* at once; more have to wait */
#define PASS_ON ((size_t)64 << 10)   /* so much in a batch is passed on in the midst of a round */
#define PIPE_SIZE (1 << 20)
#define COMPLAINTS 60.0           /* seconds between two of the same */
#define PATIENCE 2.0              /* seconds for answers to leave after a signal, */
#define PATIENCE_REMOTE 5.0       /* and for a distant store to answer */

struct loop {
	const struct loop_setup *setup;
	struct loop_result *result;
	struct intake *intake;
	struct pipeline *pipeline;
	struct peers peers;
	struct watch signals, settled;
	struct watch *doors;          /* one a listener */
	size_t door_count;
	bool accepting;
	size_t connections;
	size_t next_file;
	struct batch *batch;          /* being filled in this round */
	bool full;                    /* there was no batch to fill */
	double reopen;                /* when to accept again, if nobody leaves before */
	double complain;              /* not before that, again, of that */
	double deadline;              /* once stopped, for answers to leave, */
	double give_up;               /* and for a distant store to answer */
};

/* ---- those who come and go ---- */

static int
doors_set(struct loop *l, bool open, struct error *e)
{
	l->accepting = open;
	for (size_t i = 0; i < l->door_count; i++)
		if (watch_set(l->peers.epoll, &l->doors[i], open, NULL, e) == -1)
			return -1;
	return 0;
}

/* Free those that ended in this round (no event speaks of them any more). */
static int
bury(struct loop *l, struct error *e)
{
	struct peer *p;

	while ((p = l->peers.ended) != NULL) {
		l->peers.ended = p->next;
		l->connections -= p->connection;
		peer_free(&l->peers, p);
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
	struct peer *p = l->peers.reader;
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
		l->result->begun = true;
	}
	if (fd == -1)
		l->peers.reader = NULL;
	return peer_update(&l->peers, p, e);
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
	if ((p = peer_new(&l->peers, name, fd, out, &e)) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	snprintf(p->producer->prefix, sizeof(p->producer->prefix), "uid:%lu/", (unsigned long)uid);
	p->connection = true;
	l->connections++;
	if (peer_update(&l->peers, p, &e) == 0)
		return 0;
	producer_stop(p->producer, l->intake);
	peer_update(&l->peers, p, &e);
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
	if (p == l->peers.reader) {
		l->next_file = l->setup->file_count;
		l->peers.reader = NULL;
	}
	producer_stop(p->producer, l->intake);
	return peer_update(&l->peers, p, e);
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
	return peer_update(&l->peers, p, e);
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
	return r == 0 && p == l->peers.reader ? next_file(l, e) : 0;
}

/* Permits that were given back go to those who wait for them. */
static int
hand_out_permits(struct loop *l, struct error *e)
{
	if (!l->peers.waiters || l->intake->permits == 0)
		return 0;
	l->peers.waiters = false;
	for (struct peer *p = l->peers.first; p != NULL; p = p->next) {
		if (!p->producer->waiting)
			continue;
		producer_permit(p->producer, l->intake);
		if (peer_update(&l->peers, p, e) == -1)
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
	if (watch_set(l->peers.epoll, &l->signals, false, NULL, e) == -1 || doors_set(l, false, e) == -1)
		return -1;
	l->door_count = 0;
	listen_close(l->setup->listeners);
	for (p = l->peers.first; p != NULL; p = next) {
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
	return l->peers.first == NULL || (l->result->stopped && when_ticks() >= l->deadline);
}

/* Is there a file to read on in? */
static bool
file_ready(const struct loop *l)
{
	return l->peers.reader != NULL && l->peers.reader->always && peer_readable(l->peers.reader);
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
		n = epoll_wait(l->peers.epoll, events, EVENTS, timeout(l));
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
	if (file_ready(l) && read_peer(l, l->peers.reader, e) == -1)
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
	l->peers.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->peers.epoll == -1)
		return error_errno(e, errno, "epoll_create");
	if ((l->signals.fd = signalfd(-1, l->setup->signals, SFD_CLOEXEC | SFD_NONBLOCK)) == -1)
		return error_errno(e, errno, "signalfd");
	l->settled.fd = pipeline_fd(l->pipeline);
	if (watch_set(l->peers.epoll, &l->signals, true, NULL, e) == -1 ||
	    watch_set(l->peers.epoll, &l->settled, true, NULL, e) == -1)
		return -1;
	if (n == 0) {
		if ((l->peers.reader = peer_new(&l->peers, "", -1, l->intake->ack ? STDOUT_FILENO : -1, e)) == NULL)
			return -1;
		return next_file(l, e);
	}
	if ((l->doors = calloc(n, sizeof(*l->doors))) == NULL)
		return error_memory(e);
	for (; door != NULL; door = door->next)
		l->doors[l->door_count++] = (struct watch){ .kind = WATCH_LISTENER, .fd = door->fd };
	l->result->begun = true;
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

	while ((p = l->peers.first) != NULL) {
		l->peers.first = p->next;
		peer_free(&l->peers, p);
	}
	while ((p = l->peers.ended) != NULL) {
		l->peers.ended = p->next;
		peer_free(&l->peers, p);
	}
	free(l->doors);
	if (l->signals.fd != -1)
		close(l->signals.fd);
	if (l->peers.epoll != -1)
		close(l->peers.epoll);
	listen_close(l->setup->listeners);
}

int
loop_run(const struct loop_setup *setup, struct loop_result *result, struct error *e)
{
	struct loop l = {
		.setup = setup, .result = result, .intake = setup->intake,
		.pipeline = setup->pipeline, .peers.epoll = -1, .accepting = true,
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
