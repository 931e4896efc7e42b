#include "daemon/publish_wake.h"

#include <string.h>

#include "daemon/publish.h"
#include "mem.h"
#include "text.h"

/* The path without a query, for that is not compared. NULL: it does not answer while it sleeps. */
static char *health_path(const struct service_values *values)
{
	if (!values->health_while_asleep || !values->health || !*values->health)
		return NULL;
	return mem_strndup(values->health, strcspn(values->health, "?"));
}

static bool says_anything(const struct service_values *values)
{
	return values->no_wake[0] || values->health_while_asleep || values->max_wakes_per_minute;
}

/* (By who says it and not by what is said: that its service says the same may change, and then it
 * is not published anew.) */
enum route_wake_of publish_wake_of(struct daemon *d, const struct ten_spec *spec)
{
	if (!says_anything(&spec->values))
		return ROUTE_WAKE_ANY;
	return spec->own_wake || !config_set_service(d->set, spec->service_name)
		       ? ROUTE_WAKE_OF_INSTANCE
		       : ROUTE_WAKE_OF_SERVICE;
}

static int put_wake(struct daemon *d, const char *name, const char *service,
	const struct service_values *values, struct ten_error *err)
{
	autotext struct text text = { 0 };
	autofree char *health = health_path(values);
	struct wake_rule rules[WAKE_RULES_MAX];
	struct route_wake wake = { .rules = { .rules = rules },
		.health = health,
		.per_minute = (uint32_t)values->max_wakes_per_minute,
		.counter = publish_counter_of(d, service) };

	for (size_t i = 0; values->no_wake[i] && wake.rules.count < WAKE_RULES_MAX; i++) {
		struct wake_rule *rule = &rules[wake.rules.count];
		const char *pattern;

		/* They were checked when the file was read. */
		if (wake_rule_parse(values->no_wake[i], rule, &pattern, err) < 0)
			return -1;
		rule->at = (uint32_t)text.len;
		text_add(&text, pattern, rule->len);
		wake.rules.count++;
	}
	wake.rules.text = text.data;
	wake.rules.text_len = (uint32_t)text.len;
	return route_table_put_wake(d->table, name, &wake, err);
}

int publish_wake_instance(struct daemon *d, const struct instance *instance, struct ten_error *err)
{
	const struct ten_spec *spec = instance->spec;

	if (publish_wake_of(d, spec) == ROUTE_WAKE_OF_INSTANCE)
		return put_wake(d, instance->key, spec->service_name, &spec->values, err);
	route_table_remove_wake(d->table, instance->key);
	return 0;
}

int publish_wake_service(struct daemon *d, const char *service, struct ten_error *err)
{
	const struct service_values *values = config_set_service(d->set, service);

	if (values && says_anything(values))
		return put_wake(d, service, service, values, err);
	route_table_remove_wake(d->table, service);
	return 0;
}

bool publish_wake_is_wanted(struct daemon *d, const char *name)
{
	const struct service_values *values = config_set_service(d->set, name);
	const struct ten_spec *spec = config_set_instance(d->set, name);

	return (values && says_anything(values)) ||
	       (spec && publish_wake_of(d, spec) == ROUTE_WAKE_OF_INSTANCE);
}
