#include "cli/settings.h"

#include <string.h>

#include "mem.h"

static json_t *text_json(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *value_json(const struct option *option, const void *at)
{
	char choice[64];
	json_t *value;

	switch (option->type) {
	case OPTION_BOOL:
		return json_boolean(*(const bool *)at);
	case OPTION_INT:
		return json_integer(*(const int64_t *)at);
	case OPTION_ENUM:
		return text_json(option_choice(option, *(const int *)at, choice, sizeof(choice)));
	case OPTION_STRING:
	case OPTION_PATH:
		return text_json(*(char *const *)at);
	case OPTION_FRACTION:
		return json_real((double)*(const int64_t *)at / 100);
	case OPTION_LADDER:
	case OPTION_TABLES:
		return text_json(NULL); /* of services alone */
	case OPTION_LIST:
	case OPTION_TIMES:
	case OPTION_PATHS:
		value = json_array();
		for (char *const *item = *(char **const *)at; item && *item; item++)
			json_array_append_new(value, json_string(*item));
		return value;
	case OPTION_MAP: {
		const struct option_map *map = at;

		value = json_object();
		for (size_t i = 0; i < map->count; i++)
			json_object_set_new(
				value, map->pairs[i].name, json_string(map->pairs[i].value));
		return value;
	}
	}
	return json_null();
}

static json_t *values_json(enum option_scope scope, const void *values)
{
	json_t *json = json_object();

	for (size_t i = 0; i < option_count; i++) {
		if (options[i].scope == scope)
			json_object_set_new(json, options[i].name,
				value_json(&options[i], (const char *)values + options[i].offset));
	}
	return json;
}

json_t *settings_json(const struct setting_values *values)
{
	json_t *settings = values_json(OPTION_SETTING, values), *listeners = json_array();

	for (size_t i = 0; i < values->listener_count; i++)
		json_array_append_new(
			listeners, values_json(OPTION_LISTENER, &values->listeners[i]));
	json_object_set_new(settings, "listener", listeners);
	return settings;
}

static bool is_bare_key(const char *key)
{
	return *key && strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_-") == strlen(key);
}

void settings_add_toml(struct text *out, const json_t *value)
{
	autofree char *spelled = NULL;
	const char *key;
	const json_t *item;
	size_t i;

	if (json_is_array(value)) {
		text_puts(out, "[");
		json_array_foreach (value, i, item) {
			text_puts(out, i ? ", " : "");
			settings_add_toml(out, item);
		}
		text_puts(out, "]");
	} else if (json_is_object(value)) {
		json_t *object = json_copy((json_t *)value);
		json_t *member;
		const char *before = "{ ";

		json_object_foreach (object, key, member) {
			text_printf(out, is_bare_key(key) ? "%s%s = " : "%s\"%s\" = ", before, key);
			settings_add_toml(out, member);
			before = ", ";
		}
		text_puts(out, *before == ',' ? " }" : "{}");
		json_decref(object);
	} else if (json_is_null(value)) {
		text_puts(out, "\"\"");
	} else {
		spelled = json_dumps(value, JSON_ENCODE_ANY);
		text_puts(out, spelled ? spelled : "\"\"");
	}
}

void settings_add_prose(struct text *out, const char *before, const char *prose, size_t width)
{
	size_t room = width - strlen(before);

	while (*prose) {
		size_t len = strlen(prose);

		if (len > room) {
			for (len = room; len > 0 && prose[len] != ' ';)
				len--;
			if (!len)
				len = strcspn(prose, " ");
		}
		text_printf(out, "%s%.*s\n", before, (int)len, prose);
		prose += len;
		prose += strspn(prose, " ");
	}
}

const char *settings_scope_name(enum option_scope scope)
{
	static const char *const names[] = {
		[OPTION_SETTING] = "[settings]",
		[OPTION_LISTENER] = "[[settings.listener]]",
		[OPTION_SERVICE] = "[service.NAME]",
		[OPTION_TENANT] = "[tenant]",
	};

	return names[scope];
}

const char *settings_type_name(const struct option *option)
{
	static const char *const names[] = {
		[OPTION_BOOL] = "true or false",
		[OPTION_INT] = "a whole number",
		[OPTION_FRACTION] = "a number",
		[OPTION_STRING] = "a string",
		[OPTION_PATH] = "a path",
		[OPTION_ENUM] = "one of",
		[OPTION_LIST] = "a list of strings",
		[OPTION_MAP] = "a table of strings",
		[OPTION_TABLES] = "an array of tables",
		[OPTION_LADDER] = "an array of { after, to }",
		[OPTION_TIMES] = "a string or a list of strings",
		[OPTION_PATHS] = "a path or a list of paths",
	};

	return names[option->type];
}

const char *settings_change_name(enum option_change change)
{
	static const char *const names[] = {
		[OPTION_LIVE] = "applied to what runs",
		[OPTION_RESTART] = "restarts the tenant",
		[OPTION_BOOT] = "at the next start",
		[OPTION_CONFIRM] = "at the next start, after ten apply --confirm",
	};

	return names[change];
}
