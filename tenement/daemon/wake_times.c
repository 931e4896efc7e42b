#include "daemon/wake_times.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "mem.h"

#define HOUR_US 3600000000u

enum phase { QUEUE, SPAWN, BOOT, FIRST_BYTE, PHASES };
static const char *const phase_names[PHASES] = { "queue", "spawn", "boot", "first_byte" };

static const double bounds[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
	2.5, 5, 10, 30 };
#define BOUNDS (sizeof(bounds) / sizeof(bounds[0]))

struct histogram {
	uint64_t counts[BOUNDS + 1];
	uint64_t sum_us;
};

struct service {
	char *name;
	struct histogram phases[PHASES];
	UT_hash_handle hh;
};
static struct service *services;

static struct service *service_of(const struct instance *instance)
{
	size_t len = strcspn(instance->key, ":");
	struct service *service;

	HASH_FIND(hh, services, instance->key, len, service);
	if (service)
		return service;
	service = mem_alloc(sizeof(*service));
	service->name = mem_strndup(instance->key, len);
	HASH_ADD_KEYPTR(hh, services, service->name, len, service);
	return service;
}

static void count(const struct instance *instance, enum phase phase, uint64_t took_us)
{
	struct histogram *histogram = &service_of(instance)->phases[phase];
	size_t bucket = 0;

	while (bucket < BOUNDS && (double)took_us > bounds[bucket] * 1e6)
		bucket++;
	histogram->counts[bucket]++;
	histogram->sum_us += took_us;
}

static struct board_wake *wake_of(struct daemon *d, const struct instance *instance)
{
	return &d->board->wakes[instance->target.slot];
}

void wake_times_wanted(struct instance *instance)
{
	if (!instance->wanted_awake && instance->state == INSTANCE_ASLEEP)
		instance->wanted_us = clock_us(CLOCK_MONOTONIC);
}

void wake_times_queued(struct daemon *d, struct instance *instance)
{
	atomic_store(&wake_of(d, instance)->turn_us, BOARD_TURN_WAITS);
}

void wake_times_unqueued(struct daemon *d, struct instance *instance)
{
	struct board_wake *wake = wake_of(d, instance);

	if (atomic_load(&wake->turn_us) == BOARD_TURN_WAITS)
		atomic_store(&wake->turn_us, 0);
}

/* The first byte is what the proxy says: no more than a number in a sum, and kept within reason. */
void wake_times_collect(struct daemon *d, struct instance *instance)
{
	uint64_t first;

	if (!instance->ready_us)
		return;
	first = atomic_load(&wake_of(d, instance)->first_byte_us);
	if (first < instance->ready_us || first - instance->ready_us > HOUR_US)
		return;
	count(instance, FIRST_BYTE, first - instance->ready_us);
	instance->ready_us = 0; /* once */
}

void wake_times_turn(struct daemon *d, struct instance *instance)
{
	struct board_wake *wake = wake_of(d, instance);

	wake_times_collect(d, instance);
	instance->turn_us = clock_us(CLOCK_MONOTONIC);
	instance->ready_us = 0;
	if (instance->wanted_us)
		count(instance, QUEUE, instance->turn_us - instance->wanted_us);
	instance->wanted_us = 0;
	board_wake_clear(wake);
	atomic_store(&wake->queued, instance->queued);
	atomic_store(&wake->turn_us, instance->turn_us);
}

void wake_times_spawned(struct daemon *d, struct instance *instance)
{
	instance->spawned_us = clock_us(CLOCK_MONOTONIC);
	count(instance, SPAWN, instance->spawned_us - instance->turn_us);
	atomic_store(&wake_of(d, instance)->spawned_us, instance->spawned_us);
}

void wake_times_ready(struct daemon *d, struct instance *instance)
{
	/* One that another daemon started was taken over meanwhile. */
	if (!instance->spawned_us)
		return;
	instance->ready_us = clock_us(CLOCK_MONOTONIC);
	count(instance, BOOT, instance->ready_us - instance->spawned_us);
	atomic_store(&wake_of(d, instance)->ready_us, instance->ready_us);
}

static void put_service(struct metrics_out *out, const struct service *service)
{
	for (int phase = 0; phase < PHASES; phase++) {
		const struct histogram *had = &service->phases[phase];
		struct metrics_histogram histogram = { bounds, had->counts, BOUNDS,
			(double)had->sum_us / 1e6 };
		autotext struct text labels = { 0 };

		metrics_label(&labels, "service", service->name);
		metrics_label(&labels, "phase", phase_names[phase]);
		metrics_put_histogram(out, labels.data, &histogram);
	}
}

void wake_times_put(struct daemon *d, struct metrics_out *out)
{
	metrics_begin(out, METRIC_WAKE);
	for (const struct service *service = services; service; service = service->hh.next)
		if (config_set_service(d->set, service->name))
			put_service(out, service);
}
