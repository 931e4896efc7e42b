#include "spec.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_address.h"
#include "config_path.h"
#include "mem.h"
#include "names.h"
#include "spec_claims.h"
#include "spec_fault.h"
#include "spec_template.h"
#include "words.h"

const struct ten_spec *spec_ref(const struct ten_spec *spec)
{
	/* Immutable but for the count of who holds it. */
	((struct ten_spec *)spec)->references++;
	return spec;
}

static void spec_free(struct ten_spec *spec)
{
	free(spec->key);
	free(spec->service_name);
	free(spec->id);
	free(spec->dir);
	free(spec->file);
	free(spec->socket_path);
	options_clear(OPTION_SERVICE, &spec->values);
	options_clear(OPTION_TENANT, &spec->tenant);
	mem_strv_free(spec->argv);
	mem_strv_free(spec->claims);
	mem_strv_free(spec->degraded);
	free(spec);
}

void spec_unref(const struct ten_spec *spec)
{
	struct ten_spec *owned = (struct ten_spec *)spec;

	if (!spec)
		return;
	assert(owned->references > 0);
	if (--owned->references == 0)
		spec_free(owned);
}

bool spec_same(const struct ten_spec *a, const struct ten_spec *b)
{
	if (!a || !b)
		return a == b;
	return a->restart_hash == b->restart_hash && a->live_hash == b->live_hash;
}

char *spec_interpolate(const struct ten_spec *spec, const struct spec_place *place,
	const char *template_text, struct ten_error *err)
{
	char port[8];
	const char *values[PLACEHOLDER_COUNT] = {
		[PLACEHOLDER_NAME] = spec->service_name,
		[PLACEHOLDER_ID] = spec->id,
		[PLACEHOLDER_DATA_DIR] = place->data_dir,
		[PLACEHOLDER_DIR] = spec->dir,
		[PLACEHOLDER_PORT] = place->port ? port : NULL,
		[PLACEHOLDER_SOCKET] = place->socket,
		[PLACEHOLDER_VERSION] = spec->values.version ? spec->values.version : spec->id,
		[PLACEHOLDER_RUNTIME_DIR] = place->runtime_dir,
	};

	snprintf(port, sizeof(port), "%u", place->port);
	return spec_template_fill(template_text, values, err);
}

void spec_fault_add(struct spec_faults *faults, const struct spec_layers *layers,
	const char *option, const char *pair, const char *format, ...)
{
	const struct config_layer *said[] = { &layers->tenant->layer, &layers->service->layer };
	struct spec_fault *fault;
	va_list args;

	faults->items = mem_resize(faults->items, faults->count + 1, sizeof(*faults->items));
	fault = &faults->items[faults->count++];
	*fault = (struct spec_fault){ .layer = SPEC_FAULT_TENANT, .at = layers->tenant->at };
	va_start(args, format);
	fault->message = mem_vprintf(format, args);
	va_end(args);
	for (size_t i = 0; i < 2; i++) {
		const struct config_value *value = config_layer_find(said[i], option);
		const struct option_map *map;
		if (!value)
			continue;
		map = &value->value.map;
		for (size_t at = 0; pair && at < map->count; at++) {
			if (strcmp(map->pairs[at].name, pair) != 0)
				continue;
			fault->layer = i ? SPEC_FAULT_SERVICE : SPEC_FAULT_TENANT;
			fault->at = value->item_at[at];
			return;
		}
		if (pair)
			continue;
		fault->layer = i ? SPEC_FAULT_SERVICE : SPEC_FAULT_TENANT;
		fault->at = value->at;
		return;
	}
}

void spec_faults_clear(struct spec_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++)
		free(faults->items[i].message);
	free(faults->items);
	*faults = (struct spec_faults){ 0 };
}

static void lay_values(struct ten_spec *spec, const struct spec_layers *layers)
{
	options_copy(OPTION_SERVICE, &spec->values, layers->service_defaults);
	options_copy(OPTION_TENANT, &spec->tenant, layers->tenant_defaults);
	/* The default working folder is that of the file that declares the service. */
	free(spec->values.workdir);
	spec->values.workdir = spec_template_escape(layers->service_file->folder);
	config_layer_apply(&layers->service->layer, OPTION_SERVICE, &spec->values);
	config_layer_apply(&layers->tenant->layer, OPTION_SERVICE, &spec->values);
	config_layer_apply(&layers->tenant->layer, OPTION_TENANT, &spec->tenant);
	/* A tenant's idle_timeout stands in the place of its service's ladder. */
	if (config_layer_find(&layers->tenant->layer, "idle_timeout"))
		spec->values.sleep = (struct option_ladder){ 0 };
	spec->ladder = spec->values.sleep;
	if (!spec->ladder.frozen && !spec->ladder.stopped)
		spec->ladder.stopped = spec->values.idle_timeout;
	free(spec->tenant.service);
	free(spec->tenant.id);
	spec->tenant.service = mem_strdup(spec->service_name);
	spec->tenant.id = mem_strdup(spec->id);
}

static void make_argv(struct ten_spec *spec)
{
	char **words = words_split(spec->values.command, NULL, NULL);
	size_t word_count = mem_strv_length(words);
	size_t arg_count = mem_strv_length(spec->values.args);

	assert(words); /* checked where it was read */
	words = mem_resize(words, word_count + arg_count + 1, sizeof(*words));
	for (size_t i = 0; i <= arg_count; i++)
		words[word_count + i] = mem_strdup(spec->values.args[i]);
	spec->argv = words;
}

