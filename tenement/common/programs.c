#include "common/programs.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

static char *find(const char *name, const char *installed_in)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	autofree char *beside = NULL, *installed = mem_printf("%s/%s", installed_in, name);
	char *slash;

	if (len > 0) {
		self[len] = '\0';
		slash = strrchr(self, '/');
		beside = mem_printf("%.*s/%s", (int)(slash - self), self, name);
		/* Where it is nowhere, that is where people look for it. */
		if (access(beside, X_OK) == 0 || access(installed, X_OK) < 0)
			return mem_steal(&beside);
	}
	return mem_steal(&installed);
}

char *programs_path(const char *name)
{
	return find(name, TEN_LIBEXECDIR);
}

char *programs_ten(void)
{
	return find("ten", TEN_BINDIR);
}
