#include "config_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "config_path.h"
#include "config_settings.h"
#include "mem.h"

void set_list_add(struct set_list *list, void *item)
{
	if (list->count == list->room) {
		list->room = list->room ? list->room * 2 : 16;
		list->items = mem_resize(list->items, list->room, sizeof(*list->items));
	}
	list->items[list->count++] = item;
}

struct set_file *set_file_find(const struct config_set *set, const char *name)
{
	struct set_file *file;

	HASH_FIND_STR(set->files, name, file);
	return file;
}

static struct set_file *main_new(const struct config_set *set)
{
	struct set_file *file = mem_alloc(sizeof(*file));

	file->name = CONFIG_MAIN;
	file->display = set->place.main_path;
	file->folder = set->main_folder;
	return file;
}

/* With its name in one piece: there are very many of them. */
static struct set_file *file_new(const struct config_set *set, const char *name)
{
	const char *folder = config_path_name(set->place.conf_dir);
	size_t size = strlen(folder) + 1 + strlen(name) + 1;
	struct set_file *file = mem_alloc(sizeof(*file) + size);
	char *display = (char *)(file + 1);

	snprintf(display, size, "%s/%s", folder, name);
	file->display = display;
	file->name = display + strlen(folder) + 1;
	file->folder = set->place.conf_dir;
	return file;
}

struct set_file *set_file_get(struct config_set *set, const char *name)
{
	struct set_file *file = set_file_find(set, name);

	if (file)
		return file;
	file = strcmp(name, CONFIG_MAIN) == 0 ? main_new(set) : file_new(set, name);
	HASH_ADD_KEYPTR(hh, set->files, file->name, strlen(file->name), file);
	return file;
}

void set_wanted_clear(struct set_wanted *wanted)
{
	config_file_free(wanted->text);
	config_problems_clear(&wanted->problems);
	*wanted = (struct set_wanted){ 0 };
}

void set_file_list(struct config_set *set, struct set_file *file)
{
	if (file->listed == file->wanted.waiting)
		return;
	file->listed = file->wanted.waiting;
	if (file->listed)
		DL_APPEND(set->waiting, file);
	else
		DL_DELETE(set->waiting, file);
}

void set_file_free(struct config_set *set, struct set_file *file)
{
	HASH_DEL(set->files, file);
	if (file->listed)
		DL_DELETE(set->waiting, file);
	set_wanted_clear(&file->wanted);
	if (file->before)
		set_wanted_clear(file->before);
	free(file->before);
	config_file_free(file->good);
	config_file_free(file->staged_text);
	config_file_free(file->seed);
	free(file);
}

const struct config_file *set_file_text(const struct set_file *file)
{
	return file->in_play ? file->wanted.text : file->good;
}

static char *resource_name(const char *kind, const char *name)
{
	return mem_printf("%s %s", kind, name);
}

struct set_resource *set_resource_find(
	const struct config_set *set, const char *kind, const char *name)
{
	autofree char *key = resource_name(kind, name);
	struct set_resource *resource;

	HASH_FIND_STR(set->resources, key, resource);
	return resource;
}

static struct set_resource *resource_get(struct config_set *set, const char *kind, const char *name)
{
	struct set_resource *resource = set_resource_find(set, kind, name);
	autofree char *key = NULL;

	if (resource)
		return resource;
	key = resource_name(kind, name);
	resource = mem_alloc(sizeof(*resource) + strlen(key) + 1);
	memcpy(resource->name, key, strlen(key) + 1);
	HASH_ADD_STR(set->resources, name, resource);
	return resource;
}

static void touch_resource(struct config_set *set, struct set_resource *resource)
{
	if (resource->touched)
		return;
	resource->touched = true;
	set_list_add(&set->touched_resources, resource);
}

static void touch_service(struct config_set *set, struct set_service *service)
{
	if (service->touched)
		return;
	service->touched = true;
	set_list_add(&set->touched_services, service);
}

void set_instance_mark(struct config_set *set, struct set_instance *instance)
{
	touch_service(set, instance->service);
	if (!instance->touched) {
		instance->touched = true;
		set_list_add(&set->touched_instances, instance);
	}
	if (instance->dirty)
		return;
	instance->dirty = true;
	set_list_add(&set->dirty_instances, instance);
}

struct set_service *set_service_find(const struct config_set *set, const char *name)
{
	struct set_service *service;

	HASH_FIND_STR(set->services, name, service);
	return service;
}

static struct set_service *service_get(struct config_set *set, const char *name)
{
	struct set_service *service = set_service_find(set, name);

	if (service)
		return service;
	service = mem_alloc(sizeof(*service));
	service->owner = OWNER_SERVICE;
	service->name = mem_strdup(name);
	service->declared = resource_get(set, "service", name);
	service->routed = resource_get(set, "route", name);
	HASH_ADD_KEYPTR(hh, set->services, service->name, strlen(service->name), service);
	return service;
}

struct set_instance *set_instance_find(const struct config_set *set, const char *key)
{
	struct set_instance *instance;

	HASH_FIND_STR(set->instances, key, instance);
	return instance;
}

