#include "daemon/cgroup_usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/process.h"
#include "daemon/cgroup.h"
#include "daemon/cgroup_tree.h"
#include "mem.h"

#define PIDS_AT_ONCE 4096

static const struct cgroup_usage nothing_known = { CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN,
	CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN, CGROUP_UNKNOWN };

static uint64_t read_number(enum cgroup_part part, const char *name, const char *file)
{
	autofree char *text = cgroup_tree_read(part, name, file);

	return text && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : CGROUP_UNKNOWN;
}

/* The number behind KEY at the beginning of a line. */
static uint64_t number_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len + 1, NULL, 10);
	}
	return CGROUP_UNKNOWN;
}

/* File pages that nobody used of late would be handed back when asked for. */
static uint64_t memory_of_group(const char *name)
{
	bool v2 = cgroup_tree_version(CGROUP_MEMORY) == 2;
	uint64_t used =
		read_number(CGROUP_MEMORY, name, v2 ? "memory.current" : "memory.usage_in_bytes");
	autofree char *stat = NULL;
	uint64_t old;

	if (used == CGROUP_UNKNOWN)
		return used;
	stat = cgroup_tree_read(CGROUP_MEMORY, name, "memory.stat");
	old = number_of(stat, v2 ? "inactive_file" : "total_inactive_file");
	return old == CGROUP_UNKNOWN ? used : old < used ? used - old : 0;
}

uint64_t cgroup_oom_kills(const char *name)
{
	bool v2 = cgroup_tree_version(CGROUP_MEMORY) == 2;
	autofree char *text =
		cgroup_tree_read(CGROUP_MEMORY, name, v2 ? "memory.events" : "memory.oom_control");

	return number_of(text, "oom_kill");
}

static void read_memory(const char *name, struct cgroup_usage *usage)
{
	bool v2 = cgroup_tree_version(CGROUP_MEMORY) == 2;

	usage->memory_bytes = memory_of_group(name);
	usage->memory_peak_bytes =
		read_number(CGROUP_MEMORY, name, v2 ? "memory.peak" : "memory.max_usage_in_bytes");
	usage->oom_kills = cgroup_oom_kills(name);
}

static void read_cpu(const char *name, struct cgroup_usage *usage)
{
	autofree char *stat = NULL;
	uint64_t nanoseconds;

	if (cgroup_tree_version(CGROUP_CPUACCT) == 2) {
		stat = cgroup_tree_read(CGROUP_CPUACCT, name, "cpu.stat");
		usage->cpu_usec = number_of(stat, "usage_usec");
		return;
	}
	nanoseconds = read_number(CGROUP_CPUACCT, name, "cpuacct.usage");
	if (nanoseconds != CGROUP_UNKNOWN)
		usage->cpu_usec = nanoseconds / 1000;
}

/* The sum over devices of the numbers behind KEY: "8:0 rbytes=1 wbytes=2 ..." or, in version 1,
 * "8:0 Read 1". */
static uint64_t sum_of(const char *text, const char *key)
{
	uint64_t sum = 0;

	for (const char *at = text; (at = strstr(at, key)); at += strlen(key))
		sum += strtoull(at + strlen(key), NULL, 10);
	return sum;
}

static void read_io(const char *name, struct cgroup_usage *usage)
{
	bool v2 = cgroup_tree_version(CGROUP_IO) == 2;
	autofree char *text = cgroup_tree_read(
		CGROUP_IO, name, v2 ? "io.stat" : "blkio.throttle.io_service_bytes");

	if (!text)
		return;
	usage->io_read_bytes = sum_of(text, v2 ? " rbytes=" : " Read ");
	usage->io_written_bytes = sum_of(text, v2 ? " wbytes=" : " Write ");
}

/* ---- by /proc ---- */

static void add(uint64_t *sum, uint64_t number)
{
	*sum = *sum == CGROUP_UNKNOWN ? number : *sum + number;
}

static bool add_process(struct cgroup_usage *usage, pid_t pid)
{
	struct process_usage one;

	if (process_usage(pid, &one) < 0)
		return false;
	add(&usage->memory_bytes, one.memory_bytes);
	add(&usage->cpu_usec, one.cpu_usec);
	add(&usage->pids, 1);
	if (one.io_known) {
		add(&usage->io_read_bytes, one.io_read_bytes);
		add(&usage->io_written_bytes, one.io_written_bytes);
	}
	return true;
}

/* What the group did not say. */
static void complete(struct cgroup_usage *usage, const struct cgroup_usage *summed)
{
	uint64_t *to = &usage->memory_bytes;
	const uint64_t *from = &summed->memory_bytes;

	for (size_t i = 0; i < sizeof(*usage) / sizeof(*to); i++)
		if (to[i] == CGROUP_UNKNOWN)
			to[i] = from[i];
}

static struct cgroup_usage sum_up(const char *name)
{
	autofree pid_t *pids = mem_alloc(PIDS_AT_ONCE * sizeof(*pids));
	size_t count = cgroup_pids(name, pids, PIDS_AT_ONCE);
	struct cgroup_usage summed = nothing_known;

	summed.pids = 0;
	for (size_t i = 0; i < count; i++)
		add_process(&summed, pids[i]);
	return summed;
}

int cgroup_usage(const char *name, struct cgroup_usage *usage)
{
	*usage = nothing_known;
	if (!name || !cgroup_tree_has(CGROUP_CORE, name, "cgroup.procs"))
		return -1;
	read_memory(name, usage);
	read_cpu(name, usage);
	read_io(name, usage);
	usage->pids = read_number(CGROUP_PIDS, name, "pids.current");
	if (usage->memory_bytes == CGROUP_UNKNOWN || usage->cpu_usec == CGROUP_UNKNOWN ||
		usage->pids == CGROUP_UNKNOWN || usage->io_read_bytes == CGROUP_UNKNOWN) {
		struct cgroup_usage summed = sum_up(name);

		complete(usage, &summed);
	}
	return 0;
}

int cgroup_usage_of_tree(pid_t pid, struct cgroup_usage *usage)
{
	autofree pid_t *pids = mem_alloc(PIDS_AT_ONCE * sizeof(*pids));
	size_t count = process_tree(pid, pids, PIDS_AT_ONCE);
	bool any = false;

	*usage = nothing_known;
	for (size_t i = 0; i < count; i++)
		any = add_process(usage, pids[i]) || any;
	return any ? 0 : -1;
}

uint64_t cgroup_memory(const char *name)
{
	uint64_t bytes = memory_of_group(name);

	if (bytes == CGROUP_UNKNOWN)
		bytes = sum_up(name).memory_bytes;
	return bytes == CGROUP_UNKNOWN ? 0 : bytes;
}
