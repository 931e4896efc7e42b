/*
 * What the machine that we run on cannot give of what a tenant may ask for: a kernel without a
 * feature, a program that is not installed, a right that we do not have. The world finds out; here
 * it is only data. A value that was written and is lacking refuses its tenants, a default that is
 * lacking is shown as degraded.
 */
#ifndef TEN_MACHINE_H
#define TEN_MACHINE_H

#include <stddef.h>

#include "options.h"

struct machine_lack {
	const struct option *option;
	char *value; /* of an ENUM or BOOL, or one among a LIST's, as in TOML, without quotes; NULL:
			any that asks for something, so not 0, -1, false or empty */
	char *why;   /* for people, with the way out */
};

struct machine {
	struct machine_lack *lacks;
	size_t count;
};

/* Note that VALUE of the service option NAME cannot be given. The first reason for one stays. */
void machine_add_lack(struct machine *machine, const char *name, const char *value, const char *why,
	...) __attribute__((format(printf, 4, 5)));

/* Why the value of OPTION in VALUES, a struct service_values, cannot be given; NULL: it can.
 * MACHINE may be NULL: nothing is known of it. */
const char *machine_lacks(
	const struct machine *machine, const struct option *option, const void *values);

/* The same by name; VALUE as in machine_add_lack(). */
const char *machine_lacks_value(const struct machine *machine, const char *name, const char *value);

void machine_clear(struct machine *machine);

#endif
