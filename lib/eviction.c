#include "eviction.h"

static bool can_go(const struct eviction_tenant *tenant)
{
	return tenant->on_demand && !tenant->in_flight && !tenant->held && !tenant->fresh;
}

enum eviction_way eviction_way_of(const struct eviction_tenant *tenant, enum eviction_for what)
{
	if (!can_go(tenant) ||
		(tenant->state != INSTANCE_READY && tenant->state != INSTANCE_FROZEN))
		return EVICTION_NONE;
	if (what == EVICTION_FOR_MEMORY && tenant->state == INSTANCE_READY && tenant->freezable)
		return EVICTION_FREEZE;
	return tenant->connected ? EVICTION_NONE : EVICTION_STOP;
}

static bool goes_before(const struct eviction_tenant *a, const struct eviction_tenant *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	return a->last_used_ms < b->last_used_ms;
}

size_t eviction_choose(const struct eviction_tenant *tenants, size_t count, enum eviction_for what,
	int64_t priority)
{
	size_t best = count;

	for (size_t i = 0; i < count; i++) {
		if (tenants[i].priority > priority ||
			eviction_way_of(&tenants[i], what) == EVICTION_NONE)
			continue;
		if (best == count || goes_before(&tenants[i], &tenants[best]))
			best = i;
	}
	return best;
}

size_t eviction_missing(size_t running, size_t going, size_t wanted, size_t max)
{
	size_t stay = running > going ? running - going : 0;

	if (!max || stay + wanted <= max)
		return 0;
	return stay + wanted - max;
}
