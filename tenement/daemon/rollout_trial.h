/*
 * The first moments of a tenant on a changed template: it goes on running for a second, and where
 * it has a health path, answers well. rollout_passed() or rollout_failed() is told.
 */
#ifndef TEN_ROLLOUT_TRIAL_H
#define TEN_ROLLOUT_TRIAL_H

#include "daemon/instance.h"

void rollout_trial_start(struct daemon *d, struct instance *instance);
void rollout_trial_stop(struct daemon *d, struct instance *instance);

#endif
