#include "config_blame.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <utlist.h>

#include "mem.h"
#include "suggest.h"

struct set_file *config_blame_instance(
	const struct config_set *set, const struct set_instance *instance)
{
	const struct set_resource *declared[] = { instance->declared, instance->service->declared };
	struct set_file *main = set_file_find(set, CONFIG_MAIN);

	for (size_t i = 0; i < 2; i++)
		if (declared[i]->count && declared[i]->claimants[0].file->in_play)
			return declared[i]->claimants[0].file;
	return main && set_file_in_play(set, main) ? main : NULL;
}

void config_blame(struct config_set *set, struct set_file *file)
{
	assert(set_file_in_play(set, file));
	if (file->bad)
		return;
	file->bad = true;
	set_list_add(&set->bad, file);
}

void config_blame_at(struct config_set *set, struct set_file *file, const struct set_file *source,
	struct config_at at, const char *format, ...)
{
	struct config_problems *problems = &file->wanted.problems;
	const struct config_file *text = file->wanted.text;
	autofree char *message = NULL;
	va_list args;

	va_start(args, format);
	message = mem_vprintf(format, args);
	va_end(args);
	problems->file = file->display;
	problems->text = text ? text->text : NULL;
	problems->len = text ? text->len : 0;
	config_blame(set, file);
	if (source == file)
		config_problems_add(problems, at, "%s", message);
	else
		config_problems_add(problems, (struct config_at){ 0 }, "%s (%s:%d)", message,
			source->display, at.line);
}

/* The tenants that are in force, declared still, and of SERVICE; and the first of their files. */
static size_t count_users(const struct set_service *service, const struct set_file **first)
{
	const struct set_instance *instance;
	size_t count = 0;

	*first = NULL;
	DL_FOREACH (service->instances, instance) {
		if (!instance->spec || !instance->declared->count)
			continue;
		if (!count++)
			*first = instance->declared->claimants[0].file;
	}
	return count;
}

/* The file that declares the service in force takes it away while others use it. */
static void blame_remover(struct config_set *set, struct set_service *service,
	const struct set_file *user, struct config_at at)
{
	struct set_file *remover = service->good_file;
	const char *gone = remover->wanted.text ? "it does not declare" : "it is gone, and with it";
	const struct set_file *first;
	size_t users = count_users(service, &first);

	if (service->reported)
		return;
	service->reported = true;
	if (users)
		config_blame_at(set, remover, remover, (struct config_at){ 0 },
			"%s service \"%s\"%s, which %zu tenant%s still use%s (%s%s): all stay as "
			"they were",
			gone, service->name, remover->wanted.text ? " any more" : "", users,
			users == 1 ? "" : "s", users == 1 ? "s" : "", first->display,
			users == 1 ? "" : " and others");
	else
		config_blame_at(set, remover, remover, (struct config_at){ 0 },
			"%s service \"%s\"%s, which %s:%d still names: all stays as it was", gone,
			service->name, remover->wanted.text ? " any more" : "", user->display,
			at.line);
}

/* Whether anything in force, which is not about to change, needs SERVICE. */
static bool is_used(const struct config_set *set, const struct set_service *service)
{
	const struct set_file *main = set_file_find(set, CONFIG_MAIN);
	const struct set_file *first;

	if (count_users(service, &first))
		return true;
	if (service->routed->count && !service->routed->claimants[0].file->in_play)
		return true;
	for (size_t i = 0; main && main->good && !main->in_play && i < main->good->reference_count;
		i++)
		if (strcmp(main->good->references[i].service, service->name) == 0)
			return true;
	return false;
}

/* Whether a file that was refused would declare SERVICE, so that its lack is that file's matter. */
static struct set_file *refused_declarer(
	const struct config_set *set, const struct set_service *service)
{
	struct set_file *file;

	DL_FOREACH (set->waiting, file) {
		const struct config_file *text = file->wanted.text;
		for (size_t i = 0; text && !file->in_play && i < text->service_count; i++)
			if (strcmp(text->services[i].name, service->name) == 0)
				return file;
	}
	return NULL;
}

static const char *nearest_service(const struct config_set *set, const char *name)
{
	struct suggest suggest = suggest_begin(name);
	const struct set_service *service;

	for (service = set->services; service; service = service->hh.next)
		if (service->declared->count)
			suggest_offer(&suggest, service->name);
	return suggest.best;
}

enum blame config_blame_missing_service(struct config_set *set, struct set_service *service,
	const struct set_instance *instance, struct set_file *user, struct config_at at)
{
	struct set_file *remover = service->good_file;
	const char *near;

	/* Looked for once per round: many tenants may wait for one file. */
	if (service->sought != set->round) {
		service->sought = set->round;
		service->kept = remover && remover->in_play && is_used(set, service);
		service->refused = refused_declarer(set, service) != NULL;
	}
	if (service->kept) {
		if (!set->last_resort)
			return BLAME_LATER;
		blame_remover(set, service, user, at);
		return BLAME_NOW;
	}
	if (!user->in_play)
		return BLAME_NOW;
	if (instance && service->refused) {
		service->waiting++;
		config_blame(set, user);
		return BLAME_NOW;
	}
	near = nearest_service(set, service->name);
	if (near)
		config_blame_at(set, user, user, at,
			"service \"%s\" is not declared (did you mean \"%s\"?)", service->name,
			near);
	else
		config_blame_at(
			set, user, user, at, "service \"%s\" is not declared", service->name);
	return BLAME_NOW;
}

static void report_unknown(struct config_set *set, struct set_file *file)
{
	const struct config_file *text = file->wanted.text;

	for (size_t i = 0; i < text->tenant_count; i++) {
		const struct config_tenant *tenant = &text->tenants[i];
		struct set_service *known = set_service_find(set, tenant->service);
		struct set_service wanted = { .name = tenant->service };
		const char *near = nearest_service(set, tenant->service);

		if ((known && known->declared->count) || refused_declarer(set, &wanted))
			continue;
		file->wanted.problems.file = file->display;
		file->wanted.problems.text = text->text;
		file->wanted.problems.len = text->len;
		config_problems_add(&file->wanted.problems, tenant->service_at,
			"service \"%s\" is not declared%s%s%s", tenant->service,
			near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
	}
}

void config_blame_report_unknown(struct config_set *set)
{
	struct set_file *file;

	DL_FOREACH (set->waiting, file) {
		if (file->wanted.text && file->wanted.text->problems.count)
			report_unknown(set, file);
	}
}

void config_blame_report_waiting(struct config_set *set)
{
	for (size_t i = 0; i < set->touched_services.count; i++) {
		struct set_service *service = set->touched_services.items[i];
		struct set_file *file = service->waiting ? refused_declarer(set, service) : NULL;

		if (!file)
			continue;
		file->wanted.problems.file = file->display;
		config_problems_add(&file->wanted.problems, (struct config_at){ 0 },
			"%zu tenant%s wait%s for its service \"%s\"", service->waiting,
			service->waiting == 1 ? "" : "s", service->waiting == 1 ? "s" : "",
			service->name);
	}
}
