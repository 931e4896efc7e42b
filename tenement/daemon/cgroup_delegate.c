#include "daemon/cgroup_delegate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/files.h"
#include "common/log.h"
#include "common/process.h"
#include "mem.h"
#include "text.h"

#define LEAF       "supervisor"
#define FILE_MAX   (1u << 20)
#define ROUNDS_MAX 20
#define MARK       "user.tenement.enabled" /* on our folder: what we let into its parent */

static const char *const controllers[] = { "memory", "cpu", "pids", "io" };

#define CONTROLLERS (sizeof(controllers) / sizeof(*controllers))

static char *read_in(const char *group, const char *file)
{
	autofree char *path = mem_printf("%s/%s", group, file);

	return files_read(AT_FDCWD, path, FILE_MAX, NULL, NULL);
}

static int write_in(const char *group, const char *file, const char *value)
{
	autofree char *path = mem_printf("%s/%s", group, file);
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value) ? 0 : -1;
}

static bool is_there(const char *group, const char *file)
{
	autofree char *path = mem_printf("%s/%s", group, file);

	return access(path, F_OK) == 0;
}

/* systemd marks what it makes over to a service, and may undo what is done elsewhere. */
static bool is_delegated(const char *group)
{
	static const char *const marks[] = { "trusted.delegate", "user.delegate" };
	char value[4] = "";

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (getxattr(group, marks[i], value, sizeof(value)) == 1 && *value == '1')
			return true;
	return access("/run/systemd/system", F_OK) < 0;
}

char *cgroup_delegate_group(const char *own, const char *folder_name)
{
	const char *slash = own ? strrchr(own, '/') : NULL;
	autofree char *parent = slash ? mem_strndup(own, (size_t)(slash - own)) : NULL;

	if (parent && strcmp(slash + 1, LEAF) == 0 && is_there(parent, "cgroup.procs") &&
		(is_there(parent, folder_name) || is_delegated(parent)))
		return mem_steal(&parent);
	return own ? mem_strdup(own) : NULL;
}

/* One that is neither the keeper nor came of it; 0: there is none. */
static pid_t find_stranger(const char *procs)
{
	pid_t keeper = getppid();

	for (const char *at = procs; at && *at; at = strchr(at, '\n'), at += at != NULL) {
		pid_t pid = (pid_t)strtol(at, NULL, 10), up = pid;

		while (up > 1 && up != keeper)
			up = process_parent(up);
		/* (0: it has ended, or is of a namespace that cannot be seen from here) */
		if (up != keeper && (pid == 0 || process_start_time(pid)))
			return pid ? pid : -1;
	}
	return 0;
}

/* All that is in FROM, and what it forks meanwhile. */
static int move_all(const char *from, const char *to)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		autofree char *procs = read_in(from, "cgroup.procs");

		if (!procs)
			return -1;
		if (!*procs)
			return 0;
		for (char *rest = procs, *line; (line = strsep(&rest, "\n"));)
			if (*line && write_in(to, "cgroup.procs", line) < 0 && errno != ESRCH)
				return -1;
	}
	errno = EBUSY;
	return -1;
}

/* Nobody may be left in GROUP. NULL, or why somebody is. */
static char *make_room(const char *group)
{
	autofree char *procs = read_in(group, "cgroup.procs");
	autofree char *leaf = mem_printf("%s/" LEAF, group);
	pid_t stranger;

	/* The root of all has no type, and may have processes. */
	if (!is_there(group, "cgroup.type") || !procs || !*procs)
		return NULL;
	if (!is_delegated(group))
		return mem_printf(
			"%s was not made over to us: write Delegate=yes into the unit", group);
	stranger = find_stranger(procs);
	if (stranger)
		return mem_printf("process %d, which is not ours, is in our control group %s as "
				  "well: start it as a service with Delegate=yes, or in a group of "
				  "its own",
			(int)stranger, group);
	if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
		return mem_printf("%s: %s", leaf, strerror(errno));
	if (move_all(group, leaf) < 0)
		return mem_printf("%s/cgroup.procs: %s", leaf, strerror(errno));
	return NULL;
}

/* Those of the four that GROUP has and does not pass on. The caller frees. */
static char **find_missing(const char *group)
{
	autofree char *there = read_in(group, "cgroup.controllers");
	autofree char *passed_on = read_in(group, "cgroup.subtree_control");
	char **missing = NULL;

	for (size_t i = 0; i < CONTROLLERS; i++)
		if (text_lists(there, ' ', controllers[i]) &&
			!text_lists(passed_on, ' ', controllers[i]))
			mem_strv_append(&missing, controllers[i]);
	return missing;
}

char *cgroup_delegate_enable(const char *group, const char *folder)
{
	char **missing = find_missing(group);
	char *why = missing ? make_room(group) : NULL;
	autotext struct text enabled = { 0 };

	for (size_t i = 0; !why && missing && missing[i]; i++) {
		autofree char *word = mem_printf("+%s", missing[i]);

		if (write_in(group, "cgroup.subtree_control", word) == 0)
			text_printf(&enabled, "%s ", missing[i]);
		else
			why = mem_printf(
				"%s/cgroup.subtree_control: %s: %s", group, word, strerror(errno));
	}
	/* (without the mark they stay when we end, which is no harm) */
	if (enabled.len && setxattr(folder, MARK, enabled.data, enabled.len, 0) < 0)
		log_info("%s: %s: %s", folder, MARK, strerror(errno));
	mem_strv_free(missing);
	return why;
}

void cgroup_delegate_undo(const char *group, const char *folder)
{
	autofree char *leaf = mem_printf("%s/" LEAF, group);
	char enabled[64] = "";
	ssize_t len = getxattr(folder, MARK, enabled, sizeof(enabled) - 1);

	enabled[len > 0 ? len : 0] = '\0';
	rmdir(folder);
	for (size_t i = 0; i < CONTROLLERS; i++) {
		autofree char *word = mem_printf("-%s", controllers[i]);

		/* (refused while another tenement uses it) */
		if (text_lists(enabled, ' ', controllers[i]))
			write_in(group, "cgroup.subtree_control", word);
	}
	if (is_there(group, LEAF) && move_all(leaf, group) == 0)
		rmdir(leaf);
}
