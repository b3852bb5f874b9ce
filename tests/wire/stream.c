#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct target {
	char host[256], name[256], service[32];   /* name: host without port and brackets */
	char path[1024];
	struct sockaddr_storage address;
	socklen_t len;
	SSL_CTX *tls;                             /* NULL: plain */
	bool verify;
};

struct stream {
	int fd;
	SSL *tls;                                 /* NULL: plain */
	bool read_wants_out, write_wants_in;      /* TLS is in the middle of something */
};

/* ---- the target ----------------------------------------------------------- */

static int
unix_address(struct target *t, const char *path, struct error *e)
{
	struct sockaddr_un *a = (struct sockaddr_un *)&t->address;

	if (strlen(path) >= sizeof(a->sun_path))
		return error_set(e, ERROR_USAGE, "%s: too long for a socket's path", path);
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path, path);
	t->len = sizeof(*a);
	strcpy(t->host, "localhost");
	strcpy(t->path, "/ws");
	return 0;
}

static int
look_up(struct target *t, struct error *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int r = getaddrinfo(t->name, t->service, &hints, &found);

	if (r != 0)
		return error_set(e, ERROR_ABSENT, "%s: %s", t->host, gai_strerror(r));
	memcpy(&t->address, found->ai_addr, found->ai_addrlen);
	t->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* HOST:PORT[/PATH], the host in brackets if it has colons. */
static int
split(struct target *t, const char *rest, struct error *e)
{
	int used = 0;

	if (sscanf(rest, "[%255[^]]]:%31[0-9]%n", t->name, t->service, &used) != 2 &&
	    sscanf(rest, "%255[^]:/[]:%31[0-9]%n", t->name, t->service, &used) != 2)
		return error_set(e, ERROR_USAGE, "%s: not HOST:PORT", rest);
	if (rest[used] != '\0' && rest[used] != '/')
		return error_set(e, ERROR_USAGE, "%s: not HOST:PORT/PATH", rest);
	if ((size_t)snprintf(t->host, sizeof(t->host), "%.*s", used, rest) >= sizeof(t->host) ||
	    (size_t)snprintf(t->path, sizeof(t->path), "%s", rest[used] != '\0' ? rest + used : "/ws") >=
	    sizeof(t->path))
		return error_set(e, ERROR_USAGE, "%s: too long", rest);
	return look_up(t, e);
}

static int
tls_error(struct error *e, const char *what)
{
	unsigned long code = ERR_peek_last_error();

	ERR_clear_error();
	return error_set(e, ERROR_INVALID, "%s: %s", what,
	    code != 0 ? ERR_reason_error_string(code) : "the connection ended");
}

/* Whoever answers. (SSL_VERIFY_NONE would look the certificate up among the system's all the same, at
 * more than the rest of the handshake takes.) */
static int
trust(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

static int
prepare_tls(struct target *t, const struct target_settings *s, struct error *e)
{
	ERR_clear_error();
	if ((t->tls = SSL_CTX_new(TLS_client_method())) == NULL)
		return error_memory(e);
	SSL_CTX_set_mode(t->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	    SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(t->tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
	t->verify = s->verify;
	SSL_CTX_set_verify(t->tls, SSL_VERIFY_PEER, NULL);
	if (!s->verify)
		SSL_CTX_set_cert_verify_callback(t->tls, trust, NULL);
	else if (s->ca != NULL ? SSL_CTX_load_verify_locations(t->tls, s->ca, NULL) != 1 :
	    SSL_CTX_set_default_verify_paths(t->tls) != 1)
		return tls_error(e, s->ca != NULL ? s->ca : "the system's certificates");
	if (s->cert != NULL && SSL_CTX_use_certificate_chain_file(t->tls, s->cert) != 1)
		return tls_error(e, s->cert);
	if (s->key != NULL && SSL_CTX_use_PrivateKey_file(t->tls, s->key, SSL_FILETYPE_PEM) != 1)
		return tls_error(e, s->key);
	return 0;
}

static int
read_url(struct target *t, const struct target_settings *s, struct error *e)
{
	if (strncmp(s->url, "ws+unix:", 8) == 0)
		return unix_address(t, s->url + 8, e);
	if (strncmp(s->url, "ws://", 5) == 0)
		return split(t, s->url + 5, e);
	if (strncmp(s->url, "wss://", 6) == 0)
		return split(t, s->url + 6, e) == -1 ? -1 : prepare_tls(t, s, e);
	return error_set(e, ERROR_USAGE, "%s: not ws://, wss:// or ws+unix:", s->url);
}

struct target *
target_new(const struct target_settings *settings, struct error *e)
{
	struct target *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		error_memory(e);
		return NULL;
	}
	if (read_url(t, settings, e) == -1)
		target_free(&t);
	return t;
}

void
target_free(struct target **t)
{
	if (*t == NULL)
		return;
	SSL_CTX_free((*t)->tls);
	free(*t);
	*t = NULL;
}

const char *
target_host(const struct target *t)
{
	return t->host;
}

const char *
target_path(const struct target *t)
{
	return t->path;
}

/* ---- the stream ----------------------------------------------------------- */

/* Ports are given out when the connection is made, so that there are enough of them for
 * each address that is connected to. */
static int
bind_to(int fd, const char *from, struct error *e)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int on = 1;

	if (inet_pton(AF_INET, from, &a.sin_addr) != 1)
		return error_set(e, ERROR_USAGE, "%s: not an address", from);
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == -1 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1)
		return error_errno(e, errno, "%s", from);
	return 0;
}

static int
begin(struct stream *s, const struct target *t, const char *from, struct error *e)
{
	bool local = t->address.ss_family == AF_UNIX;
	int on = 1;

	s->fd = socket(t->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | (local ? 0 : SOCK_NONBLOCK), 0);
	if (s->fd == -1)
		return error_errno(e, errno, "socket");
	if (from != NULL && bind_to(s->fd, from, e) == -1)
		return -1;
	if (connect(s->fd, (const struct sockaddr *)&t->address, t->len) == -1 && errno != EINPROGRESS)
		return error_errno(e, errno, "connect");
	if (local && fcntl(s->fd, F_SETFL, O_NONBLOCK) == -1)
		return error_errno(e, errno, "fcntl");
	if (!local && setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1)
		return error_errno(e, errno, "setsockopt");
	return 0;
}

static int
begin_tls(struct stream *s, const struct target *t, struct error *e)
{
	struct in6_addr any;
	bool numeric = inet_pton(AF_INET, t->name, &any) == 1 || inet_pton(AF_INET6, t->name, &any) == 1;

	if ((s->tls = SSL_new(t->tls)) == NULL || SSL_set_fd(s->tls, s->fd) != 1)
		return error_memory(e);
	SSL_set_connect_state(s->tls);
	if (!numeric && SSL_set_tlsext_host_name(s->tls, t->name) != 1)
		return error_memory(e);
	if (t->verify && (numeric ?
	    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->tls), t->name) :
	    SSL_set1_host(s->tls, t->name)) != 1)
		return error_memory(e);
	return 0;
}

