#include "cgroup_place.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "mountinfo.h"
#include "text.h"

/* Our path in the hierarchy of CONTROLLER ("": version 2). */
static char *path_in(const char *cgroup, const char *controller)
{
	while (*cgroup) {
		size_t len = strcspn(cgroup, "\n");
		const char *list = memchr(cgroup, ':', len);
		const char *path =
			list ? memchr(list + 1, ':', len - (size_t)(list + 1 - cgroup)) : NULL;

		if (path && path[1] == '/') {
			size_t list_len = (size_t)(path - list - 1);
			autofree char *names = mem_strndup(list + 1, list_len);

			if (*controller ? text_lists(names, ',', controller) : !list_len)
				return mem_strndup(path + 1, len - (size_t)(path + 1 - cgroup));
		}
		cgroup += len + (cgroup[len] == '\n');
	}
	return NULL;
}

/* PATH of the hierarchy, of which ROOT is mounted at POINT. NULL: it is not below ROOT. */
static char *join(const char *point, const char *root, const char *path)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	/* What is outside of our namespace is shown like this. */
	if (strncmp(path + len, "/..", 3) == 0)
		return NULL;
	path += len;
	return mem_printf("%s%s", point, strcmp(path, "/") == 0 ? "" : path);
}

static char *folder_of(const char *line, size_t len, const char *path, const char *controller)
{
	const char *tail = memmem(line, len, " - ", 3);
	size_t tail_len = tail ? len - (size_t)(tail + 3 - line) : 0;
	autofree char *type = tail ? mountinfo_word(tail + 3, tail_len, 0) : NULL;
	autofree char *options = tail ? mountinfo_word(tail + 3, tail_len, 2) : NULL;
	autofree char *root = mountinfo_word(line, len, MOUNTINFO_ROOT);
	autofree char *point = mountinfo_word(line, len, MOUNTINFO_POINT);

	if (!type || !root || !point || strcmp(type, *controller ? "cgroup" : "cgroup2") != 0 ||
		(*controller && !text_lists(options, ',', controller)))
		return NULL;
	return join(point, root, path);
}

static char *find(const char *mountinfo, const char *cgroup, const char *controller)
{
	autofree char *path = path_in(cgroup, controller);
	char *folder = NULL;

	while (path && *mountinfo && !folder) {
		size_t len = strcspn(mountinfo, "\n");

		folder = folder_of(mountinfo, len, path, controller);
		mountinfo += len + (mountinfo[len] == '\n');
	}
	return folder;
}

void cgroup_place_find(const char *mountinfo, const char *cgroup, struct cgroup_place *place)
{
	place->unified = find(mountinfo, cgroup, "");
	place->freezer = find(mountinfo, cgroup, "freezer");
	place->memory = find(mountinfo, cgroup, "memory");
	place->cpu = find(mountinfo, cgroup, "cpu");
	place->cpuacct = find(mountinfo, cgroup, "cpuacct");
	place->pids = find(mountinfo, cgroup, "pids");
	place->blkio = find(mountinfo, cgroup, "blkio");
}

void cgroup_place_clear(struct cgroup_place *place)
{
	free(place->unified);
	free(place->freezer);
	free(place->memory);
	free(place->cpu);
	free(place->cpuacct);
	free(place->pids);
	free(place->blkio);
	*place = (struct cgroup_place){ 0 };
}

bool cgroup_place_is(const char *cgroup, const char *name)
{
	size_t name_len = strlen(name);
	char after;

	for (const char *slash = cgroup; (slash = strchr(slash, '/')); slash++) {
		if (strncmp(slash + 1, name, name_len) != 0)
			continue;
		after = slash[1 + name_len];
		if (after == '/' || after == '\n' || !after)
			return true;
	}
	return false;
}
