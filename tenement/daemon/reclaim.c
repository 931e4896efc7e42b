#include "daemon/reclaim.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/cgroup.h"
#include "daemon/helper.h"
#include "mem.h"

#define PIDS_MAX  1024
#define RANGE_MAX (16ull << 20) /* asked for at once: between two the helper can be ended */
#define NICE      19
#define HELPER_FD 3

/* The one at work, and those whose turn comes. */
static struct instance *present;
static struct helper helper;
static TAILQ_HEAD(, instance) waiting = TAILQ_HEAD_INITIALIZER(waiting);

/* ---- the helper ---- */

static void advise(int pidfd, uint64_t from, uint64_t end)
{
	while (from < end) {
		uint64_t len = end - from < RANGE_MAX ? end - from : RANGE_MAX;
		struct iovec range = { .iov_base = (void *)(uintptr_t)from, .iov_len = len };

		if (syscall(SYS_process_madvise, pidfd, &range, 1ul, MADV_PAGEOUT, 0u) < 0 &&
			(errno == ENOSYS || errno == EPERM || errno == ESRCH))
			return;
		from += len;
	}
}

static void page_out(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	uint64_t from, end;
	char path[32], line[512];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = pidfd >= 0 ? fopen(path, "re") : NULL;
	while (maps && fgets(line, sizeof(line), maps))
		/* (what goes on of a longer line is no range) */
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &end) == 2 && from < end)
			advise(pidfd, from, end);
	if (maps)
		fclose(maps);
	if (pidfd >= 0)
		close(pidfd);
}

/* Whether the kernel did it by group; that it could not have all (EAGAIN) is no failure. */
static bool reclaim_group(int group, const char *text)
{
	return group >= 0 && (write(group, text, strlen(text)) > 0 || errno == EAGAIN);
}

static void helper_main(int group, const char *text, const pid_t *pids, size_t count)
{
	struct sched_param idle = { 0 };

	/* It holds nothing of the daemon's. */
	if (group >= 0)
		group = dup2(group, HELPER_FD);
	syscall(SYS_close_range, group >= 0 ? HELPER_FD + 1u : (unsigned)HELPER_FD, ~0u, 0u);
	setpriority(PRIO_PROCESS, 0, NICE);
	sched_setscheduler(0, SCHED_IDLE, &idle);
	if (!reclaim_group(group, text))
		for (size_t i = 0; i < count; i++)
			page_out(pids[i]);
	_exit(0);
}

/* ---- the daemon ---- */

static void next(struct daemon *d);

static void on_ended(struct daemon *d, struct helper *over, const siginfo_t *end)
{
	(void)over;
	(void)end;
	if (present)
		present->reclaiming = false;
	present = NULL;
	next(d);
}

static void begin(struct daemon *d, struct instance *instance)
{
	const struct run *run = instance->run;
	autofree pid_t *pids = mem_alloc(PIDS_MAX * sizeof(*pids));
	autoclose int group = -1;
	char text[24] = "";
	pid_t pid;
	size_t count = run->cgroup ? cgroup_pids(run->cgroup, pids, PIDS_MAX) : 0;

	if (!run->cgroup)
		pids[count++] = run->pid;
	if (run->cgroup)
		group = cgroup_reclaim_open(run->cgroup, text);
	pid = helper_fork(d, &helper, on_ended);
	if (pid == 0)
		helper_main(group, text, pids, count);
	if (pid < 0) {
		log_warn("%s: handing back its memory: %s", instance->key, strerror(errno));
		instance->reclaiming = false;
		return;
	}
	present = instance;
}

static void next(struct daemon *d)
{
	struct instance *instance;

	while (!helper.pid && (instance = TAILQ_FIRST(&waiting))) {
		TAILQ_REMOVE(&waiting, instance, reclaim);
		begin(d, instance);
	}
}

void reclaim_start(struct daemon *d, struct instance *instance)
{
	if (instance->reclaiming || !instance->spec->values.frozen_reclaim)
		return;
	instance->reclaiming = true;
	TAILQ_INSERT_TAIL(&waiting, instance, reclaim);
	next(d);
}

void reclaim_cancel(struct daemon *d, struct instance *instance)
{
	(void)d;
	if (!instance->reclaiming)
		return;
	instance->reclaiming = false;
	if (present == instance) {
		/* Its end starts the next. */
		present = NULL;
		helper_kill(&helper);
	} else {
		TAILQ_REMOVE(&waiting, instance, reclaim);
	}
}
