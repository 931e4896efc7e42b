/* Our own programs in GET /metrics. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/files.h"
#include "common/process.h"
#include "daemon/keeper_link.h"
#include "daemon/metrics_server.h"
#include "mem.h"

#define CMDLINE_MAX  65536
#define PROGRAMS_MAX (BOARD_WORKERS_MAX + 16)
#define FDS_MAX      65536 /* are counted one by one, where the kernel does not tell */

struct program {
	char labels[128];
	struct process_own own;
	int64_t fds; /* -1: not known */
};

struct programs {
	struct program *list;
	size_t count;
};

/* Linux tells the number since 6.2. */
static int64_t count_fds(pid_t pid)
{
	char path[32];
	struct stat st;
	struct dirent *entry;
	int64_t count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	if (!folder)
		return -1;
	if (fstat(dirfd(folder), &st) == 0 && st.st_size > 0) {
		closedir(folder);
		return st.st_size;
	}
	while ((entry = readdir(folder)) && count <= FDS_MAX)
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count <= FDS_MAX ? count : -1;
}

static void add(struct programs *programs, const char *name, const char *place, pid_t pid)
{
	autotext struct text labels = { 0 };
	struct program *program;

	if (programs->count == PROGRAMS_MAX)
		return;
	program = &programs->list[programs->count];
	if (process_own(pid, &program->own) < 0)
		return;
	metrics_label(&labels, "program", name);
	if (place)
		metrics_label(&labels, "place", place);
	if (labels.len >= sizeof(program->labels))
		return;
	memcpy(program->labels, labels.data, labels.len + 1);
	program->fds = count_fds(pid);
	programs->count++;
}

/* "proxy.0.3" is the program proxy in a place. */
static void add_child(void *data, const char *name, pid_t pid)
{
	const char *dot = strchr(name, '.');
	autofree char *program = dot ? mem_strndup(name, (size_t)(dot - name)) : mem_strdup(name);

	if (pid > 0 && strcmp(program, "daemon") != 0)
		add(data, program, dot ? dot + 1 : NULL, pid);
}

/* Those beside us: tenement-usage and its like. What runs our own program under its own name is on
 * its way to something else, or soon over. */
static void add_helpers(struct programs *programs)
{
	static const char ours[] = "tenement-";
	FILE *children;
	char path[64];
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	children = fopen(path, "re");
	while (children && fscanf(children, "%d", &pid) == 1) {
		autofree char *name = NULL;

		snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
		name = files_read(AT_FDCWD, path, CMDLINE_MAX, NULL, NULL);
		if (name && strncmp(name, ours, strlen(ours)) == 0)
			add(programs, name + strlen(ours), NULL, pid);
	}
	if (children)
		fclose(children);
}

void metrics_processes_put(struct daemon *d, struct metrics_out *out)
{
	struct programs programs = { mem_alloc(PROGRAMS_MAX * sizeof(struct program)), 0 };
	double booted = (double)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME)) / 1e9;

	(void)d;
	add(&programs, "keeper", NULL, getppid());
	add(&programs, "daemon", NULL, getpid());
	keeper_link_each_child(add_child, &programs);
	add_helpers(&programs);
	metrics_begin(out, METRIC_PROCESS_CPU);
	for (size_t i = 0; i < programs.count; i++)
		metrics_put_seconds(
			out, programs.list[i].labels, (double)programs.list[i].own.cpu_usec / 1e6);
	metrics_begin(out, METRIC_PROCESS_MEMORY);
	for (size_t i = 0; i < programs.count; i++)
		metrics_put(out, programs.list[i].labels, programs.list[i].own.memory_bytes);
	metrics_begin(out, METRIC_PROCESS_FDS);
	for (size_t i = 0; i < programs.count; i++)
		if (programs.list[i].fds >= 0)
			metrics_put(out, programs.list[i].labels, (uint64_t)programs.list[i].fds);
	metrics_begin(out, METRIC_PROCESS_START);
	for (size_t i = 0; i < programs.count; i++)
		metrics_put_seconds(
			out, programs.list[i].labels, booted + programs.list[i].own.started);
	free(programs.list);
}
