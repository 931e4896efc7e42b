#include "common/log_policy.h"

#include <string.h>

#include "mem.h"
#include "names.h"

static bool find(const struct route_table *table, struct route_target *target, const char *service,
	const char *id)
{
	struct route_settings settings;
	struct route_host host;
	autofree char *name = NULL;

	if (!route_table_settings(table, &settings) || !settings.domain)
		return false;
	name = names_host_make(id, service, settings.domain);
	route_table_host(table, name, strlen(name), &host);
	if (host.kind != ROUTE_INSTANCE)
		return false;
	*target = host.target;
	return true;
}

uint32_t log_policy_of(const struct route_table *table, struct route_target *target,
	const char *service, const char *id, uint32_t fallback)
{
	uint32_t bits = 0;

	if (!table)
		return fallback;
	/* (a slot that is in use has been given away once at least) */
	if (!target->incarnation || !route_table_log(table, *target, &bits)) {
		if (!find(table, target, service, id) || !route_table_log(table, *target, &bits))
			return fallback;
	}
	return bits & LOG_TO_SAID ? bits : fallback;
}
