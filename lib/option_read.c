#include "option_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calendar.h"
#include "mem.h"
#include "option_ladder.h"
#include "option_mounts.h"
#include "suggest.h"
#include "text.h"

/* What OPTION wants, for people: "a whole number of seconds from 0 to 3600". */
static const char *unit_of(const struct option *option)
{
	size_t len = strlen(option->name);

	if (strncmp(option->prose, "Seconds", 7) == 0)
		return " of seconds";
	if (strncmp(option->prose, "Milliseconds", 12) == 0)
		return " of milliseconds";
	if (len > 3 && strcmp(option->name + len - 3, "_mb") == 0)
		return " of MiB";
	if (len > 3 && strcmp(option->name + len - 3, "_kb") == 0)
		return " of KiB";
	return "";
}

static void describe_choices(struct text *out, const char *choices, const char *quote)
{
	while (*choices) {
		size_t len = strcspn(choices, "|");
		bool last = !choices[len];
		text_printf(out, "%s%.*s%s", quote, (int)len, choices, quote);
		choices += len + !last;
		if (*choices)
			text_puts(out, strchr(choices, '|') ? ", " : " or ");
	}
}

static void describe_wanted(struct text *out, const struct option *option)
{
	char from[OPTION_FRACTION_SIZE], to[OPTION_FRACTION_SIZE];

	switch (option->type) {
	case OPTION_BOOL:
		text_puts(out, "true or false");
		break;
	case OPTION_INT:
		text_printf(out, "a whole number%s from %" PRId64 " to %" PRId64, unit_of(option),
			option->min, option->max);
		break;
	case OPTION_FRACTION:
		option_fraction_spell(option->min, from);
		option_fraction_spell(option->max, to);
		text_printf(out, "a number from %s to %s in steps of 0.01", from, to);
		break;
	case OPTION_STRING:
		text_puts(out, "a string");
		break;
	case OPTION_PATH:
		text_puts(out, "a path (a string)");
		break;
	case OPTION_ENUM:
		describe_choices(out, option->choices, "\"");
		break;
	case OPTION_LIST:
		text_puts(out, "an array of strings");
		break;
	case OPTION_TIMES:
		text_puts(out, "a string or an array of strings");
		break;
	case OPTION_PATHS:
		text_puts(out, "a path or an array of paths");
		break;
	case OPTION_MAP:
		text_puts(out, "a table of strings");
		break;
	case OPTION_TABLES:
		text_puts(out, "an array of tables");
		break;
	case OPTION_LADDER:
		text_puts(out, "rows like [{ after = 60, to = \"frozen\" }, { after = 900, to = "
			       "\"stopped\" }]");
		break;
	}
}

/* What NODE is, for people: `a string ("5m")`. */
static void describe_node(struct text *out, const struct toml_node *node)
{
	text_puts(out, toml_kind_name(node->kind));
	switch (node->kind) {
	case TOML_STRING:
		if (node->string.len <= 40)
			text_printf(out, " (\"%s\")", node->string.data);
		break;
	case TOML_INTEGER:
		text_printf(out, " (%" PRId64 ")", node->integer);
		break;
	case TOML_FLOAT:
		text_printf(out, " (%g)", node->real);
		break;
	case TOML_BOOLEAN:
		text_printf(out, " (%s)", node->boolean ? "true" : "false");
		break;
	default:
		break;
	}
}

static int refuse_kind(const struct option *option, const char *where, const struct toml_node *node,
	struct ten_error *err)
{
	autotext struct text wanted = { 0 };
	autotext struct text got = { 0 };

	if (*where)
		text_puts(&wanted, "a string");
	else
		describe_wanted(&wanted, option);
	describe_node(&got, node);
	return ten_error_set(
		err, 0, "%s%s wants %s, not %s", option->name, where, wanted.data, got.data);
}

static char *read_string(const struct option *option, const char *where,
	const struct toml_node *node, struct ten_error *err)
{
	if (node->kind != TOML_STRING) {
		refuse_kind(option, where, node, err);
		return NULL;
	}
	if (memchr(node->string.data, '\0', node->string.len)) {
		ten_error_set(err, 0, "%s%s holds a NUL character", option->name, where);
		return NULL;
	}
	return mem_strndup(node->string.data, node->string.len);
}

