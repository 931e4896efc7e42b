#include "daemon/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_limits.h"
#include "common/disk.h"
#include "common/log.h"
#include "daemon/cgroup_tree.h"
#include "daemon/cgroup_usage.h"
#include "machine.h"
#include "mem.h"
#include "text.h"

#define AGAIN_SECONDS 5.0

static const struct {
	enum cgroup_part part;
	enum cgroup_resource resource;
	const char *name;
} resources[] = {
	{ CGROUP_MEMORY, CGROUP_OF_MEMORY, "memory" },
	{ CGROUP_CPU, CGROUP_OF_CPU, "cpu" },
	{ CGROUP_PIDS, CGROUP_OF_PIDS, "pids" },
	{ CGROUP_IO, CGROUP_OF_IO, "io" },
};

#define RESOURCES (sizeof(resources) / sizeof(*resources))

static char disk[DISK_SIZE]; /* of data_dir; "": none is known */
static char *why_no_disk;
static ev_timer again; /* runs while something is to be tried again */

/* ---- what there is ---- */

/* All tenants together are to weigh as much as they have processors to run on: beside them there
 * are the proxy and, where the group is not ours alone, others. */
static void weigh_all(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned version = cgroup_tree_version(CGROUP_CPU);
	struct cgroup_limit files[CGROUP_LIMIT_FILES];
	struct cgroup_limits all = { .cpu_weight = 100 * (uint64_t)(cores > 0 ? cores : 1),
		.cpu_hundredths = CGROUP_NO_LIMIT };

	if (all.cpu_weight > 10000)
		all.cpu_weight = 10000;
	if (version && cgroup_limits_spell(&all, CGROUP_OF_CPU, version, "", files) &&
		cgroup_tree_write(CGROUP_CPU, "", files[0].file, files[0].value) < 0)
		log_warn("%s: %s", files[0].file, strerror(errno));
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events);

void limits_start(struct daemon *d)
{
	struct ten_error err;

	ev_timer_init(&again, on_again, AGAIN_SECONDS, AGAIN_SECONDS);
	if (disk_find(d->data_dir, disk, &err) < 0) {
		*disk = '\0';
		why_no_disk = mem_strdup(err.text);
	}
	weigh_all();
}

/* Of swap, no MiB are something to ask for. */
static void lack_swap(struct daemon *d, const char *why)
{
	machine_add_lack(&d->machine, "swap_limit_mb", NULL, "%s", why);
	machine_add_lack(&d->machine, "swap_limit_mb", "0", "%s", why);
}

static void lack(struct daemon *d, enum cgroup_part part, const char *option)
{
	if (!cgroup_tree_version(part))
		machine_add_lack(&d->machine, option, NULL, "%s", cgroup_tree_why_not(part));
}

void limits_find_lacks(struct daemon *d)
{
	bool v2 = cgroup_tree_version(CGROUP_MEMORY) == 2;
	const char *swap = v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes";

	lack(d, CGROUP_MEMORY, "memory_limit_mb");
	lack(d, CGROUP_CPU, "cpu_shares");
	lack(d, CGROUP_CPU, "cpu_limit");
	lack(d, CGROUP_CPU, "startup_cpu_boost");
	lack(d, CGROUP_PIDS, "pids_limit");
	lack(d, CGROUP_IO, "io_weight");
	lack(d, CGROUP_IO, "io_max_mb_per_second");
	if (!cgroup_tree_version(CGROUP_MEMORY))
		lack_swap(d, cgroup_tree_why_not(CGROUP_MEMORY));
	else if (!cgroup_tree_has(CGROUP_MEMORY, "", swap))
		lack_swap(d, "the kernel does not count swap by group: boot it with swapaccount=1");
	if (cgroup_tree_version(CGROUP_CPU) &&
		!cgroup_tree_has(CGROUP_CPU, "",
			cgroup_tree_version(CGROUP_CPU) == 2 ? "cpu.max" : "cpu.cfs_quota_us"))
		machine_add_lack(&d->machine, "cpu_limit", NULL,
			"the kernel is built without bandwidth control (CONFIG_CFS_BANDWIDTH)");
	if (cgroup_tree_version(CGROUP_IO) && !cgroup_tree_has(CGROUP_IO, "", "io.weight") &&
		!cgroup_tree_has(CGROUP_IO, "", "io.bfq.weight") &&
		!cgroup_tree_has(CGROUP_IO, "", "blkio.bfq.weight"))
		machine_add_lack(&d->machine, "io_weight", NULL,
			"the kernel has no scheduler of disks that knows shares (bfq, io.cost)");
	if (cgroup_tree_version(CGROUP_IO) && !*disk)
		machine_add_lack(&d->machine, "io_max_mb_per_second", NULL, "%s", why_no_disk);
}

