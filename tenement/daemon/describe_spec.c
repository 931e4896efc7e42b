/* What was declared of an instance: as its files say it, and as all layers come to. */
#include <string.h>

#include "config_mask.h"
#include "config_path.h"
#include "daemon/describe.h"
#include "mem.h"
#include "option_value.h"

json_t *describe_values(enum option_scope scope, const void *values)
{
	json_t *json = json_object();

	for (size_t i = 0; i < option_count; i++) {
		autofree char *text = NULL;
		json_t *value;

		if (options[i].scope != scope)
			continue;
		/* Numbers, strings and lists are spelled alike in TOML and JSON. */
		text = option_spell(&options[i], values);
		value = json_loads(text, JSON_DECODE_ANY, NULL);
		json_object_set_new(json, options[i].name, value ? value : json_string(text));
	}
	return json;
}

static json_t *masked(const struct option_map *map)
{
	json_t *json = json_object();

	for (size_t i = 0; i < map->count; i++)
		json_object_set_new(json, map->pairs[i].name, json_string("***"));
	return json;
}

static void put_file(struct daemon *d, json_t *files, const char *name)
{
	size_t len;
	const char *text = name ? config_set_text(d->set, name, &len) : NULL;
	autofree char *shown = text ? config_mask(text, len) : NULL;

	if (shown)
		json_array_append_new(files,
			json_pack("{s:s, s:s}", "file", config_path_name(name), "text", shown));
}

json_t *describe_spec(struct daemon *d, const struct ten_spec *spec, enum describe_files files)
{
	const char *service_file = config_set_service_file(d->set, spec->service_name);
	json_t *declared = json_array();
	json_t *merged = describe_values(OPTION_SERVICE, &spec->values);
	json_t *tenant = describe_values(OPTION_TENANT, &spec->tenant);

	json_object_update(merged, tenant);
	json_decref(tenant);
	json_object_set_new(merged, "env", masked(&spec->values.env));
	json_object_set_new(merged, "credentials", masked(&spec->values.credentials));
	if (files == DESCRIBE_FILES) {
		put_file(d, declared, spec->file);
		if (service_file && strcmp(service_file, spec->file) != 0)
			put_file(d, declared, service_file);
	}
	return json_pack("{s:o, s:o}", "declared", declared, "merged", merged);
}
