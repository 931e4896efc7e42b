#include "daemon/lifecycle.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/init_signal.h"
#include "common/log.h"
#include "daemon/activation.h"
#include "daemon/budget.h"
#include "daemon/cgroup.h"
#include "daemon/counters.h"
#include "daemon/events.h"
#include "daemon/failures.h"
#include "daemon/folders.h"
#include "daemon/freeze.h"
#include "daemon/health.h"
#include "daemon/limits.h"
#include "daemon/log_stream.h"
#include "daemon/metrics_rows.h"
#include "daemon/network.h"
#include "daemon/oom.h"
#include "daemon/publish.h"
#include "daemon/readiness.h"
#include "daemon/reclaim.h"
#include "daemon/reconcile.h"
#include "daemon/record.h"
#include "daemon/rollout.h"
#include "daemon/schedule.h"
#include "daemon/secret_watch.h"
#include "daemon/spawn.h"
#include "daemon/start_queue.h"
#include "daemon/stop_signal.h"
#include "daemon/storage.h"
#include "daemon/usage.h"
#include "daemon/wake_times.h"
#include "mem.h"

#define FREEZE_AGAIN_SECONDS 60.0
#define SHORTAGE_SECONDS_MAX 5.0
#define SHORTAGES_COUNTED    16

static void enter_starting(struct daemon *d, struct run *run)
{
	run->counted = true;
	d->starting++;
}

/* Whether it is ready or not, RUN is no longer one of those that start. */
static void leave_starting(struct daemon *d, struct run *run)
{
	if (run->counted)
		d->starting--;
	run->counted = false;
	start_queue_mark(d);
}

/* The process is gone or never was: everything of it goes. */
static void drop_run(struct daemon *d, struct instance *instance)
{
	/* Also one that only waited for its turn, or could not be started, makes room. */
	if (!instance->run) {
		start_queue_mark(d);
		return;
	}
	leave_starting(d, instance->run);
	instance->exit_seen = instance->run->exit != PLAN_EXIT_NONE;
	instance->exit_normal = instance->run->exited_normally;
	instance->exit_status = instance->run->exit_status;
	reclaim_cancel(d, instance);
	run_free(d, instance->run);
	instance->run = NULL;
}

static char *describe_exit(const struct run *run, const char *before)
{
	autofree char *how = NULL, *reason = NULL;

	if (!run || run->exit == PLAN_EXIT_NONE)
		return mem_strdup(before);
	if (run->exit_status < 0)
		return mem_printf("%sit ended while nobody could see how", before);
	if (run->exited_normally)
		how = mem_printf("exit status %d", run->exit_status);
	else
		how = mem_printf(
			"killed by signal %d (%s)", run->exit_status, strsignal(run->exit_status));
	reason = oom_reason(run, how);
	return mem_printf("%s%s", before, reason);
}

/* What the machine has none of at the moment is no failure of the tenant's. */
static bool is_shortage(int code)
{
	return code == ENOSPC || code == EDQUOT || code == EMFILE || code == ENFILE ||
	       code == ENOMEM || code == ENOBUFS || code == EAGAIN || code == EROFS || code == EIO;
}

static void publish_or_log(struct daemon *d, struct instance *instance)
{
	struct ten_error err;

	if (publish_instance(d, instance, &err) < 0 || publish_hosts(d, instance, &err) < 0) {
		log_error("%s: %s", instance->key, err.text);
		counters_step_failed();
		instance_set_reason(instance, mem_strdup(err.text));
	}
	instance->live_hash = instance->wanted_live_hash;
}

