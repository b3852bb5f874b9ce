/*
 * stream.h - bytes to and from a server: TCP, TCP with TLS, a unix socket. Never blocks
 * (but a name is looked up when the target is made, and a unix socket is waited for).
 */
#ifndef WIRE_STREAM_H
#define WIRE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "error.h"

/* Where to connect to, and how. */
struct target;

struct target_settings {
	const char *url;           /* ws://HOST:PORT[/PATH], wss://..., ws+unix:PATH */
	bool verify;               /* TLS: the server's certificate, and its name */
	const char *ca;            /* PEM file; NULL: the system's */
	const char *cert, *key;    /* our own, PEM files; NULL: none */
};

struct target *target_new(const struct target_settings *settings, struct error *e);
void target_free(struct target **t);           /* after its streams */
const char *target_host(const struct target *t);   /* as a Host header has it */
const char *target_path(const struct target *t);   /* "/ws" where the URL had none */

struct stream;

/* Begin to connect, from the address `from` (NULL: any). */
struct stream *stream_open(const struct target *t, const char *from, struct error *e);
void stream_close(struct stream **s);
void stream_reset(struct stream **s);          /* the other side gets a reset */
void stream_shut(struct stream *s);            /* nothing more will be written */

/* How many bytes; 0 (reading): the end; -1: nothing now (EAGAIN in errno), or failed: see
 * the error. */
ssize_t stream_read(struct stream *s, void *to, size_t n, struct error *e);
ssize_t stream_write(struct stream *s, const void *from, size_t n, struct error *e);

int stream_fd(const struct stream *s);

/* What poll(2) is to wait for, by whoever wants to read, and has something to write. */
short stream_events(const struct stream *s, bool reading, bool writing);

#endif
