#include "daemon/cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_place.h"
#include "common/files.h"
#include "daemon/cgroup_delegate.h"
#include "mem.h"
#include "text.h"
#include "option_value.h"

#define MOUNTINFO_MAX (4u << 20)
#define FILE_MAX      (4u << 20)

/* One hierarchy; version 1 may have several controllers in one. */
struct tree {
	unsigned version;
	char *folder; /* ours */
	int fd;
};

static struct tree trees[CGROUP_PARTS];
static size_t tree_count; /* CORE's is the first */
static const struct tree *parts[CGROUP_PARTS];
static char *why_not[CGROUP_PARTS];
static char *folder_name; /* "tenement-HASH" */
static char *group;       /* of version 2, that our folder is in */

static const char *const part_names[CGROUP_PARTS] = { "", "memory", "cpu", "cpuacct", "pids",
	"io" };

/* ---- files ---- */

unsigned cgroup_tree_version(enum cgroup_part part)
{
	return parts[part] ? parts[part]->version : 0;
}

const char *cgroup_tree_why_not(enum cgroup_part part)
{
	return why_not[part] ? why_not[part] : "";
}

const char *cgroup_tree_folder(enum cgroup_part part)
{
	return parts[part] ? parts[part]->folder : NULL;
}

static char *path_of(const char *name, const char *file)
{
	return mem_printf("%s%s%s", name, *name ? "/" : "", file);
}

int cgroup_tree_open(enum cgroup_part part, const char *name, const char *file, int flags)
{
	autofree char *path = path_of(name, file);

	if (parts[part])
		return openat(parts[part]->fd, path, flags | O_CLOEXEC);
	errno = ENOENT;
	return -1;
}

