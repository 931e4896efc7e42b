#include "common/checkup.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"

#define PROBE_SECONDS 5

struct checkup_finding *checkup_add(struct checkup *checkup, const char *group, const char *name,
	bool there, const char *lost, const char *todo, const char *found, ...)
{
	struct checkup_finding *finding;
	va_list args;

	checkup->items = mem_resize(checkup->items, checkup->count + 1, sizeof(*checkup->items));
	finding = &checkup->items[checkup->count++];
	*finding = (struct checkup_finding){ .group = group,
		.name = name,
		.state = there ? CHECKUP_OK : CHECKUP_MISSING,
		.lost = lost,
		.todo = todo };
	va_start(args, found);
	finding->found = mem_vprintf(found, args);
	va_end(args);
	return finding;
}

void checkup_need(struct checkup_finding *finding, const char *option, const char *value)
{
	assert(finding->needed_by_count < CHECKUP_NEEDED_BY_MAX);
	finding->needed_by[finding->needed_by_count++] = (struct checkup_need){ option, value };
}

int checkup_try(int (*probe)(void *data), void *data)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return errno;
	if (pid == 0) {
		int code;

		signal(SIGALRM, SIG_DFL);
		alarm(PROBE_SECONDS);
		code = probe(data);
		_exit(code >= 0 && code < 256 ? code : 255);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

void checkup_run(struct checkup *checkup)
{
	checkup_rights(checkup);
	checkup_kernel(checkup);
	checkup_groups(checkup);
	checkup_network(checkup);
	checkup_storage(checkup);
	checkup_machine(checkup);
}

void checkup_clear(struct checkup *checkup)
{
	for (size_t i = 0; i < checkup->count; i++)
		free(checkup->items[i].found);
	free(checkup->items);
	checkup->items = NULL;
	checkup->count = 0;
}