static int read_integer(const struct option *option, const struct toml_node *node,
	union option_value *value, struct ten_error *err)
{
	autotext struct text wanted = { 0 };

	if (node->kind != TOML_INTEGER)
		return refuse_kind(option, "", node, err);
	value->integer = node->integer;
	if (node->integer >= option->min && node->integer <= option->max)
		return 0;
	describe_wanted(&wanted, option);
	return ten_error_set(
		err, 0, "%s wants %s, not %" PRId64, option->name, wanted.data, node->integer);
}

static int read_fraction(const struct option *option, const struct toml_node *node,
	union option_value *value, struct ten_error *err)
{
	autotext struct text wanted = { 0 };
	double real = node->kind == TOML_FLOAT ? node->real : 0, hundredths;

	if (node->kind == TOML_INTEGER)
		real = (double)node->integer;
	else if (node->kind != TOML_FLOAT)
		return refuse_kind(option, "", node, err);
	hundredths = round(real * 100);
	/* (nan is not equal to anything) */
	if (fabs(real * 100 - hundredths) < 1e-6 && hundredths >= (double)option->min &&
		hundredths <= (double)option->max) {
		value->integer = (int64_t)hundredths;
		return 0;
	}
	describe_wanted(&wanted, option);
	return ten_error_set(err, 0, "%s wants %s, not %.10g", option->name, wanted.data, real);
}

static int read_choice(const struct option *option, const struct toml_node *node,
	union option_value *value, struct ten_error *err)
{
	autofree char *name = NULL;
	autotext struct text wanted = { 0 };
	struct suggest suggest;
	char choice[64];
	char best[64] = "";
	int place = 0;

	if (node->kind != TOML_STRING)
		return refuse_kind(option, "", node, err);
	name = read_string(option, "", node, err);
	if (!name)
		return -1;
	suggest = suggest_begin(name);
	for (const char *at = option->choices; *at; place++) {
		option_choice(option, place, choice, sizeof(choice));
		if (strcmp(choice, name) == 0) {
			value->choice = place;
			return 0;
		}
		suggest_offer(&suggest, choice);
		if (suggest.best) {
			snprintf(best, sizeof(best), "%s", choice);
			suggest.best = NULL;
		}
		at += strcspn(at, "|");
		at += *at == '|';
	}
	describe_wanted(&wanted, option);
	return ten_error_set(err, 0, "%s wants %s, not \"%.60s\"%s%s%s", option->name, wanted.data,
		name, *best ? " (did you mean \"" : "", best, *best ? "\"?)" : "");
}

static int read_list(const struct option *option, const struct toml_node *node,
	union option_value *value, struct ten_error *err)
{
	char where[32];

	if (node->kind != TOML_ARRAY)
		return refuse_kind(option, "", node, err);
	value->list = mem_alloc((node->array.count + 1) * sizeof(char *));
	for (size_t i = 0; i < node->array.count; i++) {
		snprintf(where, sizeof(where), "[%zu]", i);
		value->list[i] = read_string(option, where, &node->array.items[i], err);
		if (!value->list[i]) {
			option_value_clear(option, value);
			return -1;
		}
	}
	return 0;
}

/* One string stands for a list of it alone. */
static int read_one_or_list(const struct option *option, size_t max, const struct toml_node *node,
	union option_value *value, struct ten_error *err)
{
	const struct toml_node one = { .kind = TOML_ARRAY, .array = { .items = node, .count = 1 } };

	if (node->kind != TOML_STRING && node->kind != TOML_ARRAY)
		return refuse_kind(option, "", node, err);
	if (node->kind == TOML_ARRAY && node->array.count > max)
		return ten_error_set(err, 0, "%s wants at most %zu strings, not %zu", option->name,
			max, node->array.count);
	return read_list(option, node->kind == TOML_STRING ? &one : node, value, err);
}