struct stream *
stream_open(const struct target *t, const char *from, struct error *e)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		error_memory(e);
		return NULL;
	}
	if (begin(s, t, from, e) == -1 || (t->tls != NULL && begin_tls(s, t, e) == -1))
		stream_close(&s);
	return s;
}

static void
free_stream(struct stream **s)
{
	SSL_free((*s)->tls);
	if ((*s)->fd != -1)
		close((*s)->fd);
	free(*s);
	*s = NULL;
}

void
stream_close(struct stream **s)
{
	if (*s == NULL)
		return;
	if ((*s)->tls != NULL && SSL_is_init_finished((*s)->tls))
		SSL_shutdown((*s)->tls);
	ERR_clear_error();
	free_stream(s);
}

void
stream_reset(struct stream **s)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (*s == NULL)
		return;
	setsockopt((*s)->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	free_stream(s);
}

void
stream_shut(struct stream *s)
{
	if (s->tls != NULL)
		SSL_shutdown(s->tls);
	shutdown(s->fd, SHUT_WR);
}

/* What a TLS call that did not succeed means. */
static ssize_t
tls_result(struct stream *s, int r, struct error *e)
{
	int saved = errno;

	switch (SSL_get_error(s->tls, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		if (saved != 0) {
			error_errno(e, saved, "connection");
			errno = saved;
			return -1;
		}
		/* fallthrough */
	default:
		tls_error(e, "TLS");
		errno = EPROTO;
		return -1;
	}
}

ssize_t
stream_read(struct stream *s, void *to, size_t n, struct error *e)
{
	ssize_t got;

	if (s->tls != NULL) {
		errno = 0;
		got = SSL_read(s->tls, to, n < INT_MAX ? (int)n : INT_MAX);
		s->read_wants_out = got <= 0 && SSL_want_write(s->tls);
		return got > 0 ? got : tls_result(s, (int)got, e);
	}
	while ((got = recv(s->fd, to, n, 0)) == -1 && errno == EINTR)
		continue;
	if (got == -1 && errno != EAGAIN)
		error_errno(e, errno, "connection");
	return got;
}

ssize_t
stream_write(struct stream *s, const void *from, size_t n, struct error *e)
{
	ssize_t put;

	if (s->tls != NULL) {
		errno = 0;
		put = SSL_write(s->tls, from, n < INT_MAX ? (int)n : INT_MAX);
		s->write_wants_in = put <= 0 && SSL_want_read(s->tls);
		return put > 0 ? put : tls_result(s, (int)put, e);
	}
	while ((put = send(s->fd, from, n, MSG_NOSIGNAL)) == -1 && errno == EINTR)
		continue;
	if (put == -1 && errno != EAGAIN)
		error_errno(e, errno, "connection");
	return put;
}

int
stream_fd(const struct stream *s)
{
	return s->fd;
}

short
stream_events(const struct stream *s, bool reading, bool writing)
{
	short events = 0;

	if (reading)
		events |= s->read_wants_out ? POLLOUT : POLLIN;
	if (writing)
		events |= s->write_wants_in ? POLLIN : POLLOUT;
	return events;
}
