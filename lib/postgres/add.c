#include "postgres/postgres.h"
int postgres_add(void *impl, const struct store_offer *o, size_t n, struct store_added *a, struct error *e) { (void)impl; (void)o; (void)n; (void)a; return error_set(e, ERROR_SYSTEM, "not yet"); }
void postgres_adder_free(struct adder **a) { (void)a; }