static void declare(struct daemon *d, struct instance *instance)
{
	struct ten_error err;

	if (route_table_slot_take(d->table, &instance->target, &err) < 0) {
		instance_set_reason(instance, mem_strdup(err.text));
		log_error("%s: %s", instance->key, err.text);
		counters_step_failed();
		return;
	}
	/* Of a slot's first tenant, in the first table, there is nothing to clear. */
	instance->used = d->table_is_new || instance->target.incarnation > 1;
	if (instance->used)
		board_slot_clear(d->board, instance->target.slot);
	d->by_slot[instance->target.slot] = instance;
	instance->known = true;
	instance->state = INSTANCE_ASLEEP;
	publish_or_log(d, instance);
	reconcile_mark_route(d, instance->spec->service_name);
	d->hosts_changed = true;
	/* At a start all of them are. */
	if (d->first_reconcile_done)
		events_note(d, EVENT_DECLARED, instance->key, "in %s", instance->spec->file);
}

static bool is_declared(void *data, const char *service)
{
	const struct daemon *d = data;

	return config_set_service(d->set, service) != NULL;
}

static void take_out(struct daemon *d, struct instance *instance)
{
	autofree char *service = mem_strndup(instance->key, strcspn(instance->key, ":"));

	rollout_left(d, instance);
	wake_times_collect(d, instance);
	if (instance->published)
		publish_remove_hosts(d, instance);
	metrics_rows_leaving(d, instance);
	usage_slot_ends(d, instance);
	counters_left(instance);
	if (instance_is_used(d, instance))
		board_gone_add(d->board, instance->target.slot, service, is_declared, d);
	route_table_slot_give_back(d->table, instance->target);
	d->by_slot[instance->target.slot] = NULL;
	instance->known = false;
	d->hosts_changed = true;
	activation_drop(d, instance);
	failures_remove(d, instance->key);
	storage_forget(d, instance->key);
	folders_remove_socket(d, instance->key);
	log_info("%s: no longer declared; its data stays", instance->key);
	events_note(d, EVENT_REMOVED, instance->key, "no longer declared; its data stays");
}

static char *failure_reason(const struct instance *instance)
{
	const struct run *run = instance->run;
	char *problem = run ? spawn_problem(run) : NULL;

	if (problem)
		return problem;
	if (!run || instance->failed_start || instance->unhealthy)
		return mem_strdup(instance->reason ? instance->reason : "it could not be started");
	return describe_exit(run, run->ready && !run->boot ? "" : "before it was ready: ");
}

/* The change is what failed, and not the tenant: it is started again by what it ran by before. */
static void go_back(struct daemon *d, struct instance *instance, const char *reason)
{
	instance_set_reason(instance, mem_printf("%s; back to the template before", reason));
	instance_set_state(d, instance, INSTANCE_BACKOFF, instance->reason);
	instance->again = true;
	instance_mark(d, instance);
}

/* It failed: ACTION says whether it is tried again (PLAN_BACKOFF) or given up (PLAN_FAIL). */
static void fail(struct daemon *d, struct instance *instance, enum plan_action action)
{
	autofree char *reason = failure_reason(instance);
	double delay;
	bool back;

	failures_note(instance);
	if (instance->run)
		failures_blame(d, instance, instance->run->restart_hash);
	else if (instance->spec)
		failures_blame(d, instance, rollout_spec(d, instance)->restart_hash);
	secret_watch_failed(d, instance);
	back = rollout_failed(d, instance, reason);
	drop_run(d, instance);
	instance->failed_start = instance->again = instance->unhealthy = false;
	if (back) {
		go_back(d, instance, reason);
		return;
	}
	if (action == PLAN_FAIL) {
		instance->wanted_awake = false;
		instance_set_reason(instance,
			instance->on_trial ? mem_printf("%s; given up again after one try", reason)
					   : mem_printf("%s; given up after %zu tries", reason,
						     instance->failure_count));
		/* Until when comes first, then that it is. */
		instance->failed_since = daemon_now();
		if (instance->spec)
			publish_or_log(d, instance);
		instance_set_state(d, instance, INSTANCE_FAILED, instance->reason);
		failures_arm(d, instance);
		failures_write(d, instance);
		return;
	}
	delay = failures_backoff(d, instance);
	instance_set_reason(instance, mem_printf("%s; next try after %.3g s", reason, delay));
	instance_set_state(d, instance, INSTANCE_BACKOFF, instance->reason);
	instance->next_try = daemon_now() + delay;
	instance_arm(d, instance, delay);
	failures_write(d, instance);
}

