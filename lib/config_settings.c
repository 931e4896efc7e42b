#include "config_settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config_address.h"
#include "config_path.h"
#include "mem.h"

enum { RUNTIME_NAME_MAX = 20 };

char *config_runtime_dir(const struct config_place *place, const char *data_dir)
{
	uint32_t mark = (uint32_t)option_hash_string(data_dir, 0);
	autofree char *name = mem_strndup(config_path_name(data_dir), RUNTIME_NAME_MAX);

	for (char *at = name; *at; at++)
		if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
			    (*at >= '0' && *at <= '9') || *at == '-' || *at == '_'))
			*at = '_';
	if (place->root)
		return mem_printf("/run/tenement/%s-%08" PRIx32, name, mark);
	if (place->xdg_runtime_dir && *place->xdg_runtime_dir == '/')
		return mem_printf("%s/tenement/%s-%08" PRIx32, place->xdg_runtime_dir, name, mark);
	return mem_printf("/tmp/tenement-%s-%08" PRIx32, name, mark);
}

/* Defaults of paths are meant from the main file's folder as written ones are. */
static void resolve_default_paths(struct setting_values *settings, const char *folder)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		char **path = (char **)((char *)settings + option->offset);
		autofree char *written = NULL;

		if (option->scope != OPTION_SETTING || option->type != OPTION_PATH || !*path)
			continue;
		written = *path;
		*path = config_path_join(folder, written);
	}
}

static void replace(char **string, char *owned)
{
	free(*string);
	*string = owned;
}

static struct listener_values *add_listener(struct setting_values *settings)
{
	struct listener_values *listener;

	settings->listeners = mem_resize(
		settings->listeners, settings->listener_count + 1, sizeof(*settings->listeners));
	listener = &settings->listeners[settings->listener_count++];
	memset(listener, 0, sizeof(*listener));
	options_set_defaults(OPTION_LISTENER, listener);
	return listener;
}

static void make_listeners(struct setting_values *settings, const struct config_place *place,
	const struct config_file *main)
{
	for (size_t i = 0; main && i < main->listener_count; i++)
		config_layer_apply(&main->listeners[i], OPTION_LISTENER, add_listener(settings));
	for (size_t i = 0; !(main && main->listener_count) && settings->listen[i]; i++)
		replace(&add_listener(settings)->address, mem_strdup(settings->listen[i]));
	if (settings->listener_count && place->port_override) {
		char **address = &settings->listeners[0].address;
		replace(address,
			config_address_with_port(*address, (uint16_t)place->port_override));
	}
	for (size_t i = 0; settings->api_listen[i]; i++) {
		struct listener_values *listener = add_listener(settings);

		replace(&listener->address, mem_strdup(settings->api_listen[i]));
		listener->api = true;
	}
	if (!settings->listener_count)
		return;
	mem_strv_free(settings->listen);
	mem_strv_free(settings->api_listen);
	settings->listen = settings->api_listen = NULL;
	for (size_t i = 0; i < settings->listener_count; i++)
		mem_strv_append(
			settings->listeners[i].api ? &settings->api_listen : &settings->listen,
			settings->listeners[i].address);
	if (!settings->listen)
		settings->listen = mem_alloc(sizeof(char *));
	if (!settings->api_listen)
		settings->api_listen = mem_alloc(sizeof(char *));
}

void config_settings_make(struct setting_values *settings, const struct config_place *place,
	const struct config_file *main)
{
	autofree char *folder = config_path_parent(place->main_path);

	memset(settings, 0, sizeof(*settings));
	options_set_defaults(OPTION_SETTING, settings);
	resolve_default_paths(settings, folder);
	if (main)
		config_layer_apply(&main->settings, OPTION_SETTING, settings);
	if (place->data_dir_override)
		replace(&settings->data_dir, config_path_join(folder, place->data_dir_override));
	if (place->conf_dir_override)
		replace(&settings->conf_dir, config_path_join(folder, place->conf_dir_override));
	if (place->domain_override)
		replace(&settings->domain, mem_strdup(place->domain_override));
	replace(&settings->data_dir, config_path_normalize(settings->data_dir));
	if (!settings->runtime_dir)
		settings->runtime_dir = config_runtime_dir(place, settings->data_dir);
	make_listeners(settings, place, main);
}

void config_settings_clear(struct setting_values *settings)
{
	options_clear(OPTION_SETTING, settings);
	for (size_t i = 0; i < settings->listener_count; i++)
		options_clear(OPTION_LISTENER, &settings->listeners[i]);
	free(settings->listeners);
	memset(settings, 0, sizeof(*settings));
}

static uint64_t hash_scope(enum option_scope scope, const void *values, uint64_t hash)
{
	for (size_t i = 0; i < option_count; i++)
		if (options[i].scope == scope)
			hash = option_hash(&options[i], values, hash);
	return hash;
}

uint64_t config_settings_hash(const struct setting_values *settings)
{
	uint64_t hash = hash_scope(OPTION_SETTING, settings, settings->listener_count);

	for (size_t i = 0; i < settings->listener_count; i++)
		hash = hash_scope(OPTION_LISTENER, &settings->listeners[i], hash);
	return hash;
}

uint64_t config_settings_spec_hash(const struct setting_values *settings)
{
	uint64_t hash = option_hash_string(settings->data_dir, 1);

	hash = option_hash_string(settings->runtime_dir, hash);
	return option_hash_string(settings->domain, hash);
}

static uint64_t hash_map(const struct option_map *map, uint64_t hash)
{
	hash = option_hash_bytes(&map->count, sizeof(map->count), hash);
	for (size_t i = 0; i < map->count; i++) {
		hash = option_hash_string(map->pairs[i].name, hash);
		hash = option_hash_string(map->pairs[i].value, hash);
	}
	return hash;
}

uint64_t config_routing_hash(const struct config_routing *routing)
{
	uint64_t hash = option_hash_string(routing->default_service, 3);

	hash = hash_map(&routing->subdomains, hash);
	return hash_map(&routing->paths, hash);
}
