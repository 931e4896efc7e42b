#include "config_judge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "config_blame.h"
#include "mem.h"
#include "names.h"
#include "spec.h"
#include "suggest.h"
#include "text.h"

/* Whether TEXT declares RESOURCE. */
static bool declares(const struct config_file *text, const struct set_resource *resource)
{
	const char *name = strchr(resource->name, ' ') + 1;

	if (!text)
		return false;
	for (size_t i = 0; *resource->name == 's' && i < text->service_count; i++)
		if (strcmp(text->services[i].name, name) == 0)
			return true;
	for (size_t i = 0; *resource->name == 'r' && i < text->route_count; i++)
		if (strcmp(text->routes[i].route.service, name) == 0)
			return true;
	for (size_t i = 0; strchr("td", *resource->name) && i < text->tenant_count; i++) {
		const struct config_value *domains =
			config_layer_find(&text->tenants[i].layer, "domains");
		if (*resource->name == 't' && strcmp(text->tenants[i].key, name) == 0)
			return true;
		for (size_t d = 0; *resource->name == 'd' && domains && domains->value.list[d]; d++)
			if (strcmp(domains->value.list[d], name) == 0)
				return true;
	}
	return false;
}

/* The claimant that held RESOURCE before; NULL: all are new, or one text says it twice. */
static const struct set_claimant *holder_of(const struct set_resource *resource)
{
	const struct set_claimant *holder = NULL;

	for (size_t i = 0; i < resource->count; i++) {
		const struct set_claimant *claimant = &resource->claimants[i];
		if (!declares(claimant->file->good, resource))
			continue;
		if (holder)
			return NULL;
		holder = claimant;
	}
	return holder;
}

/* "conf.d/a.toml:1 and conf.d/b.toml:2": who else claims what ONE claims. */
static char *name_others(const struct set_resource *resource, const struct set_claimant *one,
	const struct set_claimant *holder)
{
	struct text out = { 0 };
	size_t shown = 0;

	for (size_t i = 0; i < resource->count; i++) {
		const struct set_claimant *other = &resource->claimants[i];
		if (other == one || (holder && other != holder))
			continue;
		if (shown++ == 3) {
			text_puts(&out, " and others");
			break;
		}
		text_puts(&out, shown > 1 ? " and " : "");
		if (other->file == one->file)
			text_printf(&out, "line %d of this file", other->at.line);
		else
			text_printf(&out, "%s:%d", other->file->display, other->at.line);
	}
	return text_steal(&out);
}

static void judge_resource(struct config_set *set, const struct set_resource *resource)
{
	const char *name = strchr(resource->name, ' ') + 1;
	const struct set_claimant *holder;

	if (resource->count < 2)
		return;
	holder = holder_of(resource);
	for (size_t i = 0; i < resource->count; i++) {
		const struct set_claimant *claimant = &resource->claimants[i];
		autofree char *others = name_others(resource, claimant, holder);
		if (claimant == holder || !claimant->file->in_play)
			continue;
		config_blame_at(set, claimant->file, claimant->file, claimant->at,
			"%.*s \"%s\" is declared by %s too%s", (int)(name - 1 - resource->name),
			resource->name, name, others, holder ? ", which had it first" : "");
	}
}

static void blame_faults(
	struct config_set *set, struct set_instance *instance, const struct spec_faults *faults)
{
	struct set_file *blamed = config_blame_instance(set, instance);

	assert(blamed);
	for (size_t i = 0; i < faults->count; i++) {
		const struct spec_fault *fault = &faults->items[i];
		const struct set_resource *source = fault->layer == SPEC_FAULT_SERVICE
							    ? instance->service->declared
							    : instance->declared;
		const struct set_file *file = source->claimants[0].file;
		/* Others than the tenant's own file are told whom it is about. */
		if (blamed == instance->declared->claimants[0].file)
			config_blame_at(set, blamed, file, fault->at, "%s", fault->message);
		else
			config_blame_at(set, blamed, file, fault->at, "%s: %s", instance->key,
				fault->message);
	}
}

static void set_wanted(struct set_instance *instance, const struct ten_spec *spec)
{
	spec_unref(instance->wanted);
	instance->wanted = spec;
}

