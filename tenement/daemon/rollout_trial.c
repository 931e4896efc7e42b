#include "daemon/rollout_trial.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/probe.h"
#include "daemon/rollout.h"
#include "mem.h"

/* How long it has to have been ready, and between two checks. */
#define SETTLE_SECONDS 1.0

struct rollout_trial {
	struct daemon *daemon;
	struct instance *instance;
	ev_timer timer;
	struct probe *probe;
	int64_t failures;
};

static void wait_a_second(struct rollout_trial *trial)
{
	ev_timer_set(&trial->timer, SETTLE_SECONDS, 0.);
	ev_timer_start(trial->daemon->loop, &trial->timer);
}

/* As many may fail as of one that has long been running: who has just begun may need a moment. */
static bool is_patient(struct rollout_trial *trial)
{
	const struct run *run = trial->instance->run;
	const struct service_values *values = &run->spec->values;

	if (daemon_now() < run->ready_since + (double)values->health_grace)
		return true;
	return ++trial->failures < values->health_failures;
}

/* On its way down, or while it has taken nothing from its socket, it has proven nothing. */
static bool may_be_judged(const struct instance *instance)
{
	return (instance->state == INSTANCE_READY || instance->state == INSTANCE_FROZEN) &&
	       instance->run && !instance->run->boot;
}

static void on_checked(void *data, const char *problem)
{
	struct rollout_trial *trial = data;
	struct instance *instance = trial->instance;
	struct daemon *d = trial->daemon;

	trial->probe = NULL;
	if (!may_be_judged(instance) ||
		(problem && instance->state == INSTANCE_READY && is_patient(trial))) {
		wait_a_second(trial);
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
	if (!may_be_judged(instance) || instance->state != INSTANCE_READY || !spec ||
		!spec->values.health || !*spec->values.health) {
		on_checked(trial, NULL);
		return;
	}
	trial->probe = probe_start(trial->daemon, instance->run, spec->values.health,
		(double)spec->values.health_timeout, on_checked, trial);
	if (!trial->probe)
		wait_a_second(trial);
}

/* Where nobody asks for it, one that takes nothing from its socket would not be found out. What it
 * is to take has ended already, so that it waits for nothing. */
static void knock(struct daemon *d, const struct instance *instance)
{
	struct board_use use;
	int fd;

	instance_use(d, instance, &use);
	if (!instance->run->boot || use.in_flight || use.waiting)
		return;
	fd = probe_connect(instance->run);
	if (fd >= 0)
		close(fd);
}

void rollout_trial_start(struct daemon *d, struct instance *instance)
{
	struct rollout_trial *trial;

	rollout_trial_stop(d, instance);
	trial = mem_alloc(sizeof(*trial));
	trial->daemon = d;
	trial->instance = instance;
	knock(d, instance);
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
