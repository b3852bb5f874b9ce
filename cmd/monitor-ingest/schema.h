/*
 * schema.h - making the store in a database, or showing what makes it.
 */
#ifndef MONITOR_SCHEMA_H
#define MONITOR_SCHEMA_H

#include <stdbool.h>

/* Both return the exit status. `interval`: seconds of arrival in a partition of logs. */
int schema_create(const char *url, double interval, bool quiet);
int schema_print(double interval, bool roles_only);

#endif
