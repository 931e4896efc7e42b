#include "common/programs.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

char *programs_path(const char *name)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	autofree char *beside = NULL, *installed = mem_printf("%s/%s", TEN_LIBEXECDIR, name);
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
