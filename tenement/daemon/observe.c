#include "daemon/observe.h"

#include "daemon/failures.h"
#include "daemon/rollout.h"
#include "daemon/schedule.h"
#include "daemon/secret_watch.h"
#include "daemon/start_queue.h"

/* To look is to bring up to date what only time or the files' texts decide. */
static struct instance *moving(const struct instance *instance)
{
	return (struct instance *)instance;
}

void observe_instance(struct daemon *d, const struct instance *instance, struct plan_want *want,
	struct plan_have *have)
{
	const struct ten_spec *spec = instance->spec;
	const struct run *run = instance->run;
	/* (it costs something to know) */
	bool rises = !run && (instance->wanted_awake || instance->wanted_state == TENANT_RUNNING ||
				     instance->state == INSTANCE_STARTING ||
				     instance->state == INSTANCE_BACKOFF);

	failures_forget_old(d, moving(instance));
	secret_watch_follow(d, moving(instance));
	*want = (struct plan_want){ .ending = d->shutting_down };
	if (spec) {
		*want = (struct plan_want){
			.declared = true,
			.ending = d->shutting_down,
			.state = instance->wanted_state,
			.restart = (enum spec_restart)spec->values.restart,
			.restart_hash = run && run->unknown && !instance->on_new
						? run->restart_hash
						: rollout_spec(d, moving(instance))->restart_hash,
			.live_hash = instance->wanted_live_hash,
			.sleeps = spec->ladder.stopped > 0,
			.freezes = spec->ladder.frozen > 0,
			.awake = schedule_keeps(instance),
		};
	}
	*have = (struct plan_have){
		.state = instance->state,
		.known = instance->known,
		.process = run != NULL,
		.restart_hash = run ? run->restart_hash : want->restart_hash,
		.secrets_changed = secret_watch_changed(instance),
		.live_hash = instance->live_hash,
		.exit = run ? run->exit : PLAN_EXIT_NONE,
		.ready = run && run->ready,
		.unhealthy = instance->unhealthy,
		.wanted_awake = instance->wanted_awake,
		.told_to_stop = instance->told_to_stop,
		.told_to_restart = instance->told_to_restart,
		.idle = instance->idle,
		.idle_freeze = instance->idle_freeze,
		.in_flight = run && instance_in_flight(d, instance),
		.in_use = run && instance_in_use(d, instance),
		.time_is_up = instance->time_is_up,
		.again = instance->again,
		.draining_idle = instance->draining_idle,
		.failed_start = instance->failed_start,
		.may_start = rises && start_queue_may(d, instance),
		.unasked = instance->unasked,
		.eviction = instance->eviction,
		.eviction_why = instance->eviction_why,
		.may_roll = spec && rollout_may(d, moving(instance)),
		.restarts_used_up = failures_used_up(d, instance),
		.cooled_down = failures_cooled_down(instance),
		.killed = run && run->killed,
	};
	/* One that ends before it took anything from its socket ended while it started. */
	if (run && run->boot && run->exit != PLAN_EXIT_NONE && instance->state == INSTANCE_READY)
		have->state = INSTANCE_STARTING;
	/* What failed is tried again when its file changes. */
	if ((instance->state == INSTANCE_FAILED || instance->state == INSTANCE_BACKOFF) && !run) {
		have->restart_hash = instance->failed_hash;
		want->restart_hash = failures_hash(
			spec ? rollout_spec(d, moving(instance)) : NULL, want->restart_hash);
	}
}
