#include "config_set.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "config_change.h"
#include "config_judge.h"
#include "config_path.h"
#include "config_settings.h"
#include "config_state.h"
#include "config_template.h"
#include "mem.h"

static void copy_place(struct config_place *to, const struct config_place *from)
{
	*to = *from;
	to->main_path = mem_strdup(from->main_path);
	to->conf_dir = mem_strdup(from->conf_dir);
	to->data_dir_override = mem_strdup(from->data_dir_override);
	to->domain_override = mem_strdup(from->domain_override);
	to->conf_dir_override = mem_strdup(from->conf_dir_override);
	to->xdg_runtime_dir = mem_strdup(from->xdg_runtime_dir);
}

static void clear_place(struct config_place *place)
{
	free((char *)place->main_path);
	free((char *)place->conf_dir);
	free((char *)place->data_dir_override);
	free((char *)place->domain_override);
	free((char *)place->conf_dir_override);
	free((char *)place->xdg_runtime_dir);
}

struct config_set *config_set_new(const struct config_place *place)
{
	struct config_set *set = mem_alloc(sizeof(*set));

	set->owner = OWNER_SELF;
	copy_place(&set->place, place);
	set->main_folder = config_path_parent(set->place.main_path);
	options_set_defaults(OPTION_SERVICE, &set->service_defaults);
	options_set_defaults(OPTION_TENANT, &set->tenant_defaults);
	set->folders = config_claims_new();
	set->sockets = config_claims_new();
	config_settings_make(&set->settings, &set->place, NULL);
	set->settings_now = &set->settings;
	set->spec_hash = config_settings_spec_hash(&set->settings);
	set_state_claim_own(set);
	return set;
}

static void free_instances(struct config_set *set)
{
	struct set_instance *instance, *next;

	HASH_ITER (hh, set->instances, instance, next) {
		HASH_DEL(set->instances, instance);
		spec_unref(instance->spec);
		free(instance);
	}
}

static void free_services(struct config_set *set)
{
	struct set_service *service, *next;

	HASH_ITER (hh, set->services, service, next) {
		HASH_DEL(set->services, service);
		options_clear(OPTION_SERVICE, &service->values);
		free(service->folder);
		free(service->name);
		free(service);
	}
}

static void free_resources(struct config_set *set)
{
	struct set_resource *resource, *next;

	HASH_ITER (hh, set->resources, resource, next) {
		HASH_DEL(set->resources, resource);
		free(resource->claimants);
		free(resource);
	}
}

void config_set_free(struct config_set *set)
{
	struct set_list *lists[7];
	struct config_change seeded;
	struct set_file *file, *next;

	if (!set)
		return;
	HASH_ITER (hh, set->files, file, next)
		set_file_free(set, file);
	free_instances(set);
	free_services(set);
	free_resources(set);
	config_claims_free(set->folders);
	config_claims_free(set->sockets);
	config_settings_clear(&set->settings);
	config_settings_clear(&set->next_settings);
	config_file_free(set->partial);
	config_routing_clear(&set->partial_routing);
	options_clear(OPTION_SERVICE, &set->service_defaults);
	options_clear(OPTION_TENANT, &set->tenant_defaults);
	lists[0] = &set->staged;
	lists[1] = &set->seeds;
	lists[2] = &set->judged;
	lists[3] = &set->touched_resources;
	lists[4] = &set->touched_services;
	lists[5] = &set->touched_instances;
	lists[6] = &set->dirty_instances;
	for (size_t i = 0; i < 7; i++)
		free(lists[i]->items);
	free(set->orphans.items);
	free(set->bad.items);
	change_lists_finish(&set->seeded, &seeded);
	config_change_clear(&seeded);
	free(set->problems);
	free(set->main_folder);
	clear_place(&set->place);
	free(set);
}

static void stage(struct config_set *set, struct set_file *file, struct config_file *text)
{
	set->problems_known = false;
	config_file_free(file->staged_text);
	file->staged_text = text;
	file->staged_same = false;
	if (!file->staged)
		set_list_add(&set->staged, file);
	file->staged = true;
}

