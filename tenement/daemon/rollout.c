#include "daemon/rollout.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/reconcile.h"
#include "mem.h"

static struct rollout *find(const struct daemon *d, const char *service)
{
	struct rollout *rollout;

	HASH_FIND_STR(d->rollouts, service, rollout);
	return rollout;
}

static const char *service_of(const struct instance *instance, char *service, size_t size)
{
	size_t len = strcspn(instance->key, ":");

	if (len >= size)
		len = size - 1;
	memcpy(service, instance->key, len);
	service[len] = '\0';
	return service;
}

bool rollout_may(const struct daemon *d, const char *service)
{
	const struct rollout *rollout = find(d, service);

	return !rollout || (!rollout->halted && rollout->under_way < ROLLOUT_BATCH);
}

void rollout_began(struct daemon *d, struct instance *instance)
{
	char service[128];
	struct rollout *rollout = find(d, service_of(instance, service, sizeof(service)));

	if (!rollout) {
		rollout = mem_alloc(sizeof(*rollout));
		rollout->service = mem_strdup(service);
		HASH_ADD_KEYPTR(
			hh, d->rollouts, rollout->service, strlen(rollout->service), rollout);
	}
	rollout->under_way++;
	instance->rolling = true;
}

void rollout_ended(struct daemon *d, struct instance *instance, const char *problem)
{
	char service[128];
	struct rollout *rollout = find(d, service_of(instance, service, sizeof(service)));

	instance->rolling = false;
	if (!rollout)
		return;
	if (rollout->under_way)
		rollout->under_way--;
	if (problem && !rollout->halted) {
		rollout->halted =
			mem_printf("%s did not come back after the change of %s (%s): the "
				   "others keep what they run; mend it, or `ten restart` them",
				instance->key, service, problem);
		log_warn("%s", rollout->halted);
	}
	if (!rollout->halted)
		reconcile_mark_service(d, service);
}

void rollout_resume(struct daemon *d, const char *service)
{
	struct rollout *rollout = find(d, service);

	if (!rollout || !rollout->halted)
		return;
	free(rollout->halted);
	rollout->halted = NULL;
	reconcile_mark_service(d, service);
}

const char *rollout_halted(const struct daemon *d, const char *service)
{
	const struct rollout *rollout = find(d, service);

	return rollout ? rollout->halted : NULL;
}