/* A number that stands where a string is wanted, in its shortest spelling. */
static char *spell_real(double real)
{
	char spelling[48];

	if (isnan(real))
		return mem_strdup("nan");
	if (isinf(real))
		return mem_strdup(real < 0 ? "-inf" : "inf");
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(spelling, sizeof(spelling), "%.*g", digits, real);
		if (strtod(spelling, NULL) == real)
			break;
	}
	return mem_printf("%s%s", spelling, strpbrk(spelling, ".e") ? "" : ".0");
}

static char *read_pair(
	const struct option *option, const struct toml_entry *entry, struct ten_error *err)
{
	const struct toml_node *node = &entry->value;
	autofree char *where = NULL;

	if (memchr(entry->key, '\0', entry->key_len)) {
		ten_error_set(err, 0, "a name in %s holds a NUL character", option->name);
		return NULL;
	}
	if (node->kind == TOML_INTEGER)
		return mem_printf("%" PRId64, node->integer);
	if (node->kind == TOML_FLOAT)
		return spell_real(node->real);
	if (node->kind == TOML_BOOLEAN)
		return mem_strdup(node->boolean ? "true" : "false");
	where = mem_printf(".%.60s", entry->key);
	return read_string(option, where, node, err);
}

static int read_map(const struct option *option, const struct toml_node *node,
	union option_value *value, struct ten_error *err)
{
	if (node->kind != TOML_TABLE)
		return refuse_kind(option, "", node, err);
	for (size_t i = 0; i < node->table.count; i++) {
		const struct toml_entry *entry = &node->table.entries[i];
		autofree char *text = read_pair(option, entry, err);
		if (!text) {
			option_value_clear(option, value);
			return -1;
		}
		option_map_set(&value->map, entry->key, text);
	}
	return 0;
}

int option_value_read(const struct option *option, const struct toml_node *node,
	union option_value *value, struct ten_error *err)
{
	memset(value, 0, sizeof(*value));
	switch (option->type) {
	case OPTION_BOOL:
		if (node->kind != TOML_BOOLEAN)
			return refuse_kind(option, "", node, err);
		value->boolean = node->boolean;
		return 0;
	case OPTION_INT:
		return read_integer(option, node, value, err);
	case OPTION_FRACTION:
		return read_fraction(option, node, value, err);
	case OPTION_ENUM:
		return read_choice(option, node, value, err);
	case OPTION_LIST:
		return read_list(option, node, value, err);
	case OPTION_TIMES:
		return read_one_or_list(option, CALENDAR_RULES_MAX, node, value, err);
	case OPTION_PATHS:
		return read_one_or_list(option, OPTION_PATHS_MAX, node, value, err);
	case OPTION_MAP:
		return read_map(option, node, value, err);
	case OPTION_LADDER:
		return option_ladder_read(option, node, &value->ladder, err);
	case OPTION_TABLES:
		value->list = option_mounts_read(option, node, err);
		return value->list ? 0 : -1;
	default:
		value->string = read_string(option, "", node, err);
		return value->string ? 0 : -1;
	}
}

/* VALUE as the `given` column spells it. */
static void spell_given(
	const struct option *option, const union option_value *value, char *out, size_t size)
{
	if (option->type == OPTION_ENUM)
		option_choice(option, value->choice, out, size);
	else if (option->type == OPTION_BOOL)
		snprintf(out, size, "%s", value->boolean ? "true" : "false");
	else if (option->type == OPTION_INT)
		snprintf(out, size, "%" PRId64, value->integer);
	else
		snprintf(out, size, "%s", "");
}

int option_value_check_given(
	const struct option *option, const union option_value *value, struct ten_error *err)
{
	const char *quote = option->type == OPTION_ENUM ? "\"" : "";
	autotext struct text can = { 0 };
	char spelled[64];

	if (strcmp(option->given, "*") == 0)
		return 0;
	spell_given(option, value, spelled, sizeof(spelled));
	if (text_lists(option->given, '|', spelled))
		return 0;
	if (!*option->given)
		return ten_error_set(err, 0,
			"%s cannot be given by this build; remove the key to take the default",
			option->name);
	describe_choices(&can, option->given, quote);
	return ten_error_set(err, 0,
		"%s = %s%s%s cannot be given by this build: it can give %s; remove the key to take "
		"the default",
		option->name, quote, spelled, quote, can.data);
}
