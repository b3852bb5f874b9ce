/*
 * service.h - a verb at work: the hub and the keys, signals, the metrics, what the service
 * manager is told.
 *
 * SIGTERM and SIGINT are to end the verb: service_stopping(), and from then on such a
 * signal strikes. SIGHUP reads the allow list again and cuts off whoever is not on it.
 */
#ifndef MONITOR_ZMQ_SERVICE_H
#define MONITOR_ZMQ_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "allow.h"
#include "buf.h"
#include "common.h"
#include "error.h"
#include "socket.h"

struct service;

/* Reads the keys, opens the log, blocks the signals and begins to answer for the metrics, for
 * which `metrics` writes the figures. */
struct service_settings {
	const struct common *common;
	int (*metrics)(void *arg, struct buf *text);   /* -1: no memory */
	void *arg;
};
struct service *service_new(const struct service_settings *settings, struct error *e);
void service_free(struct service **s);   /* its sockets must be gone */

/* A socket as the options want it, at these of the endpoints; says where it is bound. */
struct socket *service_socket(struct service *s, enum socket_type type,
    const struct endpoint *endpoints, size_t count, size_t max_message, struct error *e);

/* NULL: there is none. */
const struct allow *service_allow(const struct service *s);

/* All is open: tell the service manager. */
void service_ready(struct service *s);

/* hub_wait(), and whatever else is due. At most SERVICE_WATCHES. */
#define SERVICE_WATCHES 16
int service_wait(struct service *s, struct hub_watch *watches, size_t n, double seconds,
    struct error *e);

/* Is it to end? Or, service_stop(): end it as a signal would. */
bool service_stopping(const struct service *s);
void service_stop(struct service *s);

/* Seconds that its end may still take: the whole timeout while it is not to end, 0 when it is over. */
double service_patience(const struct service *s);

/* The exit status of a verb of which `r` came (-1: that failed, which is logged). */
int service_status(int r, const struct error *e);

/* What a library says, into the log. */
void service_say(void *arg, int priority, const char *text);

#endif
