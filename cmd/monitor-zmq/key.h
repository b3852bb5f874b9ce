/*
 * key.h - CURVE keys as text: 40 characters of Z85 (rfc.zeromq.org/spec/32), and the files
 * that they stand in.
 *
 * In a file the first word of the first line that is neither empty nor a comment (#) is
 * the key: a secret one's file has nothing else, a public one's may be a line of an
 * allow list.
 */
#ifndef MONITOR_ZMQ_KEY_H
#define MONITOR_ZMQ_KEY_H

#include <stdbool.h>

#include "error.h"
#include "str.h"

#define KEY_SIZE 41   /* with its NUL */

bool key_valid(struct str text);

/* Our own key. Refused if others than its owner and group may read the file (ERROR_DENIED).
 * The caller wipes it. */
int key_read_secret(const char *path, char key[KEY_SIZE], struct error *e);

/* `text` is the path of a file that there is, or else a key. */
int key_read_public(const char *text, char key[KEY_SIZE], struct error *e);

#endif
