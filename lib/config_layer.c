#include "config_layer.h"

#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "config_path.h"
#include "mem.h"
#include "names.h"
#include "pressure.h"
#include "spec_template.h"
#include "spec_view.h"

static struct config_at at_node(const struct toml_node *node)
{
	return (struct config_at){ node->line, node->column };
}

static void refuse_unknown(
	enum option_scope scope, const struct toml_entry *entry, struct config_problems *problems)
{
	static const char *const homes[] = {
		[OPTION_SETTING] = "[settings]",
		[OPTION_LISTENER] = "[[settings.listener]]",
		[OPTION_SERVICE] = "[service.NAME]",
		[OPTION_TENANT] = "[tenant]",
	};
	struct config_at at = { entry->line, entry->column };
	const char *near = option_suggest(scope, entry->key);

	for (int home = OPTION_SETTING; home <= OPTION_TENANT; home++) {
		if (option_find((enum option_scope)home, entry->key)) {
			config_problems_add(problems, at, "\"%s\" belongs in %s, not in %s",
				entry->key, homes[home], homes[scope]);
			return;
		}
	}
	if (near)
		config_problems_add(problems, at, "unknown key \"%s\" (did you mean \"%s\"?)",
			entry->key, near);
	else
		config_problems_add(
			problems, at, "unknown key \"%s\" in %s", entry->key, homes[scope]);
}

static bool is_template(const struct option *option)
{
	static const char *const names[] = { "workdir", "env_file", "credentials", "rootfs" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(option->name, names[i]) == 0)
			return true;
	return false;
}

/* The absolute form of PATH. A template that begins with a folder of its own stays as it is. */
static char *resolve_path(const struct option *option, const char *folder, const char *path)
{
	autofree char *escaped = NULL;

	if (!is_template(option))
		return config_path_join(folder, path);
	if (strncmp(path, "{dir}", 5) == 0 || strncmp(path, "{data_dir}", 10) == 0 ||
		strncmp(path, "{runtime_dir}", 13) == 0)
		return mem_strdup(path);
	escaped = spec_template_escape(folder);
	return config_path_join(escaped, path);
}

static void check_string(
	struct config_value *value, const char *folder, struct config_problems *problems)
{
	struct ten_error err;

	if (config_check_text(value->option, value->value.string, &err) < 0) {
		config_problems_add(problems, value->at, "%s", err.text);
		return;
	}
	if (value->option->type == OPTION_PATH) {
		autofree char *written = value->value.string;
		value->value.string = resolve_path(value->option, folder, written);
	}
	if (strcmp(value->option->name, "data_dir") == 0) {
		autofree char *folder_meant = config_path_normalize(value->value.string);
		if (strcmp(folder_meant, "/") == 0)
			config_problems_add(problems, value->at, "data_dir cannot be \"/\"");
	}
	if (strcmp(value->option->name, "domain") == 0)
		names_host_lower(value->value.string);
}

static void check_number(const struct config_value *value, struct config_problems *problems)
{
	if (strcmp(value->option->name, "memory_pressure_percent") == 0 && value->value.integer &&
		pressure_now() < 0)
		config_problems_add(problems, value->at,
			"memory_pressure_percent: this kernel does not tell of pressure "
			"(/proc/pressure/memory): remove the key");
}

static void resolve_item(struct config_value *value, size_t i, const char *folder)
{
	autofree char *written = value->value.list[i];

	value->value.list[i] = resolve_path(value->option, folder, written);
}

static void check_list(struct config_value *value, const struct toml_node *node, const char *folder,
	struct config_problems *problems)
{
	struct ten_error err;
	size_t count = mem_strv_length(value->value.list);
	bool alone = node->kind == TOML_STRING; /* which stands for a list of itself */

	value->item_at = mem_alloc(count * sizeof(*value->item_at));
	for (size_t i = 0; i < count; i++) {
		value->item_at[i] = at_node(alone ? node : &node->array.items[i]);
		if (config_check_text(value->option, value->value.list[i], &err) < 0)
			config_problems_add(problems, value->item_at[i], "%s", err.text);
		else if (value->option->type == OPTION_PATHS)
			resolve_item(value, i, folder);
		if (strcmp(value->option->name, "domains") == 0)
			names_host_lower(value->value.list[i]);
	}
	if (config_check_count(value->option, count, &err) < 0)
		config_problems_add(problems, value->at, "%s", err.text);
}

static void check_map(struct config_value *value, const struct toml_node *node, const char *folder,
	struct config_problems *problems)
{
	struct option_map *map = &value->value.map;
	struct ten_error err;

