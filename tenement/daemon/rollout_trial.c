#include "daemon/rollout_trial.h"

#include <stdlib.h>

#include "common/log.h"
#include "daemon/probe.h"
#include "daemon/rollout.h"
#include "mem.h"

#define SETTLE_SECONDS 1.0
#define CHECK_SECONDS  5.0
#define CHECKS         3 /* who has just begun may need a moment */

struct rollout_trial {
	struct daemon *daemon;
	struct instance *instance;
	ev_timer timer;
	struct probe *probe;
	unsigned failures;
};

static void on_checked(void *data, const char *problem)
{
	struct rollout_trial *trial = data;
	struct instance *instance = trial->instance;
	struct daemon *d = trial->daemon;

	trial->probe = NULL;
	if (problem && instance->state == INSTANCE_READY && ++trial->failures < CHECKS) {
		ev_timer_set(&trial->timer, SETTLE_SECONDS, 0.);
		ev_timer_start(d->loop, &trial->timer);
		return;
	}
	if (problem && instance->state == INSTANCE_READY) {
		autofree char *why = mem_printf("health check failed: %s", problem);

		rollout_failed(d, instance, why);
	} else {
		rollout_passed(d, instance);
	}
	instance_mark(d, instance);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct rollout_trial *trial = timer->data;
	struct instance *instance = trial->instance;
	const struct ten_spec *spec = instance->run ? instance->run->spec : NULL;

	(void)loop;
	(void)events;
	if (instance->state == INSTANCE_READY && spec && spec->values.health &&
		*spec->values.health)
		trial->probe = probe_start(trial->daemon, instance->run, spec->values.health,
			CHECK_SECONDS, on_checked, trial);
	else
		on_checked(trial, NULL);
}

void rollout_trial_start(struct daemon *d, struct instance *instance)
{
	struct rollout_trial *trial;

	rollout_trial_stop(d, instance);
	trial = mem_alloc(sizeof(*trial));
	trial->daemon = d;
	trial->instance = instance;
	ev_timer_init(&trial->timer, on_timer, SETTLE_SECONDS, 0.);
	trial->timer.data = trial;
	ev_now_update(d->loop);
	ev_timer_start(d->loop, &trial->timer);
	instance->trial = trial;
}

void rollout_trial_stop(struct daemon *d, struct instance *instance)
{
	struct rollout_trial *trial = instance->trial;

	if (!trial)
		return;
	instance->trial = NULL;
	ev_timer_stop(d->loop, &trial->timer);
	probe_cancel(d, trial->probe);
	free(trial);
}
