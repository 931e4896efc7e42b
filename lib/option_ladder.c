#include "option_ladder.h"

#include <inttypes.h>
#include <string.h>

#define EXAMPLE "{ after = 60, to = \"frozen\" }"

static int read_after(const struct option *option, size_t row, const struct toml_node *table,
	int64_t *after, struct ten_error *err)
{
	const struct toml_entry *entry = toml_find(table, "after");

	if (!entry)
		return ten_error_set(err, 0, "%s: row %zu does not say after how many seconds: %s",
			option->name, row, EXAMPLE);
	if (entry->value.kind != TOML_INTEGER || entry->value.integer < option->min ||
		entry->value.integer > option->max)
		return ten_error_set(err, 0,
			"%s: after in row %zu wants a whole number of seconds from %" PRId64
			" to %" PRId64,
			option->name, row, option->min, option->max);
	*after = entry->value.integer;
	return 0;
}

static int read_to(const struct option *option, size_t row, const struct toml_node *table,
	struct option_ladder *ladder, int64_t **place, struct ten_error *err)
{
	const struct toml_entry *entry = toml_find(table, "to");

	if (!entry)
		return ten_error_set(err, 0, "%s: row %zu does not say what to become: %s",
			option->name, row, EXAMPLE);
	if (entry->value.kind == TOML_STRING && strcmp(entry->value.string.data, "frozen") == 0)
		*place = &ladder->frozen;
	else if (entry->value.kind == TOML_STRING &&
		 strcmp(entry->value.string.data, "stopped") == 0)
		*place = &ladder->stopped;
	else
		return ten_error_set(err, 0, "%s: to in row %zu wants \"frozen\" or \"stopped\"",
			option->name, row);
	return 0;
}

static int read_row(const struct option *option, size_t row, const struct toml_node *table,
	struct option_ladder *ladder, struct ten_error *err)
{
	int64_t before = ladder->stopped ? ladder->stopped : ladder->frozen;
	int64_t after = 0, *place = NULL;

	if (table->kind != TOML_TABLE)
		return ten_error_set(err, 0, "%s: row %zu wants a table, not %s: %s", option->name,
			row, toml_kind_name(table->kind), EXAMPLE);
	for (size_t i = 0; i < table->table.count; i++) {
		const char *key = table->table.entries[i].key;

		if (strcmp(key, "after") != 0 && strcmp(key, "to") != 0)
			return ten_error_set(err, 0,
				"%s: unknown key \"%.60s\" in row %zu: there are after and to",
				option->name, key, row);
	}
	if (read_after(option, row, table, &after, err) < 0 ||
		read_to(option, row, table, ladder, &place, err) < 0)
		return -1;
	if (ladder->stopped)
		return ten_error_set(err, 0,
			"%s: nothing comes after \"stopped\", but there is a row %zu", option->name,
			row);
	if (*place)
		return ten_error_set(
			err, 0, "%s: row %zu says the same as the one before", option->name, row);
	if (after <= before)
		return ten_error_set(err, 0,
			"%s: the rows come in the order of their times, but %" PRId64
			" in row %zu is not after %" PRId64,
			option->name, after, row, before);
	*place = after;
	return 0;
}

int option_ladder_read(const struct option *option, const struct toml_node *node,
	struct option_ladder *ladder, struct ten_error *err)
{
	*ladder = (struct option_ladder){ 0 };
	if (node->kind != TOML_ARRAY)
		return ten_error_set(err, 0, "%s wants rows like [%s], not %s", option->name,
			EXAMPLE, toml_kind_name(node->kind));
	for (size_t i = 0; i < node->array.count; i++)
		if (read_row(option, i + 1, &node->array.items[i], ladder, err) < 0)
			return -1;
	return 0;
}
