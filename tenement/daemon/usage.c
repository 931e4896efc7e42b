#include "daemon/usage.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/process.h"
#include "daemon/instance.h"
#include "daemon/storage.h"
#include "daemon/usage_store.h"
#include "mem.h"

#define LOOK_SECONDS  15.0
#define STORE_LOOKS   4     /* so often it is only looked, then it is stored as well */
#define HOUR_MARGIN   0.02  /* seconds behind the end of an hour */
#define SLICE         16    /* at a time */
#define SLICE_SECONDS 0.001 /* that others have then */
#define BATCH         128   /* readings that go together */
#define QUIET_LOOKS   3     /* so often nothing has moved: it is not looked at any more */
#define ENDED_SECONDS 1.0   /* what is heard of no more waits for others of its kind */
#define USEC_PER_SEC  1e6
#define BYTES_PER_KIB 1024.0

/* What a process uses. */
struct usage_meter {
	struct cgroup_usage now;
	uint64_t cpu_first; /* of one that an earlier daemon began */
	double looked_at;   /* 0: never */
	uint64_t uptime_ms;
	double memory_kib_secs;
	uint64_t memory_max; /* since it was last stored */
};

/* A tenant that has, or has just had, something to count. */
struct usage_tenant {
	struct instance *instance;
	TAILQ_ENTRY(usage_tenant) next;
	bool active;
	uint64_t look;      /* the number of the latest */
	unsigned quiet;     /* so many looks nothing has moved */
	uint64_t moved;     /* what that is told by */
	uint64_t cpu_ended; /* of processes that have ended */
	bool cpu_known;
};

static TAILQ_HEAD(, usage_tenant) active = TAILQ_HEAD_INITIALIZER(active);
static ev_timer look_timer, slice_timer, ended_timer;
static uint64_t looks_begun, looks_done, looks_to_store;
static bool look_stores, look_again, again_stores;
/* What is read is credited to the hour in which the time since it was last stored began. */
static int64_t hour, next_hour;

static struct usage_reading *batch; /* of BATCH */
static size_t batched;
static struct usage_reading *ended; /* likewise of processes and slots that are no more */
static size_t ended_count;

static int64_t present_hour(void)
{
	return usage_hour(clock_seconds(CLOCK_REALTIME));
}

uint64_t usage_board(const struct daemon *d)
{
	return d->board->peer_key[0] ^ d->board->peer_key[1];
}

/* ---- readings ---- */

static void name_it(struct usage_reading *reading, const char *key)
{
	size_t service = strcspn(key, ":");

	*reading = (struct usage_reading){ .hour = hour, .stored_bytes = USAGE_UNKNOWN };
	snprintf(reading->service, sizeof(reading->service), "%.*s", (int)service, key);
	snprintf(reading->id, sizeof(reading->id), "%s", key[service] ? key + service + 1 : "");
}

/* How much memory RUN had since METER was looked at last. */
static uint64_t memory_until_now(const struct usage_meter *meter, const struct run *run,
	const struct cgroup_usage *usage, bool has_ended)
{
	if (!has_ended)
		return usage->memory_bytes;
	/* What has ended has none; what has never been looked at had that at the most. */
	if (meter->looked_at > 0)
		return meter->now.memory_bytes;
	return run->inherited ? CGROUP_UNKNOWN : usage->memory_peak_bytes;
}

/* Bring METER up to date. Of what an earlier daemon began, it counts what comes from now on. */
static void measure(struct usage_meter *meter, const struct run *run, bool has_ended)
{
	double now = daemon_now(), since = run->started;
	bool is_anothers = meter->looked_at == 0 && run->inherited;
	struct cgroup_usage usage;
	uint64_t memory;
	int rc = run->cgroup ? cgroup_usage(run->cgroup, &usage)
			     : cgroup_usage_of_tree(run->pid, &usage);

	if (meter->looked_at > 0)
		since = meter->looked_at;
	if (rc < 0 && meter->looked_at > 0)
		usage = meter->now;
	memory = memory_until_now(meter, run, &usage, has_ended);
	if (memory != CGROUP_UNKNOWN) {
		if (!is_anothers && now > since)
			meter->memory_kib_secs += (double)memory / BYTES_PER_KIB * (now - since);
		if (memory > meter->memory_max)
			meter->memory_max = memory;
	}
	if (is_anothers)
		meter->cpu_first = usage.cpu_usec;
	if (has_ended && meter->looked_at > 0)
		usage.memory_bytes = meter->now.memory_bytes;
	/* When one ended that nobody looked at, nobody knows. */
	if (!has_ended || !is_anothers)
		meter->uptime_ms = (uint64_t)((now - run->started) * 1000);
	meter->now = usage;
	meter->looked_at = now;
}

