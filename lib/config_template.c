#include "config_template.h"

#include <stdlib.h>
#include <string.h>

#include "config_path.h"
#include "config_state.h"
#include "mem.h"
#include "spec.h"

struct config_template {
	struct config_file *file;
	const struct config_service *service; /* in it */
};

static struct config_file *parse(
	const struct config_set *set, const char *name, const char *text, size_t len)
{
	bool main = strcmp(name, CONFIG_MAIN) == 0;
	autofree char *display =
		main ? mem_strdup(set->place.main_path)
		     : mem_printf("%s/%s", config_path_name(set->place.conf_dir), name);
	autofree char *folder =
		main ? config_path_parent(set->place.main_path) : mem_strdup(set->place.conf_dir);

	return config_file_parse(name, display, folder, text, len);
}

struct config_template *config_template_new(const struct config_set *set, const char *service,
	const char *name, const char *text, size_t len)
{
	struct config_file *file = parse(set, name, text, len);
	struct config_template *template;

	for (size_t i = 0; !file->problems.count && i < file->service_count; i++) {
		if (strcmp(file->services[i].name, service) != 0)
			continue;
		template = mem_alloc(sizeof(*template));
		template->file = file;
		template->service = &file->services[i];
		return template;
	}
	config_file_free(file);
	return NULL;
}

void config_template_free(struct config_template *template)
{
	if (!template)
		return;
	config_file_free(template->file);
	free(template);
}

const char *config_template_service(const struct config_template *template)
{
	return template->service->name;
}

const char *config_template_name(const struct config_template *template)
{
	return template->file->name;
}

const char *config_template_text(const struct config_template *template, size_t *len)
{
	*len = template->file->len;
	return template->file->text;
}

const struct ten_spec *config_template_spec(
	const struct config_set *set, const struct config_template *template, const char *key)
{
	const struct set_instance *instance = set_instance_find(set, key);
	struct spec_faults faults = { 0 };
	const struct set_claimant *tenant;
	const struct ten_spec *spec;
	struct spec_layers layers;

	if (!instance || !instance->spec || instance->declared->count != 1 ||
		strcmp(instance->service->name, template->service->name) != 0)
		return NULL;
	tenant = instance->declared->claimants;
	layers = (struct spec_layers){
		.service_defaults = &set->service_defaults,
		.tenant_defaults = &set->tenant_defaults,
		.settings = &set->settings,
		.machine = set->place.machine,
		.service_file = template->file,
		.service = template->service,
		.tenant_file = set_file_text(tenant->file),
		.tenant = tenant->declaration,
	};
	spec = spec_merge(&layers, &faults);
	spec_faults_clear(&faults);
	return spec;
}
