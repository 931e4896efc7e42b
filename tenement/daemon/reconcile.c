#include "daemon/reconcile.h"

#include <assert.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/files.h"
#include "common/log.h"
#include "daemon/budget.h"
#include "daemon/cgroup.h"
#include "daemon/confdir.h"
#include "daemon/control.h"
#include "daemon/deploy.h"
#include "daemon/events.h"
#include "daemon/counters.h"
#include "daemon/lifecycle.h"
#include "daemon/listeners.h"
#include "daemon/observe.h"
#include "daemon/network.h"
#include "daemon/override.h"
#include "daemon/port_guard.h"
#include "daemon/publish.h"
#include "daemon/record.h"
#include "daemon/rollout.h"
#include "daemon/schedule.h"
#include "daemon/secret_watch.h"
#include "daemon/settings.h"
#include "daemon/storage.h"
#include "daemon/usage.h"
#include "daemon/wake.h"
#include "daemon/workers.h"
#include "mem.h"
#include "option_value.h"
#include "plan.h"

#define STEPS_PER_TURN     16
#define ROUNDS_PER_TURN    100
#define IDLE_AGAIN_SECONDS 1.0
#define PAUSE_FILE         "paused"
#define PAUSE_MAX          65536

static char **dirty_routes;
static bool dirty_settings;
static ev_prepare turn_watcher;
static ev_idle busy_watcher; /* keeps the loop from sleeping while there is work */

/* ---- the turn ---- */

static void load(struct daemon *d)
{
	if (!d->shutting_down)
		confdir_load(d);
}

/* What is wanted of INSTANCE, overrides regarded. */
static void want(struct daemon *d, struct instance *instance)
{
	/* Paused: what is there goes on by what it was before, and nobody comes or goes; but who
	 * was there before a start of the machine is there after it. */
	bool held = d->paused && (instance->spec || d->first_reconcile_done);
	const struct ten_spec *spec =
		held ? instance->spec : config_set_instance(d->set, instance->key);
	const struct override *weight;
	uint64_t hash;

	if (spec != instance->spec) {
		spec_unref(instance->spec);
		instance->spec = spec ? spec_ref(spec) : NULL;
		schedule_join(d, instance);
	}
	if (!spec)
		return;
	weight = override_find(d, instance->key, OVERRIDE_WEIGHT);
	storage_want(d, instance, spec);
	instance->wanted_state = reconcile_effective_state(d, spec);
	instance->wanted_weight =
		weight ? (uint32_t)strtoul(weight->value, NULL, 10) : (uint32_t)spec->values.weight;
	hash = spec->live_hash;
	hash = option_hash_bytes(&instance->wanted_state, sizeof(instance->wanted_state), hash);
	hash = option_hash_bytes(&d->settings_hash, sizeof(d->settings_hash), hash);
	instance->wanted_live_hash = hash;
}

static void plan_and_apply(struct daemon *d, struct instance *instance)
{
	struct plan_want wanted;
	struct plan_have have;
	struct plan_step step;

	for (int i = 0; i < STEPS_PER_TURN; i++) {
		observe_instance(d, instance, &wanted, &have);
		step = plan_next(&wanted, &have);
		if (!lifecycle_step(d, instance, &step))
			break;
	}
	/* Idle it was found, and it was not acted upon: it is looked at anew later. */
	if ((instance->idle || instance->idle_freeze) &&
		(instance->state == INSTANCE_READY || instance->state == INSTANCE_FROZEN)) {
		instance->idle = instance->idle_freeze = false;
		instance_arm(d, instance, IDLE_AGAIN_SECONDS);
	}
	if (instance->state != INSTANCE_DRAINING)
		budget_spare(instance);
	if (!instance->known && !instance->spec)
		instance_free(d, instance);
}

static void apply(struct daemon *d)
{
	while (d->dirty) {
		struct instance *instance = d->dirty;

		d->dirty = instance->next_dirty;
		instance->next_dirty = NULL;
		instance->in_dirty = false;
		want(d, instance);
		plan_and_apply(d, instance);
	}
}

static void publish(struct daemon *d)
{
	struct ten_error err;
	uint64_t before = route_table_generation(d->table);
	uint64_t sealed;

	if (dirty_settings && publish_settings(d, &err) < 0) {
		log_error("%s", err.text);
		counters_step_failed();
	}
	dirty_settings = false;
	for (size_t i = 0; dirty_routes && dirty_routes[i]; i++) {
		if (publish_route(d, dirty_routes[i], &err) < 0) {
			log_error("%s: %s", dirty_routes[i], err.text);
			counters_step_failed();
		}
	}
	mem_strv_free(dirty_routes);
	dirty_routes = NULL;
	sealed = route_table_seal_generation(d->table);
	if (sealed != before || d->hosts_changed)
		wake_ring_workers(d);
	d->hosts_changed = false;
	route_table_reclaim(d->table, wake_oldest(d));
}

