#include "daemon/instance.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "board_wakes.h"
#include "common/clock.h"
#include "common/log.h"
#include "daemon/counters.h"
#include "daemon/activation.h"
#include "daemon/budget.h"
#include "daemon/cgroup.h"
#include "daemon/events.h"
#include "daemon/health.h"
#include "daemon/hold.h"
#include "daemon/log_stream.h"
#include "daemon/network.h"
#include "daemon/oom.h"
#include "daemon/readiness.h"
#include "daemon/record.h"
#include "daemon/rollout.h"
#include "daemon/rollout_trial.h"
#include "daemon/sandbox.h"
#include "daemon/schedule.h"
#include "daemon/secret_watch.h"
#include "daemon/secrets.h"
#include "daemon/start_queue.h"
#include "daemon/storage.h"
#include "daemon/usage.h"
#include "mem.h"

#define DRAIN_LOOK_SECONDS 0.02
#define HOLD_LOOK_SECONDS  60.0

double daemon_now(void)
{
	return (double)clock_ns(CLOCK_MONOTONIC) / 1e9;
}

uint64_t daemon_now_ms(void)
{
	return (uint64_t)(daemon_now() * 1000);
}

struct instance *instance_find(struct daemon *d, const char *key)
{
	struct instance *instance;

	HASH_FIND_STR(d->instances, key, instance);
	return instance;
}

double instance_idle_for(struct daemon *d, const struct instance *instance)
{
	double now = daemon_now();
	struct board_use use;
	double since, held = fmax(hold_until(d, instance, NULL), schedule_used(instance));

	instance_use(d, instance, &use);
	since = (double)use.last_used_ms / 1000;
	if (use.in_flight || since > now)
		since = now;
	if (instance->run && instance->run->ready_since > since)
		since = instance->run->ready_since;
	/* Who was woken is given the time to be used. */
	if (instance->state == INSTANCE_READY && instance->state_since > since)
		since = instance->state_since;
	return now - (held > since ? held : since);
}

static bool reaches(double seconds, int64_t limit)
{
	return limit && seconds >= (double)limit;
}

void instance_arm_sleep(struct daemon *d, struct instance *instance)
{
	const struct option_ladder *ladder = instance->spec ? &instance->spec->ladder : NULL;
	int64_t limit;
	double idle_for;

	/* Who is kept ready by the clock is looked at when his hours end. */
	if (!ladder || instance->wanted_state == TENANT_RUNNING || schedule_keeps(instance))
		return;
	limit = ladder->frozen && instance->state == INSTANCE_READY ? ladder->frozen
								    : ladder->stopped;
	if (!limit)
		return;
	idle_for = instance_idle_for(d, instance);
	/* A hold is by the clock on the wall, which may be set. */
	instance_arm(d, instance,
		idle_for < -HOLD_LOOK_SECONDS ? HOLD_LOOK_SECONDS : (double)limit - idle_for);
}

/* The timer of READY and FROZEN looks for idleness; that of DRAINING for the end of what is in
 * flight. */
static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct instance *instance = timer->data;
	struct daemon *d = ev_userdata(loop);
	double idle_for;

	(void)events;
	switch (instance->state) {
	case INSTANCE_READY:
	case INSTANCE_FROZEN:
		if (!instance->spec || instance->wanted_state == TENANT_RUNNING ||
			schedule_keeps(instance))
			return;
		idle_for = instance_idle_for(d, instance);
		instance->idle = reaches(idle_for, instance->spec->ladder.stopped);
		instance->idle_freeze = instance->state == INSTANCE_READY &&
					reaches(idle_for, instance->spec->ladder.frozen);
		if (!instance->idle && !instance->idle_freeze) {
			instance_arm_sleep(d, instance);
			return;
		}
		break;
	case INSTANCE_DRAINING:
		if (daemon_now() >= instance->drain_deadline)
			instance->time_is_up = true;
		else
			instance_arm(d, instance, DRAIN_LOOK_SECONDS);
		break;
	default:
		instance->time_is_up = true;
		break;
	}
	instance_mark(d, instance);
}

struct instance *instance_get(struct daemon *d, const char *key)
{
	struct instance *instance = instance_find(d, key);

	if (instance)
		return instance;
	instance = mem_alloc(sizeof(*instance));
	instance->key = mem_strdup(key);
	instance->state_since = daemon_now();
	ev_timer_init(&instance->timer, on_timer, 0., 0.);
	instance->timer.data = instance;
	HASH_ADD_KEYPTR(hh, d->instances, instance->key, strlen(instance->key), instance);
	return instance;
}

void run_register(struct daemon *d, struct run *run)
{
	HASH_ADD(by_pid, d->runs, pid, sizeof(run->pid), run);
	usage_run_begins(d, run);
	oom_run_begins(d);
}

void run_free(struct daemon *d, struct run *run)
{
	if (!run)
		return;
	if (run->pid > 0) {
		log_stream_drop(d, run);
		record_remove(d, run->key);
	}
	budget_leave(d, run);
	if (run->by_pid.tbl)
		HASH_DELETE(by_pid, d->runs, run);
	network_close(d, run);
	d->port_given[run->port] = false;
	readiness_stop(d, run);
	activation_boot_stop(d, run);
	health_stop(d, run);
	if (run->failed_fd >= 0)
		close(run->failed_fd);
	if (run->freezer_fd >= 0)
		close(run->freezer_fd);
	usage_run_ends(d, run);
	if (run->cgroup)
		cgroup_end(d, run->cgroup);
	secrets_take_back(d, run);
	sandbox_end(d, run);
	spec_unref(run->spec);
	free(run->limits);
	free(run->limits_problem);
	free(run->oom_limit);
	free(run->cgroup);
	free(run->socket_path);
	free(run->key);
	free(run);
}

