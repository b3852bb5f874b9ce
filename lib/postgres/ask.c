#include "postgres/postgres.h"
void *postgres_ask(void *impl, const struct query *q, struct error *e) { (void)impl; (void)q; error_set(e, ERROR_SYSTEM, "not yet"); return NULL; }
int postgres_next(void *answer, struct record *r, struct error *e) { (void)answer; (void)r; return error_set(e, ERROR_SYSTEM, "not yet"); }
void postgres_position(const void *answer, struct cursor *c) { (void)answer; (void)c; }
void postgres_end_ask(void *answer) { (void)answer; }
int postgres_end(void *impl, struct cursor *c, struct error *e) { (void)impl; (void)c; return error_set(e, ERROR_SYSTEM, "not yet"); }
