#include "daemon/budget.h"

#include <stdlib.h>
#include <string.h>

#include "common/process.h"
#include "daemon/cgroup_usage.h"
#include "daemon/schedule.h"
#include "daemon/start_queue.h"
#include "eviction.h"
#include "mem.h"
#include "pressure.h"

#define LOOK_SECONDS      0.005 /* while a request waits for room */
#define LOOK_SLOW_SECONDS 0.05  /* while nobody but us waits */
#define WATCH_SECONDS     1.0   /* of memory, while nobody waits, and if few run */
#define FRESH_SECONDS     1.0   /* that who was woken is given to be used */
#define GROWS_SECONDS     2.0   /* after it was ready */
#define MEASURE_SECONDS   1.0
#define MEASURE_GROWING   0.1
#define MEASURE_AGAIN     0.02
#define MEASURE_AT_ONCE   25
#define HELD_SECONDS      0.5 /* that a hold is believed without looking again */
#define SETTLE_SECONDS    1.0 /* that a frozen tenant's memory is waited for */
#define LONELY_LOOKS      3
#define LONELY_AT_ONCE    256

const char *const budget_bound_names[BUDGET_BOUNDS] = {
	[BUDGET_PLACES] = "max_running",
	[BUDGET_MEMORY] = "memory_budget_mb",
	[BUDGET_PRESSURE] = "memory_pressure_percent",
};

static uint64_t used; /* the sum of what the processes are counted with */
static double measured_at, pressure_at, settles_at, next_pressed_at;
static double pressure;
static uint64_t evictions[BUDGET_BOUNDS];
static char *frozen_key;          /* whose memory is awaited until settles_at */
static struct run *next_measured; /* NULL: the first of all */
static ev_timer timer;
static bool due = true;
static enum budget_bound blocked_by = BUDGET_BOUNDS; /* what the first in the queue waits for */

static size_t running(const struct daemon *d)
{
	return HASH_CNT(by_pid, d->runs);
}

static uint64_t memory_bound(const struct daemon *d)
{
	return (uint64_t)config_set_settings(d->set)->memory_budget_mb << 20;
}

bool budget_is_set(const struct daemon *d)
{
	const struct setting_values *settings = config_set_settings(d->set);

	return settings->max_running || settings->memory_budget_mb ||
	       settings->memory_pressure_percent;
}

/* ---- what is used ---- */

static bool may_grow(const struct run *run, double now)
{
	return !run->ready || now - run->ready_since < GROWS_SECONDS;
}

static void count_as(struct run *run, uint64_t bytes)
{
	used = used - run->memory_counted + bytes;
	run->memory_counted = bytes;
}

static void measure(struct run *run, double now)
{
	uint64_t bytes = run->cgroup ? cgroup_memory(run->cgroup) : process_tree_memory(run->pid);

	/* (0: it could not be read) */
	if (bytes)
		run->memory = bytes;
	run->memory_at = now;
	count_as(run, may_grow(run, now) && run->memory < run->memory_expected
			      ? run->memory_expected
			      : run->memory);
}

static struct run *run_after(struct daemon *d, const struct run *run)
{
	struct run *next = run ? run->by_pid.next : NULL;

	return next ? next : d->runs;
}

/* Each time it goes on behind those that it came to the last time: of many, all have their turn. */
static void measure_some(struct daemon *d)
{
	double now = daemon_now();
	size_t left = MEASURE_AT_ONCE;
	struct run *run = next_measured ? next_measured : d->runs;

	if (now - measured_at < MEASURE_AGAIN)
		return;
	measured_at = now;
	for (size_t i = running(d); i && left; i--, run = run_after(d, run)) {
		if (now - run->memory_at < (may_grow(run, now) ? MEASURE_GROWING : MEASURE_SECONDS))
			continue;
		measure(run, now);
		left--;
	}
	next_measured = run;
}

