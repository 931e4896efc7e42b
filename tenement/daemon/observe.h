/*
 * What the planner is told of one tenant.
 */
#ifndef TEN_OBSERVE_H
#define TEN_OBSERVE_H

#include "daemon/instance.h"
#include "plan.h"

/* What is wanted of INSTANCE, and what is so, for plan_next(). */
void observe_instance(struct daemon *d, const struct instance *instance, struct plan_want *want,
	struct plan_have *have);

#endif
