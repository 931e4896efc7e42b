#include "plan.h"

#include <stddef.h>

const char *const plan_action_names[PLAN_ACTIONS] = {
	[PLAN_NOTHING] = "nothing",
	[PLAN_DECLARE] = "declare",
	[PLAN_REMOVE] = "remove",
	[PLAN_UPDATE] = "update",
	[PLAN_REST] = "rest",
	[PLAN_QUEUE] = "queue",
	[PLAN_START] = "start",
	[PLAN_READY] = "ready",
	[PLAN_FREEZE] = "freeze",
	[PLAN_THAW] = "thaw",
	[PLAN_UNDRAIN] = "undrain",
	[PLAN_DRAIN] = "drain",
	[PLAN_STOP] = "stop",
	[PLAN_KILL] = "kill",
	[PLAN_BACKOFF] = "backoff",
	[PLAN_FAIL] = "fail",
};

const char *const tenant_state_names[] = {
	[TENANT_ON_DEMAND] = "on-demand",
	[TENANT_RUNNING] = "running",
	[TENANT_STOPPED] = "stopped",
	[TENANT_SUSPENDED] = "suspended",
};

static struct plan_step step(enum plan_action action, const char *why)
{
	return (struct plan_step){ .action = action, .why = why };
}

static const struct plan_step nothing = { .action = PLAN_NOTHING };

static bool wanted_down(const struct plan_want *want)
{
	return want->ending || !want->declared || want->state == TENANT_STOPPED ||
	       want->state == TENANT_SUSPENDED;
}

static const char *why_down(const struct plan_want *want)
{
	if (want->ending)
		return "tenement is stopping";
	if (!want->declared)
		return "no longer declared";
	return want->state == TENANT_SUSPENDED ? "suspended" : "declared stopped";
}

enum instance_state plan_rest_state(const struct plan_want *want)
{
	if (want->declared && want->state == TENANT_STOPPED)
		return INSTANCE_STOPPED;
	if (want->declared && want->state == TENANT_SUSPENDED)
		return INSTANCE_SUSPENDED;
	return INSTANCE_ASLEEP;
}

/* Whether what its process was started from is no longer what is asked for. */
static bool changed(const struct plan_want *want, const struct plan_have *have)
{
	return have->restart_hash != want->restart_hash || have->secrets_changed;
}

/* Whether it is to be ready without anybody's asking for it. */
static bool kept_up(const struct plan_want *want)
{
	return want->state == TENANT_RUNNING || (want->state == TENANT_ON_DEMAND && want->awake);
}

static const char *why_kept(const struct plan_want *want)
{
	return want->state == TENANT_RUNNING ? "declared running" : "kept awake";
}

/* Whether it should run although nothing is changed about it. */
static bool wanted_up(const struct plan_want *want, const struct plan_have *have)
{
	return !wanted_down(want) && !have->told_to_stop && (kept_up(want) || have->wanted_awake);
}

static struct plan_step start_or_queue(const struct plan_have *have, const char *why)
{
	if (have->may_start)
		return step(PLAN_START, why);
	return have->state == INSTANCE_STARTING ? nothing : step(PLAN_QUEUE, why);
}

static struct plan_step at_rest(const struct plan_want *want, const struct plan_have *have)
{
	if (want->ending)
		return nothing;
	if (!want->declared)
		return step(PLAN_REMOVE, "no longer declared");
	if (have->live_hash != want->live_hash)
		return step(PLAN_UPDATE, "changed");
	if (have->state != plan_rest_state(want))
		return step(PLAN_REST, "declared so");
	if (wanted_up(want, have))
		return start_or_queue(have, kept_up(want) ? why_kept(want) : "wanted");
	return nothing;
}

/* It ended though nobody told it to. */
static struct plan_step ended_by_itself(const struct plan_want *want, const struct plan_have *have)
{
	bool clean = have->exit == PLAN_EXIT_CLEAN && have->state == INSTANCE_READY;

	if (wanted_down(want) || have->told_to_stop)
		return step(PLAN_REST, "ended");
	if (want->restart == RESTART_NEVER)
		return want->state == TENANT_RUNNING || have->state == INSTANCE_STARTING
			       ? step(PLAN_FAIL, "it ended, and restart = \"never\"")
			       : step(PLAN_REST, "it ended, and restart = \"never\"");
	if (clean && want->restart == RESTART_ON_FAILURE && !kept_up(want))
		return step(PLAN_REST, "it ended by itself");
	if (have->restarts_used_up)
		return step(PLAN_FAIL, "it failed too often");
	return step(PLAN_BACKOFF, "it failed");
}