/* Until the next look while nobody waits, so that many are measured as often as few, or as often
 * as is cheap. */
static double watch_seconds(const struct daemon *d)
{
	double turns = (double)running(d) / MEASURE_AT_ONCE;

	if (turns <= 1)
		return WATCH_SECONDS;
	return WATCH_SECONDS / turns > MEASURE_AGAIN ? WATCH_SECONDS / turns : MEASURE_AGAIN;
}

/* Of those of its service that are known. */
static uint64_t usual_of_service(struct daemon *d, const struct instance *instance)
{
	size_t len = strcspn(instance->key, ":") + 1;
	uint64_t sum = 0, count = 0;
	struct run *run, *next;

	HASH_ITER (by_pid, d->runs, run, next) {
		if (run->memory_counted && strncmp(run->key, instance->key, len) == 0) {
			sum += run->memory_counted;
			count++;
		}
	}
	return count ? sum / count : 0;
}

/* What it will use. Whatever that is, alone it may run. */
static uint64_t expected_of(struct daemon *d, const struct instance *instance)
{
	uint64_t bytes =
		instance->memory_last ? instance->memory_last : usual_of_service(d, instance);

	return bytes < memory_bound(d) ? bytes : memory_bound(d);
}

static double pressure_of_now(void)
{
	double now = daemon_now();

	if (now - pressure_at >= MEASURE_SECONDS) {
		pressure = pressure_now();
		pressure_at = now;
	}
	return pressure;
}

void budget_enter(struct daemon *d, struct instance *instance)
{
	struct run *run = instance->run;

	if (!memory_bound(d))
		return;
	run->memory_expected = expected_of(d, instance);
	count_as(run, run->memory_expected);
}

void budget_leave(struct daemon *d, struct run *run)
{
	struct instance *instance = instance_find(d, run->key);

	/* Who ended early had no time to grow. */
	if (instance && run->memory &&
		(run->memory > instance->memory_last || !may_grow(run, run->memory_at)))
		instance->memory_last = run->memory;
	count_as(run, 0);
	if (run == next_measured)
		next_measured = run->by_pid.tbl ? run->by_pid.next : NULL;
	budget_look(d);
}

/* ---- room ---- */

static bool is_pressed(const struct daemon *d)
{
	int64_t most = config_set_settings(d->set)->memory_pressure_percent;

	return most && running(d) && pressure_of_now() > (double)most;
}

/* The bound that keeps INSTANCE from starting; BUDGET_BOUNDS: none does. */
static enum budget_bound bound_of(struct daemon *d, const struct instance *instance)
{
	uint64_t places = (uint64_t)config_set_settings(d->set)->max_running;

	if (places && running(d) >= places)
		return BUDGET_PLACES;
	if (memory_bound(d) && running(d)) {
		measure_some(d);
		if (used + expected_of(d, instance) > memory_bound(d))
			return BUDGET_MEMORY;
	}
	return is_pressed(d) ? BUDGET_PRESSURE : BUDGET_BOUNDS;
}

bool budget_has_room(struct daemon *d, const struct instance *instance)
{
	return !budget_is_set(d) || bound_of(d, instance) == BUDGET_BOUNDS;
}

/* ---- who goes ---- */

struct crowd {
	struct eviction_tenant *tenants;
	struct instance **instances; /* likewise */
	size_t count;
	size_t going;          /* end without being asked */
	uint64_t going_memory; /* what they will free */
};

static struct eviction_tenant describe(
	struct daemon *d, const struct instance *instance, double now)
{
	const struct ten_spec *spec = instance->spec;
	struct eviction_tenant tenant = { .state = instance->state };
	struct board_use use;