/* For want of something it could not be started, and is given up never. */
static void put_off(struct daemon *d, struct instance *instance, const struct ten_error *err)
{
	double longest = (double)config_set_settings(d->set)->backoff_max_ms / 1000;
	double delay = (double)config_set_settings(d->set)->backoff_base_ms / 1000;

	for (unsigned i = 0; i < instance->shortages; i++)
		delay *= 2;
	if (instance->shortages < SHORTAGES_COUNTED)
		instance->shortages++;
	if (delay > longest)
		delay = longest;
	if (delay > SHORTAGE_SECONDS_MAX)
		delay = SHORTAGE_SECONDS_MAX;
	failures_blame(d, instance, rollout_spec(d, instance)->restart_hash);
	secret_watch_failed(d, instance);
	instance->failed_start = instance->again = instance->unhealthy = false;
	drop_run(d, instance);
	instance_set_reason(instance, mem_printf("%s; next try after %.3g s", err->text, delay));
	instance_set_state(d, instance, INSTANCE_BACKOFF, instance->reason);
	instance->next_try = daemon_now() + delay;
	instance_arm(d, instance, delay);
}

static void rest(struct daemon *d, struct instance *instance, const char *why)
{
	struct plan_want want = { .declared = instance->spec != NULL,
		.state = instance->wanted_state };
	bool up = want.declared && plan_rest_state(&want) == INSTANCE_ASLEEP &&
		  !instance->told_to_stop && !d->shutting_down;
	bool again = up && (instance->again || instance->told_to_restart);
	bool by_itself = instance->run && instance->run->exit != PLAN_EXIT_NONE &&
			 instance->state != INSTANCE_STOPPING &&
			 instance->state != INSTANCE_DRAINING;
	bool remembered = false;

	if (by_itself)
		instance_set_reason(instance, describe_exit(instance->run, "ended by itself: "));
	else if (!(instance->run && instance->run->killed) &&
		 (instance->state == INSTANCE_STOPPING || instance->state == INSTANCE_FAILED ||
			 instance->state == INSTANCE_BACKOFF ||
			 instance->state == INSTANCE_DRAINING))
		instance_set_reason(instance, NULL);
	if (instance->state == INSTANCE_FAILED || instance->state == INSTANCE_BACKOFF ||
		instance->told_to_restart) {
		failures_forget(instance);
		remembered = true;
	}
	/* A second after it was ready is too soon, however politely. */
	if (by_itself && up && instance->rolling)
		again = rollout_failed(d, instance, instance->reason);
	else if (!again)
		rollout_left(d, instance);
	/* Put to rest, it is not started again by the clock alone. */
	if (instance->told_to_stop || (by_itself && !again && instance->spec &&
					      instance->spec->values.restart == RESTART_NEVER))
		schedule_skip(d, instance);
	else if (plan_rest_state(&want) != INSTANCE_ASLEEP)
		schedule_forgo(d, instance);
	start_queue_leave(d, instance);
	drop_run(d, instance);
	instance->again = instance->told_to_stop = instance->told_to_restart = false;
	instance->unhealthy = instance->failed_start = false;
	instance_set_state(d, instance, plan_rest_state(&want), why);
	if (remembered)
		failures_write(d, instance);
	if (again) {
		instance->wanted_awake = true;
		instance->only_asked = false;
	}
	if (instance->spec)
		publish_or_log(d, instance);
}

static void count_restart(struct instance *instance)
{
	instance->restarts++;
	counters_add(instance, COUNTER_RESTARTS, 1);
}

