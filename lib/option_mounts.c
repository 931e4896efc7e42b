#include "option_mounts.h"

#include <stdio.h>
#include <string.h>

#include "mem.h"

#define EXAMPLE "source = \"/srv/media\", destination = \"/media\""

static const char *const keys[] = { "source", "destination", "readonly" };

static int check_keys(const struct option *option, size_t row, const struct toml_node *table,
	struct ten_error *err)
{
	for (size_t i = 0; i < table->table.count; i++) {
		const char *key = table->table.entries[i].key;
		bool known = false;

		for (size_t at = 0; at < sizeof(keys) / sizeof(*keys); at++)
			known = known || strcmp(key, keys[at]) == 0;
		if (!known)
			return ten_error_set(err, 0,
				"%s: unknown key \"%.60s\" in table %zu: there are source, "
				"destination and readonly",
				option->name, key, row);
	}
	return 0;
}

static int read_path(const struct option *option, size_t row, const struct toml_node *table,
	const char *key, char ***list, struct ten_error *err)
{
	const struct toml_entry *entry = toml_find(table, key);

	if (!entry)
		return ten_error_set(
			err, 0, "%s: table %zu has no %s: %s", option->name, row, key, EXAMPLE);
	if (entry->value.kind != TOML_STRING || !entry->value.string.len ||
		memchr(entry->value.string.data, '\0', entry->value.string.len))
		return ten_error_set(
			err, 0, "%s: %s in table %zu wants a path", option->name, key, row);
	mem_strv_append(list, entry->value.string.data);
	return 0;
}

static int read_table(const struct option *option, size_t row, const struct toml_node *table,
	char ***list, struct ten_error *err)
{
	const struct toml_entry *readonly = toml_find(table, "readonly");

	if (table->kind != TOML_TABLE)
		return ten_error_set(err, 0, "%s wants tables, not %s: %s", option->name,
			toml_kind_name(table->kind), EXAMPLE);
	if (readonly && readonly->value.kind != TOML_BOOLEAN)
		return ten_error_set(
			err, 0, "%s: readonly in table %zu wants true or false", option->name, row);
	if (check_keys(option, row, table, err) < 0 ||
		read_path(option, row, table, "source", list, err) < 0 ||
		read_path(option, row, table, "destination", list, err) < 0)
		return -1;
	mem_strv_append(list,
		!readonly || readonly->value.boolean ? OPTION_MOUNT_READ : OPTION_MOUNT_WRITE);
	return 0;
}

char **option_mounts_read(
	const struct option *option, const struct toml_node *node, struct ten_error *err)
{
	char **list = mem_alloc(sizeof(*list));

	if (node->kind != TOML_ARRAY)
		ten_error_set(err, 0, "%s wants tables, not %s: [[...%s]] %s", option->name,
			toml_kind_name(node->kind), option->name, EXAMPLE);
	else if (node->array.count > OPTION_MOUNTS_MAX)
		ten_error_set(err, 0, "%s: %zu tables, %d are possible", option->name,
			node->array.count, OPTION_MOUNTS_MAX);
	else
		for (size_t i = 0;; i++) {
			if (i == node->array.count)
				return list;
			if (read_table(option, i + 1, &node->array.items[i], &list, err) < 0)
				break;
		}
	mem_strv_free(list);
	return NULL;
}

void option_mounts_spell(
	char *const *list, struct text *out, void (*spell)(struct text *, const char *))
{
	text_puts(out, "[");
	for (char *const *at = list; at && *at; at += OPTION_MOUNT_STRINGS) {
		text_puts(out, at == list ? "{ source = " : ", { source = ");
		spell(out, at[0]);
		text_puts(out, ", destination = ");
		spell(out, at[1]);
		text_printf(out, ", readonly = %s }",
			strcmp(at[2], OPTION_MOUNT_READ) == 0 ? "true" : "false");
	}
	text_puts(out, "]");
}
