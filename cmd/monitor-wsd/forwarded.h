/*
 * forwarded.h - whose connection a proxy has passed on, by its header.
 */
#ifndef MONITOR_WSD_FORWARDED_H
#define MONITOR_WSD_FORWARDED_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "str.h"

/* From X-Forwarded-For ("203.0.113.7, 10.0.0.1"), or Forwarded (RFC 7239:
 * "for=203.0.113.7;proto=https, for=\"[2001:db8::1]:4711\""). Each proxy has added what it
 * saw at the end, so it is the last address that is no trusted proxy's; all before it
 * may be made up. If all are trusted, it is the first. False: there is none. */
bool forwarded_x_for(struct str header, const struct network *trusted, size_t count,
    struct address *client);
bool forwarded_standard(struct str header, const struct network *trusted, size_t count,
    struct address *client);

#endif