static void start(struct daemon *d, struct instance *instance)
{
	struct ten_error err;
	double limit;

	rollout_starting(d, instance);
	limit = (double)rollout_spec(d, instance)->values.startup_timeout;
	instance->wanted_awake = instance->told_to_restart = instance->only_asked = false;
	instance_woken(instance);
	schedule_started(d, instance);
	if (instance->failure_count || (instance->on_trial && !instance->trial_until))
		count_restart(instance);
	wake_times_turn(d, instance);
	start_queue_leave(d, instance);
	instance_set_state(d, instance, INSTANCE_STARTING, NULL);
	if (spawn_start(d, instance, &err) < 0 && is_shortage(err.code)) {
		put_off(d, instance, &err);
		return;
	}
	if (!instance->run) {
		counters_step_failed();
		instance_set_reason(instance, mem_strdup(err.text));
		fail(d, instance, failures_used_up(d, instance) ? PLAN_FAIL : PLAN_BACKOFF);
		return;
	}
	instance->shortages = 0;
	instance->starts++;
	counters_add(instance, COUNTER_STARTS, 1);
	wake_times_spawned(d, instance);
	budget_enter(d, instance);
	enter_starting(d, instance->run);
	if (instance->failure_count || instance->on_trial)
		failures_write(d, instance);
	instance_set_reason(instance, NULL);
	if (instance->activation && instance->run->spec->values.ready == READY_LISTEN) {
		instance->run->ready = instance->run->by_socket = true;
		activation_boot_start(d, instance);
		return;
	}
	readiness_start(d, instance);
	instance_arm(d, instance, limit);
}

static void serve(struct daemon *d, struct instance *instance)
{
	struct ten_error err;

	if (!instance->run->boot)
		leave_starting(d, instance->run);
	instance->run->ready_since = daemon_now();
	failures_got_ready(d, instance);
	instance->wanted_awake = false;
	instance->unhealthy = false;
	instance_set_reason(instance, NULL);
	/* Who comes back and finds it as one that starts sees that it listens, and no harm is done;
	 * but its READY=1 does not come a second time. */
	if (instance->run->spec->values.ready != READY_NOTIFY)
		record_write_later(instance);
	else if (record_write(d, instance, &err) < 0)
		record_write_later(instance);
	wake_times_ready(d, instance);
	/* Where it is first, then that it is there. */
	publish_or_log(d, instance);
	instance_set_state(d, instance, INSTANCE_READY, NULL);
	health_start(d, instance);
	limits_update(d, instance); /* startup_cpu_boost is over */
	rollout_ready(d, instance);
	instance_arm_sleep(d, instance);
}

static void thaw(struct daemon *d, struct instance *instance)
{
	reclaim_cancel(d, instance);
	freeze_thaw(instance->run);
	health_resume(d, instance->run);
}

/* FROZEN is stored first, and then it is read what is in use: a request that came before is seen
 * here, one that comes after sees the state and asks to be woken (see board.h). */
static void freeze(struct daemon *d, struct instance *instance, const char *why)
{
	const struct option_ladder *ladder = &instance->spec->ladder;
	struct ten_error err;

	instance_set_state(d, instance, INSTANCE_FROZEN, why);
	atomic_thread_fence(memory_order_seq_cst);
	if (instance->eviction != EVICTION_NONE
			? instance_in_flight(d, instance)
			: instance_idle_for(d, instance) < (double)ladder->frozen) {
		instance_set_state(d, instance, INSTANCE_READY, "a request came");
		instance_arm_sleep(d, instance);
		return;
	}
	if (freeze_run(instance->run, &err) < 0) {
		log_warn("%s: it cannot be frozen: %s", instance->key, err.text);
		instance->freeze_failed = true;
		thaw(d, instance);
		instance_set_state(d, instance, INSTANCE_READY, "it cannot be frozen");
		instance_arm(d, instance, FREEZE_AGAIN_SECONDS);
		return;
	}
	instance->freeze_failed = false;
	instance->freezes++;
	counters_add(instance, COUNTER_FREEZES, 1);
	budget_evicted(d, instance);
	health_pause(d, instance->run);
	reclaim_start(d, instance);
	instance_arm_sleep(d, instance);
}