static void judge_instance(struct config_set *set, struct set_instance *instance)
{
	struct set_resource *tenant = instance->declared;
	struct set_resource *service = instance->service->declared;
	struct spec_faults faults = { 0 };
	struct spec_layers layers;

	set_instance_claim(set, instance, NULL);
	set_wanted(instance, NULL);
	if (tenant->count != 1 || service->count > 1 || instance->service->faulty)
		return;
	if (!service->count) {
		set_list_add(&set->orphans, instance);
		return;
	}
	layers = (struct spec_layers){
		.service_defaults = &set->service_defaults,
		.tenant_defaults = &set->tenant_defaults,
		.settings = set->settings_now,
		.machine = set->place.machine,
		.service_file = set_file_text(service->claimants[0].file),
		.service = service->claimants[0].declaration,
		.tenant_file = set_file_text(tenant->claimants[0].file),
		.tenant = tenant->claimants[0].declaration,
	};
	set->work.merged++;
	instance->wanted = spec_merge(&layers, &faults);
	if (instance->wanted)
		set_instance_claim(set, instance, instance->wanted);
	else
		blame_faults(set, instance, &faults);
	spec_faults_clear(&faults);
}

/* What is wrong with a service for every tenant is its own file's matter: a tenant with the
 * shortest of ids and no wishes is tried. */
static void judge_service(struct config_set *set, struct set_service *service)
{
	struct set_claimant *claimant = service->declared->claimants;
	struct spec_faults faults = { 0 };
	struct config_tenant tenant = { .service = service->name, .id = "a", .key = "a" };
	char longest[NAMES_MAX + 1] = { 0 };
	const struct config_value *any;
	struct spec_layers layers;

	service->faulty = false;
	if (service->declared->count != 1 || !claimant->file->in_play)
		return;
	any = config_layer_find(
		&((const struct config_service *)claimant->declaration)->layer, "spawn_undeclared");
	if (any && any->value.boolean)
		tenant.id = memset(longest, 'a', NAMES_MAX);
	layers = (struct spec_layers){
		.service_defaults = &set->service_defaults,
		.tenant_defaults = &set->tenant_defaults,
		.settings = set->settings_now,
		.machine = set->place.machine,
		.service_file = set_file_text(claimant->file),
		.service = claimant->declaration,
		.tenant_file = set_file_text(claimant->file),
		.tenant = &tenant,
	};
	spec_unref(spec_merge(&layers, &faults));
	for (size_t i = 0; i < faults.count; i++) {
		if (faults.items[i].layer != SPEC_FAULT_SERVICE)
			continue;
		service->faulty = true;
		config_blame_at(set, claimant->file, claimant->file, faults.items[i].at, "%s",
			faults.items[i].message);
	}
	spec_faults_clear(&faults);
}

/* Instances of services that nobody declares. Those whose service is kept stay on the list. */
static void judge_orphans(struct config_set *set)
{
	size_t left = 0;

	for (size_t i = 0; i < set->orphans.count; i++) {
		struct set_instance *instance = set->orphans.items[i];
		const struct set_claimant *claimant = instance->declared->claimants;
		const struct config_tenant *declared = claimant->declaration;

		if (config_blame_missing_service(set, instance->service, instance, claimant->file,
			    declared->service_at) == BLAME_LATER)
			set->orphans.items[left++] = instance;
	}
	set->orphans.count = left;
}

/* Who holds a folder, for people, and where that is declared. */
static char *name_owner(const enum set_owner *owner)
{
	const struct set_service *service = (const void *)owner;
	const struct set_instance *instance = (const void *)owner;

	if (*owner == OWNER_SELF)
		return mem_strdup("tenement itself");
	if (*owner == OWNER_SERVICE)
		return mem_printf("the folder of service \"%s\"", service->name);
	if (!instance->declared->count)
		return mem_strdup(instance->key);
	return mem_printf("%s (%s:%d)", instance->key,
		instance->declared->claimants[0].file->display,
		instance->declared->claimants[0].at.line);
}

