/*
 * fleet.h - many WebSocket connections, on one epoll loop: connected, authenticated and
 * kept alive. What goes wrong ends the program: a bench in which connections were lost
 * measures nothing.
 */
#ifndef LOAD_FLEET_H
#define LOAD_FLEET_H

#include <stddef.h>

#include "load.h"
#include "str.h"

struct fleet;

/* `message` is told of each message that came, but for the answers to what the fleet itself
 * sent: of which connection, its first bytes (up to FLEET_HEAD), and its length. */
#define FLEET_HEAD 255
struct fleet *fleet_new(const struct load *l, size_t connections,
    void (*message)(void *arg, size_t i, struct str head, size_t len), void *arg);
void fleet_free(struct fleet **f);

/* Connect all, and authenticate: how many seconds that took. */
double fleet_connect(struct fleet *f);

void fleet_send(struct fleet *f, size_t i, struct str text);

/* Wait for something to happen, until the time `until` at most, and take it. */
void fleet_turn(struct fleet *f, double until);

#endif
