#include "postgres/postgres.h"
int postgres_tally(void *impl, const struct query *q, enum tally_by by, double interval, double offset, int (*row)(void *, const struct tally *), void *arg, struct error *e) { (void)impl; (void)q; (void)by; (void)interval; (void)offset; (void)row; (void)arg; return error_set(e, ERROR_SYSTEM, "not yet"); }
int postgres_span(void *impl, const struct query *q, double *first, double *last, struct error *e) { (void)impl; (void)q; (void)first; (void)last; return error_set(e, ERROR_SYSTEM, "not yet"); }
