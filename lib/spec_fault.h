/*
 * For the files that make a spec: saying what is wrong where it was written.
 */
#ifndef TEN_SPEC_FAULT_H
#define TEN_SPEC_FAULT_H

#include "spec.h"

/* Add a fault with the place where OPTION (and of a MAP, its PAIR) was said: in the tenant's layer,
 * else in the service's, else the tenant itself. */
void spec_fault_add(struct spec_faults *faults, const struct spec_layers *layers,
	const char *option, const char *pair, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

#endif
