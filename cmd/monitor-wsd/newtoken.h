/*
 * newtoken.h - make an opaque token.
 */
#ifndef MONITOR_WSD_NEWTOKEN_H
#define MONITOR_WSD_NEWTOKEN_H

#include "settings.h"

/* Make one, add its line to the file of tokens (to standard error if there is none), and
 * print it. The program's status. */
int newtoken_make(const struct settings *s);

#endif