int cgroup_tree_write(enum cgroup_part part, const char *name, const char *file, const char *text)
{
	/* By this word newer kernels do not keep us until what is above a lowered limit of memory
	 * has been handed back. */
	autoclose int fd = cgroup_tree_open(part, name, file, O_WRONLY | O_NONBLOCK);

	if (fd < 0)
		return -1;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

char *cgroup_tree_read(enum cgroup_part part, const char *name, const char *file)
{
	autofree char *path = path_of(name, file);

	return parts[part] ? files_read(parts[part]->fd, path, FILE_MAX, NULL, NULL) : NULL;
}

bool cgroup_tree_has(enum cgroup_part part, const char *name, const char *file)
{
	autofree char *path = path_of(name, file);
	struct stat st;

	return parts[part] && fstatat(parts[part]->fd, path, &st, 0) == 0;
}

/* ---- which there are ---- */

/* Our folder below OWN, the group that we are in. NULL: *WHY says why not, for the caller to free.
 */
static const struct tree *take(const char *own, unsigned version, const char *needed, char **why)
{
	autofree char *folder = own ? mem_printf("%s/%s", own, folder_name) : NULL;
	autoclose int fd = -1;
	struct stat st;

	if (!own) {
		*why = mem_printf("version %u is not mounted", version);
		return NULL;
	}
	for (size_t i = 0; i < tree_count; i++)
		if (strcmp(trees[i].folder, folder) == 0)
			return &trees[i];
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		*why = mem_printf("%s: %s", own, strerror(errno));
	else if ((fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
		 faccessat(fd, "cgroup.procs", W_OK, AT_EACCESS) < 0)
		*why = mem_printf("%s: %s", folder, strerror(errno));
	else if (fstatat(fd, needed, &st, 0) < 0)
		*why = mem_printf("%s: no %s", folder, needed);
	if (*why) {
		rmdir(folder);
		return NULL;
	}
	trees[tree_count] = (struct tree){ version, mem_steal(&folder), fd_steal(&fd) };
	return &trees[tree_count++];
}

static void find_core(const struct cgroup_place *place, enum setting_cgroups wanted)
{
	autofree char *before = NULL;

	if (wanted == CGROUPS_NONE)
		why_not[CGROUP_CORE] = mem_strdup("cgroups = \"none\"");
	if (wanted == CGROUPS_V2 || wanted == CGROUPS_AUTO)
		parts[CGROUP_CORE] = take(group, 2, "cgroup.freeze", &why_not[CGROUP_CORE]);
	if (parts[CGROUP_CORE] || (wanted != CGROUPS_V1 && wanted != CGROUPS_AUTO))
		return;
	before = mem_steal(&why_not[CGROUP_CORE]);
	parts[CGROUP_CORE] = take(place->freezer, 1, "freezer.state", &why_not[CGROUP_CORE]);
	if (!parts[CGROUP_CORE] && before) {
		autofree char *now = mem_steal(&why_not[CGROUP_CORE]);

		why_not[CGROUP_CORE] = mem_printf("%s; %s", before, now);
	}
}

/* A controller that version 1 has. */
static void find_old(const struct cgroup_place *place, enum cgroup_part part)
{
	static const char *const needed[CGROUP_PARTS] = { "", "memory.limit_in_bytes", "cpu.shares",
		"cpuacct.usage", "pids.max", "blkio.throttle.read_bps_device" };
	const char *const folders[CGROUP_PARTS] = { NULL, place->memory, place->cpu, place->cpuacct,
		place->pids, place->blkio };

	/* (the root of a hierarchy has no limits of its own, a folder below it has) */
	if (folders[part]) {
		free(mem_steal(&why_not[part]));
		parts[part] = take(folders[part], 1, needed[part], &why_not[part]);
	}
}

/* A controller of version 2, from our folder on into the groups; WHY: it may not be there. */
static void find_new(enum cgroup_part part, const char *why)
{
	autofree char *there = cgroup_tree_read(CGROUP_CORE, "", "cgroup.controllers");
	autofree char *word = mem_printf("+%s", part_names[part]);

	if (!text_lists(there, ' ', part_names[part]) && why)
		why_not[part] = mem_strdup(why);
	else if (!text_lists(there, ' ', part_names[part]))
		why_not[part] = mem_printf(
			"control groups of version 2 have no controller %s here", part_names[part]);
	else if (cgroup_tree_write(CGROUP_CORE, "", "cgroup.subtree_control", word) < 0)
		why_not[part] = mem_printf("%s/cgroup.subtree_control: %s: %s",
			parts[CGROUP_CORE]->folder, word, strerror(errno));
	else
		parts[part] = parts[CGROUP_CORE];
}

static void find_part(const struct cgroup_place *place, enum setting_cgroups wanted,
	enum cgroup_part part, const char *why)
{
	if (!parts[CGROUP_CORE]) {
		why_not[part] = mem_printf("no control groups: %s", why_not[CGROUP_CORE]);
		return;
	}
	if (parts[CGROUP_CORE]->version == 2 && part == CGROUP_CPUACCT)
		parts[part] = parts[CGROUP_CORE];
	else if (parts[CGROUP_CORE]->version == 2)
		find_new(part, why);
	if (!parts[part] && (wanted == CGROUPS_V1 || wanted == CGROUPS_AUTO))
		find_old(place, part);
	if (!parts[part] && !why_not[part])
		why_not[part] = mem_printf(
			"control groups of version 1 have no controller %s here", part_names[part]);
}

int cgroup_tree_start(struct daemon *d, struct ten_error *err)
{
	autofree char *mountinfo =
		files_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, NULL, NULL);
	autofree char *groups = files_read(AT_FDCWD, "/proc/self/cgroup", 65536, NULL, NULL);
	enum setting_cgroups wanted = (enum setting_cgroups)d->boot.cgroups;
	struct cgroup_place place = { 0 };
	autofree char *why = NULL;

	folder_name = mem_printf(
		"tenement-%016" PRIx64, option_hash_bytes(d->data_dir, strlen(d->data_dir), 0));
	cgroup_place_find(mountinfo ? mountinfo : "", groups ? groups : "", &place);
	group = cgroup_delegate_group(place.unified, folder_name);
	find_core(&place, wanted);
	if (cgroup_tree_version(CGROUP_CORE) == 2)
		why = cgroup_delegate_enable(group, parts[CGROUP_CORE]->folder);
	for (int part = CGROUP_CORE + 1; part < CGROUP_PARTS; part++)
		find_part(&place, wanted, (enum cgroup_part)part, why);
	cgroup_place_clear(&place);
	if (!parts[CGROUP_CORE] && (wanted == CGROUPS_V1 || wanted == CGROUPS_V2))
		return ten_error_set(err, 0,
			"cgroups = \"%s\" cannot be had: %s; remove the key to take what there is",
			wanted == CGROUPS_V1 ? "v1" : "v2", why_not[CGROUP_CORE]);
	return 0;
}

void cgroup_tree_stop(void)
{
	for (size_t i = tree_count; i; i--) {
		if (trees[i - 1].version == 2)
			cgroup_delegate_undo(group, trees[i - 1].folder);
		else
			rmdir(trees[i - 1].folder);
	}
}

/* ---- groups ---- */

int cgroup_tree_make(const char *name)
{
	for (size_t i = 0; i < tree_count; i++) {
		int code;

		if (mkdirat(trees[i].fd, name, 0755) == 0)
			continue;
		code = errno;
		while (i--)
			unlinkat(trees[i].fd, name, AT_REMOVEDIR);
		errno = code;
		return -1;
	}
	if (tree_count)
		return 0;
	errno = ENOENT;
	return -1;
}

/* CORE's goes last: by it the others are found again. */
int cgroup_tree_remove(const char *name)
{
	for (size_t i = tree_count; i; i--)
		if (unlinkat(trees[i - 1].fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			return -1;
	return 0;
}

void cgroup_tree_remove_below(const char *name)
{
	for (size_t i = 0; i < tree_count; i++) {
		int fd = openat(trees[i].fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
		struct dirent *entry;

		while (folder && (entry = readdir(folder)))
			if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
				unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
		if (folder)
			closedir(folder);
	}
}

void cgroup_tree_each(struct daemon *d, void (*visit)(struct daemon *d, const char *name))
{
	int fd = tree_count ? openat(trees[0].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			visit(d, entry->d_name);
	if (folder)
		closedir(folder);
}

/* One that enters by itself, and as its only thread, needs no lock of the kernel's that it takes
 * ten milliseconds to get: that is what `tasks` is for. Version 2 has none such. */
int cgroup_tree_doors(const char *name, int doors[CGROUP_PARTS])
{
	int count = 0;

	for (size_t i = 0; i < tree_count; i++) {
		autofree char *path = path_of(name, "tasks");

		if (trees[i].version == 2)
			continue;
		doors[count] = openat(trees[i].fd, path, O_WRONLY | O_CLOEXEC);
		if (doors[count] >= 0) {
			count++;
			continue;
		}
		while (count)
			close(doors[--count]);
		return -1;
	}
	return count;
}

char **cgroup_tree_doors_of(const char *name)
{
	char **doors = mem_alloc(sizeof(*doors));

	for (size_t i = 0; name && i < tree_count; i++) {
		autofree char *path = mem_printf("%s/%s/cgroup.procs", trees[i].folder, name);

		mem_strv_append(&doors, path);
	}
	return doors;
}