void config_set_seed(struct config_set *set, const char *name, const char *text, size_t len)
{
	struct set_file *file = set_file_get(set, name);

	/* What is in force is what is wanted. */
	if (file->staged_same)
		return;
	set->work.parsed++;
	config_file_free(file->seed);
	file->seed = config_file_parse_named(file->name, file->display, file->folder, text, len);
	set_list_add(&set->seeds, file);
}

static void judge(struct config_set *set)
{
	config_change_begin(set);
	config_judge(set);
}

/* Seeds are judged before anything else, and what does not hold of them is forgotten. */
static void take_seeds(struct config_set *set)
{
	struct set_list staged = set->staged;
	struct set_file *file, *next;

	if (!set->seeds.count)
		return;
	/* What was staged steps back for the while. */
	set->staged = (struct set_list){ 0 };
	for (size_t i = 0; i < set->seeds.count; i++) {
		file = set->seeds.items[i];
		if (!file->seed)
			continue;
		file->wanted.text = mem_steal(&file->seed);
		file->wanted.waiting = true;
		set_file_list(set, file);
	}
	set->seeds.count = 0;
	judge(set);
	config_change_describe(set, &set->seeded);
	config_change_commit(set);
	/* That a seed is in force is no news of its file. */
	change_names_clear(&set->seeded.accepted);
	change_names_clear(&set->seeded.unchanged);
	DL_FOREACH_SAFE (set->waiting, file, next) {
		set_wanted_clear(&file->wanted);
		set_file_list(set, file);
		if (!file->good && !file->staged)
			set_file_free(set, file);
	}
	free(set->staged.items);
	set->staged = staged;
}

void config_set_stage(struct config_set *set, const char *name, const char *text, size_t len)
{
	struct set_file *file;

	take_seeds(set);
	file = set_file_get(set, name);
	if (text && file->good && config_file_says(file->good, text, len)) {
		stage(set, file, NULL);
		file->staged_same = true;
		return;
	}
	set->work.parsed += text != NULL;
	stage(set, file,
		text ? config_file_parse_named(file->name, file->display, file->folder, text, len)
		     : NULL);
}

void config_set_stage_unreadable(struct config_set *set, const char *name, const char *why)
{
	struct set_file *file;

	take_seeds(set);
	file = set_file_get(set, name);
	stage(set, file, config_file_unreadable(file->name, file->display, file->folder, why));
}

void config_set_judge(struct config_set *set, struct config_change *change)
{
	struct change_lists lists;

	take_seeds(set);
	lists = set->seeded;
	set->seeded = (struct change_lists){ 0 };
	judge(set);
	config_change_describe(set, &lists);
	config_change_commit(set);
	change_lists_finish(&lists, change);
}

/* The problems of one file's text, and of it with the others. */
static void add_texts(const struct set_file *file, char ***texts)
{
	const struct config_problems *own = file->wanted.text ? &file->wanted.text->problems : NULL;
	const struct config_problems *lists[] = { own, &file->wanted.problems };

	for (size_t list = 0; list < 2; list++) {
		for (size_t i = 0; lists[list] && i < lists[list]->count; i++) {
			autofree char *text = config_problem_text(&lists[list]->items[i]);
			mem_strv_append(texts, text);
		}
	}
}

void config_set_try(struct config_set *set, struct config_change *change, char ***problems,
	void (*wanted)(void *data, const char *key, const struct ten_spec *spec), void *data)
{
	struct change_lists lists = { 0 };

	take_seeds(set);
	judge(set);
	config_change_describe(set, &lists);
	change_lists_finish(&lists, change);
	for (size_t i = 0; i < set->judged.count; i++) {
		const struct set_file *file = set->judged.items[i];
		if (file->was_staged && problems)
			add_texts(file, problems);
	}
	for (size_t i = 0; wanted && change->instances[i]; i++) {
		const struct set_instance *instance = set_instance_find(set, change->instances[i]);
		wanted(data, change->instances[i], instance->wanted);
	}
	config_change_rollback(set);
}

void config_change_clear(struct config_change *change)
{
	mem_strv_free(change->accepted);
	mem_strv_free(change->unchanged);
	mem_strv_free(change->rejected);
	mem_strv_free(change->instances);
	mem_strv_free(change->routes);
	for (size_t i = 0; change->templates && change->templates[i]; i++)
		config_template_free(change->templates[i]);
	free(change->templates);
	*change = (struct config_change){ 0 };
}

