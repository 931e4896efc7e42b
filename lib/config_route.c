#include "config_route.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "mem.h"
#include "names.h"
#include "option_value.h"
#include "sticky.h"
#include "suggest.h"

static struct config_at at_key(const struct toml_entry *entry)
{
	return (struct config_at){ entry->line, entry->column };
}

static struct config_at at_value(const struct toml_entry *entry)
{
	return (struct config_at){ entry->value.line, entry->value.column };
}

/* Put a part in the order of the ids. */
static void add_split(
	struct config_route_table *table, const char *id, uint32_t weight, struct config_at at)
{
	struct config_route *route = &table->route;
	size_t place = 0;

	while (place < route->count && strcmp(route->split[place].id, id) < 0)
		place++;
	route->split = mem_resize(route->split, route->count + 1, sizeof(*route->split));
	table->split_at = mem_resize(table->split_at, route->count + 1, sizeof(*table->split_at));
	memmove(&route->split[place + 1], &route->split[place],
		(route->count - place) * sizeof(*route->split));
	memmove(&table->split_at[place + 1], &table->split_at[place],
		(route->count - place) * sizeof(*table->split_at));
	route->split[place] = (struct config_split){ mem_strdup(id), weight };
	table->split_at[place] = at;
	route->count++;
}

static void read_part(
	struct config_file *file, struct config_route_table *table, const struct toml_entry *part)
{
	const struct toml_node *node = &part->value;
	struct ten_error err;

	if (names_check(part->key, &err) < 0) {
		config_problems_add(
			&file->problems, at_key(part), "id \"%.80s\": %s", part->key, err.text);
	} else if (node->kind != TOML_INTEGER) {
		config_problems_add(&file->problems, at_value(part),
			"split.%s wants a weight, a whole number from 0 to %d, not %s", part->key,
			CONFIG_WEIGHT_MAX, toml_kind_name(node->kind));
	} else if (node->integer < 0 || node->integer > CONFIG_WEIGHT_MAX) {
		config_problems_add(&file->problems, at_value(part),
			"split.%s wants a weight, a whole number from 0 to %d, not %" PRId64,
			part->key, CONFIG_WEIGHT_MAX, node->integer);
	} else {
		add_split(table, part->key, (uint32_t)node->integer, at_key(part));
	}
}

static void read_split(
	struct config_file *file, struct config_route_table *table, const struct toml_entry *entry)
{
	size_t before = file->problems.count;
	uint64_t sum = 0;

	if (entry->value.kind != TOML_TABLE) {
		config_problems_add(&file->problems, at_value(entry),
			"split wants a table of weights, { v1 = 95, v2 = 5 }, not %s",
			toml_kind_name(entry->value.kind));
		return;
	}
	for (size_t i = 0; i < entry->value.table.count; i++)
		read_part(file, table, &entry->value.table.entries[i]);
	for (size_t i = 0; i < table->route.count; i++)
		sum += table->route.split[i].weight;
	if (!sum && file->problems.count == before)
		config_problems_add(&file->problems, at_value(entry),
			"split sends traffic to nobody: at least one weight is above 0");
}

static void read_sticky(
	struct config_file *file, struct config_route_table *table, const struct toml_entry *entry)
{
	const struct toml_node *node = &entry->value;

	for (int i = 0; node->kind == TOML_STRING && i < STICKY_KINDS; i++)
		if (strcmp(node->string.data, sticky_names[i]) == 0)
			table->route.sticky = i;
	if (table->route.sticky < 0)
		config_problems_add(&file->problems, at_value(entry),
			"sticky wants \"none\", \"cookie\" or \"ip\"%s%.40s%s",
			node->kind == TOML_STRING ? ", not \"" : "",
			node->kind == TOML_STRING ? node->string.data : "",
			node->kind == TOML_STRING ? "\"" : "");
}

void config_route_read(struct config_file *file, const struct toml_entry *entry)
{
	struct config_route_table *table;
	const struct toml_node *node = &entry->value;

	if (node->kind != TOML_TABLE) {
		config_problems_add(&file->problems, at_value(entry),
			"route.%s wants a table, not %s", entry->key, toml_kind_name(node->kind));
		return;
	}
	file->routes = mem_resize(file->routes, file->route_count + 1, sizeof(*file->routes));
	table = &file->routes[file->route_count++];
	memset(table, 0, sizeof(*table));
	table->at = at_key(entry);
	table->route.service = mem_strdup(entry->key);
	table->route.file = mem_strdup(file->name);
	table->route.line = entry->line;
	table->route.sticky = -1;
	for (size_t i = 0; i < node->table.count; i++) {
		const struct toml_entry *key = &node->table.entries[i];
		struct suggest suggest = suggest_begin(key->key);

		suggest_offer(&suggest, "split");
		suggest_offer(&suggest, "sticky");
		if (strcmp(key->key, "split") == 0)
			read_split(file, table, key);
		else if (strcmp(key->key, "sticky") == 0)
			read_sticky(file, table, key);
		else
			config_problems_add(&file->problems, at_key(key),
				"unknown key \"%s\"%s%s%s", key->key,
				suggest.best ? " (did you mean \"" : " in a route: there are ",
				suggest.best ? suggest.best : "split and sticky",
				suggest.best ? "\"?)" : "");
	}
	if (!toml_find(node, "split"))
		config_problems_add(&file->problems, table->at,
			"route \"%s\" has no split: split = { v1 = 95, v2 = 5 }", entry->key);
}

