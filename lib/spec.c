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
#include "spec_view.h"
#include "words.h"

/* A service's values with a tenant's laid over them, and what follows from them alone. */
struct spec_common {
	int references;
	char *service_name;
	struct service_values values;
	char **argv;
	char **degraded;
	struct option_ladder ladder;
	bool memory_limit_written;
	uint64_t restart_hash, live_hash; /* over the values of the service's scope */
};

const struct ten_spec *spec_ref(const struct ten_spec *spec)
{
	/* Immutable but for the count of who holds it. */
	((struct ten_spec *)spec)->references++;
	return spec;
}

void spec_common_unref(const struct spec_common *common)
{
	struct spec_common *owned = (struct spec_common *)common;

	if (!common)
		return;
	assert(owned->references > 0);
	if (--owned->references)
		return;
	options_clear(OPTION_SERVICE, &owned->values);
	mem_strv_free(owned->argv);
	mem_strv_free(owned->degraded);
	free(owned->service_name);
	free(owned);
}

static void spec_free(struct ten_spec *spec)
{
	/* These two are the spec's own names. */
	spec->tenant.service = spec->tenant.id = NULL;
	options_clear(OPTION_TENANT, &spec->tenant);
	free(spec->socket_path);
	spec_claims_free(spec->claims);
	spec_common_unref(spec->common);
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

static void lay_values(struct spec_common *common, const struct spec_layers *layers)
{
	options_copy(OPTION_SERVICE, &common->values, layers->service_defaults);
	/* The default working folder is that of the file that declares the service. */
	free(common->values.workdir);
	common->values.workdir = spec_template_escape(layers->service_file->folder);
	config_layer_apply(&layers->service->layer, OPTION_SERVICE, &common->values);
	config_layer_apply(&layers->tenant->layer, OPTION_SERVICE, &common->values);
	/* In a root of its own that folder is not there. */
	if (common->values.rootfs && !config_layer_find(&layers->service->layer, "workdir") &&
		!config_layer_find(&layers->tenant->layer, "workdir")) {
		free(common->values.workdir);
		common->values.workdir = mem_strdup("/");
	}
	/* A tenant's idle_timeout stands in the place of its service's ladder. */
	if (config_layer_find(&layers->tenant->layer, "idle_timeout"))
		common->values.sleep = (struct option_ladder){ 0 };
	common->ladder = common->values.sleep;
	if (!common->ladder.frozen && !common->ladder.stopped)
		common->ladder.stopped = common->values.idle_timeout;
}

static void make_argv(struct spec_common *common)
{
	char **words = words_split(common->values.command, NULL, NULL);
	size_t word_count = mem_strv_length(words);
	size_t arg_count = mem_strv_length(common->values.args);

	assert(words); /* checked where it was read */
	words = mem_resize(words, word_count + arg_count + 1, sizeof(*words));
	for (size_t i = 0; i <= arg_count; i++)
		words[word_count + i] = mem_strdup(common->values.args[i]);
	common->argv = words;
}

static bool is_written(const struct spec_layers *layers, const struct option *option)
{
	return config_layer_find(&layers->service->layer, option->name) ||
	       config_layer_find(&layers->tenant->layer, option->name);
}

/* That there is no sandbox concerns only who asks for one, and then also when it is left open
 * which.
 */
static bool is_sandbox(const struct option *option)
{
	return strcmp(option->name, "sandbox") == 0;
}

/* What of the defaults in force is more than the machine can give. */
static void find_degraded(struct spec_common *common, const struct spec_layers *layers)
{
	const struct machine *machine = layers->machine;

	common->degraded = mem_alloc(sizeof(char *));
	for (size_t i = 0; machine && i < machine->count; i++) {
		const struct option *option = machine->lacks[i].option;
		const char *why = machine_lacks(machine, option, &common->values);
		autofree char *spelled = NULL;
		autofree char *message = NULL;

		if (why != machine->lacks[i].why || is_sandbox(option) ||
			is_written(layers, option))
			continue;
		spelled = option_spell(option, &common->values);
		message = mem_printf("%s = %s cannot be given: %s", option->name, spelled, why);
		mem_strv_append(&common->degraded, message);
	}
}

/* What of the written values is: such a tenant is never run without it. */
static void check_machine(
	const struct ten_spec *spec, const struct spec_layers *layers, struct spec_faults *faults)
{
	const struct machine *machine = layers->machine;
	bool in_sandbox = spec->values.isolation == ISOLATION_SANDBOX;

	for (size_t i = 0; machine && i < machine->count; i++) {
		const struct option *option = machine->lacks[i].option;
		const char *why = machine_lacks(machine, option, &spec->values);
		autofree char *spelled = NULL;

		if (why != machine->lacks[i].why || (is_sandbox(option) && !in_sandbox) ||
			(!is_sandbox(option) && !is_written(layers, option)))
			continue;
		spelled = option_spell(option, &spec->values);
		spec_fault_add(faults, layers,
			is_written(layers, option) ? option->name : "isolation", NULL,
			"%s%s%s cannot be given: %s", option->name,
			option->type == OPTION_TABLES ? "" : " = ",
			option->type == OPTION_TABLES ? "" : spelled, why);
	}
}

/* What goes with no other sandbox, and what a sandbox does not go with. */
static void check_sandbox(
	const struct ten_spec *spec, const struct spec_layers *layers, struct spec_faults *faults)
{
	const struct service_values *values = &spec->values;

	if (values->isolation != ISOLATION_SANDBOX && values->sandbox != SANDBOX_AUTO)
		spec_fault_add(faults, layers, "sandbox", NULL,
			"sandbox has no effect without isolation = \"sandbox\"");
	if (values->isolation != ISOLATION_SANDBOX || values->sandbox == SANDBOX_NATIVE)
		return;
	if (values->ready == READY_NOTIFY)
		spec_fault_add(faults, layers, "ready", NULL,
			"ready = \"notify\" does not reach the daemon out of gVisor: use "
			"ready = \"listen\" or \"health\", or sandbox = \"native\"");
	/* It would have to make places in there for what the tenant sees besides. */
	if (values->rootfs)
		spec_fault_add(faults, layers, "rootfs", NULL,
			"rootfs cannot be had in gVisor: leave it out, or use sandbox = "
			"\"native\"");
	if (values->socket_activation)
		spec_fault_add(faults, layers, "socket_activation", NULL,
			"socket_activation: gVisor takes no socket from outside: leave it out, or "
			"use sandbox = \"native\"");
}

/* The hashes go on over the values of SCOPE. */
static void add_hashes(
	enum option_scope scope, const void *values, uint64_t *restart, uint64_t *live)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &options[i];

		if (option->scope != scope)
			continue;
		if (option->change == OPTION_LIVE)
			*live = option_hash(option, values, *live);
		else
			*restart = option_hash(option, values, *restart);
	}
}