static struct plan_step starting(const struct plan_want *want, const struct plan_have *have)
{
	struct plan_step stop = step(PLAN_STOP, NULL);

	if (!have->process) {
		if (wanted_down(want) || have->told_to_stop)
			return step(PLAN_REST, why_down(want));
		if (have->live_hash != want->live_hash)
			return step(PLAN_UPDATE, "changed");
		if (have->unasked && !kept_up(want))
			return step(PLAN_REST, "nobody waits for it any more");
		return start_or_queue(have, "its turn");
	}
	if (have->exit != PLAN_EXIT_NONE)
		return ended_by_itself(want, have);
	if (wanted_down(want) || have->told_to_stop) {
		stop.why = have->told_to_stop ? "told to" : why_down(want);
		return stop;
	}
	if (changed(want, have) || have->told_to_restart) {
		stop.why = "changed while it was starting";
		stop.again = true;
		return stop;
	}
	if (have->live_hash != want->live_hash)
		return step(PLAN_UPDATE, "changed");
	if (have->ready)
		return step(PLAN_READY, "ready");
	if (have->time_is_up) {
		stop.why = "not ready within startup_timeout";
		return stop;
	}
	return nothing;
}

/* It was chosen when nothing was asked of it: that may be over. */
static bool makes_room(const struct plan_want *want, const struct plan_have *have)
{
	if (want->state != TENANT_ON_DEMAND || want->awake || have->in_flight)
		return false;
	return have->eviction == EVICTION_FREEZE ||
	       (have->eviction == EVICTION_STOP && !have->in_use);
}

static struct plan_step to_make_room(const struct plan_have *have)
{
	return have->in_use ? nothing
			    : (struct plan_step){
				      .action = PLAN_DRAIN, .why = have->eviction_why, .idle = true
			      };
}

static struct plan_step ready(const struct plan_want *want, const struct plan_have *have)
{
	struct plan_step drain = step(PLAN_DRAIN, NULL);

	if (have->exit != PLAN_EXIT_NONE)
		return ended_by_itself(want, have);
	if (wanted_down(want)) {
		drain.why = why_down(want);
		return drain;
	}
	if (have->told_to_stop) {
		drain.why = "told to";
		return drain;
	}
	/* It took nothing from its socket, so that there is nothing to drain. */
	if (have->failed_start)
		return step(PLAN_STOP, "not ready within startup_timeout");
	if (have->told_to_restart || have->unhealthy) {
		drain.why = have->unhealthy ? "health checks failed" : "told to";
		drain.again = true;
		return drain;
	}
	if (have->live_hash != want->live_hash)
		return step(PLAN_UPDATE, "changed");
	if (changed(want, have)) {
		drain.why = have->secrets_changed ? "a secret of it changed" : "changed";
		drain.again = true;
		drain.rolling = true;
		return have->may_roll ? drain : nothing;
	}
	if (makes_room(want, have)) {
		if (have->eviction == EVICTION_FREEZE && want->freezes)
			return step(PLAN_FREEZE, have->eviction_why);
		return to_make_room(have);
	}
	if (have->idle && !have->in_use && !kept_up(want) && want->sleeps) {
		drain.why = "idle";
		drain.idle = true;
		return drain;
	}
	if (have->idle_freeze && !have->in_flight && !kept_up(want) && want->freezes)
		return step(PLAN_FREEZE, "idle");
	return nothing;
}

/* It has a process that does nothing. Whoever wants something of it is to have it running first;
 * what changed about it is no reason to run: it is stopped, and the next request starts it anew. */
static struct plan_step frozen(const struct plan_want *want, const struct plan_have *have)
{
	struct plan_step drain = step(PLAN_DRAIN, NULL);

