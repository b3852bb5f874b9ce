/*
 * listen.h - the sockets on which producers come in, and what the service
 * manager is told (sd_listen_fds(3), sd_notify(3); both protocols are a few
 * lines, so nothing is linked for them).
 */
#ifndef MONITOR_LISTEN_H
#define MONITOR_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "error.h"

/* A listening socket: non-blocking, close-on-exec. */
struct listener {
	int fd;
	char *path;            /* what this process made, and removes; or NULL */
	dev_t device;
	ino_t inode;
	struct listener *next;
};

/* Put the sockets that `where` means in front of `list`: "unix:PATH" (made,
 * mode 0660; in place of one that nobody answers on any more) or "systemd:"
 * (those that the service manager passed). Caller owns the list, also what is
 * on it after a failure, and ends it with listen_close(). */
int listen_open(struct listener **list, const char *where, struct error *e);
void listen_close(struct listener **list);

/* Who is at the other end of a connection, as the kernel says. */
int listen_peer(int fd, uid_t *uid, pid_t *pid);

/* Tell the service manager ("READY=1"), if there is one that wants to know. */
void listen_notify(const char *state);

#endif
