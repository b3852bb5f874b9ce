#include "scrape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listen.h"

#define CONNECTIONS 8
#define REQUEST_MAX 4096

struct connection {
	int fd;                /* -1: none */
	char request[REQUEST_MAX];
	size_t len;
	struct buf answer;     /* what is left of it, once there is one */
};

struct scrape {
	struct listener *listeners;
	int (*figures)(void *arg, struct buf *text);
	void *arg;
	int epoll;
	struct connection connections[CONNECTIONS];
	size_t next;           /* the one to be used next, free or not: the oldest */
};

static int
watch(struct scrape *s, int fd, void *what, unsigned events, int op)
{
	struct epoll_event event = { .events = events, .data.ptr = what };

	return epoll_ctl(s->epoll, op, fd, &event);
}

static void
hang_up(struct connection *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	c->len = 0;
	buf_free(&c->answer);
}

struct scrape *
scrape_new(const char *where, int (*figures)(void *arg, struct buf *text), void *arg,
    struct error *e)
{
	struct scrape *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		error_memory(e);
		return NULL;
	}
	s->figures = figures;
	s->arg = arg;
	for (size_t i = 0; i < CONNECTIONS; i++)
		s->connections[i].fd = -1;
	if ((s->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
		error_errno(e, errno, "epoll_create");
	if (s->epoll == -1 || listen_open(&s->listeners, where, LISTEN_IP | LISTEN_UNIX, e) == -1)
		goto fail;
	for (struct listener *l = s->listeners; l != NULL; l = l->next) {
		if (watch(s, l->fd, NULL, EPOLLIN, EPOLL_CTL_ADD) == -1) {
			error_errno(e, errno, "epoll_ctl");
			goto fail;
		}
	}
	return s;
fail:
	scrape_free(&s);
	return NULL;
}

void
scrape_free(struct scrape **sp)
{
	struct scrape *s = *sp;

	if (s == NULL)
		return;
	for (size_t i = 0; i < CONNECTIONS; i++)
		hang_up(&s->connections[i]);
	listen_close(&s->listeners);
	if (s->epoll != -1)
		close(s->epoll);
	free(s);
	*sp = NULL;
}

const char *
scrape_name(const struct scrape *s)
{
	return s->listeners->name;
}

int
scrape_fd(const struct scrape *s)
{
	return s->epoll;
}

/* ---- a request and its answer ---- */

static bool
asks_for_figures(const struct connection *c)
{
	struct str rest = { c->request, c->len };
	struct str method = str_take_word(&rest), path = str_take_word(&rest);

	return str_equal(method, str_of("GET")) && str_equal(path, str_of("/metrics"));
}

static int
write_answer(struct scrape *s, struct connection *c)
{
	struct buf body = { 0 };
	const bool found = asks_for_figures(c);
	int r = found ? s->figures(s->arg, &body) : buf_printf(&body, "only GET /metrics is here\n");

	if (r == 0)
		r = buf_printf(&c->answer, "HTTP/1.0 %s\r\nContent-Type: text/plain%s\r\n"
		    "Content-Length: %zu\r\nConnection: close\r\n\r\n",
		    found ? "200 OK" : "404 Not Found", found ? "; version=0.0.4" : "", body.len);
	if (r == 0)
		r = buf_add(&c->answer, body.data, body.len);
	buf_free(&body);
	return r;
}

/* Write what can be written; false: there is no more to do here. */
static bool
send_answer(struct connection *c)
{
	ssize_t n = send(c->fd, c->answer.data, c->answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n == -1)
		return errno == EAGAIN || errno == EINTR;
	buf_consume(&c->answer, (size_t)n);
	return c->answer.len > 0;
}

/* A request ends in an empty line, which is all that is looked for. False: as above. */
static bool
read_request(struct scrape *s, struct connection *c)
{
	ssize_t n = recv(c->fd, c->request + c->len, sizeof(c->request) - c->len, MSG_DONTWAIT);

	if (n == -1)
		return errno == EAGAIN || errno == EINTR;
	c->len += (size_t)n;
	if (memmem(c->request, c->len, "\r\n\r\n", 4) == NULL &&
	    memmem(c->request, c->len, "\n\n", 2) == NULL)
		return n > 0 && c->len < sizeof(c->request);
	return write_answer(s, c) == 0 && send_answer(c) &&
	    watch(s, c->fd, c, EPOLLOUT, EPOLL_CTL_MOD) == 0;
}

static void
take_connections(struct scrape *s)
{
	struct connection *c;
	int fd;

	for (struct listener *l = s->listeners; l != NULL; l = l->next) {
		while ((fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) != -1) {
			c = &s->connections[s->next++ % CONNECTIONS];
			hang_up(c);
			c->fd = fd;
			if (watch(s, fd, c, EPOLLIN, EPOLL_CTL_ADD) == -1)
				hang_up(c);
		}
	}
}

void
scrape_work(struct scrape *s)
{
	struct epoll_event events[CONNECTIONS + 1];
	int n = epoll_wait(s->epoll, events, CONNECTIONS + 1, 0);
	bool news = false;

	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;
		if (c == NULL)
			news = true;
		else if (!(c->answer.len > 0 ? send_answer(c) : read_request(s, c)))
			hang_up(c);
	}
	/* At the end: a new connection may take the place of an old one. */
	if (news)
		take_connections(s);
}
