#include "toml_edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "toml.h"

/* Where the LINE-th line of TEXT begins, from 1. */
static const char *line_at(const char *text, int line)
{
	for (; line > 1 && text; line--) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return text;
}

/* Where the COLUMN-th character of the line at LINE is, from 1. */
static const char *character_at(const char *line, int column)
{
	while (column > 1 && *line && *line != '\n') {
		do
			line++;
		while (((unsigned char)*line & 0xc0) == 0x80);
		column--;
	}
	return line;
}

/* Behind the string of one line that begins at TEXT; NULL: it is none such. */
static const char *string_end(const char *text)
{
	char quote = *text;

	if ((quote != '"' && quote != '\'') || (text[1] == quote && text[2] == quote))
		return NULL;
	for (text++; *text && *text != '\n'; text++) {
		if (*text == quote)
			return text + 1;
		if (*text == '\\' && quote == '"' && text[1])
			text++;
	}
	return NULL;
}

/* The table NAME, and the line of its header; NULL: there is none that is written with one. */
static const struct toml_node *find_table(
	const struct toml_node *root, const char *name, const char *text, const char **header)
{
	const struct toml_entry *entry = toml_find(root, name);
	const struct toml_node *table = entry ? &entry->value : NULL;

	if (table && table->kind == TOML_ARRAY && table->array.count == 1)
		table = &table->array.items[0];
	if (!table || table->kind != TOML_TABLE)
		return NULL;
	*header = line_at(text, entry->line);
	return *header && (*header)[strspn(*header, " \t")] == '[' ? table : NULL;
}

/* What is between FROM and TO is exchanged. */
static char *exchange(const char *text, const char *from, const char *to, const char *by)
{
	return mem_printf("%.*s%s%s", (int)(from - text), text, by, to);
}

static char *edit(const char *text, const struct toml_node *root, const char *table_name,
	const char *key, const char *value)
{
	const char *header, *from, *to;
	const struct toml_node *table = find_table(root, table_name, text, &header);
	const struct toml_entry *entry = table ? toml_find(table, key) : NULL;
	autofree char *line = mem_printf("\n%s = \"%s\"", key, value);
	autofree char *quoted = mem_printf("\"%s\"", value);

	if (!table)
		return NULL;
	if (!entry) {
		from = header + strcspn(header, "\r\n");
		return exchange(text, from, from, line);
	}
	from = line_at(text, entry->value.line);
	from = from ? character_at(from, entry->value.column) : NULL;
	to = from && entry->value.kind == TOML_STRING ? string_end(from) : NULL;
	return to ? exchange(text, from, to, quoted) : NULL;
}

/* Whether TEXT says so: what was written above is not believed before it was read. */
static bool says(const char *text, const char *table, const char *key, const char *value)
{
	struct toml_fault fault;
	struct toml_document *document = toml_parse(text, strlen(text), &fault);
	const char *header;
	const struct toml_node *found =
		document ? find_table(toml_root(document), table, text, &header) : NULL;
	const struct toml_entry *entry = found ? toml_find(found, key) : NULL;
	bool right = entry && entry->value.kind == TOML_STRING &&
		     strcmp(entry->value.string.data, value) == 0;

	toml_free(document);
	return right;
}

char *toml_edit_set(const char *text, size_t len, const char *table, const char *key,
	const char *value, struct ten_error *err)
{
	autofree char *copy = mem_strndup(text, len);
	struct toml_fault fault;
	struct toml_document *document = toml_parse(copy, strlen(copy), &fault);
	char *edited;

	if (!document) {
		ten_error_say(err, EINVAL, "%d:%d: %s", fault.line, fault.column, fault.message);
		return NULL;
	}
	edited = edit(copy, toml_root(document), table, key, value);
	toml_free(document);
	if (edited && says(edited, table, key, value))
		return edited;
	free(edited);
	ten_error_say(err, EINVAL,
		"%s of [%s] is written in a way that is left to you: change it there", key, table);
	return NULL;
}