char *limits_describe(void)
{
	struct text text = { 0 };
	size_t lacking = 0;

	for (size_t i = 0; i < RESOURCES; i++) {
		unsigned version = cgroup_tree_version(resources[i].part);

		if (version)
			text_printf(&text, "%s%s (version %u)", text.len ? ", " : "",
				resources[i].name, version);
		lacking += !version;
	}
	if (lacking == RESOURCES) {
		text_puts(&text, "none");
		/* (why that is said of those) */
		if (!cgroup_tree_version(CGROUP_CORE))
			return text_steal(&text);
	}
	for (size_t i = 0; i < RESOURCES; i++)
		if (!cgroup_tree_version(resources[i].part))
			text_printf(&text, "; not %s: %s", resources[i].name,
				cgroup_tree_why_not(resources[i].part));
	return text_steal(&text);
}

/* ---- in force ---- */

/* Of the files of one resource. A file may refuse until another is written, so all are tried once
 * more. -1: one that bounds is not in force. */
static int put(const char *group, enum cgroup_part part, const struct cgroup_limit *files,
	size_t count, struct ten_error *err)
{
	bool done[CGROUP_LIMIT_FILES] = { false };
	int result = 0;

	for (int turn = 0; turn < 2; turn++) {
		result = 0;
		for (size_t i = 0; i < count; i++) {
			done[i] = done[i] || cgroup_tree_write(part, group, files[i].file,
						     files[i].value) == 0;
			if (!done[i] && (files[i].bounds || errno != ENOENT) && !result)
				result = ten_error_set(err, errno, "%s: %s cannot be set to %s",
					files[i].option, files[i].file, files[i].value);
		}
	}
	return result;
}

/* One file that says the same before and after is not written. */
static size_t keep_changed(const struct cgroup_limits *before, enum cgroup_resource resource,
	unsigned version, struct cgroup_limit *files, size_t count)
{
	struct cgroup_limit old[CGROUP_LIMIT_FILES];
	size_t kept = 0;

	cgroup_limits_spell(before, resource, version, disk, old);
	for (size_t i = 0; i < count; i++)
		if (strcmp(old[i].value, files[i].value) != 0)
			files[kept++] = files[i];
	return kept;
}

static int apply(struct run *run, const struct cgroup_limits *limits, struct ten_error *err)
{
	int result = 0;

	for (size_t i = 0; i < RESOURCES; i++) {
		unsigned version = cgroup_tree_version(resources[i].part);
		struct cgroup_limit files[CGROUP_LIMIT_FILES];
		size_t count;

		if (!version)
			continue;
		count = cgroup_limits_spell(limits, resources[i].resource, version, disk, files);
		if (run->limits)
			count = keep_changed(
				run->limits, resources[i].resource, version, files, count);
		if (put(run->cgroup, resources[i].part, files, count, result ? NULL : err) < 0)
			result = -1;
	}
	return result;
}

static void remember(struct run *run, const struct cgroup_limits *limits)
{
	if (!run->limits)
		run->limits = mem_alloc(sizeof(*run->limits));
	*run->limits = *limits;
}

/* Live keys are those of the file as it is, also while the rest waits for its turn. */
static const struct ten_spec *spec_of(const struct instance *instance)
{
	return instance->spec ? instance->spec : instance->run->spec;
}

