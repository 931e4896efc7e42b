#include "option_value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "option_mounts.h"
#include "text.h"

/* Where the value of OPTION is in VALUES. */
static void *place_of(const struct option *option, void *values)
{
	return (char *)values + option->offset;
}

static const void *const_place_of(const struct option *option, const void *values)
{
	return (const char *)values + option->offset;
}

static void clear_map(struct option_map *map)
{
	for (size_t i = 0; i < map->count; i++) {
		free(map->pairs[i].name);
		free(map->pairs[i].value);
	}
	free(map->pairs);
	*map = (struct option_map){ 0 };
}

void option_map_set(struct option_map *map, const char *name, const char *value)
{
	size_t at = 0;

	while (at < map->count && strcmp(map->pairs[at].name, name) < 0)
		at++;
	if (at < map->count && strcmp(map->pairs[at].name, name) == 0) {
		free(map->pairs[at].value);
		map->pairs[at].value = mem_strdup(value);
		return;
	}
	map->pairs = mem_resize(map->pairs, map->count + 1, sizeof(*map->pairs));
	memmove(&map->pairs[at + 1], &map->pairs[at], (map->count - at) * sizeof(*map->pairs));
	map->pairs[at] = (struct option_pair){ mem_strdup(name), mem_strdup(value) };
	map->count++;
}

void option_value_clear(const struct option *option, union option_value *value)
{
	switch (option->type) {
	case OPTION_STRING:
	case OPTION_PATH:
		free(value->string);
		break;
	case OPTION_LIST:
	case OPTION_TIMES:
	case OPTION_PATHS:
	case OPTION_TABLES:
		mem_strv_free(value->list);
		break;
	case OPTION_MAP:
		clear_map(&value->map);
		break;
	default:
		break;
	}
	memset(value, 0, sizeof(*value));
}

void option_value_store(const struct option *option, const union option_value *value, void *values)
{
	void *place = place_of(option, values);

	switch (option->type) {
	case OPTION_BOOL:
		*(bool *)place = value->boolean;
		break;
	case OPTION_INT:
	case OPTION_FRACTION:
		*(int64_t *)place = value->integer;
		break;
	case OPTION_ENUM:
		*(int *)place = value->choice;
		break;
	case OPTION_STRING:
	case OPTION_PATH:
		free(*(char **)place);
		*(char **)place = mem_strdup(value->string);
		break;
	case OPTION_LIST:
	case OPTION_TIMES:
	case OPTION_PATHS:
	case OPTION_TABLES:
		mem_strv_free(*(char ***)place);
		*(char ***)place = mem_strv_copy(value->list);
		break;
	case OPTION_LADDER:
		*(struct option_ladder *)place = value->ladder;
		break;
	case OPTION_MAP:
		for (size_t i = 0; i < value->map.count; i++)
			option_map_set(place, value->map.pairs[i].name, value->map.pairs[i].value);
		break;
	}
}

/* The value of OPTION in VALUES, still owned by VALUES. */
static union option_value borrow(const struct option *option, const void *values)
{
	const void *place = const_place_of(option, values);
	union option_value value = { 0 };

	switch (option->type) {
	case OPTION_BOOL:
		value.boolean = *(const bool *)place;
		break;
	case OPTION_INT:
	case OPTION_FRACTION:
		value.integer = *(const int64_t *)place;
		break;
	case OPTION_ENUM:
		value.choice = *(const int *)place;
		break;
	case OPTION_STRING:
	case OPTION_PATH:
		value.string = *(char *const *)place;
		break;
	case OPTION_LIST:
	case OPTION_TIMES:
	case OPTION_PATHS:
	case OPTION_TABLES:
		value.list = *(char **const *)place;
		break;
	case OPTION_LADDER:
		value.ladder = *(const struct option_ladder *)place;
		break;
	case OPTION_MAP:
		value.map = *(const struct option_map *)place;
		break;
	}
	return value;
}

static void set_default(const struct option *option, void *values)
{
	union option_value value = { 0 };
	struct toml_document *document;
	struct toml_fault fault;
	struct ten_error err;
	autofree char *text = NULL;
	int result;

	if (!*option->fallback)
		return;
	text = mem_printf("value = %s", option->fallback);
	document = toml_parse(text, strlen(text), &fault);
	assert(document);
	result = option_value_read(
		option, &toml_find(toml_root(document), "value")->value, &value, &err);
	assert(result == 0);
	(void)result;
	option_value_store(option, &value, values);
	option_value_clear(option, &value);
	toml_free(document);
}

static void zero(const struct option *option, void *values)
{
	static const size_t sizes[] = {
		[OPTION_BOOL] = sizeof(bool),
		[OPTION_INT] = sizeof(int64_t),
		[OPTION_FRACTION] = sizeof(int64_t),
		[OPTION_STRING] = sizeof(char *),
		[OPTION_PATH] = sizeof(char *),
		[OPTION_ENUM] = sizeof(int),
		[OPTION_LIST] = sizeof(char **),
		[OPTION_MAP] = sizeof(struct option_map),
		[OPTION_TABLES] = sizeof(char **),
		[OPTION_LADDER] = sizeof(struct option_ladder),
		[OPTION_TIMES] = sizeof(char **),
		[OPTION_PATHS] = sizeof(char **),
	};

	memset(place_of(option, values), 0, sizes[option->type]);
}