/* Whether OWNER held PATH in force. */
static bool held(const struct config_set *set, const enum set_owner *owner, const char *path)
{
	const struct set_service *service;
	const struct ten_spec *spec;

	if (*owner == OWNER_SELF)
		return true;
	if (*owner == OWNER_SERVICE) {
		service = (const void *)owner;
		return service->good_file &&
		       strncmp(path, set->settings.data_dir, strlen(set->settings.data_dir)) == 0;
	}
	spec = ((const struct set_instance *)(const void *)owner)->spec;
	if (spec && spec->socket_path && strcmp(spec->socket_path, path) == 0)
		return true;
	for (size_t i = 0; spec && spec->claims[i]; i++)
		if (strcmp(spec->claims[i], path) == 0)
			return true;
	return false;
}

static struct set_file *blame_of_owner(const struct config_set *set, const enum set_owner *owner)
{
	const struct set_service *service = (const void *)owner;
	struct set_file *main = set_file_find(set, CONFIG_MAIN);

	if (*owner == OWNER_INSTANCE)
		return config_blame_instance(set, (const void *)owner);
	if (*owner == OWNER_SERVICE && service->declared->count &&
		service->declared->claimants[0].file->in_play)
		return service->declared->claimants[0].file;
	return main && set_file_in_play(set, main) ? main : NULL;
}

/* OWNER's claim of PATH meets OTHER's of WHERE, and is put back with BLAMED. */
static void blame_claim(struct config_set *set, struct set_file *blamed,
	const enum set_owner *owner, const char *path, const enum set_owner *other,
	const char *where)
{
	autofree char *other_name = name_owner(other);
	const struct set_resource *declared =
		*owner == OWNER_INSTANCE
			? ((const struct set_instance *)(const void *)owner)->declared
			: ((const struct set_service *)(const void *)owner)->declared;
	const struct set_claimant *claimant = &declared->claimants[0];

	config_blame_at(set, blamed, claimant->file, claimant->at,
		"%s \"%s\" of %s collides with \"%s\" of %s",
		*owner == OWNER_INSTANCE ? "the path" : "the folder", path,
		*owner == OWNER_INSTANCE ? ((const struct set_instance *)(const void *)owner)->key
					 : ((const struct set_service *)(const void *)owner)->name,
		where, other_name);
}

static void judge_path(struct config_set *set, const struct config_claims *tree,
	const enum set_owner *owner, const char *path)
{
	const char *where;
	const enum set_owner *other = config_claims_conflict(tree, path, owner, &where);
	struct set_file *blamed, *other_blamed;
	bool mine, theirs, lost = false;

	if (!other)
		return;
	blamed = blame_of_owner(set, owner);
	other_blamed = *other == OWNER_SELF ? NULL : blame_of_owner(set, other);
	mine = held(set, owner, path);
	theirs = held(set, other, where);
	if (blamed && (!mine || theirs || !other_blamed)) {
		blame_claim(set, blamed, owner, path, other, where);
		lost = true;
	}
	if (other_blamed && (!theirs || mine || !blamed) && !(lost && other_blamed == blamed))
		blame_claim(set, other_blamed, other, where, owner, path);
}

static void judge_claims(struct config_set *set, const struct set_instance *instance)
{
	const struct ten_spec *spec = instance->claiming;

	for (size_t i = 0; spec && spec->claims[i]; i++)
		judge_path(set, set->folders, &instance->owner, spec->claims[i]);
	if (spec && spec->socket_path)
		judge_path(set, set->sockets, &instance->owner, spec->socket_path);
}

static void judge_part(struct config_set *set, const struct set_service *service,
	const struct set_claimant *route, const struct config_route_table *declared, size_t part)
{
	const char *id = declared->route.split[part].id;
	autofree char *key = mem_printf("%s:%s", service->name, id);
	const struct set_instance *instance = set_instance_find(set, key), *other;
	struct suggest suggest = suggest_begin(id);
	struct set_file *remover;

	if (instance && instance->declared->count)
		return;
	remover = instance && instance->spec ? set_file_find(set, instance->spec->file) : NULL;
	if (!route->file->in_play) {
		if (remover && remover->in_play)
			config_blame_at(set, remover, remover, (struct config_at){ 0 },
				"%s is declared no more, but %s:%d still sends traffic to it", key,
				route->file->display, declared->split_at[part].line);
		return;
	}
	DL_FOREACH (service->instances, other)
		if (other->declared->count)
			suggest_offer(&suggest, other->key + strlen(service->name) + 1);
	config_blame_at(set, route->file, route->file, declared->split_at[part],
		"split names \"%s\", which is no tenant of \"%s\"%s%s%s", id, service->name,
		suggest.best ? " (did you mean \"" : "", suggest.best ? suggest.best : "",
		suggest.best ? "\"?)" : "");
}