/* Version 1 counts swap together with memory alone. */
static int check(const struct cgroup_limits *limits, struct ten_error *err)
{
	if (cgroup_tree_version(CGROUP_MEMORY) == 1 && limits->swap_bytes != CGROUP_NO_LIMIT &&
		limits->memory_bytes == CGROUP_NO_LIMIT)
		return ten_error_set(err, 0,
			"swap_limit_mb needs a memory_limit_mb with control groups of version 1");
	return 0;
}

/* One without a group has none at all. */
static int check_no_group(const struct ten_spec *spec, struct ten_error *err)
{
	struct cgroup_limits limits;

	cgroup_limits_of(&spec->values, 0, &limits);
	if (!cgroup_limits_asked(&limits) &&
		(!spec->memory_limit_written || limits.memory_bytes == CGROUP_NO_LIMIT))
		return 0;
	return ten_error_set(
		err, 0, "it has no control group, and so none of the limits that it asks for");
}

int limits_begin(struct instance *instance, struct ten_error *err)
{
	const struct ten_spec *spec = spec_of(instance);
	struct run *run = instance->run;
	struct cgroup_limits limits;

	if (!run->cgroup)
		return check_no_group(spec, err);
	cgroup_limits_of(&spec->values, (uint64_t)spec->values.startup_cpu_boost, &limits);
	if (check(&limits, err) < 0 || apply(run, &limits, err) < 0)
		return -1;
	remember(run, &limits);
	return 0;
}

void limits_update(struct daemon *d, struct instance *instance)
{
	struct run *run = instance->run;
	struct cgroup_limits limits;
	struct ten_error err;
	uint64_t boost;

	if (!run)
		return;
	if (!run->cgroup) {
		bool lacks = check_no_group(spec_of(instance), &err) < 0;

		if (lacks && !run->limits_problem)
			log_warn("%s: %s; its next process gets them", run->key, err.text);
		free(run->limits_problem);
		run->limits_problem = lacks ? mem_strdup(err.text) : NULL;
		return;
	}
	boost = run->ready ? 0 : (uint64_t)spec_of(instance)->values.startup_cpu_boost;
	cgroup_limits_of(&spec_of(instance)->values, boost, &limits);
	if (run->limits && !run->limits_problem &&
		memcmp(run->limits, &limits, sizeof(limits)) == 0)
		return;
	/* What failed before is written again whole. */
	if (run->limits_problem)
		free(mem_steal(&run->limits));
	if (check(&limits, &err) == 0 && apply(run, &limits, &err) == 0) {
		if (run->limits_problem)
			log_info("%s: its limits are in force", run->key);
		free(mem_steal(&run->limits_problem));
		remember(run, &limits);
		return;
	}
	if (!run->limits_problem || strcmp(run->limits_problem, err.text) != 0)
		log_warn("%s: %s; it is tried again", run->key, err.text);
	free(run->limits_problem);
	run->limits_problem = mem_strdup(err.text);
	if (!ev_is_active(&again))
		ev_timer_again(d->loop, &again);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);
	struct run *run, *next;
	bool left = false;

	(void)events;
	HASH_ITER (by_pid, d->runs, run, next) {
		struct instance *instance = instance_find(d, run->key);

		if (!run->limits_problem || !run->cgroup || !instance || instance->run != run)
			continue;
		limits_update(d, instance);
		left = left || run->limits_problem;
	}
	if (!left)
		ev_timer_stop(loop, timer);
}

char *limits_problem(const struct instance *instance)
{
	const struct run *run = instance->run;
	uint64_t used;

	if (!run || !run->limits_problem)
		return NULL;
	if (!run->cgroup)
		return mem_printf("not in force: %s", run->limits_problem);
	used = cgroup_memory(run->cgroup);
	return mem_printf("not in force yet: %s (it uses %llu MiB of memory)", run->limits_problem,
		(unsigned long long)(used >> 20));
}
