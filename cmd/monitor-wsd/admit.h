/*
 * admit.h - who may come in: how many connections at once, in all and of one address,
 * and whose word is believed about the address.
 *
 * An IPv6 address counts with its /64, which is what one subscriber has at least.
 * Connections on unix sockets count only in all. Those of a trusted proxy count for the
 * address that the proxy names; if it names none, only in all.
 */
#ifndef MONITOR_WSD_ADMIT_H
#define MONITOR_WSD_ADMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "address.h"
#include "error.h"
#include "str.h"

enum refusal {
	REFUSED_FULL,          /* no more connections at all */
	REFUSED_ADDRESS,       /* none of this address */
	REFUSED_DESCRIPTORS,   /* none: the system has no more descriptors, or memory */
	REFUSED_ORIGIN,        /* from a web page, where nobody is asked who they are */
	REFUSED_STOPPING,
	REFUSALS
};
extern const char *const refusal_names[REFUSALS];

struct admit_settings {
	size_t max;                    /* connections in all */
	size_t max_per_address;        /* 0: no bound */
	const struct network *proxies; /* trusted */
	size_t proxy_count;
	bool trust_unix;               /* whoever is at the other end of a unix socket, too */
};

/* A connection, as it is counted. To be zeroed before admit_enter(). */
struct visitor {
	struct address address;
	uint16_t port;                 /* 0: not known */
	bool known;                    /* is there an address? */
	bool proxied;                  /* whose it is the proxy has to say */
	bool inside;
	struct admit_count *count;     /* where it counts */
};

struct admit;

/* The settings are copied, the proxies not. */
struct admit *admit_new(const struct admit_settings *settings, struct error *e);
void admit_free(struct admit **a);

/* A connection from `sa` (AF_UNIX: of this machine). False: it may not stay, which is
 * counted. To be followed by admit_leave() if it may. */
bool admit_enter(struct admit *a, struct visitor *v, const struct sockaddr *sa);
void admit_leave(struct admit *a, struct visitor *v);

/* What the headers X-Forwarded-For and Forwarded (data NULL: none) say of a visitor that
 * is `proxied`. False as above. */
bool admit_forwarded(struct admit *a, struct visitor *v, struct str for_, struct str forwarded);

/* Somebody was sent away for another reason. */
void admit_refuse(struct admit *a, enum refusal why);

/* "203.0.113.7:4711", "203.0.113.7" behind a proxy, "unix". */
#define VISITOR_NAME_SIZE (ADDRESS_TEXT_SIZE + 8)
void visitor_name(const struct visitor *v, char name[VISITOR_NAME_SIZE]);

struct admit_stats {
	uint64_t now, ever;
	uint64_t max;                  /* as many may be there */
	uint64_t refused[REFUSALS];
};
void admit_stats(const struct admit *a, struct admit_stats *out);

#endif
