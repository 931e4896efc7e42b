#include "daemon/sandbox.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/confine_filter.h"
#include "config_path.h"
#include "daemon/sandbox_gvisor.h"
#include "machine.h"
#include "mem.h"

/* ---- native ---- */

/* Of the machine's system itself all may read; what else there is has to be the tenant's. */
static const struct confine_path system_paths[] = {
	{ "/usr", CONFINE_READ },
	{ "/bin", CONFINE_READ },
	{ "/sbin", CONFINE_READ },
	{ "/lib", CONFINE_READ },
	{ "/lib32", CONFINE_READ },
	{ "/lib64", CONFINE_READ },
	{ "/libx32", CONFINE_READ },
	{ "/etc", CONFINE_READ },
	{ "/opt", CONFINE_READ },
	{ "/nix/store", CONFINE_READ },
	{ "/gnu/store", CONFINE_READ },
	{ "/proc", CONFINE_READ },
	{ "/sys", CONFINE_READ },
	{ "/dev", CONFINE_READ | CONFINE_DEVICES },
};

#define SYSTEM_PATHS (sizeof(system_paths) / sizeof(*system_paths))

/* The filters are the same for all. */
static const struct confine_filters *get_filters(struct ten_error *err)
{
	static struct confine_filters filters;
	static bool made;

	if (!made && confine_filters_make(&filters, err) < 0)
		return NULL;
	made = true;
	return &filters;
}

static void allow(struct sandbox *sandbox, const char *path, unsigned rights)
{
	sandbox->paths[sandbox->confine.path_count++] =
		(struct confine_path){ .path = path, .rights = rights };
}

static void allow_item(struct sandbox *sandbox, const struct view_item *item)
{
	if (item->kind == VIEW_WRITE || item->kind == VIEW_TMP)
		/* What may be missing from the view is missing here. */
		allow(sandbox, item->destination,
			item->flags & VIEW_OPTIONAL ? CONFINE_WRITE | CONFINE_OPTIONAL
						    : CONFINE_WRITE);
	else if (item->kind == VIEW_READ || item->kind == VIEW_SEAL)
		allow(sandbox, item->destination, CONFINE_READ);
}

/* What it is run from. In a folder of its own it has all rights already, and a link of its own
 * there would have given to it what it leads to. */
static void allow_run_from(struct sandbox *sandbox, const struct view *view, const char *path)
{
	if (!view_is_own(view, path))
		allow(sandbox, path, CONFINE_READ);
}

static int plan_native(const struct run *run, const struct isolation *isolation,
	const struct spawn_words *words, struct sandbox *sandbox, struct ten_error *err)
{
	const struct view *view = &isolation->view;

	sandbox->confine.filters = get_filters(err);
	if (!sandbox->confine.filters)
		return -1;
	sandbox->confine.port = run->port;
	sandbox->paths = mem_alloc((SYSTEM_PATHS + view->count + 3) * sizeof(*sandbox->paths));
	for (size_t i = 0; i < SYSTEM_PATHS; i++)
		allow(sandbox, system_paths[i].path, system_paths[i].rights);
	if (isolation->rootfs) /* all of it was put there for tenants */
		allow(sandbox, "/", CONFINE_READ);
	for (size_t i = 0; i < view->count; i++)
		allow_item(sandbox, &view->items[i]);
	sandbox->workdir = config_path_normalize(words->workdir);
	allow_run_from(sandbox, view, sandbox->workdir);
	if (strchr(words->argv[0], '/')) {
		autofree char *path = config_path_join(words->workdir, words->argv[0]);
		autofree char *plain = config_path_normalize(path);

		sandbox->program_folder = config_path_parent(plain);
		allow_run_from(sandbox, view, sandbox->program_folder);
	}
	sandbox->confine.paths = sandbox->paths;
	return 0;
}

/* ---- both ---- */

bool sandbox_is_gvisor(const struct ten_spec *spec)
{
	return spec->values.isolation == ISOLATION_SANDBOX &&
	       spec->values.sandbox != SANDBOX_NATIVE;
}

static enum sandbox_kind kind_of(const struct ten_spec *spec)
{
	if (spec->values.isolation != ISOLATION_SANDBOX)
		return SANDBOX_KIND_NONE;
	return sandbox_is_gvisor(spec) ? SANDBOX_KIND_GVISOR : SANDBOX_KIND_NATIVE;
}

int sandbox_plan(struct daemon *d, const struct run *run, const struct isolation *isolation,
	struct spawn_words *words, struct sandbox *sandbox, struct ten_error *err)
{
	static const char *const names[] = { "auto", "gvisor", "native" };
	const char *lacking =
		machine_lacks_value(&d->machine, "sandbox", names[run->spec->values.sandbox]);

	*sandbox = (struct sandbox){ .kind = kind_of(run->spec), .program = -1 };
	if (sandbox->kind == SANDBOX_KIND_NONE)
		return 0;
	if (lacking) /* since the spec was accepted */
		return ten_error_set(err, 0, "isolation = \"sandbox\": %s", lacking);
	if (sandbox->kind == SANDBOX_KIND_NATIVE)
		return plan_native(run, isolation, words, sandbox, err);
	sandbox->program = sandbox_gvisor_prepare(d, run, isolation, words, err);
	return sandbox->program < 0 ? -1 : 0;
}

void sandbox_clear(struct sandbox *sandbox)
{
	if (sandbox->kind == SANDBOX_KIND_GVISOR && sandbox->program >= 0)
		close(sandbox->program);
	free(sandbox->paths);
	free(sandbox->program_folder);
	free(sandbox->workdir);
	*sandbox = (struct sandbox){ .program = -1 };
}

void sandbox_end(struct daemon *d, const struct run *run)
{
	/* (an adopted one may have another spec than it was started by) */
	if (run->level == ISOLATION_SANDBOX || (run->spec && sandbox_is_gvisor(run->spec)))
		sandbox_gvisor_remove(d, run->key);
}

void sandbox_find_lacks(struct daemon *d)
{
	const char *namespaces = machine_lacks_value(&d->machine, "isolation", "namespace");
	struct machine *machine = &d->machine;
	autofree char *gvisor = NULL;
	struct ten_error err;

	if (namespaces) {
		machine_add_lack(machine, "sandbox", "auto", "%s", namespaces);
		machine_add_lack(machine, "sandbox", "gvisor", "%s", namespaces);
		machine_add_lack(machine, "sandbox", "native", "%s", namespaces);
		return;
	}
	gvisor = sandbox_gvisor_try(d);
	if (gvisor) {
		machine_add_lack(machine, "sandbox", "auto", "%s", gvisor);
		machine_add_lack(machine, "sandbox", "gvisor", "%s", gvisor);
	}
	if (!confine_landlock_version())
		machine_add_lack(machine, "sandbox", "native",
			"this kernel has no Landlock (5.13 and later have it, where it is among "
			"the "
			"LSMs that are switched on)");
	if (!get_filters(&err))
		machine_add_lack(machine, "sandbox", "native", "%s", err.text);
}
