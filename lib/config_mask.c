#include "config_mask.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"
#include "toml.h"

/* What begins in a line. A line in which nothing begins goes on with what did before. */
enum line { LINE_GOES_ON, LINE_PLAIN, LINE_SECRET };

struct lines {
	enum line *kinds; /* from 1 */
	int count;
};

static bool is_secret(const struct toml_entry *entry)
{
	return strcmp(entry->key, "env") == 0 || strcmp(entry->key, "credentials") == 0;
}

static void note(struct lines *lines, int line, enum line kind)
{
	if (line >= 1 && line <= lines->count && lines->kinds[line] < kind)
		lines->kinds[line] = kind;
}

static void walk(struct lines *lines, const struct toml_node *node, bool secret)
{
	if (node->kind == TOML_ARRAY)
		for (size_t i = 0; i < node->array.count; i++)
			walk(lines, &node->array.items[i], secret);
	if (node->kind != TOML_TABLE)
		return;
	for (size_t i = 0; i < node->table.count; i++) {
		const struct toml_entry *entry = &node->table.entries[i];
		bool inside = secret || is_secret(entry);

		note(lines, entry->line, inside ? LINE_SECRET : LINE_PLAIN);
		note(lines, entry->value.line, inside ? LINE_SECRET : LINE_PLAIN);
		walk(lines, &entry->value, inside);
	}
}

/* A line of a secret: its header or its key, and nothing of what follows. */
static void put_masked(struct text *out, const char *line, size_t len, enum line kind)
{
	size_t blank = strspn(line, " \t");
	const char *equals = memchr(line, '=', len);

	if (blank >= len || (kind == LINE_SECRET && line[blank] == '['))
		text_add(out, line, len);
	else if (kind == LINE_SECRET && equals)
		text_printf(out, "%.*s= \"***\"", (int)(equals - line), line);
	else
		text_printf(out, "%.*s***", (int)blank, line);
}

char *config_mask(const char *text, size_t len)
{
	struct toml_fault fault;
	struct toml_document *document = toml_parse(text, len, &fault);
	autotext struct text out = { 0 };
	autofree enum line *kinds = NULL;
	struct lines lines = { .count = 1 };
	enum line now = LINE_PLAIN;

	if (!document)
		return NULL;
	for (size_t i = 0; i < len; i++)
		lines.count += text[i] == '\n';
	lines.kinds = kinds = mem_alloc((size_t)(lines.count + 1) * sizeof(*kinds));
	walk(&lines, toml_root(document), false);
	toml_free(document);
	text_puts(&out, "");
	for (int line = 1; line <= lines.count; line++) {
		const char *newline = memchr(text, '\n', len);
		size_t size = newline ? (size_t)(newline - text) : len;

		if (kinds[line] != LINE_GOES_ON)
			now = kinds[line];
		if (now == LINE_SECRET)
			put_masked(&out, text, size, kinds[line]);
		else
			text_add(&out, text, size);
		if (newline)
			text_puts(&out, "\n");
		text += size + (newline != NULL);
		len -= size + (newline != NULL);
	}
	return text_steal(&out);
}
