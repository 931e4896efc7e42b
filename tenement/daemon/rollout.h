/*
 * A changed template restarts its running tenants a few at a time, and halts when one does not
 * come back.
 */
#ifndef TEN_ROLLOUT_H
#define TEN_ROLLOUT_H

#include "daemon/instance.h"

#define ROLLOUT_BATCH 4

struct rollout {
	char *service;
	unsigned under_way; /* restarted for the change and not ready again */
	char *halted;       /* by which tenant and why; NULL: it goes on */
	UT_hash_handle hh;
};

/* Whether one more tenant of SERVICE may be restarted now. */
bool rollout_may(const struct daemon *d, const char *service);

void rollout_began(struct daemon *d, struct instance *instance);
/* It is over for this one: PROBLEM NULL when it is ready again (or rests). Marks those that wait.
 */
void rollout_ended(struct daemon *d, struct instance *instance, const char *problem);

/* The template was changed anew, or the operator said to go on. */
void rollout_resume(struct daemon *d, const char *service);
const char *rollout_halted(const struct daemon *d, const char *service); /* NULL: not */

#endif
