#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suggest.h"

#define ROW(scope, values, type, name, fallback, min, max, choices, change, given, prose)          \
	{ scope, OPTION_##type, #name, fallback, min, max, choices, OPTION_##change, given, prose, \
		offsetof(struct values, name) },

const struct option options[] = {
#define SETTING(...) ROW(OPTION_SETTING, setting_values, __VA_ARGS__)
#include "options.def"
#define LISTENER(...) ROW(OPTION_LISTENER, listener_values, __VA_ARGS__)
#include "options.def"
#define SERVICE(...) ROW(OPTION_SERVICE, service_values, __VA_ARGS__)
#include "options.def"
#define TENANT(...) ROW(OPTION_TENANT, tenant_values, __VA_ARGS__)
#include "options.def"
};

const size_t option_count = sizeof(options) / sizeof(options[0]);

static bool is_in(const struct option *option, enum option_scope scope)
{
	return option->scope == scope ||
	       (scope == OPTION_TENANT && option->scope == OPTION_SERVICE);
}

const struct option *option_find(enum option_scope scope, const char *name)
{
	for (size_t i = 0; i < option_count; i++)
		if (is_in(&options[i], scope) && strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

const char *option_suggest(enum option_scope scope, const char *name)
{
	struct suggest suggest = suggest_begin(name);

	for (size_t i = 0; i < option_count; i++)
		if (is_in(&options[i], scope))
			suggest_offer(&suggest, options[i].name);
	return suggest.best;
}

const char *option_map_get(const struct option_map *map, const char *name)
{
	size_t from = 0, to = map->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(name, map->pairs[middle].name);
		if (!order)
			return map->pairs[middle].value;
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

const char *option_choice(const struct option *option, int place, char *out, size_t size)
{
	const char *at = option->choices;

	for (; place > 0; place--) {
		at += strcspn(at, "|");
		at += *at == '|';
	}
	snprintf(out, size, "%.*s", (int)strcspn(at, "|"), at);
	return out;
}

void option_fraction_spell(int64_t hundredths, char text[OPTION_FRACTION_SIZE])
{
	const char *sign = hundredths < 0 ? "-" : "";
	long long whole = llabs(hundredths) / 100, rest = llabs(hundredths) % 100;

	if (rest % 10)
		snprintf(text, OPTION_FRACTION_SIZE, "%s%lld.%02lld", sign, whole, rest);
	else if (rest)
		snprintf(text, OPTION_FRACTION_SIZE, "%s%lld.%lld", sign, whole, rest / 10);
	else
		snprintf(text, OPTION_FRACTION_SIZE, "%s%lld", sign, whole);
}