static struct set_instance *instance_get(struct config_set *set, const struct config_tenant *tenant)
{
	struct set_instance *instance = set_instance_find(set, tenant->key);

	if (instance)
		return instance;
	instance = mem_alloc(sizeof(*instance) + strlen(tenant->key) + 1);
	instance->owner = OWNER_INSTANCE;
	memcpy(instance->key, tenant->key, strlen(tenant->key) + 1);
	instance->service = service_get(set, tenant->service);
	instance->declared = resource_get(set, "tenant", tenant->key);
	DL_APPEND(instance->service->instances, instance);
	instance->service->instance_count++;
	HASH_ADD_STR(set->instances, key, instance);
	return instance;
}

void set_instance_claim(
	struct config_set *set, struct set_instance *instance, const struct ten_spec *spec)
{
	const struct ten_spec *old = instance->claiming;

	if (old == spec)
		return;
	for (size_t i = 0; old && old->claims[i]; i++)
		config_claims_remove(set->folders, old->claims[i], instance);
	if (old && old->socket_path)
		config_claims_remove(set->sockets, old->socket_path, instance);
	for (size_t i = 0; spec && spec->claims[i]; i++)
		config_claims_add(set->folders, spec->claims[i], instance);
	if (spec && spec->socket_path)
		config_claims_add(set->sockets, spec->socket_path, instance);
	instance->claiming = spec;
}

/* Keep a declared service's folder in the tree of claims, and only that. */
static void place_folder(struct config_set *set, struct set_service *service)
{
	autofree char *folder =
		service->declared->count
			? mem_printf("%s/%s", set->settings_now->data_dir, service->name)
			: NULL;

	if (folder && service->folder && strcmp(folder, service->folder) == 0)
		return;
	if (service->folder)
		config_claims_remove(set->folders, service->folder, service);
	if (folder)
		config_claims_add(set->folders, folder, service);
	free(service->folder);
	service->folder = mem_steal(&folder);
}

static void claim(struct config_set *set, struct set_resource *resource, struct set_file *file,
	struct config_at at, const void *declaration)
{
	resource->claimants =
		mem_resize(resource->claimants, resource->count + 1, sizeof(*resource->claimants));
	resource->claimants[resource->count++] = (struct set_claimant){ file, at, declaration };
	touch_resource(set, resource);
}

static void unclaim(struct config_set *set, struct set_resource *resource, const void *declaration)
{
	size_t i = 0;

	while (i < resource->count && resource->claimants[i].declaration != declaration)
		i++;
	assert(i < resource->count);
	memmove(&resource->claimants[i], &resource->claimants[i + 1],
		(resource->count - i - 1) * sizeof(*resource->claimants));
	resource->count--;
	touch_resource(set, resource);
}

enum move { MOVE_IN, MOVE_OUT };

static void move_one(struct config_set *set, struct set_resource *resource, struct set_file *file,
	struct config_at at, const void *declaration, enum move move)
{
	if (move == MOVE_IN)
		claim(set, resource, file, at, declaration);
	else
		unclaim(set, resource, declaration);
}

static void move_service(struct config_set *set, struct set_file *file,
	const struct config_service *declared, enum move move)
{
	struct set_service *service = service_get(set, declared->name);
	struct set_instance *instance;

	move_one(set, service->declared, file, declared->at, declared, move);
	touch_service(set, service);
	service->redeclared = true;
	place_folder(set, service);
	DL_FOREACH (service->instances, instance)
		set_instance_mark(set, instance);
}

static void move_tenant(struct config_set *set, struct set_file *file,
	const struct config_tenant *declared, enum move move)
{
	struct set_instance *instance = instance_get(set, declared);
	const struct config_value *domains = config_layer_find(&declared->layer, "domains");

	move_one(set, instance->declared, file, declared->at, declared, move);
	set_instance_mark(set, instance);
	for (size_t i = 0; domains && domains->value.list[i]; i++) {
		struct set_resource *domain = resource_get(set, "domain", domains->value.list[i]);
		/* Its place in the list is what tells one mention from another. */
		move_one(set, domain, file, domains->item_at[i], &domains->value.list[i], move);
	}
}

static void move_route(struct config_set *set, struct set_file *file,
	const struct config_route_table *declared, enum move move)
{
	struct set_service *service = service_get(set, declared->route.service);

	move_one(set, service->routed, file, declared->at, declared, move);
	touch_service(set, service);
}

static void move_own(struct config_set *set, enum move move)
{
	static const char *const own[] = { ".tenement", "api_token" };

	for (size_t i = 0; i < 2; i++) {
		autofree char *path = mem_printf("%s/%s", set->settings_now->data_dir, own[i]);
		if (move == MOVE_IN)
			config_claims_add(set->folders, path, set);
		else
			config_claims_remove(set->folders, path, set);
	}
}

void set_state_claim_own(struct config_set *set)
{
	move_own(set, MOVE_IN);
}

