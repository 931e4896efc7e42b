/*
 * Where this process is in the hierarchies of control groups, out of what the kernel says in
 * /proc/self/mountinfo and /proc/self/cgroup (proc(5), cgroups(7)).
 */
#ifndef TEN_CGROUP_PLACE_H
#define TEN_CGROUP_PLACE_H

#include <stdbool.h>

struct cgroup_place {
	char *unified; /* folder of our own group in version 2; NULL: none that can be seen */
	/* the same in version 1, by controller; those mounted together have the same folder */
	char *freezer, *memory, *cpu, *cpuacct, *pids, *blkio;
};

void cgroup_place_find(const char *mountinfo, const char *cgroup, struct cgroup_place *place);
void cgroup_place_clear(struct cgroup_place *place);

/* Whether one of the groups that CGROUP (the text of /proc/PID/cgroup) names is called NAME, or
 * lies below one that is. */
bool cgroup_place_is(const char *cgroup, const char *name);

#endif
