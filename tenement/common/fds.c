#include "common/fds.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

static char **names;
static size_t name_count;

/* The list, wherever it is; the caller frees. */
static char *read_list(void)
{
	const char *list = getenv("TENEMENT_FDS");
	struct stat st;
	char *text;
	int fd;

	if (!list || *list != '@')
		return mem_strdup(list ? list : "");
	fd = (int)strtol(list + 1, NULL, 10);
	if (fstat(fd, &st) < 0)
		return mem_strdup("");
	text = mem_alloc((size_t)st.st_size + 1);
	if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
		text[0] = '\0';
	close(fd);
	return text;
}

static void load(void)
{
	autofree char *copy = read_list();
	size_t count = 0, room = 16;
	char *rest, *name;

	names = mem_resize(NULL, room, sizeof(*names));
	names[0] = NULL;
	if (!*copy)
		return;
	rest = copy;
	while ((name = strsep(&rest, ","))) {
		fcntl(FDS_FIRST + (int)count, F_SETFD, FD_CLOEXEC);
		if (count + 2 > room)
			names = mem_resize(names, room *= 2, sizeof(*names));
		names[count++] = mem_strdup(name);
		names[count] = NULL;
	}
	name_count = count;
}

const char *fds_name(size_t index)
{
	if (!names)
		load();
	return index < name_count ? names[index] : NULL;
}

int fds_find(const char *name)
{
	const char *have;

	for (size_t i = 0; (have = fds_name(i)); i++) {
		if (strcmp(have, name) == 0)
			return FDS_FIRST + (int)i;
	}
	return -1;
}
