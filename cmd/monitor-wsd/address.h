/*
 * address.h - IP addresses, and networks of them.
 *
 * Both kinds are 16 bytes: an IPv4 address is the IPv6 one that it is mapped to
 * (RFC 4291, section 2.5.5.2), however it came in.
 */
#ifndef MONITOR_WSD_ADDRESS_H
#define MONITOR_WSD_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "error.h"
#include "str.h"

#define ADDRESS_TEXT_SIZE 48

struct address {
	unsigned char bytes[16];
};

/* From a socket's. False: it is of neither kind. */
bool address_of(const struct sockaddr *sa, struct address *a);

/* From text: 192.0.2.1, 2001:db8::1. */
bool address_parse(struct str text, struct address *a);

void address_format(const struct address *a, char text[ADDRESS_TEXT_SIZE]);
bool address_is_ip4(const struct address *a);

struct network {
	struct address base;
	unsigned bits;         /* of the 128 */
};

/* ADDR or ADDR/BITS. ERROR_USAGE if it is neither. */
int network_parse(const char *text, struct network *n, struct error *e);
bool network_any_has(const struct network *n, size_t count, const struct address *a);

#endif