	if (!spec)
		return tenant;
	instance_use(d, instance, &use);
	tenant.priority = spec->values.priority;
	tenant.last_used_ms = use.last_used_ms;
	if (instance->run->ready_since * 1000 > (double)use.last_used_ms)
		tenant.last_used_ms = (uint64_t)(instance->run->ready_since * 1000);
	tenant.on_demand = instance->wanted_state == TENANT_ON_DEMAND && !schedule_keeps(instance);
	tenant.in_flight = use.in_flight || use.waiting || use.queued;
	tenant.connected = use.upgraded && spec->values.idle_connections == IDLE_CONNECTIONS_KEEP;
	tenant.held = now - instance->held_seen < HELD_SECONDS;
	tenant.fresh = instance->state == INSTANCE_READY &&
		       use.requests == instance->requests_before &&
		       now - instance->state_since < FRESH_SECONDS;
	tenant.freezable =
		spec->ladder.frozen && spec->values.frozen_reclaim && !instance->freeze_failed;
	return tenant;
}

static bool is_going(const struct instance *instance)
{
	return instance->eviction != EVICTION_NONE || instance->state == INSTANCE_DRAINING ||
	       instance->state == INSTANCE_STOPPING;
}

static void gather(struct daemon *d, struct crowd *crowd)
{
	double now = daemon_now();
	struct run *run, *next;

	*crowd = (struct crowd){
		.tenants = mem_alloc((running(d) + 1) * sizeof(*crowd->tenants)),
		.instances = mem_alloc((running(d) + 1) * sizeof(struct instance *)),
	};
	HASH_ITER (by_pid, d->runs, run, next) {
		struct instance *instance = instance_find(d, run->key);

		if (!instance || instance->run != run)
			continue;
		if (is_going(instance)) {
			/* (one that has much to finish is not waited for) */
			if (!instance->again && !instance_in_flight(d, instance)) {
				crowd->going++;
				crowd->going_memory += run->memory_counted;
			}
			continue;
		}
		crowd->tenants[crowd->count] = describe(d, instance, now);
		crowd->instances[crowd->count++] = instance;
	}
}

static void crowd_free(struct crowd *crowd)
{
	free(crowd->tenants);
	free(crowd->instances);
}

/* Holds cost a look into a folder: only of those whose turn it would be. */
static bool is_held(struct daemon *d, struct instance *instance)
{
	if (instance_idle_for(d, instance) >= 0)
		return false;
	instance->held_seen = daemon_now();
	return true;
}

static char *spell_why(struct daemon *d, enum budget_bound bound, const struct instance *whom)
{
	const struct setting_values *settings = config_set_settings(d->set);
	int64_t value = bound == BUDGET_PLACES   ? settings->max_running
			: bound == BUDGET_MEMORY ? settings->memory_budget_mb
						 : settings->memory_pressure_percent;

	return mem_printf("making room%s%s: %s = %lld", whom ? " for " : "", whom ? whom->key : "",
		budget_bound_names[bound], (long long)value);
}

/* One goes for WHOM (NULL: because the bound is passed already). NULL: nobody can. */
static struct instance *evict(
	struct daemon *d, struct crowd *crowd, enum budget_bound bound, const struct instance *whom)
{
	enum eviction_for what = bound == BUDGET_PLACES ? EVICTION_FOR_PLACE : EVICTION_FOR_MEMORY;
	int64_t priority = whom ? whom->queue_priority : EVICTION_ANY_PRIORITY;
	struct instance *victim;
	size_t i;

	while ((i = eviction_choose(crowd->tenants, crowd->count, what, priority)) < crowd->count &&
		is_held(d, crowd->instances[i]))
		crowd->tenants[i].held = true;
	if (i == crowd->count)
		return NULL;
	victim = crowd->instances[i];
	victim->eviction = eviction_way_of(&crowd->tenants[i], what);
	victim->eviction_bound = bound;
	free(victim->eviction_why);
	victim->eviction_why = spell_why(d, bound, whom);
	crowd->tenants[i].on_demand = false; /* chosen once */
	crowd->going++;
	crowd->going_memory += victim->run->memory_counted;
	instance_mark(d, victim);
	return victim;
}