static struct spec_common *common_new(const struct spec_layers *layers)
{
	struct spec_common *common = mem_alloc(sizeof(*common));

	common->references = 1;
	common->service_name = mem_strdup(layers->tenant->service);
	lay_values(common, layers);
	make_argv(common);
	find_degraded(common, layers);
	common->memory_limit_written =
		is_written(layers, option_find(OPTION_SERVICE, "memory_limit_mb"));
	common->restart_hash = 1;
	/* (also when the default is written out) */
	common->live_hash = common->memory_limit_written ? 3 : 2;
	add_hashes(OPTION_SERVICE, &common->values, &common->restart_hash, &common->live_hash);
	return common;
}

/* Whether TENANT has a word of its own on what its service says. */
static bool says_more(const struct config_tenant *tenant)
{
	for (size_t i = 0; i < tenant->layer.count; i++)
		if (tenant->layer.values[i].option->scope == OPTION_SERVICE)
			return true;
	return false;
}

/* A reference to what the tenant has in common with others, or for itself. */
static const struct spec_common *common_get(const struct spec_layers *layers)
{
	/* Immutable but for what is remembered of it. */
	struct config_service *service = (struct config_service *)layers->service;

	if (says_more(layers->tenant))
		return common_new(layers);
	if (!service->common)
		service->common = common_new(layers);
	((struct spec_common *)service->common)->references++;
	return service->common;
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
	spec->restart_hash = spec->common->restart_hash;
	spec->live_hash = spec->common->live_hash;
	add_hashes(OPTION_TENANT, &spec->tenant, &spec->restart_hash, &spec->live_hash);
	spec->restart_hash = option_hash_string(spec->dir, spec->restart_hash);
	spec->live_hash =
		option_hash_bytes(&spec->own_wake, sizeof(spec->own_wake), spec->live_hash);
}

/* TEXT at *PLACE, which moves behind it. */
static char *put_string(char **place, const char *text)
{
	char *copy = *place;

	*place = stpcpy(copy, text) + 1;
	return copy;
}

