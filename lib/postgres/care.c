#include "postgres/postgres.h"
int postgres_stats(void *impl, struct store_stats *st, struct error *e) { (void)impl; (void)st; return error_set(e, ERROR_SYSTEM, "not yet"); }
int64_t postgres_verify(void *impl, void (*found)(void *, const char *), void *arg, struct error *e) { (void)impl; (void)found; (void)arg; return error_set(e, ERROR_SYSTEM, "not yet"); }
