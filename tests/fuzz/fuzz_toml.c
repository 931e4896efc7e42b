/*
 * Any bytes as TOML: read or refused with a message and a place in the text, and what was read has
 * places in the text, too.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void check_node(const struct toml_node *node, int lines)
{
	require(node->line <= lines);
	if (node->kind == TOML_STRING)
		require(strlen(node->string.data) <= node->string.len);
	for (size_t i = 0; node->kind == TOML_ARRAY && i < node->array.count; i++)
		check_node(&node->array.items[i], lines);
	for (size_t i = 0; node->kind == TOML_TABLE && i < node->table.count; i++) {
		const struct toml_entry *entry = &node->table.entries[i];
		require(entry->line >= 1 && entry->line <= lines && entry->column >= 1);
		check_node(&entry->value, lines);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct toml_fault fault = { 0 };
	struct toml_document *document;
	int lines = 1;
	char *json;

	/* Their number is at most that of the newlines; an error may be said of the one after. */
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	document = toml_parse((const char *)data, size, &fault);
	if (!document) {
		require(fault.message[0]);
		require(fault.line >= 0 && fault.line <= lines + 1);
		return 0;
	}
	require(size <= TOML_TEXT_MAX);
	check_node(toml_root(document), lines);
	json = toml_dump_json(toml_root(document));
	require(json[0] == '{');
	free(json);
	toml_free(document);
	return 0;
}
