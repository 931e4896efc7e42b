/*
 * What tenants with a network of their own may reach, and who may reach them: a table of nftables
 * that is there as soon as the first such tenant is. To a tenant: root and the proxy. From it: what
 * egress opens, by NAT; never the machine itself or other tenants.
 */
#ifndef TEN_PRIVATE_RULES_H
#define TEN_PRIVATE_RULES_H

#include "daemon/instance.h"

/* Put them in force for those that run already; without any, see that there is no such table. */
void private_rules_start(struct daemon *d);
void private_rules_stop(struct daemon *d);

/* Before RUN, which VALUES are for, begins. -1: it must not. */
int private_rules_add(struct daemon *d, struct run *run, const struct service_values *values,
	struct ten_error *err);
/* Its egress has changed. */
int private_rules_update(struct daemon *d, struct run *run, const struct service_values *values,
	struct ten_error *err);
void private_rules_remove(struct daemon *d, const struct run *run); /* with private_rules_turn() */
void private_rules_turn(struct daemon *d);

/* Why they are not in force, while they are not; it is tried again. NULL: they are. */
const char *private_rules_problem(void);

/* Whether such rules, and NAT, can be had here: 0, or -1 with *err. */
int private_rules_probe(const struct daemon *d, struct ten_error *err);
int private_rules_probe_egress(struct ten_error *err);

/* What all interfaces of this tenement's tenants begin with, and no others do. */
#define PRIVATE_PREFIX_SIZE 10
void private_rules_prefix(const struct daemon *d, char prefix[PRIVATE_PREFIX_SIZE]);

#endif
