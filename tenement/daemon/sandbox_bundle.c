#include "daemon/sandbox_bundle.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_path.h"
#include "mem.h"

static json_t *strings(char *const *list)
{
	json_t *array = json_array();

	for (; list && *list; list++) {
		/* What is not UTF-8 cannot be said in JSON, and runsc takes nothing else. */
		json_t *text = json_string(*list);

		if (!text) {
			json_decref(array);
			return NULL;
		}
		json_array_append_new(array, text);
	}
	return array;
}

static json_t *limit(const char *type, uint64_t value)
{
	return json_pack("{s:s, s:I, s:I}", "type", type, "hard", (json_int_t)value, "soft",
		(json_int_t)value);
}

/* Uid 0 is the tenant's own, as runsc maps it: in there it has no capability. */
static json_t *process(const struct sandbox_bundle *bundle, struct ten_error *err)
{
	json_t *args = strings(bundle->argv), *env = strings(bundle->env), *whole;

	if (!args || !env) {
		json_decref(args);
		json_decref(env);
		ten_error_set(err, 0,
			"its command or environment is not UTF-8, which gVisor "
			"cannot be told");
		return NULL;
	}
	whole = json_pack("{s:b, s:{s:i, s:i}, s:o, s:o, s:s, s:b, s:{}, s:[o, o]}", "terminal", 0,
		"user", "uid", 0, "gid", 0, "args", args, "env", env, "cwd", bundle->workdir,
		"noNewPrivileges", 1, "capabilities", "rlimits",
		limit("RLIMIT_NOFILE", bundle->nofile), limit("RLIMIT_CORE", 0));
	if (!whole)
		ten_error_set(err, 0, "its workdir is not UTF-8, which gVisor cannot be told");
	return whole;
}

/* JSON's null, if a path is not UTF-8. */
static void mount_at(json_t *mounts, const char *destination, const char *type, const char *source,
	const char *option)
{
	json_t *mount = json_pack(
		"{s:s, s:s, s:s}", "destination", destination, "type", type, "source", source);

	if (mount && option)
		json_object_set_new(mount, "options", json_pack("[s]", option));
	json_array_append_new(mounts, mount ? mount : json_null());
}

static bool is_whole(const json_t *mounts)
{
	const json_t *mount;
	size_t i;

	json_array_foreach (mounts, i, mount)
		if (json_is_null(mount))
			return false;
	return true;
}

/* gVisor has these of its own; nothing of the machine's is put there. */
static bool is_kernels(const char *path)
{
	static const char *const tops[] = { "/proc", "/sys", "/dev" };
	static const char shm[] = "/dev/shm/"; /* what our runtime folder may lie in */

	if (strncmp(path, shm, strlen(shm)) == 0)
		return false;
	for (size_t i = 0; i < sizeof(tops) / sizeof(*tops); i++) {
		size_t len = strlen(tops[i]);

		if (strncmp(path, tops[i], len) == 0 && (!path[len] || path[len] == '/'))
			return true;
	}
	return false;
}

/* An operator's path may be led elsewhere by a link, of a tenant's too: what is shown is what was
 * looked at. As common/enter.c has it. */
static int check_kept(const struct sandbox_bundle *bundle, const struct view_item *item,
	const char *real, struct ten_error *err)
{
	bool elsewhere = strcmp(real, item->destination) != 0;

	if (!(item->flags & VIEW_ASKED) || view_is_own(bundle->view, real))
		return 0;
	for (char *const *kept = bundle->kept; kept && *kept; kept++)
		if (config_path_within(real, *kept) ||
			(elsewhere && config_path_within(*kept, real)))
			return ten_error_set(err, 0,
				"%s: %s would show %s, which is kept from tenants", item->said_by,
				item->source, *kept);
	if (view_is_own(bundle->view, item->source))
		return ten_error_set(err, 0, "%s: a link leads %s out of the tenant's own folder",
			item->said_by, item->source);
	return 0;
}