static void judge_route(struct config_set *set, struct set_service *service)
{
	const struct set_claimant *route = service->routed->claimants;
	const struct config_route_table *declared;

	if (service->routed->count != 1)
		return;
	if (!service->declared->count) {
		config_blame_missing_service(set, service, NULL, route->file, route->at);
		return;
	}
	declared = route->declaration;
	for (size_t part = 0; part < declared->route.count; part++)
		judge_part(set, service, route, declared, part);
}

/* What [routing] names is declared. */
static void judge_routing(struct config_set *set)
{
	struct set_file *main = set_file_find(set, CONFIG_MAIN);
	const struct config_file *text = main ? set_file_text(main) : NULL;

	for (size_t i = 0; text && i < text->reference_count; i++) {
		const struct config_reference *reference = &text->references[i];
		struct set_service *service = set_service_find(set, reference->service);

		if (service && service->declared->count)
			continue;
		if (service) {
			config_blame_missing_service(set, service, NULL, main, reference->at);
		} else if (main->in_play) {
			struct suggest suggest = suggest_begin(reference->service);
			struct set_service *other = set->services;
			for (; other; other = other->hh.next)
				if (other->declared->count)
					suggest_offer(&suggest, other->name);
			config_blame_at(set, main, main, reference->at,
				"service \"%s\" is not declared%s%s%s", reference->service,
				suggest.best ? " (did you mean \"" : "",
				suggest.best ? suggest.best : "", suggest.best ? "\"?)" : "");
		}
	}
}

/* Everything that names a service. */
static void judge_references(struct config_set *set)
{
	judge_orphans(set);
	for (size_t i = 0; i < set->touched_services.count; i++)
		judge_route(set, set->touched_services.items[i]);
	judge_routing(set);
}

static void judge_dirty(struct config_set *set)
{
	size_t count = set->dirty_instances.count;

	for (size_t i = 0; i < count; i++) {
		struct set_instance *instance = set->dirty_instances.items[i];
		instance->dirty = false;
		judge_instance(set, instance);
	}
	for (size_t i = 0; i < count; i++)
		judge_claims(set, set->dirty_instances.items[i]);
	set->dirty_instances.count = 0;
	for (size_t i = 0; i < set->touched_services.count; i++) {
		struct set_service *service = set->touched_services.items[i];
		if (service->folder)
			judge_path(set, set->folders, &service->owner, service->folder);
	}
}

/* One round over all that is marked; what does not fit is on the list of bad files afterwards. */
static void judge_marked(struct config_set *set)
{
	set->round++;
	for (size_t i = 0; i < set->touched_resources.count; i++)
		judge_resource(set, set->touched_resources.items[i]);
	for (size_t i = 0; i < set->touched_services.count; i++)
		judge_service(set, set->touched_services.items[i]);
	judge_dirty(set);
	judge_references(set);
	/* That a used service goes is blamed last: what was to blame before may have been what uses
	 * it. */
	if (!set->bad.count) {
		set->last_resort = true;
		judge_references(set);
		set->last_resort = false;
	}
	/* They are looked at again when something was put back. */
	for (size_t i = 0; i < set->orphans.count; i++)
		set_instance_mark(set, set->orphans.items[i]);
	set->orphans.count = 0;
}

static void put_back_bad(struct config_set *set)
{
	for (size_t i = 0; i < set->bad.count; i++)
		set_file_put_back(set, set->bad.items[i]);
	set->bad.count = 0;
}

void config_judge(struct config_set *set)
{
	struct set_file *file;

	DL_FOREACH (set->waiting, file) {
		file->bad = false;
		if (!file->wanted.text || !file->wanted.text->problems.count)
			set_file_play(set, file);
	}
	for (;;) {
		judge_marked(set);
		if (!set->bad.count)
			break;
		put_back_bad(set);
	}
	config_blame_report_unknown(set);
	config_blame_report_waiting(set);
}
