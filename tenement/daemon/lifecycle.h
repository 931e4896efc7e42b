/*
 * Carrying out one step of a plan on one tenant.
 */
#ifndef TEN_LIFECYCLE_H
#define TEN_LIFECYCLE_H

#include "daemon/instance.h"
#include "plan.h"

/* Do STEP. Returns false when nothing more is to be planned for it in this turn. */
bool lifecycle_step(struct daemon *d, struct instance *instance, const struct plan_step *step);

/* A process ended. Of whose it is only those that we know matter. */
void lifecycle_process_ended(
	struct daemon *d, pid_t pid, uint64_t start_time, bool exited, int status);

/* Each its stop_signal, and a second later SIGKILL to all there are: for when nobody is left to
 * wait for them.
 */
void lifecycle_kill_all(struct daemon *d);

/* What waited in the socket of INSTANCE when it was started has been taken, or is not taken in
 * time. */
void lifecycle_took(struct daemon *d, struct instance *instance);
void lifecycle_did_not_take(struct daemon *d, struct instance *instance);

/* INSTANCE->run was found alive after a restart of the daemon. */
void lifecycle_adopted(struct daemon *d, struct instance *instance);

#endif
