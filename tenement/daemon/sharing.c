#include "daemon/sharing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/declare.h"
#include "daemon/events.h"
#include "daemon/override.h"
#include "daemon/reconcile.h"
#include "daemon/wake.h"
#include "mem.h"

struct publish_split *sharing_find(struct publish_split *split, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(split[i].id, id) == 0)
			return &split[i];
	return NULL;
}

struct publish_split *sharing_find_or_add(
	struct publish_split **split, size_t *count, const char *id)
{
	struct publish_split *part = sharing_find(*split, *count, id);

	if (part)
		return part;
	*split = mem_resize(*split, *count + 1, sizeof(**split));
	part = &(*split)[(*count)++];
	*part = (struct publish_split){ mem_strdup(id), 0 };
	return part;
}

int sharing_put(struct daemon *d, const char *service, const struct publish_split *split,
	size_t count, enum sharing_way way, const char *by, struct ten_error *err)
{
	autofree char *value = override_format_split(split, count);
	autofree char *declared = publish_declared_split(d, service);

	if (way == SHARING_DECLARE) {
		if (declare_split(d, service, value, by, err) < 0)
			return -1;
		override_clear_one(d, service, OVERRIDE_SPLIT);
	} else if (override_set(d, service, OVERRIDE_SPLIT, value, declared, by, err) < 0) {
		return -1;
	}
	events_note(d, EVENT_ROUTE, service, "%s, by %s", value, by);
	return 0;
}

static int override_weight(struct daemon *d, struct instance *instance, uint32_t weight,
	const char *by, struct ten_error *err)
{
	const struct ten_spec *spec = instance->spec;
	autofree char *value = mem_printf("%u", weight);
	autofree char *declared = mem_printf("%lld", (long long)spec->values.weight);

	if (override_set(d, instance->key, OVERRIDE_WEIGHT, value, declared, by, err) < 0)
		return -1;
	instance->wanted_weight = weight;
	reconcile_mark_route(d, spec->service_name);
	events_note(d, EVENT_ROUTE, spec->service_name, "%s=%s, by %s", spec->id, value, by);
	return 0;
}

int sharing_set_weight(struct daemon *d, struct instance *instance, uint32_t weight,
	enum sharing_way way, const char *by, struct ten_error *err)
{
	const char *service = instance->spec->service_name;
	struct publish_split *split = NULL;
	const char *source;
	size_t count = publish_split_of(d, service, &split, &source);
	int rc;

	if (!source) {
		rc = ten_error_say(err, ENOENT,
			"no traffic is shared out for %s: declare [route.%s], or set balance = "
			"true",
			service, service);
	} else if (strcmp(source, "balance") == 0 && way == SHARING_OVERRIDE) {
		rc = override_weight(d, instance, weight, by, err);
	} else {
		sharing_find_or_add(&split, &count, instance->spec->id)->weight = weight;
		rc = sharing_put(d, service, split, count, way, by, err);
	}
	publish_split_free(split, count);
	return rc;
}

json_t *sharing_json(struct daemon *d, const char *service)
{
	struct publish_split *split;
	const char *source;
	size_t count = publish_split_of(d, service, &split, &source);
	json_t *json = json_object();

	for (size_t i = 0; i < count; i++)
		json_object_set_new(json, split[i].id, json_integer(split[i].weight));
	publish_split_free(split, count);
	return json;
}

bool sharing_is_seen(struct daemon *d, uint64_t *generation)
{
	/* The turn that published is over: what is sealed now has the change in it. */
	if (!*generation)
		*generation = route_table_generation(d->table);
	return wake_acknowledged(d, *generation);
}
