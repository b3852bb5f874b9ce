/*
 * json.h - the parts of one JSON value (RFC 8259), for who needs a few members
 * of a small object and keeps nothing.
 *
 * json_open() checks the whole text, in every part; what stands here then takes
 * apart what is known to be right. A value is the slice of the text that it was
 * written as. Strings have their escapes undone in memory of the struct's own,
 * which json_free() wipes: what comes through here may be a secret.
 */
#ifndef MONITOR_JSON_H
#define MONITOR_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "decimal.h"
#include "error.h"
#include "scan.h"
#include "str.h"

/* A zeroed struct is one that holds nothing. It points into the text: the text
 * must outlive it, and it whatever json_string() gave. It may be opened again for
 * another text; then what came of the last one is gone, and its memory is used
 * again. */
struct json {
	struct scanner scan;
};

/* Begin with a text that is one value and nothing else but spaces around it.
 * -1: it is not (ERROR_INVALID; the message quotes nothing), or no memory. To be
 * followed by json_free() either way. */
int json_open(struct json *j, struct str text, struct str *value, struct error *e);
void json_free(struct json *j);

/* Wipe the strings that came of the text; the struct is as good as before. */
void json_wipe(struct json *j);

/* Walk an object. Begin with `rest` the object's value; false at its end. The name
 * is good until the next call of anything here. */
bool json_is_object(struct str value);
bool json_next_member(struct json *j, struct str *rest, struct str *name, struct str *value);

/* Find members of an object by name: values[i] is the last member that is
 * named names[i], its data NULL where there is none. False: it is no object. */
bool json_members(struct json *j, struct str object, const char *const names[],
    struct str values[], size_t count);

/* json_open() and json_members() at once: half the work for a long text. -1 if it is
 * no object, too. */
int json_open_object(struct json *j, struct str text, const struct str names[],
    struct str values[], size_t count, struct str *object, struct error *e);

/* Walk an array. Begin with `rest` the array's value; false at its end. json_step()
 * leaves it to the caller to take what `rest` then begins with, and the spaces there. */
bool json_is_array(struct str value);
bool json_next(struct json *j, struct str *rest, struct str *element);
bool json_step(struct json *j, struct str *rest);

/* The value as a string: false if it is none. False too if it has a lone
 * surrogate, which no string of characters can hold: replaced, two different
 * strings would read the same. May be asked once a value. */
bool json_string(struct json *j, struct str value, struct str *out);

/* The value as a number; false if it is none. `d->text` is the value. */
bool json_number(struct str value, struct decimal *d);

bool json_null(struct str value);

/* The value as true or false; false if it is neither. */
bool json_bool(struct str value, bool *b);

#endif
