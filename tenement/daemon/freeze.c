#include "daemon/freeze.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "daemon/cgroup.h"
#include "daemon/sandbox.h"

/* The freezer of a process group is a pidfd of its first process: it says whether that is still the
 * one, and needs no descriptor to say it. */
static bool is_gone(int pidfd)
{
	struct pollfd polled = { .fd = pidfd, .events = POLLIN };

	return poll(&polled, 1, 0) != 0;
}

void freeze_prepare(struct run *run)
{
	if (run->freezer_fd >= 0)
		return;
	if (run->cgroup)
		run->freezer_fd = cgroup_freezer_open(run->cgroup);
	else if (process_start_time(run->pid) == run->start_time)
		run->freezer_fd = (int)syscall(SYS_pidfd_open, run->pid, 0);
}

int freeze_run(struct run *run, struct ten_error *err)
{
	freeze_prepare(run);
	if (run->freezer_fd < 0)
		return ten_error_set(err, errno, "opening its freezer");
	if (run->cgroup)
		return cgroup_freeze(run->freezer_fd) < 0
			       ? ten_error_set(err, errno, "freezing its control group")
			       : 0;
	/* The processes of gVisor are in sessions of their own. */
	if (sandbox_is_gvisor(run->spec))
		return ten_error_set(err, 0, "gVisor can be frozen by a control group alone");
	if (is_gone(run->freezer_fd) || kill(-run->pid, SIGSTOP) < 0)
		return ten_error_set(err, errno, "stopping its process group");
	return 0;
}

void freeze_thaw(struct run *run)
{
	freeze_prepare(run);
	if (run->freezer_fd < 0)
		return;
	if (run->cgroup) {
		if (cgroup_thaw(run->freezer_fd) < 0)
			log_warn("%s: thawing its control group: %s", run->key, strerror(errno));
	} else if (!is_gone(run->freezer_fd)) {
		kill(-run->pid, SIGCONT);
	}
	close(run->freezer_fd);
	run->freezer_fd = -1;
}

bool freeze_is_frozen(const struct run *run)
{
	if (run->cgroup)
		return cgroup_is_frozen(run->cgroup);
	return process_is_stopped(run->pid, run->start_time);
}