static void read_run(
	const struct daemon *d, const struct run *run, bool has_ended, struct usage_run *reading)
{
	static char boot[PROCESS_BOOT_SIZE];
	struct usage_meter *meter = run->meter;

	if (!*boot)
		process_boot(boot);
	snprintf(reading->name, sizeof(reading->name), "%s %d %" PRIu64, boot, (int)run->pid,
		run->start_time);
	reading->began_ms = (uint64_t)(run->started * 1000);
	reading->ended = has_ended;
	reading->uptime_ms = meter->uptime_ms;
	reading->cpu_usec = meter->now.cpu_usec;
	reading->io_read_bytes = meter->now.io_read_bytes;
	reading->io_written_bytes = meter->now.io_written_bytes;
	reading->oom_kills = meter->now.oom_kills;
	reading->memory_kib_secs = (uint64_t)meter->memory_kib_secs;
	reading->life = (uint64_t)(d->started * USEC_PER_SEC);
	reading->memory_max_bytes = meter->memory_max;
	meter->memory_max = 0;
}

static void read_slot(struct daemon *d, const struct instance *instance, struct usage_slot *reading)
{
	struct board_use use;

	/* The board of one that was never asked for is not there, nor is to be. */
	if (!instance_is_used(d, instance))
		return;
	instance_use(d, instance, &use);
	reading->board = usage_board(d);
	reading->slot = instance->target.slot;
	reading->incarnation = instance->target.incarnation;
	reading->requests = use.requests;
	reading->bytes_in = use.bytes_in;
	reading->bytes_out = use.bytes_out;
}

static void send_batch(struct daemon *d)
{
	if (batched)
		usage_store_put(d, batch, batched, false);
	batched = 0;
}

static void send_ended(struct daemon *d)
{
	ev_timer_stop(d->loop, &ended_timer);
	if (ended_count)
		usage_store_put(d, ended, ended_count, true);
	ended_count = 0;
}

static void on_ended(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	send_ended(ev_userdata(loop));
}

static struct usage_reading *add_ended(struct daemon *d, const char *key)
{
	if (ended_count == BATCH)
		send_ended(d);
	if (!ended_count) {
		ev_timer_set(&ended_timer, ENDED_SECONDS, 0.);
		ev_timer_start(d->loop, &ended_timer);
	}
	name_it(&ended[ended_count], key);
	return &ended[ended_count++];
}

/* ---- a look at all that run ---- */

static void leave(struct usage_tenant *tenant)
{
	if (!tenant->active)
		return;
	tenant->active = false;
	TAILQ_REMOVE(&active, tenant, next);
}

static void look_at(struct daemon *d, struct usage_tenant *tenant)
{
	struct instance *instance = tenant->instance;
	struct run *run = instance->run;
	struct usage_reading reading;
	uint64_t moved;

	name_it(&reading, instance->key);
	read_slot(d, instance, &reading.slot);
	reading.stored_bytes = storage_used(instance);
	moved = reading.slot.requests + reading.slot.bytes_in + reading.slot.bytes_out;
	tenant->quiet = run || moved != tenant->moved ? 0 : tenant->quiet + 1;
	tenant->moved = moved;
	if (run && run->meter)
		measure(run->meter, run, false);
	if (look_stores) {
		if (run && run->meter)
			read_run(d, run, false, &reading.run);
		batch[batched++] = reading;
		if (batched == BATCH)
			send_batch(d);
	}
	if (tenant->quiet >= QUIET_LOOKS)
		leave(tenant);
}

static void begin_look(struct daemon *d, bool stores);

/* Until the hour is over: what is credited to it is what was used in it. */
static double until_next_hour(void)
{
	return 3600 - fmod((double)clock_ms(CLOCK_REALTIME) / 1000, 3600) + HOUR_MARGIN;
}

static void arm(struct daemon *d)
{
	double seconds = until_next_hour();

	ev_now_update(d->loop);
	ev_timer_stop(d->loop, &look_timer);
	ev_timer_set(&look_timer, seconds < LOOK_SECONDS ? seconds : LOOK_SECONDS, 0.);
	ev_timer_start(d->loop, &look_timer);
}

static void end_look(struct daemon *d)
{
	if (look_stores) {
		send_ended(d);
		send_batch(d);
		hour = next_hour;
	}
	looks_done = looks_begun;
	if (look_again) {
		look_again = false;
		begin_look(d, again_stores);
	}
}

/* Those that were looked at go to the end. False: that was all. */
static bool look_at_some(struct daemon *d, unsigned most)
{
	struct usage_tenant *tenant;

	while ((tenant = TAILQ_FIRST(&active)) && tenant->look != looks_begun) {
		if (!most--)
			return true;
		tenant->look = looks_begun;
		TAILQ_REMOVE(&active, tenant, next);
		TAILQ_INSERT_TAIL(&active, tenant, next);
		look_at(d, tenant);
	}
	return false;
}

static void on_slice(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);

	(void)events;
	if (!look_at_some(d, SLICE)) {
		end_look(d);
		return;
	}
	ev_timer_set(timer, SLICE_SECONDS, 0.);
	ev_timer_start(loop, timer);
}

