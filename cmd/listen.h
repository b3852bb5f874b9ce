/*
 * listen.h - the sockets on which others come in. WHERE is one of
 *   ADDR:PORT       an IPv4 address, or an IPv6 one in brackets; port 0: any that is free
 *   *:PORT, :PORT   all addresses of this machine, of both kinds
 *   unix:PATH       made with mode 0660; in place of one that nobody answers on any more
 *   systemd:        those that the service manager passed (sd_listen_fds(3); the
 *                   protocol is a few lines, so nothing is linked for it)
 */
#ifndef MONITOR_LISTEN_H
#define MONITOR_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "error.h"

#define LISTEN_NAME_SIZE 128

/* A listening socket: non-blocking, close-on-exec. Connections on an IP socket have
 * TCP_NODELAY. */
struct listener {
	int fd;
	bool is_unix;
	bool local;            /* only processes of this machine reach it */
	char name[LISTEN_NAME_SIZE];   /* to show: WHERE, with the port that it got */
	char *path;            /* what this process made, and removes; or NULL */
	dev_t device;
	ino_t inode;
	struct listener *next;
};

/* What is taken: */
enum {
	LISTEN_UNIX = 1,
	LISTEN_IP = 2,
	LISTEN_REUSE_PORT = 4,   /* IP: let others listen on the same address, too */
};

/* Is that well-formed, and one of the kinds in `take`? ERROR_USAGE if not. Nothing is
 * opened. `local` as above (true for systemd:, of which only opening it can tell). */
int listen_check(const char *where, unsigned take, bool *local, struct error *e);

/* Append the sockets that `where` means to `list`. Caller owns the list, also what is
 * on it after a failure, and ends it with listen_close(). */
int listen_open(struct listener **list, const char *where, unsigned take, struct error *e);
void listen_close(struct listener **list);

/* Who is at the other end of a unix connection, as the kernel says. */
int listen_peer(int fd, uid_t *uid, pid_t *pid);

#endif
