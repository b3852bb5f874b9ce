/*
 * door.h - the sockets that are listened on: takes in who comes, as far as there is room.
 */
#ifndef MONITOR_WSD_DOOR_H
#define MONITOR_WSD_DOOR_H

#include "admit.h"
#include "error.h"
#include "listen.h"
#include "loop.h"
#include "ws.h"

struct door;

/* Open at once. What is given must outlive it; the listeners stay the caller's. Of those
 * that are no unix sockets, connections are of this kind. */
struct door *door_new(struct loop *loop, struct ws *ws, struct admit *admit,
    const struct listener *listeners, enum ws_kind kind, struct error *e);

/* Nobody is taken in any more. */
void door_free(struct door **d);

#endif
