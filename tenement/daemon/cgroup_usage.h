/*
 * What the processes of a tenant use together, by the kernel's account where their control group
 * has one, else summed up over them as /proc has them: then what several share counts several
 * times, and what ended counts no more.
 */
#ifndef TEN_CGROUP_USAGE_H
#define TEN_CGROUP_USAGE_H

#include <stdint.h>
#include <sys/types.h>

#define CGROUP_UNKNOWN UINT64_MAX

/* Each is CGROUP_UNKNOWN where nobody says. */
struct cgroup_usage {
	uint64_t memory_bytes;      /* without file pages that were not used of late */
	uint64_t memory_peak_bytes; /* the most it was, such pages included */
	uint64_t cpu_usec;
	uint64_t pids; /* threads count where the kernel counts */
	uint64_t io_read_bytes, io_written_bytes;
	uint64_t oom_kills;
};

/* Of the group NAME. -1: it is not there, all are unknown. */
int cgroup_usage(const char *name, struct cgroup_usage *usage);

/* Of a process without a group and all that descend from it. -1: it is not there. */
int cgroup_usage_of_tree(pid_t pid, struct cgroup_usage *usage);

/* Parts of it: bytes of memory as above, 0 when nobody says; kills, CGROUP_UNKNOWN likewise. */
uint64_t cgroup_memory(const char *name);
uint64_t cgroup_oom_kills(const char *name);

#endif
