/*
 * settings.h - a copy of what a sink (sink.h, whose part this is) was made from.
 */
#ifndef MONITOR_SINK_SETTINGS_H
#define MONITOR_SINK_SETTINGS_H

#include "sink.h"

/* With a command and a path of its own. To be freed on failure, too: no memory, or a path that is
 * too long for a socket. */
int sink_settings_copy(struct sink_settings *to, const struct sink_settings *from,
    struct error *e);
void sink_settings_free(struct sink_settings *s);

#endif
