#include "out.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	FULL = 256 * 1024,       /* bytes: write them out */
	WAIT_US = 50 * 1000,     /* and so long they wait at most */
};

/* There is one standard output, and a signal handler has no other way to it.
 * The handler leaves everything alone while `busy`. */
static struct buf buffer;
static size_t sent;                  /* of the buffer */
static int failure;                  /* an errno */
static const volatile int *stopped;
static bool armed, begun;
static volatile sig_atomic_t busy, due;

static bool
writable_now(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) == 1;
}

static void
write_out(void)
{
	struct pollfd wait = { .fd = STDOUT_FILENO, .events = POLLOUT };
	size_t n;
	ssize_t written;

	while (sent < buffer.len && failure == 0) {
		n = buffer.len - sent;
		if (stopped != NULL && *stopped) {
			if (!writable_now())
				return;
			/* A pipe that is writable takes so much without blocking. */
			n = n < PIPE_BUF ? n : PIPE_BUF;
		}
		written = write(STDOUT_FILENO, buffer.data + sent, n);
		if (written >= 0)
			sent += (size_t)written;
		else if (errno == EAGAIN)
			poll(&wait, 1, -1);
		else if (errno != EINTR)
			failure = errno;
	}
	if (sent == buffer.len)
		buffer.len = sent = 0;
}

static void
timer_expired(int signal)
{
	int saved = errno;

	(void)signal;
	if (busy) {
		due = 1;
	} else {
		armed = false;
		write_out();
	}
	errno = saved;
}

int
out_open(const volatile int *stop, struct error *e)
{
	struct sigaction expired = { .sa_handler = timer_expired, .sa_flags = SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	stopped = stop;
	sigemptyset(&expired.sa_mask);
	sigemptyset(&ignore.sa_mask);
	if (sigaction(SIGALRM, &expired, NULL) == -1 || sigaction(SIGPIPE, &ignore, NULL) == -1)
		return error_errno(e, errno, "sigaction");
	return 0;
}

static void
lock(void)
{
	busy = 1;
	atomic_signal_fence(memory_order_seq_cst);
}

static void
unlock(bool flush)
{
	struct itimerval wait = { .it_value = { .tv_usec = WAIT_US } };

	flush = flush || !begun || buffer.len >= FULL;
	do {
		if (due) {
			due = 0;
			armed = false;
			flush = true;
		}
		if (flush)
			write_out();
		begun = begun || buffer.len == 0;
		if (buffer.len > 0 && !armed)
			armed = setitimer(ITIMER_REAL, &wait, NULL) == 0;
		atomic_signal_fence(memory_order_seq_cst);
		busy = 0;
		/* The timer may have come just before. */
	} while (due && (busy = 1));
}

static enum out_status
status(void)
{
	return failure == 0 ? OUT_OK : failure == EPIPE ? OUT_CLOSED : OUT_FAILED;
}

struct buf *
out_begin(void)
{
	lock();
	return &buffer;
}

enum out_status
out_end(bool failed)
{
	if (failed && failure == 0)
		failure = ENOMEM;
	unlock(false);
	return status();
}

enum out_status
out_flush(void)
{
	lock();
	unlock(true);
	return status();
}

bool
out_empty(void)
{
	return buffer.len == 0;
}

enum out_status
out_close(void)
{
	out_flush();
	lock();   /* and never unlock: there is nothing to write to */
	if (close(STDOUT_FILENO) == -1 && failure == 0)
		failure = errno;
	buf_free(&buffer);
	return status();
}

void
out_error(struct error *e)
{
	if (failure == ENOMEM)
		error_memory(e);
	else
		error_errno(e, failure, "standard output");
}