void options_set_defaults(enum option_scope scope, void *values)
{
	for (size_t i = 0; i < option_count; i++) {
		if (options[i].scope != scope)
			continue;
		zero(&options[i], values);
		set_default(&options[i], values);
	}
}

void options_copy(enum option_scope scope, void *to, const void *from)
{
	for (size_t i = 0; i < option_count; i++) {
		union option_value value;
		if (options[i].scope != scope)
			continue;
		zero(&options[i], to);
		value = borrow(&options[i], from);
		option_value_store(&options[i], &value, to);
	}
}

void options_clear(enum option_scope scope, void *values)
{
	for (size_t i = 0; i < option_count; i++) {
		union option_value value;
		if (options[i].scope != scope)
			continue;
		value = borrow(&options[i], values);
		option_value_clear(&options[i], &value);
		zero(&options[i], values);
	}
}

/* FNV-1a with a finish that spreads the last bytes. */
uint64_t option_hash_bytes(const void *data, size_t len, uint64_t seed)
{
	const unsigned char *bytes = data;
	uint64_t hash = seed ^ UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	hash ^= hash >> 32;
	hash *= UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

uint64_t option_hash_string(const char *string, uint64_t seed)
{
	return string ? option_hash_bytes(string, strlen(string) + 1, seed)
		      : option_hash_bytes("\377", 1, seed);
}

uint64_t option_hash(const struct option *option, const void *values, uint64_t seed)
{
	union option_value value = borrow(option, values);
	uint64_t count = 0;

	switch (option->type) {
	case OPTION_BOOL:
		return option_hash_bytes(value.boolean ? "1" : "0", 1, seed);
	case OPTION_INT:
	case OPTION_FRACTION:
		return option_hash_bytes(&value.integer, sizeof(value.integer), seed);
	case OPTION_LADDER:
		return option_hash_bytes(&value.ladder, sizeof(value.ladder), seed);
	case OPTION_ENUM:
		return option_hash_bytes(&value.choice, sizeof(value.choice), seed);
	case OPTION_STRING:
	case OPTION_PATH:
		return option_hash_string(value.string, seed);
	case OPTION_LIST:
	case OPTION_TIMES:
	case OPTION_PATHS:
	case OPTION_TABLES:
		for (; value.list && value.list[count]; count++)
			seed = option_hash_string(value.list[count], seed);
		break;
	case OPTION_MAP:
		for (; count < value.map.count; count++) {
			seed = option_hash_string(value.map.pairs[count].name, seed);
			seed = option_hash_string(value.map.pairs[count].value, seed);
		}
		break;
	}
	return option_hash_bytes(&count, sizeof(count), seed);
}

static void spell_string(struct text *out, const char *string)
{
	text_puts(out, "\"");
	for (; *string; string++) {
		unsigned char c = (unsigned char)*string;
		if (c == '"' || c == '\\')
			text_printf(out, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			text_printf(out, "\\u%04X", c);
		else
			text_add(out, string, 1);
	}
	text_puts(out, "\"");
}

static void spell_ladder(struct text *out, const struct option_ladder *ladder)
{
	text_puts(out, "[");
	if (ladder->frozen)
		text_printf(out, "{ after = %" PRId64 ", to = \"frozen\" }", ladder->frozen);
	if (ladder->frozen && ladder->stopped)
		text_puts(out, ", ");
	if (ladder->stopped)
		text_printf(out, "{ after = %" PRId64 ", to = \"stopped\" }", ladder->stopped);
	text_puts(out, "]");
}

static void spell_map(struct text *out, const struct option_map *map)
{
	text_puts(out, map->count ? "{ " : "{");
	for (size_t i = 0; i < map->count; i++) {
		text_puts(out, i ? ", " : "");
		spell_string(out, map->pairs[i].name);
		text_puts(out, " = ");
		spell_string(out, map->pairs[i].value);
	}
	text_puts(out, map->count ? " }" : "}");
}

char *option_spell(const struct option *option, const void *values)
{
	union option_value value = borrow(option, values);
	struct text out = { 0 };
	char choice[64], fraction[OPTION_FRACTION_SIZE];

	switch (option->type) {
	case OPTION_BOOL:
		text_puts(&out, value.boolean ? "true" : "false");
		break;
	case OPTION_INT:
		text_printf(&out, "%" PRId64, value.integer);
		break;
	case OPTION_FRACTION:
		option_fraction_spell(value.integer, fraction);
		text_puts(&out, fraction);
		break;
	case OPTION_ENUM:
		spell_string(&out, option_choice(option, value.choice, choice, sizeof(choice)));
		break;
	case OPTION_STRING:
	case OPTION_PATH:
		spell_string(&out, value.string ? value.string : "");
		break;
	case OPTION_LIST:
	case OPTION_TIMES:
	case OPTION_PATHS:
		text_puts(&out, "[");
		for (size_t i = 0; value.list && value.list[i]; i++) {
			text_puts(&out, i ? ", " : "");
			spell_string(&out, value.list[i]);
		}
		text_puts(&out, "]");
		break;
	case OPTION_MAP:
		spell_map(&out, &value.map);
		break;
	case OPTION_LADDER:
		spell_ladder(&out, &value.ladder);
		break;
	case OPTION_TABLES:
		option_mounts_spell(value.list, &out, spell_string);
		break;
	}
	return text_steal(&out);
}
