#include "cgroup_place.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"

/* The WORD-th word of LINE, counted from 0, as a copy; NULL: it has fewer. */
static char *word_at(const char *line, size_t len, size_t word)
{
	const char *end = line + len;

	for (; word; word--) {
		line = memchr(line, ' ', (size_t)(end - line));
		if (!line)
			return NULL;
		line++;
	}
	len = (size_t)(end - line);
	return mem_strndup(line, memchr(line, ' ', len)
					 ? (size_t)((const char *)memchr(line, ' ', len) - line)
					 : len);
}

/* Blanks in paths are written as \040 and the like. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
			from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + from[3] - '0');
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

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
	autofree char *type = tail ? word_at(tail + 3, tail_len, 0) : NULL;
	autofree char *options = tail ? word_at(tail + 3, tail_len, 2) : NULL;
	autofree char *root = word_at(line, len, 3);
	autofree char *point = word_at(line, len, 4);

	if (!type || !root || !point || strcmp(type, *controller ? "cgroup" : "cgroup2") != 0 ||
		(*controller && !text_lists(options, ',', controller)))
		return NULL;
	unescape(root);
	unescape(point);
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
