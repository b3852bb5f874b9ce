#include "postgres/postgres.h"
int postgres_purge(void *impl, const struct purge *p, const volatile int *stop, struct purged *out, struct error *e) { (void)impl; (void)p; (void)stop; (void)out; return error_set(e, ERROR_SYSTEM, "not yet"); }
