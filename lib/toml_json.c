#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "toml.h"

const char *toml_kind_name(enum toml_kind kind)
{
	static const char *const names[] = {
		[TOML_STRING] = "a string",
		[TOML_INTEGER] = "a whole number",
		[TOML_FLOAT] = "a fraction",
		[TOML_BOOLEAN] = "a boolean",
		[TOML_DATETIME] = "a date and time",
		[TOML_DATETIME_LOCAL] = "a date and time",
		[TOML_DATE_LOCAL] = "a date",
		[TOML_TIME_LOCAL] = "a time",
		[TOML_ARRAY] = "an array",
		[TOML_TABLE] = "a table",
	};

	return names[kind];
}

const struct toml_entry *toml_find(const struct toml_node *table, const char *key)
{
	size_t len = strlen(key);

	if (table->kind != TOML_TABLE)
		return NULL;
	for (size_t i = 0; i < table->table.count; i++) {
		const struct toml_entry *entry = &table->table.entries[i];
		if (entry->key_len == len && memcmp(entry->key, key, len) == 0)
			return entry;
	}
	return NULL;
}

static void dump_string(struct text *out, const char *data, size_t len)
{
	text_puts(out, "\"");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];
		if (c == '"' || c == '\\')
			text_printf(out, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			text_printf(out, "\\u%04x", c);
		else
			text_add(out, &data[i], 1);
	}
	text_puts(out, "\"");
}

/* The shortest spelling that reads back as the same number. */
static void dump_real(struct text *out, double real)
{
	char spelling[40];

	if (isnan(real)) {
		text_puts(out, "nan");
		return;
	}
	if (isinf(real)) {
		text_puts(out, real < 0 ? "-inf" : "inf");
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(spelling, sizeof(spelling), "%.*g", digits, real);
		if (strtod(spelling, NULL) == real)
			break;
	}
	text_puts(out, spelling);
}

static void dump_date(struct text *out, const struct toml_moment *moment)
{
	text_printf(out, "%04u-%02u-%02u", moment->year, moment->month, moment->day);
}

static void dump_time(struct text *out, const struct toml_moment *moment)
{
	char fraction[16];
	size_t len;

	text_printf(out, "%02u:%02u:%02u", moment->hour, moment->minute, moment->second);
	if (!moment->nanosecond)
		return;
	len = (size_t)snprintf(fraction, sizeof(fraction), ".%09u", moment->nanosecond);
	while (fraction[len - 1] == '0')
		len--;
	text_add(out, fraction, len);
}

static void dump_offset(struct text *out, int minutes)
{
	if (minutes)
		text_printf(out, "%c%02d:%02d", minutes < 0 ? '-' : '+', abs(minutes) / 60,
			abs(minutes) % 60);
	else
		text_puts(out, "Z");
}

static void dump_moment(struct text *out, const struct toml_node *node)
{
	if (node->kind != TOML_TIME_LOCAL)
		dump_date(out, &node->moment);
	if (node->kind == TOML_DATETIME || node->kind == TOML_DATETIME_LOCAL)
		text_puts(out, "T");
	if (node->kind != TOML_DATE_LOCAL)
		dump_time(out, &node->moment);
	if (node->kind == TOML_DATETIME)
		dump_offset(out, node->moment.offset_minutes);
}

static void dump_scalar(struct text *out, const struct toml_node *node)
{
	static const char *const types[] = {
		[TOML_STRING] = "string",
		[TOML_INTEGER] = "integer",
		[TOML_FLOAT] = "float",
		[TOML_BOOLEAN] = "bool",
		[TOML_DATETIME] = "datetime",
		[TOML_DATETIME_LOCAL] = "datetime-local",
		[TOML_DATE_LOCAL] = "date-local",
		[TOML_TIME_LOCAL] = "time-local",
	};

	text_printf(out, "{\"type\": \"%s\", \"value\": ", types[node->kind]);
	if (node->kind == TOML_STRING) {
		dump_string(out, node->string.data, node->string.len);
		text_puts(out, "}");
		return;
	}
	text_puts(out, "\"");
	if (node->kind == TOML_INTEGER)
		text_printf(out, "%lld", (long long)node->integer);
	else if (node->kind == TOML_FLOAT)
		dump_real(out, node->real);
	else if (node->kind == TOML_BOOLEAN)
		text_puts(out, node->boolean ? "true" : "false");
	else
		dump_moment(out, node);
	text_puts(out, "\"}");
}

static void dump_node(struct text *out, const struct toml_node *node)
{
	if (node->kind == TOML_ARRAY) {
		text_puts(out, "[");
		for (size_t i = 0; i < node->array.count; i++) {
			text_puts(out, i ? ", " : "");
			dump_node(out, &node->array.items[i]);
		}
		text_puts(out, "]");
	} else if (node->kind == TOML_TABLE) {
		text_puts(out, "{");
		for (size_t i = 0; i < node->table.count; i++) {
			const struct toml_entry *entry = &node->table.entries[i];
			text_puts(out, i ? ", " : "");
			dump_string(out, entry->key, entry->key_len);
			text_puts(out, ": ");
			dump_node(out, &entry->value);
		}
		text_puts(out, "}");
	} else {
		dump_scalar(out, node);
	}
}

char *toml_dump_json(const struct toml_node *node)
{
	struct text out = { 0 };

	dump_node(&out, node);
	return text_steal(&out);
}