static void drain(struct daemon *d, struct instance *instance, const struct plan_step *step)
{
	const struct ten_spec *spec = instance->spec ? instance->spec : instance->run->spec;

	instance->again = step->again;
	if (step->rolling)
		rollout_restarts(d, instance);
	/* It is to act on what it will be told. */
	if (instance->state == INSTANCE_FROZEN)
		thaw(d, instance);
	instance_set_state(d, instance, INSTANCE_DRAINING, step->why);
	instance->draining_idle = step->idle;
	instance->drain_deadline = daemon_now() + (double)spec->values.drain_timeout;
	instance_arm(d, instance, 0.);
}

static void stop(struct daemon *d, struct instance *instance, const struct plan_step *step)
{
	struct ten_error err;
	struct run *run = instance->run;
	const struct ten_spec *spec = instance->spec ? instance->spec : run->spec;

	leave_starting(d, run);
	if (instance->state == INSTANCE_STARTING) {
		instance->failed_start = instance->time_is_up && !step->again;
		if (instance->failed_start)
			instance_set_reason(instance,
				mem_printf("not ready within startup_timeout = %lld s%s%s",
					(long long)spec->values.startup_timeout,
					instance->reason ? ": "
							 : " (it listens neither on SOCKET_PATH "
							   "nor on PORT)",
					instance->reason ? instance->reason : ""));
	}
	instance->again = instance->again || step->again;
	readiness_stop(d, run);
	activation_boot_stop(d, run);
	health_stop(d, run);
	instance_set_state(d, instance, INSTANCE_STOPPING, step->why);
	/* Written first: who comes back between must not take it for one that serves. */
	run->stopping = true;
	budget_evicted(d, instance);
	if (record_write(d, instance, &err) < 0)
		record_write_later(instance);
	stop_signal_send(instance, run);
	instance_arm(d, instance, (double)spec->values.stop_timeout);
}

/* Why it was to end goes before how it did. */
static char *killed_reason(const struct instance *instance, const char *signal)
{
	bool failed = instance->reason && (instance->unhealthy || instance->failed_start);

	return mem_printf("%s%sit ignored %s and was killed", failed ? instance->reason : "",
		failed ? "; " : "", signal);
}

bool lifecycle_step(struct daemon *d, struct instance *instance, const struct plan_step *step)
{
	switch (step->action) {
	case PLAN_NOTHING:
	case PLAN_ACTIONS:
		return false;
	case PLAN_DECLARE:
		declare(d, instance);
		return instance->known;
	case PLAN_REMOVE:
		take_out(d, instance);
		return false;
	case PLAN_UPDATE:
		publish_or_log(d, instance);
		log_stream_bound(d, instance);
		network_update(d, instance);
		limits_update(d, instance);
		start_queue_sort(d, instance);
		if (instance->state == INSTANCE_READY || instance->state == INSTANCE_FROZEN)
			instance_arm_sleep(d, instance);
		else if (instance->state == INSTANCE_FAILED)
			failures_arm(d, instance);
		return true;
	case PLAN_REST:
		rest(d, instance, step->why);
		return true;
	case PLAN_QUEUE:
		if (instance->state == INSTANCE_FAILED)
			failures_trial_begins(instance);
		instance_set_state(d, instance, INSTANCE_STARTING, "waits for its turn");
		start_queue_enter(d, instance);
		return false;
	case PLAN_START:
		if (instance->state == INSTANCE_FAILED)
			failures_trial_begins(instance);
		start(d, instance);
		return true;
	case PLAN_READY:
		serve(d, instance);
		return true;
	case PLAN_UNDRAIN:
		instance_set_state(d, instance, INSTANCE_READY, step->why);
		instance->wanted_awake = false;
		schedule_started(d, instance);
		instance_arm_sleep(d, instance);
		return true;
	case PLAN_FREEZE:
		freeze(d, instance, step->why);
		return false;
	case PLAN_THAW:
		thaw(d, instance);
		instance->wanted_awake = false;
		instance_woken(instance);
		schedule_started(d, instance);
		instance_set_state(d, instance, INSTANCE_READY, step->why);
		instance_arm_sleep(d, instance);
		return true;
	case PLAN_DRAIN:
		drain(d, instance, step);
		/* The state was stored; what is read now came before it or waits for the next
		 * start. */
		return true;
	case PLAN_STOP:
		stop(d, instance, step);
		return true;
	case PLAN_KILL:
		instance->run->killed = true;
		log_warn("%s: %s: SIGKILL", instance->key, step->why);
		instance_set_reason(instance,
			killed_reason(instance, stop_signal_name(instance, instance->run)));
		stop_signal_kill(instance->run);
		if (instance->run->cgroup)
			cgroup_kill(instance->run->cgroup);
		return false;
	case PLAN_BACKOFF:
	case PLAN_FAIL:
		fail(d, instance, step->action);
		return true;
	}
	return false;
}

