/*
 * scarce.h - a malloc(3) of our own in front of the library's, which can fail. Only
 * where SCARCE is defined: a sanitizer has one already.
 */
#ifndef MONITOR_SCARCE_H
#define MONITOR_SCARCE_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
#define SCARCE

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

/* The call that counts `left` down to 0 fails, and if `for_good` every one after it. */
static long left = -1;
static bool for_good;

static bool
refused(void)
{
	if (left > 0)
		left--;
	if (left != 0)
		return false;
	if (!for_good)
		left = -1;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t n)
{
	return refused() ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return refused() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return refused() ? NULL : __libc_realloc(p, n);
}

#endif
#endif