static void make_places(struct daemon *d, struct crowd *crowd)
{
	size_t most = (size_t)config_set_settings(d->set)->max_running;
	size_t over = eviction_missing(running(d), crowd->going, 0, most);
	size_t stay = running(d) - crowd->going;
	size_t free_places = most > stay ? most - stay : 0;
	size_t turns = start_queue_turns(d);
	struct instance *waiting;

	while (over-- && evict(d, crowd, BUDGET_PLACES, NULL))
		;
	TAILQ_FOREACH (waiting, &d->queue, queue) {
		if (!turns--)
			break;
		if (waiting->unasked)
			continue;
		if (free_places) {
			free_places--;
			continue;
		}
		if (!evict(d, crowd, BUDGET_PLACES, waiting))
			break;
	}
}

/* Whether the last that was frozen may still hand back some of its memory; a helper does that. */
static bool is_settling(struct daemon *d, double now)
{
	struct instance *instance = frozen_key ? instance_find(d, frozen_key) : NULL;
	bool at_work = instance && (instance->reclaiming || instance->eviction != EVICTION_NONE);

	if (at_work && now < settles_at)
		return true;
	if (instance && instance->run)
		measure(instance->run, now);
	free(mem_steal(&frozen_key));
	return false;
}

static void make_memory(struct daemon *d, struct crowd *crowd, const struct instance *first)
{
	double now = daemon_now();

	measure_some(d);
	if (is_settling(d, now))
		return;
	for (;;) {
		uint64_t after = used > crowd->going_memory ? used - crowd->going_memory : 0;
		bool over = after > memory_bound(d);
		struct instance *victim;

		if (!over && (!first || after + expected_of(d, first) <= memory_bound(d)))
			return;
		victim = evict(d, crowd, BUDGET_MEMORY, over ? NULL : first);
		if (!victim)
			return;
		if (victim->eviction == EVICTION_FREEZE) {
			settles_at = now + SETTLE_SECONDS;
			frozen_key = mem_strdup(victim->key);
			return;
		}
	}
}

static void make_ease(struct daemon *d, struct crowd *crowd)
{
	double now = daemon_now();

	if (now < next_pressed_at || !is_pressed(d))
		return;
	/* The kernel's number follows slowly. */
	next_pressed_at = now + MEASURE_SECONDS;
	evict(d, crowd, BUDGET_PRESSURE, NULL);
}

void budget_evicted(struct daemon *d, struct instance *instance)
{
	(void)d;
	if (instance->eviction != EVICTION_NONE)
		evictions[instance->eviction_bound]++;
	budget_spare(instance);
}

void budget_spare(struct instance *instance)
{
	instance->eviction = EVICTION_NONE;
}

/* ---- the turn ---- */

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)watcher;
	(void)events;
	budget_look(ev_userdata(loop));
}

void budget_look(struct daemon *d)
{
	(void)d;
	due = true;
}

static void look_again(struct daemon *d, const struct instance *waits)
{
	double seconds =
		waits ? waits->only_asked ? LOOK_SECONDS : LOOK_SLOW_SECONDS : watch_seconds(d);
	const struct setting_values *settings = config_set_settings(d->set);
	bool over = settings->max_running && running(d) > (size_t)settings->max_running;

	ev_timer_stop(d->loop, &timer);
	if (!budget_is_set(d) || !running(d))
		return;
	if (over && !waits)
		seconds = LOOK_SLOW_SECONDS;
	else if (!waits && !settings->memory_budget_mb && !settings->memory_pressure_percent)
		return;
	ev_now_update(d->loop);
	ev_timer_init(&timer, on_timer, seconds, 0.);
	ev_timer_start(d->loop, &timer);
}

/* Whether all who asked for it have gone away meanwhile. (One that tries again is not counted for a
 * moment.) */
