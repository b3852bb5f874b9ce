/*
 * error.h - how a library function says what went wrong.
 *
 * A function that can fail takes a caller-owned `struct error *` as its last
 * argument, returns -1 (or NULL) on failure and fills it: a kind, for the
 * program to act on, and one line of text, for a person to read. The text
 * never ends in a newline, never holds a secret, and names what failed before
 * why ("m.db: the disk is full"). On success the struct is not touched.
 */
#ifndef MONITOR_ERROR_H
#define MONITOR_ERROR_H

enum error_kind {
	ERROR_NONE,
	ERROR_USAGE,       /* the caller asked for something that makes no sense */
	ERROR_INVALID,     /* data that is not what it should be */
	ERROR_ABSENT,      /* the thing is not there (yet) */
	ERROR_GONE,        /* the thing was there, and was removed or replaced */
	ERROR_BUSY,        /* somebody else holds it; trying again may help */
	ERROR_FULL,        /* no space left */
	ERROR_CORRUPT,     /* the store is damaged */
	ERROR_NEWER,       /* the store was made by a newer version */
	ERROR_DENIED,      /* permission denied, or read-only */
	ERROR_MEMORY,      /* an allocation failed */
	ERROR_SYSTEM,      /* any other failure of a system or library call */
};

struct error {
	enum error_kind kind;
	char text[512];
};

/* Fill `e` (which may be NULL: then nothing is kept). Always returns -1, so
 * that a failing function can end in `return error_set(e, ...)`. Text too long
 * for the struct is cut. */
int error_set(struct error *e, enum error_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, followed by ": " and strerror(errnum); the kind follows from
 * errnum (ENOENT is ERROR_ABSENT, ENOSPC and EFBIG are ERROR_FULL, ...). */
int error_errno(struct error *e, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "what: " before the text that is there. Always returns -1. */
int error_prefix(struct error *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Out of memory: the one message that needs no words of its caller. */
int error_memory(struct error *e);

#endif
