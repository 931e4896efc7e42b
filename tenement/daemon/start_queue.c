#include "daemon/start_queue.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "daemon/budget.h"
#include "daemon/schedule.h"
#include "daemon/wake_times.h"
#include "mem.h"
#include "names.h"

/* Start-time fair queueing: the n-th that waits of each service is of round n, counted from the
 * round that is being served; the queue is in order of rounds, and within one in order of arrival.
 * Those for whom nobody waits are behind all others, and have rounds of their own.
 */
enum { HURRIED, UNHURRIED, CLASSES };
struct service {
	char name[NAMES_MAX + 1];
	uint64_t last_round[CLASSES];
	UT_hash_handle hh;
};
static struct service *services; /* since the queue was empty */
static uint64_t present_round[CLASSES];

static size_t room(const struct daemon *d)
{
	int64_t set = config_set_settings(d->set)->max_concurrent_starts;
	uint64_t most = set ? (uint64_t)set : 2ull * d->cores;

	return d->starting < most ? most - d->starting : 0;
}

static struct service *service_of(const struct instance *instance)
{
	size_t len = strcspn(instance->key, ":");
	struct service *service;

	HASH_FIND(hh, services, instance->key, len, service);
	if (service)
		return service;
	service = mem_alloc(sizeof(*service));
	memcpy(service->name, instance->key, len < NAMES_MAX ? len : NAMES_MAX);
	memcpy(service->last_round, present_round, sizeof(present_round));
	HASH_ADD(hh, services, name, len, service);
	return service;
}

static void forget_services(void)
{
	struct service *service, *next;

	HASH_ITER (hh, services, service, next) {
		HASH_DEL(services, service);
		free(service);
	}
	memset(present_round, 0, sizeof(present_round));
}

static bool goes_before(const struct instance *a, const struct instance *b)
{
	if (a->unhurried != b->unhurried)
		return b->unhurried;
	if (a->queue_priority != b->queue_priority)
		return a->queue_priority > b->queue_priority;
	return a->round < b->round;
}

void start_queue_enter(struct daemon *d, struct instance *instance)
{
	struct instance *before = TAILQ_LAST(&d->queue, instance_queue);
	struct service *service;
	int class;

	if (instance->queued)
		return;
	instance->unhurried = schedule_alone_wants(d, instance);
	class = instance->unhurried ? UNHURRIED : HURRIED;
	service = service_of(instance);
	if (service->last_round[class] < present_round[class])
		service->last_round[class] = present_round[class];
	instance->round = ++service->last_round[class];
	instance->queued = true;
	instance->queued_at = daemon_now();
	instance->unasked = false;
	instance->lonely_looks = 0;
	instance->queue_priority = instance->spec ? instance->spec->values.priority : 0;
	wake_times_queued(d, instance);
	while (before && goes_before(instance, before))
		before = TAILQ_PREV(before, instance_queue, queue);
	if (before)
		TAILQ_INSERT_AFTER(&d->queue, before, instance, queue);
	else
		TAILQ_INSERT_HEAD(&d->queue, instance, queue);
	budget_look(d);
}

void start_queue_leave(struct daemon *d, struct instance *instance)
{
	if (!instance->queued)
		return;
	instance->queued = false;
	wake_times_unqueued(d, instance);
	if (instance == TAILQ_FIRST(&d->queue))
		present_round[instance->unhurried ? UNHURRIED : HURRIED] = instance->round;
	TAILQ_REMOVE(&d->queue, instance, queue);
	if (TAILQ_EMPTY(&d->queue))
		forget_services();
	budget_look(d);
}

void start_queue_sort(struct daemon *d, struct instance *instance)
{
	if (!instance->queued || !instance->spec ||
		instance->queue_priority == instance->spec->values.priority)
		return;
	start_queue_leave(d, instance);
	start_queue_enter(d, instance);
}

void start_queue_hurry(struct daemon *d, struct instance *instance)
{
	if (!instance->queued || !instance->unhurried || schedule_alone_wants(d, instance))
		return;
	start_queue_leave(d, instance);
	start_queue_enter(d, instance);
}

size_t start_queue_turns(const struct daemon *d)
{
	size_t places = room(d), count = 0;
	const struct instance *instance;

	TAILQ_FOREACH (instance, &d->queue, queue) {
		if (count == places)
			break;
		count++;
	}
	return count;
}

bool start_queue_may(struct daemon *d, const struct instance *instance)
{
	size_t places = room(d);
	const struct instance *first;

	if (!instance->queued)
		return places && TAILQ_EMPTY(&d->queue) && budget_has_room(d, instance);
	if (budget_is_set(d))
		return places && instance == TAILQ_FIRST(&d->queue) && budget_has_room(d, instance);
	TAILQ_FOREACH (first, &d->queue, queue) {
		if (!places--)
			break;
		if (first == instance)
			return true;
	}
	return false;
}

void start_queue_mark(struct daemon *d)
{
	size_t places = room(d);
	struct instance *instance;

	budget_look(d);
	TAILQ_FOREACH (instance, &d->queue, queue) {
		if (!places--)
			break;
		instance_mark(d, instance);
	}
}
