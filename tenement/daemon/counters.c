#include "daemon/counters.h"

#include <string.h>

#include "daemon/usage.h"
#include "mem.h"

const char *const wake_cause_names[WAKE_CAUSES] = { "request", "socket", "command", "clock",
	"declared", "restart" };

const double counters_turn_bounds[COUNTERS_TURN_TIMES - 1] = { 0.0001, 0.00025, 0.0005, 0.001,
	0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1 };

struct service {
	char *name;
	struct service_counters counters;
	UT_hash_handle hh;
};
static struct service *services;

static struct reconcile_counters reconcile;
const struct reconcile_counters *const counters_reconcile = &reconcile;

static struct api_counters api;
const struct api_counters *const counters_of_api = &api;

static struct service *find(const char *name, size_t len)
{
	struct service *service;

	HASH_FIND(hh, services, name, len, service);
	return service;
}

static struct service_counters *of(const struct instance *instance)
{
	size_t len = strcspn(instance->key, ":");
	struct service *service = find(instance->key, len);

	if (!service) {
		service = mem_alloc(sizeof(*service));
		service->name = mem_strndup(instance->key, len);
		HASH_ADD_KEYPTR(hh, services, service->name, len, service);
	}
	return &service->counters;
}

void counters_add(const struct instance *instance, enum counter counter, uint64_t more)
{
	of(instance)->counts[counter] += more;
}

/* By what people are told. */
static enum wake_cause cause_of(const char *text)
{
	static const struct {
		const char *begin;
		enum wake_cause cause;
	} causes[] = {
		{ "a request", WAKE_REQUEST },
		{ "a connection", WAKE_SOCKET },
		{ "ten ", WAKE_COMMAND },
		{ "the clock", WAKE_CLOCK },
		{ "its hours", WAKE_CLOCK },
		{ "being declared", WAKE_DECLARED },
	};

	for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++)
		if (strncmp(text, causes[i].begin, strlen(causes[i].begin)) == 0)
			return causes[i].cause;
	return WAKE_RESTART;
}

void counters_woken(const struct instance *instance)
{
	of(instance)->wakes[cause_of(instance->woken_by)]++;
}

void counters_left(const struct instance *instance)
{
	uint64_t cpu_usec = usage_cpu_usec(instance);

	if (cpu_usec != CGROUP_UNKNOWN)
		of(instance)->cpu_usec += cpu_usec;
}

void counters_of(const char *name, struct service_counters *counters)
{
	const struct service *service = find(name, strlen(name));

	*counters = service ? service->counters : (struct service_counters){ 0 };
}

void counters_turn(uint64_t took_us)
{
	unsigned time = 0;

	while (time < COUNTERS_TURN_TIMES - 1 && (double)took_us > counters_turn_bounds[time] * 1e6)
		time++;
	reconcile.times[time]++;
	reconcile.took_us += took_us;
}

void counters_step_failed(void)
{
	reconcile.errors++;
}

void counters_api(unsigned right, int status)
{
	if (right < COUNTERS_RIGHTS && status >= 100 && status <= 599)
		api.answers[right][status / 100 - 1]++;
}

void counters_wrong_token(void)
{
	api.wrong_tokens++;
}