/* What many files took to be read is more than what is kept of them. */
static void give_memory_back(struct daemon *d)
{
	if (!d->much_was_read || d->dirty)
		return;
	d->much_was_read = false;
	malloc_trim(0);
}

static void turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	struct daemon *d = ev_userdata(loop);
	uint64_t began_us = clock_us(CLOCK_MONOTONIC);
	bool has_work, more;
	int rounds = 0;

	(void)watcher;
	(void)events;
	load(d);
	has_work = d->dirty || dirty_routes || dirty_settings;
	do {
		apply(d);
		rollout_turn(d);
		budget_turn(d);
		deploy_turn(d);
	} while (d->dirty && ++rounds < ROUNDS_PER_TURN);
	publish(d);
	network_turn(d);
	record_write_due(d);
	events_turn(d);
	if (has_work)
		counters_turn(clock_us(CLOCK_MONOTONIC) - began_us);
	more = control_turn(d);
	give_memory_back(d);
	if (more || d->dirty || dirty_routes || dirty_settings)
		ev_idle_start(loop, &busy_watcher);
	else
		ev_idle_stop(loop, &busy_watcher);
	if (d->shutting_down && !d->runs && !cgroup_busy() && workers_are_gone(d))
		ev_break(loop, EVBREAK_ALL);
}

static void nothing(struct ev_loop *loop, ev_idle *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events;
}

/* ---- marks ---- */

void reconcile_mark_instance(struct daemon *d, const char *key)
{
	if (instance_find(d, key) || config_set_instance(d->set, key))
		instance_mark(d, instance_get(d, key));
}

static void mark_spec(void *data, const struct ten_spec *spec)
{
	reconcile_mark_instance(data, spec->key);
}

void reconcile_mark_service(struct daemon *d, const char *service)
{
	config_set_each_instance_of(d->set, service, mark_spec, d);
}

void reconcile_mark_route(struct daemon *d, const char *service)
{
	(void)d;
	for (size_t i = 0; dirty_routes && dirty_routes[i]; i++)
		if (strcmp(dirty_routes[i], service) == 0)
			return;
	mem_strv_append(&dirty_routes, service);
}

static void mark_route(void *data, const char *service)
{
	reconcile_mark_route(data, service);
}

void reconcile_mark_settings(struct daemon *d)
{
	const struct setting_values *settings = config_set_settings(d->set);

	/* The settings that are part of what is published of each tenant. */
	d->settings_hash = (uint64_t)settings->wake_queue;
	dirty_settings = true;
	budget_look(d);
	workers_update(d);
	listeners_update(d);
	port_guard_settings_changed(d);
	usage_settings_changed(d);
	config_set_each_service(d->set, mark_route, d);
	config_set_each_instance(d->set, mark_spec, d);
}

static void check_overrides(struct daemon *d, const struct ten_spec *spec)
{
	char weight[24];

	snprintf(weight, sizeof(weight), "%" PRId64, spec->values.weight);
	override_check(d, spec->key, OVERRIDE_WEIGHT, weight);
	override_check(d, spec->key, OVERRIDE_STATE, tenant_state_names[spec->tenant.state]);
}

static void check_split(struct daemon *d, const char *service)
{
	autofree char *declared = publish_declared_split(d, service);

	override_check(d, service, OVERRIDE_SPLIT, declared);
}

void reconcile_mark_change(struct daemon *d, const struct config_change *change)
{
	for (size_t i = 0; change->instances && change->instances[i]; i++) {
		const struct ten_spec *spec = config_set_instance(d->set, change->instances[i]);

		if (spec) {
			check_overrides(d, spec);
		} else {
			override_clear(d, change->instances[i]);
		}
		reconcile_mark_instance(d, change->instances[i]);
	}
	for (size_t i = 0; change->routes && change->routes[i]; i++) {
		check_split(d, change->routes[i]);
		/* Paused: all are published at the end of the pause. */
		if (!d->paused)
			reconcile_mark_route(d, change->routes[i]);
	}
	if (change->settings && !d->paused)
		reconcile_mark_settings(d);
}

static enum tenant_state declared_or_overridden(struct daemon *d, const struct ten_spec *spec)
{
	const struct override *override = override_find(d, spec->key, OVERRIDE_STATE);

