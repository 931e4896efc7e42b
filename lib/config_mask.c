#include "config_mask.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"
#include "toml.h"

/* What begins in a line. A line in which nothing begins goes on with what did before. */
enum kind { LINE_GOES_ON, LINE_PLAIN, LINE_SECRET };

struct line {
	enum kind kind;
	int column; /* where the first thing that begins in it does */
};

struct lines {
	struct line *line; /* from 1 */
	int count;
};

static bool is_secret(const struct toml_entry *entry)
{
	return strcmp(entry->key, "env") == 0 || strcmp(entry->key, "credentials") == 0;
}

static void note(struct lines *lines, int number, int column, enum kind kind)
{
	struct line *line;

	if (number < 1 || number > lines->count)
		return;
	line = &lines->line[number];
	if (line->kind == LINE_GOES_ON || column < line->column)
		line->column = column;
	if (line->kind < kind)
		line->kind = kind;
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
		enum kind kind = inside ? LINE_SECRET : LINE_PLAIN;

		note(lines, entry->line, entry->column, kind);
		note(lines, entry->value.line, entry->value.column, kind);
		walk(lines, &entry->value, inside);
	}
}

/* Whether what begins at COLUMN, in characters, is within what began in a line before: in an inline
 * table nothing else comes first. */
static bool is_inner(const char *line, size_t len, int column)
{
	for (size_t i = 0; i < len; i++) {
		if (((unsigned char)line[i] & 0xc0) != 0x80 && --column < 1)
			return false;
		if (line[i] == ',' || line[i] == '{')
			return true;
	}
	return false;
}

/* A line of a secret: its header or its key, and nothing of what follows. */
static void put_masked(struct text *out, const char *line, size_t len, enum kind kind)
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
	autofree struct line *kept = NULL;
	struct lines lines = { .count = 1 };
	enum kind now = LINE_PLAIN;

	if (!document)
		return NULL;
	for (size_t i = 0; i < len; i++)
		lines.count += text[i] == '\n';
	lines.line = kept = mem_alloc((size_t)(lines.count + 1) * sizeof(*kept));
	walk(&lines, toml_root(document), false);
	toml_free(document);
	text_puts(&out, "");
	for (int number = 1; number <= lines.count; number++) {
		const char *newline = memchr(text, '\n', len);
		size_t size = newline ? (size_t)(newline - text) : len;
		struct line line = kept[number];

		/* A secret may end in it. */
		if (now == LINE_SECRET && is_inner(text, size, line.column))
			line.kind = LINE_GOES_ON;
		if (line.kind != LINE_GOES_ON)
			now = line.kind;
		if (now == LINE_SECRET)
			put_masked(&out, text, size, line.kind);
		else
			text_add(&out, text, size);
		if (newline)
			text_puts(&out, "\n");
		text += size + (newline != NULL);
		len -= size + (newline != NULL);
	}
	return text_steal(&out);
}
