#include "common/program_find.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mem.h"

/* What may not be looked at is not known. */
static int look_at(const char *path)
{
	struct stat found;

	if (stat(path, &found) < 0)
		return errno == ENOENT || errno == ENOTDIR ? ENOENT : 0;
	return S_ISREG(found.st_mode) && found.st_mode & 0111 ? 0 : EACCES;
}

static char *below(const char *folder, const char *name)
{
	return *name == '/' ? mem_strdup(name) : mem_printf("%s/%s", folder, name);
}

/* An empty part of PATH is the working directory. */
static int find_on_path(const char *name, const char *folder, const char *path)
{
	int why = ENOENT;

	while (path) {
		const char *end = strchrnul(path, ':');
		autofree char *part = mem_strndup(path, (size_t)(end - path));
		autofree char *place = below(folder, part);
		autofree char *file = below(place, name);
		int found = look_at(file);

		if (found == 0)
			return 0;
		if (found == EACCES)
			why = EACCES;
		path = *end ? end + 1 : NULL;
	}
	return why;
}

int program_find(const char *name, const char *folder, const char *path)
{
	autofree char *file = below(folder, name);

	return strchr(name, '/') ? look_at(file) : find_on_path(name, folder, path);
}
