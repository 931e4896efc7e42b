#include "common/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

static uint64_t read_stat(pid_t pid, char *state)
{
	char path[32], text[1024];
	autoclose int fd = -1;
	const char *field;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	/* The name in parentheses may hold anything; what follows the last one is plain. */
	field = strrchr(text, ')');
	if (!field || field[1] != ' ')
		return 0;
	field += 2;
	*state = *field;
	for (int number = 3; number < 22; number++) {
		field = strchr(field, ' ');
		if (!field)
			return 0;
		field++;
	}
	return strtoull(field, NULL, 10);
}

uint64_t process_start_time(pid_t pid)
{
	char state;

	return read_stat(pid, &state);
}

void process_boot(char id[PROCESS_BOOT_SIZE])
{
	autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, id, PROCESS_BOOT_SIZE - 1);

	id[len > 0 ? len : 0] = '\0';
	id[strcspn(id, "\n")] = '\0';
}

bool process_is(pid_t pid, uint64_t start)
{
	char state = 'X';

	return read_stat(pid, &state) == start && start && state != 'Z' && state != 'X';
}

bool process_is_stopped(pid_t pid, uint64_t start)
{
	char state = 'X';

	return read_stat(pid, &state) == start && start && state == 'T';
}

uint64_t process_memory(pid_t pid)
{
	char path[32], text[128];
	autoclose int fd = -1;
	uint64_t pages = 0;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (len <= 0)
		return 0;
	text[len] = '\0';
	return sscanf(text, "%*u %" SCNu64, &pages) == 1 ? pages * (uint64_t)sysconf(_SC_PAGESIZE)
							 : 0;
}

#define DESCENDANTS_MAX 1024

static int holds_itself(pid_t pid, uint32_t inode)
{
	char path[64], wanted[32], link[64];
	struct dirent *entry;
	bool found = false;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
	folder = opendir(path);
	if (!folder)
		return -1;
	while (!found && (entry = readdir(folder))) {
		ssize_t len = readlinkat(dirfd(folder), entry->d_name, link, sizeof(link) - 1);

		link[len > 0 ? len : 0] = '\0';
		found = strcmp(link, wanted) == 0;
	}
	closedir(folder);
	return found;
}

static size_t add_children_of_thread(pid_t *all, size_t count, pid_t pid, const char *thread)
{
	char path[64];
	FILE *list;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/children", (int)pid, thread);
	list = fopen(path, "re");
	while (list && count < DESCENDANTS_MAX && fscanf(list, "%d", &child) == 1)
		all[count++] = child;
	if (list)
		fclose(list);
	return count;
}

static size_t add_children(pid_t *all, size_t count, pid_t pid)
{
	struct dirent *entry;
	char path[64];
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	folder = opendir(path);
	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			count = add_children_of_thread(all, count, pid, entry->d_name);
	if (folder)
		closedir(folder);
	return count;
}

int process_holds_socket(pid_t pid, uint32_t inode)
{
	pid_t all[DESCENDANTS_MAX] = { pid };
	size_t count = 1;
	bool unseen = false;

	for (size_t i = 0; i < count; i++) {
		int holds = holds_itself(all[i], inode);

		if (holds > 0)
			return 1;
		unseen = unseen || holds < 0;
		count = add_children(all, count, all[i]);
	}
	return unseen || count == DESCENDANTS_MAX ? -1 : 0;
}

size_t process_tree(pid_t pid, pid_t *all, size_t max)
{
	pid_t found[DESCENDANTS_MAX] = { pid };
	size_t count = 1;

	for (size_t i = 0; i < count; i++)
		count = add_children(found, count, found[i]);
	if (count > max)
		count = max;
	memcpy(all, found, count * sizeof(*all));
	return count;
}

uint64_t process_tree_memory(pid_t pid)
{
	pid_t all[DESCENDANTS_MAX];
	size_t count = process_tree(pid, all, DESCENDANTS_MAX);
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += process_memory(all[i]);
	return sum;
}

static bool read_small(pid_t pid, const char *file, char *text, size_t size)
{
	char path[64];
	autoclose int fd = -1;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd >= 0 ? read(fd, text, size - 1) : -1;
	text[len > 0 ? len : 0] = '\0';
	return len > 0;
}

pid_t process_parent(pid_t pid)
{
	char text[1024];
	const char *field;
	int parent;

	if (!read_small(pid, "stat", text, sizeof(text)) || !(field = strrchr(text, ')')) ||
		sscanf(field + 1, " %*c %d", &parent) != 1)
		return 0;
	return parent;
}

int process_usage(pid_t pid, struct process_usage *usage)
{
	uint64_t ticks[4] = { 0 };
	char text[1024];
	const char *field;

	*usage = (struct process_usage){ 0 };
	if (!read_small(pid, "stat", text, sizeof(text)) || !(field = strrchr(text, ')')))
		return -1;
	/* utime, stime, cutime, cstime: fields 14 to 17 */
	if (sscanf(field + 1,
		    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64
		    " %" SCNu64,
		    &ticks[0], &ticks[1], &ticks[2], &ticks[3]) != 4)
		return -1;
	usage->cpu_usec = (ticks[0] + ticks[1] + ticks[2] + ticks[3]) * 1000000 /
			  (uint64_t)sysconf(_SC_CLK_TCK);
	usage->memory_bytes = process_memory(pid);
	if (read_small(pid, "io", text, sizeof(text))) {
		const char *read = strstr(text, "\nread_bytes: ");
		const char *written = strstr(text, "\nwrite_bytes: ");

		usage->io_known = read && written;
		if (usage->io_known) {
			usage->io_read_bytes = strtoull(strchr(read, ' '), NULL, 10);
			usage->io_written_bytes = strtoull(strchr(written, ' '), NULL, 10);
		}
	}
	return 0;
}

int process_own(pid_t pid, struct process_own *own)
{
	double second = (double)sysconf(_SC_CLK_TCK);
	uint64_t user, system, start;
	char text[1024];
	const char *field;

	if (!read_small(pid, "stat", text, sizeof(text)) || !(field = strrchr(text, ')')))
		return -1;
	/* utime, stime: fields 14 and 15; starttime: 22 */
	if (sscanf(field + 1,
		    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
		    " %*d %*d %*d %*d %*d %*d %" SCNu64,
		    &user, &system, &start) != 3)
		return -1;
	own->cpu_usec = (uint64_t)((double)(user + system) / second * 1e6);
	own->started = (double)start / second;
	own->memory_bytes = process_memory(pid);
	return 0;
}

void process_hold_signals(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, before);
}

void process_forget_handlers(void)
{
	for (int signal = 1; signal < NSIG; signal++)
		if (signal != SIGKILL && signal != SIGSTOP)
			sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

void process_hear_signals(void)
{
	sigset_t none;

	process_forget_handlers();
	/* Last: what came meanwhile now does what it does to any other program. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