static int show(const struct sandbox_bundle *bundle, const struct view_item *item, json_t *mounts,
	struct ten_error *err)
{
	autofree char *real = realpath(item->source, NULL);

	if (!real && (item->flags & VIEW_OPTIONAL))
		return 0;
	if (!real)
		return ten_error_set(err, errno, "%s%s%s", item->said_by ? item->said_by : "",
			item->said_by ? ": " : "", item->source);
	if (check_kept(bundle, item, real, err) < 0)
		return -1;
	/* runsc would make it, on the machine. */
	if ((item->flags & VIEW_ASKED) && access(item->destination, F_OK) < 0)
		return ten_error_set(err, errno, "%s: there is no place for %s", item->said_by,
			item->destination);
	mount_at(mounts, item->destination, "bind", real, item->kind == VIEW_READ ? "ro" : "rw");
	return 0;
}

static int add_item(const struct sandbox_bundle *bundle, const struct view_item *item,
	json_t *mounts, struct ten_error *err)
{
	autofree char *empty = mem_printf("%s/empty", bundle->folder);
	struct stat st;

	if (is_kernels(item->destination))
		return 0;
	switch (item->kind) {
	case VIEW_HIDE:
		if (stat(item->destination, &st) < 0)
			return 0;
		if (S_ISDIR(st.st_mode))
			mount_at(mounts, item->destination, "tmpfs", "tmpfs", "mode=0755");
		else
			mount_at(mounts, item->destination, "bind", empty, "ro");
		return 0;
	case VIEW_TMP:
		mount_at(mounts, item->destination, "tmpfs", "tmpfs", "mode=1777");
		return 0;
	case VIEW_READ:
	case VIEW_WRITE:
		return show(bundle, item, mounts, err);
	default:
		return 0; /* the kernel's, or not writable anyway */
	}
}

static json_t *mounts_of(const struct sandbox_bundle *bundle, struct ten_error *err)
{
	json_t *mounts = json_array();

	mount_at(mounts, "/proc", "proc", "proc", NULL);
	mount_at(mounts, "/sys", "sysfs", "sysfs", "ro");
	mount_at(mounts, "/dev", "tmpfs", "tmpfs", NULL);
	mount_at(mounts, "/dev/pts", "devpts", "devpts", NULL);
	mount_at(mounts, "/dev/shm", "tmpfs", "tmpfs", "mode=1777");
	for (size_t i = 0; i < bundle->view->count; i++) {
		if (add_item(bundle, &bundle->view->items[i], mounts, err) < 0) {
			json_decref(mounts);
			return NULL;
		}
	}
	if (!is_whole(mounts)) {
		json_decref(mounts);
		ten_error_set(
			err, 0, "a path of its view is not UTF-8, which gVisor cannot be told");
		return NULL;
	}
	return mounts;
}

char *sandbox_bundle_config(const struct sandbox_bundle *bundle, struct ten_error *err)
{
	json_t *mounts = mounts_of(bundle, err), *run, *whole;
	char *text;

	if (!mounts)
		return NULL;
	run = process(bundle, err);
	if (!run) {
		json_decref(mounts);
		return NULL;
	}
	whole = json_pack("{s:s, s:o, s:{s:s, s:b}, s:s, s:o, s:{s:[{s:s},{s:s},{s:s},{s:s}]}}",
		"ociVersion", "1.0.2", "process", run, "root", "path", "/", "readonly", 1,
		"hostname", bundle->hostname, "mounts", mounts, "linux", "namespaces", "type",
		"pid", "type", "mount", "type", "ipc", "type", "uts");
	text = whole ? json_dumps(whole, JSON_COMPACT) : NULL;
	json_decref(whole);
	if (!text)
		ten_error_set(err, 0, "its id is not UTF-8, which gVisor cannot be told");
	return text;
}