static bool is_unasked(struct daemon *d, struct instance *instance)
{
	struct board_use use;

	instance_use(d, instance, &use);
	instance->lonely_looks =
		instance->only_asked && !use.waiting ? instance->lonely_looks + 1 : 0;
	return instance->lonely_looks >= LONELY_LOOKS;
}

/* Nobody makes room for those; of the first in the queue, who keep others waiting. */
static void drop_unasked(struct daemon *d)
{
	int left = LONELY_AT_ONCE;
	struct instance *instance;

	TAILQ_FOREACH (instance, &d->queue, queue) {
		if (!left--)
			break;
		if (!is_unasked(d, instance))
			continue;
		instance->unasked = true;
		instance->wanted_awake = false;
		instance_mark(d, instance);
	}
}

/* Who needs so much memory that it finds none for as long as it may take to start lets those behind
 * it try, who may need less; of places all need the same. */
static bool lets_others_try(struct daemon *d, struct instance *first)
{
	if (blocked_by != BUDGET_MEMORY || !first->spec || !TAILQ_NEXT(first, queue) ||
		daemon_now() - first->queued_at < (double)first->spec->values.startup_timeout)
		return false;
	start_queue_leave(d, first);
	start_queue_enter(d, first);
	return true;
}

void budget_turn(struct daemon *d)
{
	struct instance *first = start_queue_turns(d) ? TAILQ_FIRST(&d->queue) : NULL;
	struct crowd crowd;
	bool blocked;

	if (!due)
		return;
	due = false;
	if (d->shutting_down)
		return;
	blocked_by = first && budget_is_set(d) ? bound_of(d, first) : BUDGET_BOUNDS;
	blocked = blocked_by != BUDGET_BOUNDS;
	atomic_store(&d->board->no_room, blocked);
	if (first && !blocked)
		instance_mark(d, first);
	look_again(d, blocked ? first : NULL);
	if (!budget_is_set(d) || !running(d))
		return;
	if (blocked) {
		drop_unasked(d);
		if (first->unasked || lets_others_try(d, first))
			return;
	}
	gather(d, &crowd);
	if (config_set_settings(d->set)->max_running)
		make_places(d, &crowd);
	if (memory_bound(d))
		make_memory(d, &crowd, blocked ? first : NULL);
	make_ease(d, &crowd);
	crowd_free(&crowd);
}

/* ---- for people ---- */

char *budget_waits_for(struct daemon *d, const struct instance *instance)
{
	const struct setting_values *settings = config_set_settings(d->set);

	/* (as it was found the last time: this is asked of thousands in a row) */
	if (!instance->queued)
		return NULL;
	if (blocked_by == BUDGET_PLACES)
		return mem_printf(
			"waiting for room: max_running = %lld", (long long)settings->max_running);
	if (blocked_by == BUDGET_MEMORY)
		return mem_printf(
			"waiting for room: memory_budget_mb = %lld, of which %lld are used",
			(long long)settings->memory_budget_mb, (long long)(used >> 20));
	if (blocked_by == BUDGET_PRESSURE)
		return mem_printf("waiting for room: memory pressure is %.2f %%, and "
				  "memory_pressure_percent = %lld",
			pressure, (long long)settings->memory_pressure_percent);
	return NULL;
}

void budget_status(struct daemon *d, struct budget_status *status)
{
	const struct setting_values *settings = config_set_settings(d->set);
	struct instance *instance;

	*status = (struct budget_status){
		.running = running(d),
		.max_running = (uint64_t)settings->max_running,
		.memory_budget_bytes = memory_bound(d),
		.pressure = settings->memory_pressure_percent ? pressure_of_now() : -1,
	};
	memcpy(status->evictions, evictions, sizeof(evictions));
	if (memory_bound(d)) {
		measure_some(d);
		status->memory_bytes = used;
	}
	if (atomic_load(&d->board->no_room))
		TAILQ_FOREACH (instance, &d->queue, queue)
			status->waiting++;
}