/* What of the defaults in force is more than this build can give. */
static void find_degraded(struct ten_spec *spec, const struct spec_layers *layers)
{
	spec->degraded = mem_alloc(sizeof(char *));
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		autofree char *spelled = NULL;
		autofree char *message = NULL;

		if (option->scope != OPTION_SERVICE || strcmp(option->given, "*") == 0 ||
			option->type == OPTION_MAP || option->type == OPTION_TABLES ||
			config_layer_find(&layers->service->layer, option->name) ||
			config_layer_find(&layers->tenant->layer, option->name))
			continue;
		spelled = option_spell(option, &spec->values);
		if (option->type == OPTION_ENUM) {
			char choice[64];
			const int *place =
				(const int *)((const char *)&spec->values + option->offset);
			option_choice(option, *place, choice, sizeof(choice));
			if (strcmp(choice, option->given) != 0)
				message = mem_printf(
					"%s: %s is not available in this build; running as %s",
					option->name, choice, option->given);
		} else if (!*option->given) {
			message = mem_printf(
				"%s = %s is not enforced by this build", option->name, spelled);
		}
		if (message)
			mem_strv_append(&spec->degraded, message);
	}
}

static void check_domains(
	const struct ten_spec *spec, const struct spec_layers *layers, struct spec_faults *faults)
{
	const struct config_value *said = config_layer_find(&layers->tenant->layer, "domains");

	for (size_t i = 0; spec->tenant.domains[i]; i++) {
		size_t before = faults->count;
		if (!names_host_within(spec->tenant.domains[i], layers->settings->domain))
			continue;
		spec_fault_add(faults, layers, "domains", NULL,
			"the custom domain \"%s\" is at or under the root domain \"%s\", where "
			"names "
			"are tenement's own",
			spec->tenant.domains[i], layers->settings->domain);
		faults->items[before].at = said->item_at[i];
	}
}

/* Where the socket will be, and whether a path of that length is possible. */
static void find_socket(
	struct ten_spec *spec, const struct spec_layers *layers, struct spec_faults *faults)
{
	const struct spec_place place = { .data_dir = layers->settings->data_dir,
		.runtime_dir = layers->settings->runtime_dir };
	autofree char *written = NULL;
	size_t len;

	if (!spec->values.socket)
		return;
	written = spec_interpolate(spec, &place, spec->values.socket, NULL);
	assert(written); /* its placeholders were checked where it was read */
	spec->socket_path = config_path_normalize(written);
	len = strlen(spec->socket_path);
	if (len > CONFIG_SOCKET_PATH_MAX)
		spec_fault_add(faults, layers, "socket", NULL,
			"the socket's path would be %zu bytes long, %d are possible: %s", len,
			CONFIG_SOCKET_PATH_MAX, spec->socket_path);
}

static void make_hashes(struct ten_spec *spec)
{
	uint64_t restart = 1, live = 2;

	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];
		const void *values = option->scope == OPTION_SERVICE ? (const void *)&spec->values
								     : (const void *)&spec->tenant;
		if (option->scope != OPTION_SERVICE && option->scope != OPTION_TENANT)
			continue;
		if (option->change == OPTION_LIVE)
			live = option_hash(option, values, live);
		else
			restart = option_hash(option, values, restart);
	}
	spec->restart_hash = option_hash_string(spec->dir, restart);
	spec->live_hash = live;
}

const struct ten_spec *spec_merge(const struct spec_layers *layers, struct spec_faults *faults)
{
	struct ten_spec *spec = mem_alloc(sizeof(*spec));

	spec->references = 1;
	spec->key = mem_strdup(layers->tenant->key);
	spec->service_name = mem_strdup(layers->tenant->service);
	spec->id = mem_strdup(layers->tenant->id);
	spec->dir =
		mem_printf("%s/%s/%s", layers->settings->data_dir, spec->service_name, spec->id);
	spec->file = mem_strdup(layers->tenant_file->name);
	spec->line = layers->tenant->at.line;
	lay_values(spec, layers);
	make_argv(spec);
	find_degraded(spec, layers);
	check_domains(spec, layers, faults);
	find_socket(spec, layers, faults);
	if (spec->values.ready == READY_HEALTH && (!spec->values.health || !*spec->values.health))
		spec_fault_add(faults, layers, "ready", NULL,
			"ready = \"health\" needs a health path: write health = \"/...\"");
	if (spec->values.health_while_asleep && (!spec->values.health || !*spec->values.health))
		spec_fault_add(faults, layers, "health_while_asleep", NULL,
			"health_while_asleep needs a health path: write health = \"/...\"");
	if (config_layer_find(&layers->tenant->layer, "max_wakes_per_minute"))
		spec_fault_add(faults, layers, "max_wakes_per_minute", NULL,
			"max_wakes_per_minute bounds all tenants of a service together: write it "
			"in [service.%s]",
			spec->service_name);
	spec_claims_find(spec, layers, faults);
	make_hashes(spec);
	if (!faults->count)
		return spec;
	spec_free(spec);
	return NULL;
}