/* All that settings decide about is looked at again. */
static void mark_all(struct config_set *set)
{
	struct set_service *service, *next_service;
	struct set_instance *instance, *next_instance;

	HASH_ITER (hh, set->services, service, next_service) {
		touch_service(set, service);
		place_folder(set, service);
	}
	HASH_ITER (hh, set->instances, instance, next_instance)
		set_instance_mark(set, instance);
}

static void note_switch(struct config_set *set)
{
	uint64_t spec_hash = config_settings_spec_hash(set->settings_now);

	if (spec_hash == set->spec_hash)
		return;
	set->spec_hash = spec_hash;
	mark_all(set);
}

/* What the main file says of settings is in force for the judgement from here on. */
static void switch_settings(struct config_set *set, const struct config_file *main)
{
	move_own(set, MOVE_OUT);
	config_settings_clear(&set->next_settings);
	config_settings_make(&set->next_settings, &set->place, main);
	set->settings_now = &set->next_settings;
	move_own(set, MOVE_IN);
	note_switch(set);
}

void set_state_restore_settings(struct config_set *set)
{
	if (set->settings_now == &set->settings)
		return;
	move_own(set, MOVE_OUT);
	set->settings_now = &set->settings;
	move_own(set, MOVE_IN);
	note_switch(set);
	config_settings_clear(&set->next_settings);
}

static void move_all(struct config_set *set, struct set_file *file, const struct config_file *text,
	enum move move)
{
	if (!text)
		return;
	for (size_t i = 0; i < text->service_count; i++)
		move_service(set, file, &text->services[i], move);
	for (size_t i = 0; i < text->tenant_count; i++)
		move_tenant(set, file, &text->tenants[i], move);
	for (size_t i = 0; i < text->route_count; i++)
		move_route(set, file, &text->routes[i], move);
}

void set_file_play(struct config_set *set, struct set_file *file)
{
	assert(!file->in_play);
	move_all(set, file, file->good, MOVE_OUT);
	file->in_play = true;
	move_all(set, file, file->wanted.text, MOVE_IN);
	if (strcmp(file->name, CONFIG_MAIN) == 0)
		switch_settings(set, file->wanted.text);
}

void set_file_put_back(struct config_set *set, struct set_file *file)
{
	bool main = strcmp(file->name, CONFIG_MAIN) == 0;

	assert(set_file_in_play(set, file));
	if (!file->in_play) {
		set->partial_now = false;
		set_state_restore_settings(set);
		return;
	}
	move_all(set, file, file->wanted.text, MOVE_OUT);
	file->in_play = false;
	move_all(set, file, file->good, MOVE_IN);
	if (main && !file->good && file->wanted.text) {
		/* Who was found wrong may be right beside what is left of it. */
		set->partial_now = true;
		file->bad = false;
		mark_all(set);
	} else if (main) {
		set_state_restore_settings(set);
	}
}

bool set_file_in_play(const struct config_set *set, const struct set_file *file)
{
	return file->in_play || (set->partial_now && strcmp(file->name, CONFIG_MAIN) == 0);
}

static void sweep_instance(struct config_set *set, struct set_instance *instance)
{
	if (instance->spec || instance->declared->count)
		return;
	assert(!instance->claiming && !instance->wanted);
	HASH_DEL(set->instances, instance);
	DL_DELETE(instance->service->instances, instance);
	instance->service->instance_count--;
	free(instance);
}

static void sweep_service(struct config_set *set, struct set_service *service)
{
	if (service->instances || service->declared->count || service->routed->count)
		return;
	assert(!service->folder && !service->good_file);
	HASH_DEL(set->services, service);
	free(service->name);
	free(service);
}

static void sweep_resource(struct config_set *set, struct set_resource *resource)
{
	resource->touched = false;
	if (resource->count)
		return;
	/* One of a service or an instance that is there stays with it. */
	if (strncmp(resource->name, "service ", 8) == 0 &&
		set_service_find(set, resource->name + 8))
		return;
	if (strncmp(resource->name, "route ", 6) == 0 && set_service_find(set, resource->name + 6))
		return;
	if (strncmp(resource->name, "tenant ", 7) == 0 &&
		set_instance_find(set, resource->name + 7))
		return;
	HASH_DEL(set->resources, resource);
	free(resource->claimants);
	free(resource);
}

void set_state_sweep(struct config_set *set)
{
	for (size_t i = 0; i < set->touched_instances.count; i++) {
		struct set_instance *instance = set->touched_instances.items[i];
		instance->touched = instance->dirty = false;
		sweep_instance(set, instance);
	}
	for (size_t i = 0; i < set->touched_services.count; i++) {
		struct set_service *service = set->touched_services.items[i];
		/* Its two names are looked at with it: they may never have been claimed. */
		touch_resource(set, service->declared);
		touch_resource(set, service->routed);
		service->touched = service->redeclared = service->members_changed = false;
		service->reported = service->faulty = false;
		service->waiting = 0;
		sweep_service(set, service);
	}
	for (size_t i = 0; i < set->touched_resources.count; i++)
		sweep_resource(set, set->touched_resources.items[i]);
	set->touched_instances.count = set->touched_services.count = 0;
	set->touched_resources.count = set->dirty_instances.count = set->bad.count = 0;
}
