#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int
put(struct error *e, enum error_kind kind, const char *fmt, va_list ap)
{
	if (e != NULL) {
		e->kind = kind;
		vsnprintf(e->text, sizeof(e->text), fmt, ap);
	}
	return -1;
}

int
error_set(struct error *e, enum error_kind kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(e, kind, fmt, ap);
	va_end(ap);
	return -1;
}

static enum error_kind
kind_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return ERROR_ABSENT;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERROR_FULL;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERROR_DENIED;
	case ENOMEM:
		return ERROR_MEMORY;
	default:
		return ERROR_SYSTEM;
	}
}

int
error_errno(struct error *e, int errnum, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	put(e, kind_of_errno(errnum), fmt, ap);
	va_end(ap);
	if (e != NULL) {
		len = strlen(e->text);
		snprintf(e->text + len, sizeof(e->text) - len, ": %s", strerror(errnum));
	}
	return -1;
}

int
error_prefix(struct error *e, const char *fmt, ...)
{
	char before[sizeof(e->text)], after[sizeof(e->text)];
	va_list ap;

	if (e == NULL)
		return -1;
	memcpy(after, e->text, sizeof(after));
	va_start(ap, fmt);
	vsnprintf(before, sizeof(before), fmt, ap);
	va_end(ap);
	snprintf(e->text, sizeof(e->text), "%.*s: %.*s", (int)sizeof(before) / 2 - 2, before,
	    (int)sizeof(after) / 2 - 2, after);
	return -1;
}

int
error_memory(struct error *e)
{
	return error_set(e, ERROR_MEMORY, "out of memory");
}
