#include "spec_view.h"

#include <string.h>

#include "config_path.h"
#include "mem.h"
#include "spec_fault.h"
#include "spec_template.h"
#include "view.h"

int spec_view_check_path(const char *text, struct ten_error *err)
{
	static const char *const starts[] = { "/", "{dir}", "{data_dir}/" };
	bool absolute = false;

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		absolute = absolute || strncmp(text, starts[i], strlen(starts[i])) == 0;
	if (!absolute)
		return ten_error_set(err, 0,
			"\"%.200s\" is relative: a path of the tenant's view begins with \"/\" or "
			"{dir}",
			text);
	if (!view_path_is_plain(strchr(text, '/') ? strchr(text, '/') : "/"))
		return ten_error_set(err, 0,
			"\"%.200s\": \".\" and \"..\" are not followed: write the folder itself",
			text);
	return spec_template_check(
		text, PLACEHOLDERS_EARLY & ~(1u << PLACEHOLDER_RUNTIME_DIR), err);
}

struct checking {
	const struct ten_spec *spec;
	const struct spec_layers *layers;
	struct spec_faults *faults;
	const char *option;
};

static bool is_its_own(const struct ten_spec *spec, const char *path)
{
	bool own = config_path_within(path, spec->dir);

	for (size_t i = 0; spec->claims && spec->claims[i]; i++)
		own = own || config_path_within(path, spec->claims[i]);
	return own;
}

/* DESTINATION may be where SOURCE is. */
static void check_kept(const struct checking *checking, const char *source, const char *destination)
{
	const struct setting_values *settings = checking->layers->settings;
	const char *const kept[] = { settings->data_dir, settings->conf_dir,
		settings->runtime_dir };
	static const char *const names[] = { "data_dir", "conf_dir", "runtime_dir" };

	if (is_its_own(checking->spec, source))
		return;
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		/* In its own place what is kept lies deeper, and is hidden all the same. */
		bool inside = strcmp(source, destination) != 0 && kept[i] &&
			      config_path_within(kept[i], source);

		if (!kept[i] || !(inside || config_path_within(source, kept[i])))
			continue;
		spec_fault_add(checking->faults, checking->layers, checking->option, NULL,
			"%s: %s would show what is in %s, which is kept from tenants",
			checking->option, source, names[i]);
		return;
	}
}

static void check_place(const struct checking *checking, const char *path)
{
	const char *why = NULL;

	if (strcmp(path, "/") == 0)
		why = "is all there is (rootfs is for that)";
	else if (config_path_within(path, "/proc"))
		why = "is the kernel's, and the tenant's own";
	if (why)
		spec_fault_add(checking->faults, checking->layers, checking->option, NULL,
			"%s: %s %s", checking->option, path, why);
}

static char *fill_in(const struct checking *checking, const char *text)
{
	const struct spec_place place = { .data_dir = checking->layers->settings->data_dir };
	autofree char *path = spec_interpolate(checking->spec, &place, text, NULL);

	return path ? config_path_normalize(path) : mem_strdup("/");
}

static void check_list(struct checking *checking, const char *option, char *const *list)
{
	checking->option = option;
	for (; list && *list; list++) {
		autofree char *path = fill_in(checking, *list);

		check_place(checking, path);
		check_kept(checking, path, path);
	}
}

static void check_hidden(struct checking *checking, char *const *list)
{
	checking->option = "hide_paths";
	for (; list && *list; list++) {
		autofree char *path = fill_in(checking, *list);

		check_place(checking, path);
		if (is_its_own(checking->spec, path))
			spec_fault_add(checking->faults, checking->layers, "hide_paths", NULL,
				"hide_paths: %s is the tenant's own", path);
	}
}

static void check_mounts(struct checking *checking, char *const *list)
{
	checking->option = "mounts";
	for (; list && *list; list += OPTION_MOUNT_STRINGS) {
		autofree char *source = fill_in(checking, list[0]);
		autofree char *destination = fill_in(checking, list[1]);

		check_place(checking, source);
		check_place(checking, destination);
		check_kept(checking, source, destination);
		if (!is_its_own(checking->spec, destination))
			check_kept(checking, destination, destination);
	}
}

static void check_effect(const struct checking *checking, const char *option, bool said)
{
	if (said)
		spec_fault_add(checking->faults, checking->layers, option, NULL,
			"%s has no effect with isolation = \"process\", which has no view of its "
			"own: remove one of the two",
			option);
}

void spec_view_check(
	const struct ten_spec *spec, const struct spec_layers *layers, struct spec_faults *faults)
{
	struct checking checking = { .spec = spec, .layers = layers, .faults = faults };
	const struct service_values *values = &spec->values;

	if (values->isolation == ISOLATION_PROCESS) {
		check_effect(&checking, "read_only_paths", values->read_only_paths[0]);
		check_effect(&checking, "read_write_paths", values->read_write_paths[0]);
		check_effect(&checking, "hide_paths", values->hide_paths[0]);
		check_effect(&checking, "mounts", values->mounts[0]);
		check_effect(&checking, "rootfs", values->rootfs);
		check_effect(&checking, "init", !values->init);
		return;
	}
	check_list(&checking, "read_only_paths", values->read_only_paths);
	check_list(&checking, "read_write_paths", values->read_write_paths);
	check_hidden(&checking, values->hide_paths);
	check_mounts(&checking, values->mounts);
	if (values->rootfs) {
		autofree char *rootfs = fill_in(&checking, values->rootfs);

		checking.option = "rootfs";
		check_place(&checking, rootfs);
		check_kept(&checking, rootfs, "");
	}
}
