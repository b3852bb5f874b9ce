#include "ending.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile int signalled;
static int wake = -1;   /* an eventfd */

static void
note(int signal)
{
	int saved = errno;
	uint64_t one = 1;
	ssize_t n;

	(void)signal;
	signalled = 1;
	/* Fails only when it has been written to 2^64 times already. */
	n = write(wake, &one, sizeof(one));
	(void)n;
	errno = saved;
}

int
ending_open(struct error *e)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	/* Without SA_RESTART: a write to a slow reader is to be interrupted. */
	struct sigaction action = { .sa_handler = note };
	struct epoll_event readable = { .events = EPOLLIN }, broken = { .events = 0 };
	int both;

	if ((wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
		return error_errno(e, errno, "eventfd");
	if ((both = epoll_create1(EPOLL_CLOEXEC)) == -1)
		return error_errno(e, errno, "epoll_create1");
	if (epoll_ctl(both, EPOLL_CTL_ADD, wake, &readable) == -1)
		return error_errno(e, errno, "epoll_ctl");
	/* A pipe or terminal that breaks is reported without being asked for; a
	 * file has nothing to report, and is refused with EPERM. */
	if (epoll_ctl(both, EPOLL_CTL_ADD, STDOUT_FILENO, &broken) == -1 && errno != EPERM)
		return error_errno(e, errno, "standard output");
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	return both;
}

const volatile int *
ending_signalled(void)
{
	return &signalled;
}
