#include "config_change.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "config_settings.h"
#include "config_template.h"
#include "mem.h"
#include "spec.h"

static void add_name(struct change_names *names, const char *name)
{
	if (names->count + 1 >= names->room) {
		names->room = names->room ? names->room * 2 : 16;
		names->items = mem_resize(names->items, names->room, sizeof(*names->items));
	}
	names->items[names->count++] = mem_strdup(name);
	names->items[names->count] = NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, without doubles, never NULL. */
static char **finish_names(struct change_names *names)
{
	char **items = names->items ? names->items : mem_alloc(sizeof(char *));
	size_t kept = 0;

	if (names->count)
		qsort(items, names->count, sizeof(*items), compare_names);
	for (size_t i = 0; i < names->count; i++) {
		if (kept && strcmp(items[kept - 1], items[i]) == 0)
			free(items[i]);
		else
			items[kept++] = items[i];
	}
	items[kept] = NULL;
	*names = (struct change_names){ 0 };
	return items;
}

void change_names_clear(struct change_names *names)
{
	mem_strv_free(names->items);
	*names = (struct change_names){ 0 };
}

void change_lists_finish(struct change_lists *lists, struct config_change *change)
{
	change->accepted = finish_names(&lists->accepted);
	change->unchanged = finish_names(&lists->unchanged);
	change->rejected = finish_names(&lists->rejected);
	change->instances = finish_names(&lists->instances);
	change->routes = finish_names(&lists->routes);
	change->settings = lists->settings;
	change->templates = mem_steal(&lists->templates);
	lists->template_count = 0;
}

static bool same_text(const struct config_file *a, const struct config_file *b)
{
	if (!a || !b)
		return a == b;
	return b->text && config_file_says(a, b->text, b->len);
}

static void begin_file(struct config_set *set, struct set_file *file)
{
	if (file->judged)
		return;
	file->judged = true;
	file->was_staged = false;
	file->before = mem_alloc(sizeof(*file->before));
	*file->before = file->wanted;
	set_list_add(&set->judged, file);
}

/* What is judged again begins with a clean sheet. */
static void begin_waiting(struct config_set *set, struct set_file *file)
{
	begin_file(set, file);
	file->wanted.problems = (struct config_problems){ 0 };
}

/* A main file goes of which the settings alone are in force. */
static bool ends_partial(const struct config_set *set, const struct set_file *file)
{
	return set->partial && !file->wanted.text && strcmp(file->name, CONFIG_MAIN) == 0;
}

static void begin_staged(struct config_set *set, struct set_file *file)
{
	begin_file(set, file);
	file->was_staged = true;
	file->staged = false;
	file->wanted =
		(struct set_wanted){ .waiting = true, .text = mem_steal(&file->staged_text) };
	/* What is in force is wanted again, or what never was in force is gone. */
	if (file->staged_same ||
		(same_text(file->wanted.text, file->good) && !ends_partial(set, file))) {
		config_file_free(file->wanted.text);
		file->wanted = (struct set_wanted){ 0 };
	}
	file->staged_same = false;
	set_file_list(set, file);
}

void config_change_begin(struct config_set *set)
{
	struct set_file *file;

	set->problems_known = false;
	for (size_t i = 0; i < set->staged.count; i++)
		begin_staged(set, set->staged.items[i]);
	set->staged.count = 0;
	DL_FOREACH (set->waiting, file)
		if (!file->judged)
			begin_waiting(set, file);
}

static uint64_t hash_route(const struct set_service *service)
{
	const struct config_route_table *table =
		service->routed->count ? service->routed->claimants[0].declaration : NULL;
	uint64_t hash = option_hash_bytes(table ? "r" : "-", 1, 4);

	if (table)
		hash = option_hash_bytes(&table->route.sticky, sizeof(table->route.sticky), hash);

	for (size_t i = 0; table && i < table->route.count; i++) {
		hash = option_hash_string(table->route.split[i].id, hash);
		hash = option_hash_bytes(
			&table->route.split[i].weight, sizeof(table->route.split[i].weight), hash);
	}
	return hash;
}

/* The values of SERVICE as the index has it now. */
static void make_values(const struct config_set *set, const struct set_service *service,
	struct service_values *values)
{
	const struct set_claimant *claimant = service->declared->claimants;
	const struct config_service *declared = claimant->declaration;

	options_copy(OPTION_SERVICE, values, &set->service_defaults);
	free(values->workdir);
	values->workdir = mem_strdup(claimant->file->folder);
	config_layer_apply(&declared->layer, OPTION_SERVICE, values);
}

/* What is published once for all tenants of a service. */
static uint64_t hash_waking(const struct service_values *values, uint64_t hash)
{
	for (size_t i = 0; values->no_wake[i]; i++)
		hash = option_hash_string(values->no_wake[i], hash);
	hash = option_hash_bytes(
		&values->max_wakes_per_minute, sizeof(values->max_wakes_per_minute), hash);
	if (values->health_while_asleep && values->health)
		hash = option_hash_string(values->health, hash);
	return hash;
}

/* Of all that decides about SERVICE's route but its instances. */
static uint64_t route_hash(const struct config_set *set, const struct set_service *service)
{
	struct service_values values;
	uint64_t hash = hash_route(service);

	/* As it is before anybody knows of the service. */
	if (!service->declared->count && !service->routed->count)
		return 0;
	if (!service->declared->count)
		return option_hash_bytes("-", 1, hash);
	make_values(set, service, &values);
	hash = option_hash_bytes(values.balance ? "b" : "-", 1, hash);
	hash = option_hash_bytes(&values.sticky, sizeof(values.sticky), hash);
	hash = option_hash_bytes(values.spawn_undeclared ? "s" : "-", 1, hash);
	hash = option_hash_bytes(
		&values.spawn_undeclared_max, sizeof(values.spawn_undeclared_max), hash);
	hash = hash_waking(&values, hash);
	options_clear(OPTION_SERVICE, &values);
	return hash;
}

static void describe_instances(struct config_set *set, struct change_lists *lists)
{
	for (size_t i = 0; i < set->touched_instances.count; i++) {
		struct set_instance *instance = set->touched_instances.items[i];
		const struct ten_spec *old = instance->spec, *spec = instance->wanted;

		if (spec_same(old, spec))
			continue;
		add_name(&lists->instances, instance->key);
		if (!old || !spec || old->values.weight != spec->values.weight)
			instance->service->members_changed = true;
	}
}

/* What SERVICE was like is told when the text that declares it is another now. */
static void describe_template(
	const struct config_set *set, const struct set_service *service, struct change_lists *lists)
{
	const struct set_file *before = service->good_file;
	struct config_template *old;

	if (!service->redeclared || !before || !before->good || service->declared->count != 1 ||
		same_text(before->good, set_file_text(service->declared->claimants[0].file)))
		return;
	old = config_template_new(
		set, service->name, before->name, before->good->text, before->good->len);
	if (!old)
		return;
	lists->templates = mem_resize(
		lists->templates, lists->template_count + 2, sizeof(struct config_template *));
	lists->templates[lists->template_count++] = old;
	lists->templates[lists->template_count] = NULL;
}

/* The main file of which, as the judgement has it, the settings alone are in force; NULL: none. */
static const struct config_file *partial_main(const struct config_set *set)
{
	const struct set_file *main = set_file_find(set, CONFIG_MAIN);

	if (set->partial_now)
		return main->wanted.text;
	return main && main->in_play ? NULL : set->partial;
}

static char *declared_service(const struct config_set *set, const char *name)
{
	const struct set_service *service = name ? set_service_find(set, name) : NULL;

	return service && service->declared->count ? mem_strdup(name) : NULL;
}

static void copy_declared(
	const struct config_set *set, struct option_map *to, const struct option_map *from)
{
	to->pairs = mem_alloc((from->count + 1) * sizeof(*to->pairs));
	for (size_t i = 0; i < from->count; i++) {
		char *service = declared_service(set, from->pairs[i].value);

		if (service)
			to->pairs[to->count++] =
				(struct option_pair){ mem_strdup(from->pairs[i].name), service };
	}
}

/* What of MAIN's routing leads somewhere. */
static struct config_routing make_routing(
	const struct config_set *set, const struct config_file *main)
{
	struct config_routing routing = { 0 };

	if (!main)
		return routing;
	routing.default_service = declared_service(set, main->routing.default_service);
	copy_declared(set, &routing.subdomains, &main->routing.subdomains);
	copy_declared(set, &routing.paths, &main->routing.paths);
	return routing;
}

static bool settings_differ(const struct config_set *set)
{
	struct set_file *main = set_file_find(set, CONFIG_MAIN);
	const struct config_file *text = main ? set_file_text(main) : NULL;
	const struct config_file *good = main ? main->good : NULL;
	struct config_routing partial = make_routing(set, partial_main(set));
	bool differ =
		config_settings_hash(set->settings_now) != config_settings_hash(&set->settings) ||
		config_routing_hash(text ? &text->routing : &partial) !=
			config_routing_hash(good ? &good->routing : &set->partial_routing);

	config_routing_clear(&partial);
	return differ;
}

void config_change_describe(struct config_set *set, struct change_lists *lists)
{
	for (size_t i = 0; i < set->judged.count; i++) {
		const struct set_file *file = set->judged.items[i];
		bool unchanged = !file->in_play && file->was_staged && !file->wanted.waiting;

		if (file->in_play || unchanged)
			add_name(&lists->accepted, file->name);
		else if (file->was_staged)
			add_name(&lists->rejected, file->name);
		/* (what is gone and never was in force may be stored, from an earlier life) */
		if (unchanged && file->good)
			add_name(&lists->unchanged, file->name);
	}
	describe_instances(set, lists);
	for (size_t i = 0; i < set->touched_services.count; i++) {
		const struct set_service *service = set->touched_services.items[i];
		if (service->members_changed || route_hash(set, service) != service->route_hash)
			add_name(&lists->routes, service->name);
		describe_template(set, service, lists);
	}
	lists->settings |= settings_differ(set);
}

static void commit_instances(struct config_set *set)
{
	for (size_t i = 0; i < set->touched_instances.count; i++) {
		struct set_instance *instance = set->touched_instances.items[i];
		set->instance_count += !!instance->wanted;
		set->instance_count -= !!instance->spec;
		spec_unref(instance->spec);
		instance->spec = mem_steal(&instance->wanted);
	}
}

static void commit_services(struct config_set *set)
{
	for (size_t i = 0; i < set->touched_services.count; i++) {
		struct set_service *service = set->touched_services.items[i];

		service->route_hash = route_hash(set, service);
		if (!service->redeclared)
			continue;
		options_clear(OPTION_SERVICE, &service->values);
		service->good_file = NULL;
		if (!service->declared->count)
			continue;
		service->good_file = service->declared->claimants[0].file;
		make_values(set, service, &service->values);
	}
}

static void commit_partial(struct config_set *set)
{
	const struct config_file *main = partial_main(set);

	config_routing_clear(&set->partial_routing);
	set->partial_routing = make_routing(set, main);
	if (main != set->partial) {
		config_file_free(set->partial);
		set->partial = main ? config_file_parse(main->name, main->display, main->folder,
					      main->text, main->len)
				    : NULL;
	}
	set->partial_now = false;
}

static void commit_settings(struct config_set *set)
{
	if (set->settings_now == &set->settings)
		return;
	config_settings_clear(&set->settings);
	set->settings = set->next_settings;
	memset(&set->next_settings, 0, sizeof(set->next_settings));
	set->settings_now = &set->settings;
}

/* A file that is wrong says how many tenants go on as they were because of what it said before. */
static void report_kept(struct set_file *file, const struct config_set *set)
{
	for (size_t i = 0; file->good && file->wanted.text && i < file->good->service_count; i++) {
		const char *name = file->good->services[i].name;
		const struct set_service *service = set_service_find(set, name);
		size_t count = service ? service->instance_count : 0;

		if (!count)
			continue;
		file->wanted.problems.file = file->display;
		config_problems_add(&file->wanted.problems, (struct config_at){ 0 },
			"service \"%s\" and its %zu tenant%s keep their last good state", name,
			count, count == 1 ? "" : "s");
	}
}

static void commit_file(struct config_set *set, struct set_file *file)
{
	struct config_file *old = NULL;

	if (file->in_play) {
		old = file->good;
		file->good = mem_steal(&file->wanted.text);
		file->in_play = false;
		set_wanted_clear(&file->wanted);
	}
	/* The text that waited before may be the one that waits still, or is in force now. */
	if (file->before->text == file->wanted.text || file->before->text == file->good)
		file->before->text = NULL;
	set_wanted_clear(file->before);
	free(mem_steal(&file->before));
	config_file_free(old);
	file->judged = file->bad = false;
	set_file_list(set, file);
	if (!file->good && !file->wanted.waiting && !file->staged)
		set_file_free(set, file);
}

void config_change_commit(struct config_set *set)
{
	struct set_file *file;

	commit_instances(set);
	commit_services(set);
	commit_settings(set);
	commit_partial(set);
	set_state_sweep(set);
	for (size_t i = 0; i < set->judged.count; i++)
		commit_file(set, set->judged.items[i]);
	set->judged.count = 0;
	DL_FOREACH (set->waiting, file)
		report_kept(file, set);
}

static void rollback_file(struct config_set *set, struct set_file *file)
{
	if (file->wanted.text != file->before->text)
		config_file_free(file->wanted.text);
	config_problems_clear(&file->wanted.problems);
	file->wanted = *file->before;
	free(mem_steal(&file->before));
	file->judged = file->bad = false;
	set_file_list(set, file);
	if (!file->good && !file->wanted.waiting && !file->staged)
		set_file_free(set, file);
}

void config_change_rollback(struct config_set *set)
{
	for (size_t i = 0; i < set->judged.count; i++) {
		struct set_file *file = set->judged.items[i];
		if (file->in_play)
			set_file_put_back(set, file);
	}
	set->partial_now = false;
	set_state_restore_settings(set);
	for (size_t i = 0; i < set->touched_instances.count; i++) {
		struct set_instance *instance = set->touched_instances.items[i];
		set_instance_claim(set, instance, instance->spec);
		spec_unref(instance->wanted);
		instance->wanted = NULL;
	}
	set_state_sweep(set);
	for (size_t i = 0; i < set->judged.count; i++)
		rollback_file(set, set->judged.items[i]);
	set->judged.count = 0;
}
