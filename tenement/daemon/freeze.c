#include "daemon/freeze.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "common/process.h"
#include "daemon/cgroup.h"

int freeze_run(struct run *run, struct ten_error *err)
{
	if (run->cgroup) {
		if (cgroup_freeze(run->cgroup) < 0)
			return ten_error_set(err, errno, "freezing its control group");
		return 0;
	}
	if (!process_is(run->pid, run->start_time))
		return ten_error_set(err, ESRCH, "stopping its process group");
	if (kill(-run->pid, SIGSTOP) < 0)
		return ten_error_set(err, errno, "stopping its process group");
	return 0;
}

void freeze_thaw(struct run *run)
{
	if (run->cgroup) {
		if (cgroup_thaw(run->cgroup) < 0)
			log_warn("%s: thawing its control group: %s", run->key, strerror(errno));
	} else if (process_is(run->pid, run->start_time)) {
		kill(-run->pid, SIGCONT);
	}
}

bool freeze_is_frozen(const struct run *run)
{
	if (run->cgroup)
		return cgroup_is_frozen(run->cgroup);
	return process_is_stopped(run->pid, run->start_time);
}