void instance_free(struct daemon *d, struct instance *instance)
{
	assert(!instance->in_dirty && !instance->queued && !instance->reclaiming);
	ev_timer_stop(d->loop, &instance->timer);
	rollout_trial_stop(d, instance);
	record_forget(instance);
	schedule_leave(instance);
	secret_watch_leave(d, instance);
	activation_drop(d, instance);
	HASH_DEL(d->instances, instance);
	run_free(d, instance->run);
	usage_forget(instance);
	spec_unref(instance->spec);
	spec_unref(instance->published);
	spec_unref(instance->held);
	spec_unref(instance->held_for);
	free(instance->failures);
	free(instance->eviction_why);
	free(instance->reason);
	free(instance->key);
	free(instance);
}

void instance_mark(struct daemon *d, struct instance *instance)
{
	if (instance->in_dirty)
		return;
	instance->in_dirty = true;
	/* First come, first served. */
	if (d->dirty)
		d->last_dirty->next_dirty = instance;
	else
		d->dirty = instance;
	d->last_dirty = instance;
}

void instance_wake(struct daemon *d, struct instance *instance, const char *cause)
{
	if (!instance->wanted_awake || schedule_is_cause(instance->wake_cause))
		instance->wake_cause = cause;
	instance->wanted_awake = true;
	instance->only_asked = false;
	start_queue_hurry(d, instance);
	instance_mark(d, instance);
}

void instance_woken(struct instance *instance)
{
	const char *otherwise = "a restart";

	if (instance->wanted_state == TENANT_RUNNING)
		otherwise = "being declared running";
	else if (!instance->failure_count && schedule_keeps(instance))
		otherwise = "its hours (awake)";

	instance->woken_by = instance->wake_cause ? instance->wake_cause : otherwise;
	instance->woken_at = daemon_now();
	counters_woken(instance);
	instance->wake_cause = NULL;
}

void instance_set_reason(struct instance *instance, char *reason)
{
	free(instance->reason);
	instance->reason = reason;
}

void instance_set_state(
	struct daemon *d, struct instance *instance, enum instance_state state, const char *why)
{
	enum instance_state was = instance->state;
	struct board_use use;

	assert(instance->known);
	assert(state != INSTANCE_READY || instance->run);
	instance->used = instance->used || state != INSTANCE_ASLEEP;
	ev_timer_stop(d->loop, &instance->timer);
	instance->state = state;
	instance->state_since = daemon_now();
	instance->time_is_up = false;
	instance->idle = instance->idle_freeze = false;
	if (state != INSTANCE_DRAINING && state != INSTANCE_STOPPING)
		instance->draining_idle = false;
	if (state != INSTANCE_FAILED)
		instance->failed_since = 0;
	if (state != INSTANCE_BACKOFF)
		instance->next_try = 0;
	if (state == INSTANCE_ASLEEP || state == INSTANCE_FAILED)
		board_wake_unclaim(d->board, instance->target.slot);
	route_table_set_state(d->table, instance->target, state);
	activation_state_is(d, instance);
	storage_state_is(d, instance);
	if (state == INSTANCE_READY) {
		instance_use(d, instance, &use);
		instance->requests_before = use.requests;
	}
	rollout_look(d, instance);
	/* Who waits goes on waiting while it starts. */
	if (state != INSTANCE_STARTING)
		d->hosts_changed = true;
	if (was == state)
		return;
	instance->wakes += was == INSTANCE_ASLEEP && state == INSTANCE_STARTING;
	log_info("%s: %s -> %s%s%s", instance->key, instance_state_names[was],
		instance_state_names[state], why ? ": " : "", why ? why : "");
	events_note_state(d, instance, was, why);
}

void instance_arm(struct daemon *d, struct instance *instance, double seconds)
{
	ev_timer_stop(d->loop, &instance->timer);
	ev_now_update(d->loop);
	ev_timer_set(&instance->timer, seconds > 0 ? seconds : 0, 0.);
	ev_timer_start(d->loop, &instance->timer);
}

bool instance_is_used(const struct daemon *d, const struct instance *instance)
{
	return instance->known &&
	       (instance->used || board_has_refused(d->board, instance->target.slot));
}

void instance_use(struct daemon *d, const struct instance *instance, struct board_use *use)
{
	*use = (struct board_use){ 0 };
	if (instance_is_used(d, instance))
		board_use(d->board, instance->target.slot, use);
}

bool instance_in_flight(struct daemon *d, const struct instance *instance)
{
	struct board_use use;

	instance_use(d, instance, &use);
	return use.in_flight > 0;
}

bool instance_in_use(struct daemon *d, const struct instance *instance)
{
	const struct ten_spec *spec = instance->spec ? instance->spec : instance->published;
	struct board_use use;

	instance_use(d, instance, &use);
	if (use.in_flight)
		return true;
	return use.upgraded && (!spec || spec->values.idle_connections == IDLE_CONNECTIONS_KEEP);
}