/* A spec and its names in one piece: there are very many of them. */
static struct ten_spec *spec_new(const struct spec_layers *layers)
{
	const struct config_tenant *tenant = layers->tenant;
	const char *data_dir = layers->settings->data_dir, *file = layers->tenant_file->name;
	size_t dir_size =
		strlen(data_dir) + 1 + strlen(tenant->service) + 1 + strlen(tenant->id) + 1;
	size_t names = strlen(tenant->key) + 1 + strlen(tenant->id) + 1 + strlen(file) + 1;
	struct ten_spec *spec = mem_alloc(sizeof(*spec) + names + dir_size);
	char *place = (char *)(spec + 1);

	spec->references = 1;
	spec->key = put_string(&place, tenant->key);
	spec->id = put_string(&place, tenant->id);
	spec->file = put_string(&place, file);
	spec->dir = place;
	snprintf(spec->dir, dir_size, "%s/%s/%s", data_dir, tenant->service, tenant->id);
	spec->line = tenant->at.line;
	return spec;
}

static void take_common(struct ten_spec *spec, const struct spec_layers *layers)
{
	spec->common = common_get(layers);
	spec->service_name = spec->common->service_name;
	spec->values = spec->common->values;
	spec->argv = spec->common->argv;
	spec->degraded = spec->common->degraded;
	spec->ladder = spec->common->ladder;
	spec->memory_limit_written = spec->common->memory_limit_written;
}

static void lay_tenant(struct ten_spec *spec, const struct spec_layers *layers)
{
	options_copy(OPTION_TENANT, &spec->tenant, layers->tenant_defaults);
	config_layer_apply(&layers->tenant->layer, OPTION_TENANT, &spec->tenant);
	free(spec->tenant.service);
	free(spec->tenant.id);
	spec->tenant.service = spec->service_name;
	spec->tenant.id = spec->id;
	spec->own_wake = config_layer_find(&layers->tenant->layer, "no_wake") ||
			 config_layer_find(&layers->tenant->layer, "health_while_asleep") ||
			 config_layer_find(&layers->tenant->layer, "health");
}

static void check_network(
	const struct ten_spec *spec, const struct spec_layers *layers, struct spec_faults *faults)
{
	const struct service_values *values = &spec->values;
	const char *useless = NULL;

	if (values->network == NETWORK_PRIVATE) {
		if (*values->egress_allow && !values->egress)
			spec_fault_add(faults, layers, "egress_allow", NULL,
				"egress_allow opens nothing without egress = true");
		return;
	}
	if (values->egress)
		useless = "egress";
	else if (*values->egress_allow)
		useless = "egress_allow";
	else if (values->bandwidth_mbit)
		useless = "bandwidth_mbit";
	if (useless)
		spec_fault_add(faults, layers, useless, NULL,
			"%s is for a network of the tenant's own: write network = \"private\"",
			useless);
}

const struct ten_spec *spec_merge(const struct spec_layers *layers, struct spec_faults *faults)
{
	struct ten_spec *spec = spec_new(layers);

	take_common(spec, layers);
	lay_tenant(spec, layers);
	check_machine(spec, layers, faults);
	check_sandbox(spec, layers, faults);
	check_domains(spec, layers, faults);
	find_socket(spec, layers, faults);
	check_network(spec, layers, faults);
	if (spec->values.ready == READY_HEALTH && (!spec->values.health || !*spec->values.health))
		spec_fault_add(faults, layers, "ready", NULL,
			"ready = \"health\" needs a health path: write health = \"/...\"");
	if (spec->values.health_while_asleep && (!spec->values.health || !*spec->values.health))
		spec_fault_add(faults, layers, "health_while_asleep", NULL,
			"health_while_asleep needs a health path: write health = \"/...\"");
	if (spec->values.storage_over == STORAGE_OVER_READONLY &&
		spec->values.isolation == ISOLATION_PROCESS)
		spec_fault_add(faults, layers, "storage_over", NULL,
			"storage_over = \"readonly\" needs isolation = \"namespace\": a process "
			"that sees the folders of the machine cannot be kept from writing to its "
			"own");
	if (config_layer_find(&layers->tenant->layer, "max_wakes_per_minute"))
		spec_fault_add(faults, layers, "max_wakes_per_minute", NULL,
			"max_wakes_per_minute bounds all tenants of a service together: write it "
			"in [service.%s]",
			spec->service_name);
	spec_claims_find(spec, layers, faults);
	spec_view_check(spec, layers, faults);
	make_hashes(spec);
	if (!faults->count)
		return spec;
	spec_free(spec);
	return NULL;
}