	if (have->exit != PLAN_EXIT_NONE)
		return wanted_up(want, have) ? ended_by_itself(want, have)
					     : step(PLAN_REST, "it ended while it was frozen");
	if (wanted_down(want) || have->told_to_stop) {
		drain.why = have->told_to_stop ? "told to" : why_down(want);
		return drain;
	}
	if (have->told_to_restart) {
		drain.why = "told to";
		drain.again = true;
		return drain;
	}
	if (have->wanted_awake || have->in_flight)
		return step(PLAN_THAW, "wanted");
	if (have->live_hash != want->live_hash)
		return step(PLAN_UPDATE, "changed");
	if (kept_up(want))
		return step(PLAN_THAW, why_kept(want));
	if (changed(want, have)) {
		if (have->in_use)
			return step(PLAN_THAW, "changed, and connections are open");
		drain.why = "changed while it was frozen";
		drain.idle = true;
		return drain;
	}
	if (have->eviction == EVICTION_STOP && makes_room(want, have))
		return to_make_room(have);
	if (!want->freezes)
		return step(PLAN_THAW, "no longer to be frozen");
	if (have->idle && !have->in_use && want->sleeps) {
		drain.why = "idle";
		drain.idle = true;
		return drain;
	}
	return nothing;
}

static struct plan_step try_again_or_fail(
	const struct plan_want *want, const struct plan_have *have)
{
	return have->restarts_used_up || want->restart == RESTART_NEVER
		       ? step(PLAN_FAIL, "it failed too often")
		       : step(PLAN_BACKOFF, "it failed");
}

static struct plan_step draining(const struct plan_want *want, const struct plan_have *have)
{
	struct plan_step stop = step(PLAN_STOP, "drained");

	if (have->exit != PLAN_EXIT_NONE)
		return have->unhealthy && !wanted_down(want) && !have->told_to_stop
			       ? try_again_or_fail(want, have)
			       : step(PLAN_REST, "ended while it was drained");
	if (have->draining_idle && (have->in_use || have->wanted_awake) && !wanted_down(want))
		return step(PLAN_UNDRAIN, "a request came");
	if (have->draining_idle && want->state == TENANT_ON_DEMAND && want->awake &&
		!wanted_down(want))
		return step(PLAN_UNDRAIN, why_kept(want));
	stop.again = have->again;
	if (!have->in_use)
		return stop;
	if (have->time_is_up) {
		stop.why = "drain_timeout";
		return stop;
	}
	return nothing;
}

static struct plan_step stopping(const struct plan_want *want, const struct plan_have *have)
{
	if (have->exit != PLAN_EXIT_NONE) {
		if ((have->failed_start || have->unhealthy) && !wanted_down(want) &&
			!have->told_to_stop)
			return try_again_or_fail(want, have);
		return step(PLAN_REST, "ended");
	}
	if (have->time_is_up && !have->killed)
		return step(PLAN_KILL, "it goes on after stop_signal and stop_timeout");
	return nothing;
}

static struct plan_step backing_off(const struct plan_want *want, const struct plan_have *have)
{
	if (wanted_down(want) || have->told_to_stop)
		return step(PLAN_REST, why_down(want));
	if (changed(want, have) || have->told_to_restart)
		return step(PLAN_REST, "changed");
	if (have->live_hash != want->live_hash)
		return step(PLAN_UPDATE, "changed");
	if (have->time_is_up)
		return have->may_start ? step(PLAN_START, "next try")
				       : step(PLAN_QUEUE, "next try");
	return nothing;
}

static struct plan_step failed(const struct plan_want *want, const struct plan_have *have)
{
	if (wanted_down(want))
		return step(PLAN_REST, why_down(want));
	if (changed(want, have))
		return step(PLAN_REST, "changed");
	if (have->told_to_restart)
		return step(PLAN_REST, "told to");
	if (have->live_hash != want->live_hash)
		return step(PLAN_UPDATE, "changed");
	if (have->cooled_down && wanted_up(want, have))
		return start_or_queue(have, "the cool-down is over");
	return nothing;
}

struct plan_step plan_next(const struct plan_want *want, const struct plan_have *have)
{
	if (!have->known)
		return want->declared && !want->ending ? step(PLAN_DECLARE, "declared") : nothing;
	switch (have->state) {
	case INSTANCE_ASLEEP:
	case INSTANCE_STOPPED:
	case INSTANCE_SUSPENDED:
		return at_rest(want, have);
	case INSTANCE_STARTING:
		return starting(want, have);
	case INSTANCE_READY:
		return ready(want, have);
	case INSTANCE_FROZEN:
		return frozen(want, have);
	case INSTANCE_DRAINING:
		return draining(want, have);
	case INSTANCE_STOPPING:
		return stopping(want, have);
	case INSTANCE_BACKOFF:
		return backing_off(want, have);
	case INSTANCE_FAILED:
		return failed(want, have);
	case INSTANCE_STATES:
		break;
	}
	return nothing;
}
