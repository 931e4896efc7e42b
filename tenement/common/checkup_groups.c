/* Control groups: which there are, and whether we may make some. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_place.h"
#include "common/checkup.h"
#include "common/files.h"
#include "mem.h"

#define GROUP    "control groups"
#define TEXT_MAX (1 << 20)

/* Make a group below FOLDER and remove it. */
static int try_folder(const char *folder)
{
	autofree char *path = mem_printf("%s/tenement-doctor-%d", folder, (int)getpid());

	if (mkdir(path, 0755) < 0)
		return errno;
	return rmdir(path) < 0 ? errno : 0;
}

static bool has_file(const char *folder, const char *name)
{
	autofree char *path = mem_printf("%s/%s", folder, name);

	return access(path, F_OK) == 0;
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || strchr(" \n", at[-1])) && (!at[len] || strchr(" \n", at[len])))
			return true;
	return false;
}

/* What a controller is for. */
static const struct {
	const char *v2, *name, *lost, *needs[4];
} uses[] = {
	{ "memory", "memory controller", "no memory limits, and memory is counted by process",
		{ "memory_limit_mb", "swap_limit_mb" } },
	{ "cpu", "cpu controller", "no shares and limits of the processor",
		{ "cpu_shares", "cpu_limit", "startup_cpu_boost" } },
	{ "pids", "pids controller", "no limit of processes: a tenant can fork without end",
		{ "pids_limit" } },
	{ "io", "io controller", "no weights and limits of disk access",
		{ "io_weight", "io_max_mb_per_second" } },
};
enum { USES = sizeof(uses) / sizeof(*uses) };

static void add_use(
	struct checkup *checkup, int use, bool there, const char *todo, const char *found)
{
	struct checkup_finding *finding = checkup_add(
		checkup, GROUP, uses[use].name, there, uses[use].lost, todo, "%s", found);

	for (int i = 0; i < 4 && uses[use].needs[i]; i++)
		checkup_need(finding, uses[use].needs[i], NULL);
}

static void find_v2(struct checkup *checkup, const char *folder)
{
	static const char *const todo =
		"systemd: Delegate=yes in the unit; else enable it in cgroup.subtree_control above";
	autofree char *path = mem_printf("%s/cgroup.controllers", folder);
	autofree char *list = files_read(AT_FDCWD, path, TEXT_MAX, NULL, NULL);
	int code = try_folder(folder);
	bool kill = has_file(folder, "cgroup.kill"), root = !has_file(folder, "cgroup.type");

	checkup_add(checkup, GROUP, "a group of our own", !code,
		"tenants' processes are kept together by process groups alone, and have no limits",
		"systemd: Delegate=yes in the unit; in a container: a writable /sys/fs/cgroup",
		"version 2, %s%s%s (where this is run)", folder, code ? ": " : "",
		code ? strerror(code) : "")
		->asked = code && checkup->settings->cgroups == CGROUPS_V2;
	for (int i = 0; i < USES; i++) {
		bool there = !code && list && has_word(list, uses[i].v2);

		add_use(checkup, i, there, todo, there ? "there" : "not given to our group");
	}
	checkup_add(checkup, GROUP, "cgroup.kill", kill || root,
		"groups are ended process by process", "a kernel of 5.14 or later", "%s",
		kill || root ? "there" : "not there");
	checkup_add(checkup, GROUP, "memory.reclaim", has_file(folder, "memory.reclaim") || root,
		"frozen tenants' memory cannot be handed back (frozen_reclaim)",
		"a kernel of 5.19 or later, and the memory controller", "%s",
		has_file(folder, "memory.reclaim") || root ? "there" : "not there");
	checkup_add(checkup, GROUP, "freezer", has_file(folder, "cgroup.freeze") || root,
		"tenants are frozen by signals", "a kernel of 5.2 or later", "%s",
		has_file(folder, "cgroup.freeze") || root ? "there" : "not there");
}

static void find_v1(struct checkup *checkup, const struct cgroup_place *place)
{
	static const char *const todo = "mount the controller where we may write, or boot with "
					"systemd.unified_cgroup_hierarchy=1";
	const char *folders[USES] = { place->memory, place->cpu, place->pids, place->blkio };
	int code = place->freezer ? try_folder(place->freezer) : ENOENT;

	checkup_add(checkup, GROUP, "a group of our own", !code,
		"tenants' processes are kept together by process groups alone",
		"root, and a writable freezer hierarchy; or version 2",
		"version 1, %s%s%s (where this is run)",
		place->freezer ? place->freezer : "no freezer", code ? ": " : "",
		code ? strerror(code) : "")
		->asked = code && checkup->settings->cgroups == CGROUPS_V1;
	for (int i = 0; i < USES; i++) {
		code = folders[i] ? try_folder(folders[i]) : ENOENT;
		add_use(checkup, i, !code, todo,
			!folders[i] ? "not mounted"
			: code      ? strerror(code)
				    : folders[i]);
	}
	checkup_add(checkup, GROUP, "cgroup.kill", false, "groups are ended process by process",
		"control groups of version 2", "%s", "version 1 has none");
	checkup_add(checkup, GROUP, "memory.reclaim", place->memory != NULL,
		"frozen tenants' memory cannot be handed back (frozen_reclaim)",
		"mount the memory controller, or version 2", "%s",
		place->memory ? "by memory.force_empty" : "no memory controller");
	checkup_add(checkup, GROUP, "freezer", place->freezer != NULL,
		"tenants are frozen by signals", "mount the freezer controller, or version 2", "%s",
		place->freezer ? "there" : "not mounted");
}

/* Version 2 is in use where it has controllers; beside version 1 it has none. */
static bool uses_v2(const struct cgroup_place *place, int wanted)
{
	if (!place->unified || wanted == CGROUPS_V1)
		return false;
	return wanted == CGROUPS_V2 || !place->freezer;
}

void checkup_groups(struct checkup *checkup)
{
	autofree char *mounts = files_read(AT_FDCWD, "/proc/self/mountinfo", TEXT_MAX, NULL, NULL);
	autofree char *groups = files_read(AT_FDCWD, "/proc/self/cgroup", TEXT_MAX, NULL, NULL);
	struct cgroup_place place = { 0 };
	int wanted = checkup->settings->cgroups;

	if (mounts && groups)
		cgroup_place_find(mounts, groups, &place);
	if (uses_v2(&place, wanted)) {
		find_v2(checkup, place.unified);
	} else if (place.freezer || place.memory || place.cpu || place.pids || place.blkio) {
		find_v1(checkup, &place);
	} else {
		checkup_add(checkup, GROUP, "a group of our own", false,
			"tenants' processes are kept together by process groups alone, and have no "
			"limits",
			"mount /sys/fs/cgroup (in a container: writable)", "%s",
			"no hierarchy can be seen")
			->asked = wanted == CGROUPS_V1 || wanted == CGROUPS_V2;
		for (int i = 0; i < USES; i++)
			add_use(checkup, i, false, "mount /sys/fs/cgroup",
				"no hierarchy can be seen");
	}
	cgroup_place_clear(&place);
}
