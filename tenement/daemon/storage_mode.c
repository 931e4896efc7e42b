#include "daemon/storage_mode.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "daemon/helper.h"
#include "mem.h"
#include "mountinfo.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#define LINE_MAX_BYTES 8192

/* A process beside the daemon that changes the mounts of one: setns(2) is for good. */
struct change {
	struct helper helper; /* (first) */
	char *key;
	pid_t of; /* the tenant's process */
	uint64_t start_time;
	bool reads_only;
};

/* ---- the child ---- */

static int set_one(const char *path, bool reads_only)
{
	struct mount_attr attributes = { 0 };

	if (reads_only)
		attributes.attr_set = MOUNT_ATTR_RDONLY;
	else
		attributes.attr_clr = MOUNT_ATTR_RDONLY;
	return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE | AT_SYMLINK_NOFOLLOW,
		&attributes, sizeof(attributes));
}

static void child_main(const struct change *change, bool root, char *const *folders)
{
	int process = (int)syscall(SYS_pidfd_open, change->of, 0);

	if (process < 0 || !process_is(change->of, change->start_time))
		_exit(ESRCH);
	if (setns(process, root ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0)
		_exit(errno);
	for (size_t i = 0; folders[i]; i++)
		if (set_one(folders[i], change->reads_only) < 0)
			_exit(errno);
	_exit(0);
}

/* ---- the daemon ---- */

static void free_change(struct change *change)
{
	free(change->key);
	free(change);
}

static void restart(struct daemon *d, struct instance *instance, bool reads_only, int why)
{
	log_info("%s: started again, so that it can%s write to its folder%s%s", instance->key,
		reads_only ? "not" : "", why ? ": " : "",
		why == EBUSY ? "it has files open there to write to"
		: why        ? strerror(why)
			     : "");
	instance->told_to_restart = true;
	instance->wake_cause = "what it has stored";
	instance_mark(d, instance);
}

static void on_ended(struct daemon *d, struct helper *helper, const siginfo_t *end)
{
	struct change *change = (struct change *)helper;
	struct instance *instance = instance_find(d, change->key);
	struct run *run = instance ? instance->run : NULL;

	if (run && run->pid == change->of && run->start_time == change->start_time) {
		run->mode_changes = false;
		if (end->si_code == CLD_EXITED && end->si_status == 0) {
			run->reads_only = change->reads_only;
			log_info("%s: its folder is %s", change->key,
				change->reads_only ? "not writable any more" : "writable again");
			instance_mark(d, instance);
		} else if (run->exit == PLAN_EXIT_NONE && instance->state == INSTANCE_READY) {
			run->reads_only = change->reads_only; /* (by its next process) */
			restart(d, instance, change->reads_only,
				end->si_code == CLD_EXITED ? end->si_status : EINTR);
		}
	}
	free_change(change);
}

/* Its own folder and its claims, by the names that they have for it. The caller frees. */
static char **folders_of(const struct ten_spec *spec)
{
	char **list = NULL;
	autofree char *dir = realpath(spec->dir, NULL);

	mem_strv_append(&list, dir ? dir : spec->dir);
	for (size_t i = 0; spec->claims && spec->claims[i]; i++) {
		autofree char *claim = realpath(spec->claims[i], NULL);

		mem_strv_append(&list, claim ? claim : spec->claims[i]);
	}
	return list;
}

static bool begin(struct daemon *d, struct change *change, char *const *folders)
{
	pid_t pid = helper_fork(d, &change->helper, on_ended);

	if (pid == 0)
		child_main(change, d->root, folders);
	return pid > 0;
}

void storage_mode_want(struct daemon *d, struct instance *instance, bool reads_only)
{
	struct run *run = instance->run;
	char **folders;
	struct change *change;

	if (run->reads_only == reads_only || run->mode_changes || instance->told_to_restart)
		return;
	/* What stands between us and a sandbox has mounts of its own; and who was begun, before
	 * its file was changed, without namespaces has the machine's. */
	if (run->level != ISOLATION_NAMESPACE) {
		run->reads_only = reads_only;
		restart(d, instance, reads_only, 0);
		return;
	}
	change = mem_alloc(sizeof(*change));
	change->key = mem_strdup(instance->key);
	change->of = run->pid;
	change->start_time = run->start_time;
	change->reads_only = reads_only;
	folders = folders_of(run->spec);
	run->mode_changes = begin(d, change, folders);
	if (!run->mode_changes) {
		free_change(change);
		run->reads_only = reads_only;
		restart(d, instance, reads_only, EAGAIN);
	}
	mem_strv_free(folders);
}

/* ---- what one that was taken over can do ---- */

void storage_mode_find(struct instance *instance)
{
	struct run *run = instance->run;
	autofree char *dir = realpath(run->spec->dir, NULL);
	autofree char *path = mem_printf("/proc/%d/mountinfo", (int)run->pid);
	autofree char *line = mem_alloc(LINE_MAX_BYTES);
	FILE *file = dir ? fopen(path, "re") : NULL;

	while (file && fgets(line, LINE_MAX_BYTES, file)) {
		size_t len = strlen(line);
		autofree char *place = mountinfo_word(line, len, MOUNTINFO_POINT);
		autofree char *mode = mountinfo_word(line, len, MOUNTINFO_OPTIONS);

		if (mode && strcmp(place, dir) == 0)
			run->reads_only = strncmp(mode, "ro", 2) == 0;
	}
	if (file)
		fclose(file);
}
