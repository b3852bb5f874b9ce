#include "postgres/postgres.h"
int postgres_watch(void *impl, struct error *e) { (void)impl; return error_set(e, ERROR_SYSTEM, "not yet"); }
void postgres_watched(void *impl) { (void)impl; }
int postgres_await(const char *c, int stop_fd, struct error *e) { (void)c; (void)stop_fd; return error_set(e, ERROR_SYSTEM, "not yet"); }
void postgres_news_free(struct news **n) { (void)n; }