static void begin_look(struct daemon *d, bool stores)
{
	looks_begun++;
	next_hour = present_hour();
	look_stores = stores;
	if (hour != next_hour)
		usage_store_setup(d, next_hour);
	ev_timer_set(&slice_timer, 0., 0.);
	ev_timer_start(d->loop, &slice_timer);
	/* The clock may have been set. */
	if (ev_timer_remaining(d->loop, &look_timer) > until_next_hour())
		arm(d);
}

uint64_t usage_read(struct daemon *d, enum usage_purpose purpose)
{
	bool stores = purpose == USAGE_TO_STORE;

	if (looks_begun == looks_done) {
		begin_look(d, stores);
		return looks_begun;
	}
	/* Of some it is too late in the present one. */
	again_stores = stores || (look_again && again_stores);
	look_again = true;
	return looks_begun + 1;
}

bool usage_is_read(uint64_t which)
{
	return looks_done >= which;
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);
	bool due = ++looks_to_store >= STORE_LOOKS || present_hour() != hour;

	(void)timer;
	(void)events;
	arm(d);
	/* Before what was told last is stored, there is no use in telling more. */
	if (due && usage_store_is_busy())
		due = false;
	if (due)
		looks_to_store = 0;
	if (due || looks_begun == looks_done)
		usage_read(d, due ? USAGE_TO_STORE : USAGE_TO_SHOW);
}

/* ---- coming and going ---- */

void usage_run_begins(struct daemon *d, struct run *run)
{
	struct instance *instance = instance_find(d, run->key);

	run->meter = mem_alloc(sizeof(*run->meter));
	usage_store_expect(d);
	if (!instance)
		return;
	if (!instance->usage) {
		instance->usage = mem_alloc(sizeof(*instance->usage));
		instance->usage->instance = instance;
	}
	instance->usage->quiet = 0;
	if (instance->usage->active)
		return;
	instance->usage->active = true;
	TAILQ_INSERT_HEAD(&active, instance->usage, next);
}

void usage_run_ends(struct daemon *d, struct run *run)
{
	struct instance *instance = instance_find(d, run->key);
	struct usage_meter *meter = run->meter;
	struct usage_reading *reading;

	/* Of one that was not taken over, the group has something to say. */
	if (!meter && run->pid > 0 && run->start_time && run->cgroup) {
		meter = run->meter = mem_alloc(sizeof(*meter));
		run->inherited = true;
	}
	if (!meter)
		return;
	measure(meter, run, true);
	reading = add_ended(d, run->key);
	read_run(d, run, true, &reading->run);
	if (instance && instance->usage) {
		read_slot(d, instance, &reading->slot);
		reading->stored_bytes = storage_used(instance);
	}
	if (instance && instance->usage && meter->now.cpu_usec != CGROUP_UNKNOWN) {
		instance->usage->cpu_ended += usage_grown(meter->cpu_first, meter->now.cpu_usec);
		instance->usage->cpu_known = true;
	}
	free(meter);
	run->meter = NULL;
}

void usage_slot_ends(struct daemon *d, struct instance *instance)
{
	if (!instance->usage)
		return;
	read_slot(d, instance, &add_ended(d, instance->key)->slot);
	leave(instance->usage);
}

void usage_forget(struct instance *instance)
{
	if (!instance->usage)
		return;
	leave(instance->usage);
	free(instance->usage);
	instance->usage = NULL;
}

bool usage_now(const struct instance *instance, struct cgroup_usage *now)
{
	const struct run *run = instance->run;

	if (!run || !run->meter || run->meter->looked_at == 0)
		return false;
	*now = run->meter->now;
	return true;
}

uint64_t usage_cpu_usec(const struct instance *instance)
{
	const struct usage_tenant *tenant = instance->usage;
	struct cgroup_usage now;
	uint64_t usec;

	if (!tenant)
		return CGROUP_UNKNOWN;
	usec = tenant->cpu_ended;
	if (usage_now(instance, &now) && now.cpu_usec != CGROUP_UNKNOWN)
		usec += usage_grown(instance->run->meter->cpu_first, now.cpu_usec);
	else if (!tenant->cpu_known)
		return CGROUP_UNKNOWN;
	return usec;
}

void usage_settings_changed(struct daemon *d)
{
	if (batch)
		usage_store_setup(d, present_hour());
}

void usage_start(struct daemon *d)
{
	batch = mem_alloc(BATCH * sizeof(*batch));
	ended = mem_alloc(BATCH * sizeof(*ended));
	hour = next_hour = present_hour();
	usage_store_setup(d, hour);
	ev_timer_init(&slice_timer, on_slice, 0., 0.);
	ev_timer_init(&ended_timer, on_ended, 0., 0.);
	ev_timer_init(&look_timer, on_look, 0., 0.);
	arm(d);
}

void usage_stop(struct daemon *d)
{
	ev_timer_stop(d->loop, &look_timer);
	ev_timer_stop(d->loop, &slice_timer);
	looks_begun++;
	look_stores = true;
	look_at_some(d, UINT_MAX);
	send_ended(d);
	send_batch(d);
	usage_store_stop(d);
}
