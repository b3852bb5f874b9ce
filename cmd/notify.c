#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void
notify_send(const char *state)
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
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&a,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

void
notify_reloading(void)
{
	struct timespec t;
	char state[80];

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
	notify_send(state);
}

/* A number from the environment; 0 if it is none. */
static long long
env_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long long n;

	if (text == NULL || *text == '\0')
		return 0;
	errno = 0;
	n = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0 && n > 0 ? n : 0;
}

double
notify_watchdog(void)
{
	long long pid = env_number("WATCHDOG_PID");

	if (pid != 0 && pid != (long long)getpid())
		return 0;
	return (double)env_number("WATCHDOG_USEC") / 1e6;
}
