#include "client/setup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "ndjson.h"
#include "utf8.h"

#define TOKEN_MAX ((size_t)64 << 10)
#define TLS_HOST_MAX 127   /* libwebsockets verifies no more of a name */

/* ---- the URL -------------------------------------------------------------- */

static bool
is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcasecmp(host, "localhost") == 0;
}

/* HOST, or [ADDRESS]. NULL, or what stands behind it. */
static const char *
take_host(const char *p, struct client_url *u)
{
	struct in6_addr v6;
	bool brackets = *p == '[';
	size_t n = strcspn(p += brackets, brackets ? "]" : ":/?#@");

	if (n == 0 || n >= sizeof(u->host))
		return NULL;
	memcpy(u->host, p, n);
	u->host[n] = '\0';
	p += n;
	if (brackets && (*p++ != ']' || inet_pton(AF_INET6, u->host, &v6) != 1))
		return NULL;
	/* It becomes a line of HTTP. */
	for (const char *c = u->host; *c != '\0'; c++)
		if (*c <= ' ' || *c == 0x7f)
			return NULL;
	return p;
}

static const char *
take_port(const char *p, struct client_url *u)
{
	long port = 0;

	u->port = CLIENT_PORT;
	if (*p != ':')
		return p;
	for (p++; *p >= '0' && *p <= '9' && port < 65536; p++)
		port = port * 10 + (*p - '0');
	u->port = (int)port;
	return p[-1] == ':' || port < 1 || port > 65535 ? NULL : p;
}

/* The rest. */
static bool
is_path(const char *p)
{
	if (*p != '\0' && *p != '/')
		return false;
	for (; *p != '\0'; p++)
		if (*p <= ' ' || *p == 0x7f || *p == '#')
			return false;
	return true;
}

int
client_url_parse(const char *text, struct client_url *u, struct error *e)
{
	const char *p = text;

	*u = (struct client_url){ .tls = strncmp(p, "wss://", 6) == 0 };
	if (!u->tls && strncmp(p, "ws://", 5) != 0)
		return error_set(e, ERROR_USAGE, "%s: neither ws://HOST nor wss://HOST", text);
	/* A password, say: nothing of it is shown. */
	if (strchr(p, '@') != NULL)
		return error_set(e, ERROR_USAGE, "a URL with '@' in it: "
		    "who somebody is does not belong there");
	if ((p = take_host(p + (u->tls ? 6 : 5), u)) == NULL || (p = take_port(p, u)) == NULL ||
	    !is_path(p))
		return error_set(e, ERROR_USAGE, "%s: not ws[s]://HOST[:PORT][/PATH]", text);
	snprintf(u->authority, sizeof(u->authority), strchr(u->host, ':') != NULL ? "[%s]:%d" :
	    "%s:%d", u->host, u->port);
	u->loopback = is_loopback(u->host);
	if ((u->path = strdup(*p == '\0' || strcmp(p, "/") == 0 ? CLIENT_PATH : p)) == NULL)
		return error_memory(e);
	return 0;
}

/* ---- the token ------------------------------------------------------------ */

static int
read_token(const char *path, struct buf *b, struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	if (fd == -1)
		return error_errno(e, errno, "%s", path);
	if (buf_reserve(b, TOKEN_MAX + 1) == -1) {
		close(fd);
		return error_memory(e);
	}
	while (b->len <= TOKEN_MAX && (n = read(fd, b->data + b->len, TOKEN_MAX + 1 - b->len)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			break;
		b->len += (size_t)n;
	}
	if (n == -1)
		error_errno(e, errno, "%s", path);
	close(fd);
	if (n != -1 && b->len > TOKEN_MAX)
		return error_set(e, ERROR_USAGE, "%s: too long for a token", path);
	return n == -1 ? -1 : 0;
}

void
client_wipe(struct buf *b)
{
	if (b->cap > 0)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str
trim(struct str s)
{
	for (; s.len > 0 && is_space(s.data[s.len - 1]); s.len--)
		;
	for (; s.len > 0 && is_space(*s.data); s.len--)
		s.data++;
	return s;
}

/* Append a token: an object as it is, anything else as a string. */
static int
add_token(struct buf *b, struct str token, const char *where, struct error *e)
{
	struct json j = { 0 };
	struct str value;
	int rc = 0;

	if (token.len == 0 || utf8_check(token) != token.len)
		return error_set(e, ERROR_USAGE, "%s: there is no token", where);
	if (*token.data != '{')
		return ndjson_write_string(b, token) == -1 ? error_memory(e) : 0;
	if (json_open(&j, token, &value, e) == -1)
		rc = error_prefix(e, "%s", where);
	else if (buf_add_str(b, value) == -1)
		rc = error_memory(e);
	json_free(&j);
	return rc;
}

int
client_auth_message(const struct client_settings *s, struct buf *message, struct error *e)
{
	struct buf file = { 0 };
	struct str token;
	int rc = -1;

	if (s->token_file == NULL && s->token == NULL)
		return 0;
	if (s->token_file != NULL && read_token(s->token_file, &file, e) == -1)
		goto out;
	token = trim(s->token_file != NULL ? (struct str){ file.data, file.len } : str_of(s->token));
	/* In one piece: a buffer that grew would leave a copy behind. */
	if (buf_reserve(message, token.len * 6 + 64) == -1 ||
	    buf_add_str(message, str_of("{\"action\":\"auth\",\"token\":")) == -1) {
		error_memory(e);
		goto out;
	}
	if (add_token(message, token, s->token_file != NULL ? s->token_file : "the token", e) == -1)
		goto out;
	rc = buf_add(message, "}", 1) == -1 ? error_memory(e) : 0;
out:
	client_wipe(&file);
	return rc;
}

void
client_renew_auth(const struct client_settings *s, struct buf *message)
{
	struct buf fresh = { 0 }, old = *message;
	struct stat st;

	/* A pipe has said all that it had to say. */
	if (s->token_file == NULL || stat(s->token_file, &st) == -1 || !S_ISREG(st.st_mode))
		return;
	if (client_auth_message(s, &fresh, NULL) == 0) {
		*message = fresh;
		fresh = old;
	}
	client_wipe(&fresh);
}

/* ---- all of it ------------------------------------------------------------ */

static int
check_file(const char *path, struct error *e)
{
	int fd;

	if (path == NULL)
		return 0;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return error_errno(e, errno, "%s", path);
	close(fd);
	return 0;
}

int
client_check(const struct client_settings *s, const struct client_url *u, bool token,
    struct error *e)
{
	if (!u->tls && (s->ca != NULL || s->cert != NULL || s->key != NULL))
		return error_set(e, ERROR_USAGE, "%s: certificates are for wss://", s->url);
	if ((s->cert == NULL) != (s->key == NULL))
		return error_set(e, ERROR_USAGE, "a certificate and its key belong together");
	if (!u->tls && token && !u->loopback && !s->insecure)
		return error_set(e, ERROR_USAGE, "%s: everybody on the way there could read the "
		    "token: take wss://, or --insecure", s->url);
	/* libwebsockets cuts both at a place where nothing is left to verify. */
	if (u->tls && (strchr(u->host, ':') != NULL || strlen(u->host) > TLS_HOST_MAX))
		return error_set(e, ERROR_USAGE, "%s: with wss:// the host must be a name of at most "
		    "%d characters, or an IPv4 address", s->url, TLS_HOST_MAX);
	return check_file(s->ca, e) == -1 || check_file(s->cert, e) == -1 ? -1 :
	    check_file(s->key, e);
}