static void add_problems(struct config_set *set, const struct config_problems *problems)
{
	if (!problems->count)
		return;
	set->problems = mem_resize(
		set->problems, set->problem_count + problems->count, sizeof(*set->problems));
	memcpy(&set->problems[set->problem_count], problems->items,
		problems->count * sizeof(*problems->items));
	set->problem_count += problems->count;
}

size_t config_set_problems(struct config_set *set, const struct config_problem **problems)
{
	struct set_file *file;

	if (!set->problems_known) {
		set->problem_count = 0;
		DL_FOREACH (set->waiting, file) {
			if (file->wanted.text)
				add_problems(set, &file->wanted.text->problems);
			add_problems(set, &file->wanted.problems);
		}
		if (set->problem_count)
			qsort(set->problems, set->problem_count, sizeof(*set->problems),
				config_problem_compare);
		set->problems_known = true;
	}
	*problems = set->problems;
	return set->problem_count;
}

const struct setting_values *config_set_settings(const struct config_set *set)
{
	return &set->settings;
}

const struct config_routing *config_set_routing(const struct config_set *set)
{
	const struct set_file *main = set_file_find(set, CONFIG_MAIN);

	return main && main->good ? &main->good->routing : &set->partial_routing;
}

const struct service_values *config_set_service(const struct config_set *set, const char *name)
{
	const struct set_service *service = set_service_find(set, name);

	return service && service->good_file ? &service->values : NULL;
}

const char *config_set_service_file(const struct config_set *set, const char *name)
{
	const struct set_service *service = set_service_find(set, name);

	return service && service->good_file ? service->good_file->name : NULL;
}

const struct config_route *config_set_route(const struct config_set *set, const char *name)
{
	const struct set_service *service = set_service_find(set, name);
	const struct config_route_table *table = service && service->routed->count
							 ? service->routed->claimants[0].declaration
							 : NULL;

	return table ? &table->route : NULL;
}

const struct ten_spec *config_set_instance(const struct config_set *set, const char *key)
{
	const struct set_instance *instance = set_instance_find(set, key);

	return instance ? instance->spec : NULL;
}

size_t config_set_instance_count(const struct config_set *set)
{
	return set->instance_count;
}

void config_set_each_instance(const struct config_set *set,
	void (*visit)(void *data, const struct ten_spec *spec), void *data)
{
	const struct set_instance *instance = set->instances;

	for (; instance; instance = instance->hh.next)
		if (instance->spec)
			visit(data, instance->spec);
}

void config_set_each_instance_of(const struct config_set *set, const char *name,
	void (*visit)(void *data, const struct ten_spec *spec), void *data)
{
	const struct set_service *service = set_service_find(set, name);
	const struct set_instance *instance = service ? service->instances : NULL;

	for (; instance; instance = instance->next)
		if (instance->spec)
			visit(data, instance->spec);
}

void config_set_each_service(
	const struct config_set *set, void (*visit)(void *data, const char *service), void *data)
{
	const struct set_service *service = set->services;

	for (; service; service = service->hh.next)
		if (service->good_file)
			visit(data, service->name);
}

const char *config_set_text(const struct config_set *set, const char *name, size_t *len)
{
	const struct set_file *file = set_file_find(set, name);

	if (!file || !file->good)
		return NULL;
	if (len)
		*len = file->good->len;
	return file->good->text;
}

void config_set_each_file(const struct config_set *set,
	void (*visit)(void *data, const char *name, bool good), void *data)
{
	const struct set_file *file = set->files;

	for (; file; file = file->hh.next)
		visit(data, file->name, !file->wanted.waiting);
}

const char *config_set_settings_text(const struct config_set *set, size_t *len)
{
	if (!set->partial)
		return config_set_text(set, CONFIG_MAIN, len);
	if (len)
		*len = set->partial->len;
	return set->partial->text;
}

size_t config_set_file_tenants(const struct config_set *set, const char *name)
{
	const struct set_file *file = set_file_find(set, name);

	return file && file->good ? file->good->tenant_count : 0;
}

struct config_work config_set_work(const struct config_set *set)
{
	return set->work;
}

void config_set_work_reset(struct config_set *set)
{
	set->work = (struct config_work){ 0 };
}
