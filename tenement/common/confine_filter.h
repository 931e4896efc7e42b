/*
 * The seccomp filters of confine.h, made by libseccomp from lists of names.
 */
#ifndef TEN_CONFINE_FILTER_H
#define TEN_CONFINE_FILTER_H

#include "common/confine.h"

/* Make both; some milliseconds. The caller clears them. */
int confine_filters_make(struct confine_filters *filters, struct ten_error *err);
void confine_filters_clear(struct confine_filters *filters);

#endif