	value->item_at = mem_alloc(map->count * sizeof(*value->item_at));
	for (size_t i = 0; i < map->count; i++) {
		struct option_pair *pair = &map->pairs[i];
		value->item_at[i] = at_node(&toml_find(node, pair->name)->value);
		if (config_check_pair(value->option, pair->name, pair->value, &err) < 0) {
			config_problems_add(problems, value->item_at[i], "%s", err.text);
		} else if (strcmp(value->option->name, "env") != 0) {
			autofree char *written = pair->value;
			pair->value = resolve_path(value->option, folder, written);
		}
	}
	if (config_check_count(value->option, map->count, &err) < 0)
		config_problems_add(problems, value->at, "%s", err.text);
}

static void check_mounts(
	struct config_value *value, const struct toml_node *node, struct config_problems *problems)
{
	struct ten_error err;

	for (size_t i = 0; value->value.list[i]; i++) {
		if (i % OPTION_MOUNT_STRINGS == OPTION_MOUNT_STRINGS - 1 ||
			spec_view_check_path(value->value.list[i], &err) == 0)
			continue;
		config_problems_add(problems, at_node(&node->array.items[i / OPTION_MOUNT_STRINGS]),
			"%s: %s", value->option->name, err.text);
	}
}

static struct config_value *add_value(struct config_layer *layer)
{
	struct config_value *value;

	layer->values = mem_resize(layer->values, layer->count + 1, sizeof(*layer->values));
	value = &layer->values[layer->count++];
	memset(value, 0, sizeof(*value));
	return value;
}

/* A table of strings may have several wrong ones, each with a place of its own: they are said, and
 * the right ones read on. Returns the entries of *right, which the caller frees. */
static struct toml_entry *keep_right_pairs(const struct option *option,
	const struct toml_node *node, struct toml_node *right, struct config_problems *problems)
{
	struct toml_entry *entries;

	*right = *node;
	if (option->type != OPTION_MAP || node->kind != TOML_TABLE)
		return NULL;
	entries = mem_alloc(node->table.count * sizeof(*entries));
	right->table.entries = entries;
	right->table.count = 0;
	for (size_t i = 0; i < node->table.count; i++) {
		const struct toml_entry *entry = &node->table.entries[i];
		const struct toml_node one = { .kind = TOML_TABLE,
			.table = { .entries = entry, .count = 1 } };
		union option_value value = { 0 };
		struct ten_error err;

		if (option_value_read(option, &one, &value, &err) < 0)
			config_problems_add(problems, at_node(&entry->value), "%s", err.text);
		else
			entries[right->table.count++] = *entry;
		option_value_clear(option, &value);
	}
	return entries;
}

void config_layer_read(struct config_layer *layer, enum option_scope scope,
	const struct toml_entry *entry, const char *folder, struct config_problems *problems)
{
	const struct option *option = option_find(scope, entry->key);
	autofree struct toml_entry *right_pairs = NULL;
	struct toml_node right;
	const struct toml_node *node = &right;
	struct config_value *value;
	struct ten_error err;

	if (!option) {
		refuse_unknown(scope, entry, problems);
		return;
	}
	right_pairs = keep_right_pairs(option, &entry->value, &right, problems);
	value = add_value(layer);
	value->option = option;
	value->at = at_node(node);
	if (option_value_read(option, node, &value->value, &err) < 0 ||
		option_value_check_given(option, &value->value, &err) < 0) {
		config_problems_add(problems, value->at, "%s", err.text);
		option_value_clear(option, &value->value);
		layer->count--;
		return;
	}
	if (option->type == OPTION_STRING || option->type == OPTION_PATH)
		check_string(value, folder, problems);
	else if (option->type == OPTION_INT)
		check_number(value, problems);
	else if (option->type == OPTION_LIST || option->type == OPTION_TIMES ||
		 option->type == OPTION_PATHS)
		check_list(value, node, folder, problems);
	else if (option->type == OPTION_MAP)
		check_map(value, node, folder, problems);
	else if (option->type == OPTION_TABLES)
		check_mounts(value, node, problems);
}

void config_layer_add_choice(
	struct config_layer *layer, const struct option *option, int choice, struct config_at at)
{
	struct config_value *value = add_value(layer);

	value->option = option;
	value->at = at;
	value->value.choice = choice;
}

const struct config_value *config_layer_find(const struct config_layer *layer, const char *name)
{
	for (size_t i = 0; i < layer->count; i++)
		if (strcmp(layer->values[i].option->name, name) == 0)
			return &layer->values[i];
	return NULL;
}

void config_layer_apply(const struct config_layer *layer, enum option_scope scope, void *values)
{
	for (size_t i = 0; i < layer->count; i++)
		if (layer->values[i].option->scope == scope)
			option_value_store(
				layer->values[i].option, &layer->values[i].value, values);
}

void config_layer_clear(struct config_layer *layer)
{
	for (size_t i = 0; i < layer->count; i++) {
		option_value_clear(layer->values[i].option, &layer->values[i].value);
		free(layer->values[i].item_at);
	}
	free(layer->values);
	*layer = (struct config_layer){ 0 };
}