void lifecycle_took(struct daemon *d, struct instance *instance)
{
	leave_starting(d, instance->run);
}

void lifecycle_did_not_take(struct daemon *d, struct instance *instance)
{
	instance->failed_start = true;
	instance_set_reason(
		instance, mem_printf("it took nothing from its socket (LISTEN_FDS) within "
				     "startup_timeout = %lld s",
				  (long long)instance->run->spec->values.startup_timeout));
	instance_mark(d, instance);
}

void lifecycle_process_ended(
	struct daemon *d, pid_t pid, uint64_t start_time, bool exited, int status)
{
	struct run *run;

	HASH_FIND(by_pid, d->runs, &pid, sizeof(pid), run);
	if (!run || run->start_time != start_time)
		return;
	if (run->init && exited && status > INIT_EXIT_SIGNALED) {
		exited = false;
		status -= INIT_EXIT_SIGNALED;
	}
	run->exited_normally = exited;
	run->exit_status = status;
	run->exit = exited && status == 0 ? PLAN_EXIT_CLEAN : PLAN_EXIT_FAILED;
	if (instance_find(d, run->key))
		oom_look(d, instance_find(d, run->key));
	reconcile_mark_instance(d, run->key);
}

void lifecycle_kill_all(struct daemon *d)
{
	struct timespec grace = { .tv_sec = 1 };
	struct run *run, *next;

	HASH_ITER (by_pid, d->runs, run, next) {
		freeze_thaw(run);
		stop_signal_send(instance_find(d, run->key), run);
	}
	if (d->runs)
		nanosleep(&grace, NULL);
	HASH_ITER (by_pid, d->runs, run, next) {
		stop_signal_kill(run);
		if (run->cgroup)
			cgroup_kill(run->cgroup);
		record_remove(d, run->key);
	}
}

void lifecycle_adopted(struct daemon *d, struct instance *instance)
{
	struct run *run = instance->run;

	log_info("%s: took over process %d", instance->key, (int)run->pid);
	oom_adopted(d, instance);
	limits_update(d, instance);
	if (run->stopping) {
		freeze_thaw(run);
		instance_set_state(d, instance, INSTANCE_STOPPING, "taken over");
		/* That it was to be told was written down, and perhaps no more. */
		stop_signal_send(instance, run);
		instance_arm(d, instance, (double)instance->spec->values.stop_timeout);
	} else if (run->ready) {
		bool frozen = freeze_is_frozen(run);

		instance_set_state(
			d, instance, frozen ? INSTANCE_FROZEN : INSTANCE_READY, "taken over");
		instance->state_since = run->ready_since;
		health_start(d, instance);
		if (frozen) {
			freeze_prepare(run); /* for the thaw */
			health_pause(d, run);
		}
		instance_arm(d, instance, 0.);
	} else {
		/* That it was ready may not have got into its record, and it may be frozen. */
		if (freeze_is_frozen(run))
			freeze_thaw(run);
		instance_set_state(d, instance, INSTANCE_STARTING, "taken over");
		enter_starting(d, run);
		readiness_start(d, instance);
		instance_arm(d, instance, (double)instance->spec->values.startup_timeout);
	}
	instance_mark(d, instance);
}
