#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fds.h"
#include "keeper/keeper.h"
#include "mem.h"

void inherited_add(struct inherited *list, const char *name, int fd)
{
	list->fds = mem_resize(list->fds, list->count + 1, sizeof(int));
	list->fds[list->count++] = fd;
	text_printf(&list->names, "%s%s", list->count > 1 ? "," : "", name);
}

struct prefix {
	struct inherited *list;
	const char *prefix;
	size_t len;
};

static void add_matching(void *data, const char *name, int fd)
{
	struct prefix *prefix = data;

	/* Streams ("log:...") and tenants' sockets ("socket:...") can be many, and are for those
	 * who ask for them by that prefix. */
	if (strncmp(name, prefix->prefix, prefix->len) == 0 && (prefix->len || !strchr(name, ':')))
		inherited_add(prefix->list, name, fd);
}

void inherited_add_all(struct inherited *list, const char *fd_list)
{
	autofree char *copy = mem_strdup(fd_list);
	char *rest = copy, *name;

	while ((name = strsep(&rest, ","))) {
		size_t len = strlen(name);

		if (len && name[len - 1] == '*')
			store_each(add_matching, &(struct prefix){ list, name, len - 1 });
		else if (len && store_get(name) >= 0)
			inherited_add(list, name, store_get(name));
	}
}

void inherited_free(struct inherited *list)
{
	text_free(&list->names);
	free(list->fds);
}

/* ---- in the child ---- */

/* Where the list goes when it is long; close-on-exec unless it is used. */
static int names_file(const struct inherited *list)
{
	int fd = memfd_create("tenement-fds", 0);

	if (fd >= 0 && write(fd, list->names.data, list->names.len) != (ssize_t)list->names.len)
		_exit(127);
	return fd;
}

/* A single string of the environment holds 128 KiB (execve(2)): a longer list goes by a file. */
static void name_fds(const struct inherited *list, int fd)
{
	char at[16];

	if (list->names.len < FDS_LIST_MAX) {
		setenv("TENEMENT_FDS", list->names.data ? list->names.data : "", 1);
		return;
	}
	snprintf(at, sizeof(at), "@%d", fd);
	setenv("TENEMENT_FDS", at, 1);
}

void inherited_place(struct inherited *list)
{
	int base = FDS_FIRST + (int)list->count;

	/* First out of the way of the numbers they are to have, then there. */
	for (size_t i = 0; i < list->count; i++) {
		list->fds[i] = fcntl(list->fds[i], F_DUPFD_CLOEXEC, base);
		if (list->fds[i] < 0)
			_exit(127);
	}
	for (size_t i = 0; i < list->count; i++)
		if (dup2(list->fds[i], FDS_FIRST + (int)i) < 0)
			_exit(127);
	name_fds(list, list->names.len < FDS_LIST_MAX ? -1 : names_file(list));
}