	if (!override)
		return (enum tenant_state)spec->tenant.state;
	for (int state = 0; state <= TENANT_SUSPENDED; state++)
		if (strcmp(override->value, tenant_state_names[state]) == 0)
			return (enum tenant_state)state;
	return TENANT_ON_DEMAND;
}

enum tenant_state reconcile_effective_state(struct daemon *d, const struct ten_spec *spec)
{
	enum tenant_state state = declared_or_overridden(d, spec);

	return state != TENANT_SUSPENDED && storage_stops(spec) ? TENANT_STOPPED : state;
}

/* ---- the whole ---- */

struct plan_step reconcile_preview(struct daemon *d, const char *key, const struct ten_spec *spec)
{
	struct instance *instance = instance_find(d, key);
	struct plan_want wanted = { 0 };
	struct plan_have have = { 0 };

	if (instance)
		observe_instance(d, instance, &wanted, &have);
	wanted = (struct plan_want){ 0 };
	if (spec) {
		wanted.declared = true;
		wanted.state = reconcile_effective_state(d, spec);
		wanted.restart = (enum spec_restart)spec->values.restart;
		wanted.restart_hash = spec->restart_hash;
		wanted.sleeps = spec->ladder.stopped > 0;
		wanted.freezes = spec->ladder.frozen > 0;
		wanted.awake = schedule_would_keep(instance, spec);
		wanted.live_hash =
			instance && instance->spec && instance->spec->live_hash == spec->live_hash
				? have.live_hash
				: spec->live_hash;
	}
	have.may_roll = have.may_start = true;
	return plan_next(&wanted, &have);
}

bool reconcile_converged(struct daemon *d)
{
	struct instance *instance, *next;

	HASH_ITER (hh, d->instances, instance, next) {
		bool changed = instance->run && instance->spec &&
			       (instance->run->restart_hash != instance->spec->restart_hash ||
				       secret_watch_changed(instance)) &&
			       !rollout_holds(d, instance);

		autofree char *waits = budget_waits_for(d, instance);

		/* Who waits for room may do so for long. */
		if (waits)
			continue;
		if (instance->in_dirty || changed || instance->rolling ||
			instance->state == INSTANCE_STARTING ||
			instance->state == INSTANCE_DRAINING ||
			instance->state == INSTANCE_STOPPING)
			return false;
	}
	return !d->dirty;
}

int reconcile_pause(struct daemon *d, const char *why, struct ten_error *err)
{
	const char *text = why ? why : "";

	if (files_write(d->own_fd, PAUSE_FILE, text, strlen(text), 0600, err) < 0)
		return -1;
	reconcile_load_pause(d);
	events_note(d, EVENT_PAUSE, NULL, "%s", text);
	return 0;
}

void reconcile_load_pause(struct daemon *d)
{
	free(d->paused_why);
	d->paused_why = files_read(d->own_fd, PAUSE_FILE, PAUSE_MAX, NULL, NULL);
	d->paused = d->paused_why != NULL;
	if (d->paused)
		log_warn("paused: changed files are not acted on until `ten unpause`");
}

void reconcile_unpause(struct daemon *d)
{
	struct instance *instance, *next;

	unlinkat(d->own_fd, PAUSE_FILE, 0);
	if (d->paused)
		events_note(d, EVENT_UNPAUSE, NULL, "files are acted on again");
	d->paused = false;
	free(d->paused_why);
	d->paused_why = NULL;
	HASH_ITER (hh, d->instances, instance, next)
		instance_mark(d, instance);
	reconcile_mark_settings(d);
}

void reconcile_shut_down(struct daemon *d)
{
	struct instance *instance, *next;

	if (d->shutting_down)
		return;
	d->shutting_down = true;
	d->first_reconcile_done = false;
	dirty_settings = true; /* the workers are to know that nobody is woken any more */
	log_info("stopping; tenants that run: %u", HASH_CNT(by_pid, d->runs));
	workers_stop(d);
	HASH_ITER (hh, d->instances, instance, next)
		instance_mark(d, instance);
}

int reconcile_start(struct daemon *d, struct ten_error *err)
{
	settings_changed(d);
	if (publish_settings(d, err) < 0)
		return -1;
	config_set_each_instance(d->set, mark_spec, d);
	config_set_each_service(d->set, mark_route, d);
	ev_prepare_init(&turn_watcher, turn);
	ev_prepare_start(d->loop, &turn_watcher);
	ev_idle_init(&busy_watcher, nothing);
	return 0;
}