void config_routes_clear(struct config_file *file)
{
	for (size_t i = 0; i < file->route_count; i++) {
		struct config_route *route = &file->routes[i].route;
		for (size_t part = 0; part < route->count; part++)
			free(route->split[part].id);
		free(route->split);
		free(route->service);
		free(route->file);
		free(file->routes[i].split_at);
	}
	free(file->routes);
	file->routes = NULL;
	file->route_count = 0;
}

/* A value of [routing] that names a service; NULL when it does not. */
static const char *read_reference(struct config_file *file, const struct toml_entry *entry)
{
	const struct toml_node *node = &entry->value;
	struct config_reference *reference;
	struct ten_error err;

	if (node->kind != TOML_STRING) {
		config_problems_add(&file->problems, at_value(entry),
			"%s wants the name of a service, not %s", entry->key,
			toml_kind_name(node->kind));
		return NULL;
	}
	if (names_check(node->string.data, &err) < 0) {
		config_problems_add(&file->problems, at_value(entry), "service \"%.80s\": %s",
			node->string.data, err.text);
		return NULL;
	}
	file->references =
		mem_resize(file->references, file->reference_count + 1, sizeof(*file->references));
	reference = &file->references[file->reference_count++];
	*reference = (struct config_reference){ mem_strdup(node->string.data), at_value(entry) };
	return reference->service;
}

static bool expect_table(struct config_file *file, const struct toml_entry *entry)
{
	if (entry->value.kind == TOML_TABLE)
		return true;
	config_problems_add(&file->problems, at_value(entry), "routing.%s wants a table, not %s",
		entry->key, toml_kind_name(entry->value.kind));
	return false;
}

static void read_subdomains(struct config_file *file, const struct toml_entry *entry)
{
	if (!expect_table(file, entry))
		return;
	for (size_t i = 0; i < entry->value.table.count; i++) {
		const struct toml_entry *label = &entry->value.table.entries[i];
		const char *service = read_reference(file, label);
		struct ten_error err;

		if (names_check(label->key, &err) < 0)
			config_problems_add(&file->problems, at_key(label),
				"subdomain \"%.80s\": %s", label->key, err.text);
		else if (service)
			option_map_set(&file->routing.subdomains, label->key, service);
	}
}

static int compare_longest_first(const void *a, const void *b)
{
	const struct option_pair *one = a, *other = b;
	size_t one_len = strlen(one->name), other_len = strlen(other->name);

	if (one_len != other_len)
		return one_len > other_len ? -1 : 1;
	return strcmp(one->name, other->name);
}

static void read_paths(struct config_file *file, const struct toml_entry *entry)
{
	struct option_map *paths = &file->routing.paths;

	if (!expect_table(file, entry))
		return;
	for (size_t i = 0; i < entry->value.table.count; i++) {
		const struct toml_entry *path = &entry->value.table.entries[i];
		const char *service = read_reference(file, path);
		struct ten_error err;

		if (config_check_route_path(path->key, &err) < 0)
			config_problems_add(&file->problems, at_key(path), "%s", err.text);
		else if (service)
			option_map_set(paths, path->key, service);
	}
	if (paths->count)
		qsort(paths->pairs, paths->count, sizeof(*paths->pairs), compare_longest_first);
}

void config_routing_read(struct config_file *file, const struct toml_entry *entry)
{
	if (entry->value.kind != TOML_TABLE) {
		config_problems_add(&file->problems, at_value(entry),
			"routing wants a table, not %s", toml_kind_name(entry->value.kind));
		return;
	}
	for (size_t i = 0; i < entry->value.table.count; i++) {
		const struct toml_entry *key = &entry->value.table.entries[i];
		struct suggest suggest = suggest_begin(key->key);

		if (strcmp(key->key, "default") == 0) {
			free(file->routing.default_service);
			file->routing.default_service = mem_strdup(read_reference(file, key));
		} else if (strcmp(key->key, "subdomain") == 0) {
			read_subdomains(file, key);
		} else if (strcmp(key->key, "path") == 0) {
			read_paths(file, key);
		} else {
			suggest_offer(&suggest, "default");
			suggest_offer(&suggest, "subdomain");
			suggest_offer(&suggest, "path");
			config_problems_add(&file->problems, at_key(key),
				"unknown key \"%s\" in [routing]%s%s%s", key->key,
				suggest.best ? " (did you mean \"" : "",
				suggest.best ? suggest.best : "", suggest.best ? "\"?)" : "");
		}
	}
}

void config_routing_clear(struct config_routing *routing)
{
	struct option_map *maps[] = { &routing->subdomains, &routing->paths };

	for (size_t m = 0; m < 2; m++) {
		for (size_t i = 0; i < maps[m]->count; i++) {
			free(maps[m]->pairs[i].name);
			free(maps[m]->pairs[i].value);
		}
		free(maps[m]->pairs);
	}
	free(routing->default_service);
	memset(routing, 0, sizeof(*routing));
}
