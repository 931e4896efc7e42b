#include "cgroup_limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WEIGHT_USUAL 100u
#define WEIGHT_MAX   10000u
#define SHARES_USUAL 1024u
#define SHARES_MIN   2u
#define SHARES_MAX   262144u
#define BFQ_MAX      1000u
#define PERIOD_USEC  100000u
#define HIGH_BELOW   (UINT64_C(16) << 20)
#define MEMORY_USUAL (UINT64_C(256) << 20)

static uint64_t mebibytes(int64_t number)
{
	return number < 0 ? CGROUP_NO_LIMIT : (uint64_t)number << 20;
}

static uint64_t bound_of(uint64_t number)
{
	return number ? number : CGROUP_NO_LIMIT;
}

uint64_t cgroup_limits_high(uint64_t bytes)
{
	return bytes - (bytes / 16 < HIGH_BELOW ? bytes / 16 : HIGH_BELOW);
}

static uint64_t at_most(uint64_t number, uint64_t most)
{
	return number < most ? number : most;
}

void cgroup_limits_of(
	const struct service_values *values, uint64_t boost, struct cgroup_limits *limits)
{
	if (!boost)
		boost = 1;
	*limits = (struct cgroup_limits){
		.memory_bytes = bound_of(mebibytes(values->memory_limit_mb)),
		.swap_bytes = mebibytes(values->swap_limit_mb),
		.cpu_weight = at_most((uint64_t)values->cpu_shares * boost, WEIGHT_MAX),
		.cpu_hundredths = bound_of((uint64_t)values->cpu_limit * boost),
		.pids = bound_of((uint64_t)values->pids_limit),
		.io_weight = values->io_weight ? (uint64_t)values->io_weight : WEIGHT_USUAL,
		.io_bytes_per_second = bound_of(mebibytes(values->io_max_mb_per_second)),
	};
}

bool cgroup_limits_asked(const struct cgroup_limits *limits)
{
	return (limits->memory_bytes != CGROUP_NO_LIMIT && limits->memory_bytes != MEMORY_USUAL) ||
	       limits->swap_bytes != CGROUP_NO_LIMIT || limits->cpu_weight != WEIGHT_USUAL ||
	       limits->cpu_hundredths != CGROUP_NO_LIMIT || limits->pids != CGROUP_NO_LIMIT ||
	       limits->io_weight != WEIGHT_USUAL || limits->io_bytes_per_second != CGROUP_NO_LIMIT;
}

static struct cgroup_limit *add(struct cgroup_limit *files, size_t *count, const char *option,
	const char *file, bool bounds)
{
	struct cgroup_limit *limit = &files[*count];

	assert(*count < CGROUP_LIMIT_FILES);
	*limit = (struct cgroup_limit){ .option = option, .file = file, .bounds = bounds };
	++*count;
	return limit;
}

/* NUMBER, or NONE where there is no limit. */
static void add_number(struct cgroup_limit *files, size_t *count, const char *option,
	const char *file, uint64_t number, const char *none)
{
	struct cgroup_limit *limit = add(files, count, option, file, number != CGROUP_NO_LIMIT);

	if (number == CGROUP_NO_LIMIT)
		snprintf(limit->value, sizeof(limit->value), "%s", none);
	else
		snprintf(limit->value, sizeof(limit->value), "%" PRIu64, number);
}

static void spell_memory(const struct cgroup_limits *limits, unsigned version,
	struct cgroup_limit *files, size_t *count)
{
	uint64_t memory = limits->memory_bytes, swap = limits->swap_bytes;

	if (version == 2) {
		add_number(files, count, "memory_limit_mb", "memory.high",
			memory == CGROUP_NO_LIMIT ? memory : cgroup_limits_high(memory), "max");
		add_number(files, count, "memory_limit_mb", "memory.max", memory, "max");
		add_number(files, count, "swap_limit_mb", "memory.swap.max", swap, "max");
		return;
	}
	add_number(files, count, "memory_limit_mb", "memory.limit_in_bytes", memory, "-1");
	/* Both together; never less than the former. */
	add_number(files, count, "swap_limit_mb", "memory.memsw.limit_in_bytes",
		memory == CGROUP_NO_LIMIT || swap == CGROUP_NO_LIMIT ? CGROUP_NO_LIMIT
								     : memory + swap,
		"-1");
}

static void spell_cpu(const struct cgroup_limits *limits, unsigned version,
	struct cgroup_limit *files, size_t *count)
{
	bool bounds = limits->cpu_hundredths != CGROUP_NO_LIMIT;
	uint64_t quota = bounds ? limits->cpu_hundredths * (PERIOD_USEC / 100) : CGROUP_NO_LIMIT;
	uint64_t shares = limits->cpu_weight * SHARES_USUAL / WEIGHT_USUAL;
	struct cgroup_limit *limit;

	if (version == 2) {
		add_number(files, count, "cpu_shares", "cpu.weight", limits->cpu_weight, "");
		limit = add(files, count, "cpu_limit", "cpu.max", bounds);
		if (bounds)
			snprintf(limit->value, sizeof(limit->value), "%" PRIu64 " %u", quota,
				PERIOD_USEC);
		else
			snprintf(limit->value, sizeof(limit->value), "max %u", PERIOD_USEC);
		return;
	}
	shares = shares < SHARES_MIN ? SHARES_MIN : at_most(shares, SHARES_MAX);
	add_number(files, count, "cpu_shares", "cpu.shares", shares, "");
	add_number(files, count, "cpu_limit", "cpu.cfs_quota_us", quota, "-1");
}

/* 1 to 100 to 10000 becomes 1 to 100 to 1000. */
static uint64_t bfq_weight(uint64_t weight)
{
	if (weight <= WEIGHT_USUAL)
		return weight;
	return WEIGHT_USUAL +
	       (weight - WEIGHT_USUAL) * (BFQ_MAX - WEIGHT_USUAL) / (WEIGHT_MAX - WEIGHT_USUAL);
}

static void spell_io(const struct cgroup_limits *limits, unsigned version, const char *disk,
	struct cgroup_limit *files, size_t *count)
{
	static const char *const old[] = { "blkio.throttle.read_bps_device",
		"blkio.throttle.write_bps_device" };
	uint64_t most = limits->io_bytes_per_second;
	bool bounds = most != CGROUP_NO_LIMIT;
	struct cgroup_limit *limit;

	/* Of the two files of a weight there is one, or none. */
	if (version == 2) {
		limit = add(files, count, "io_weight", "io.weight", false);
		snprintf(limit->value, sizeof(limit->value), "default %" PRIu64, limits->io_weight);
	}
	add_number(files, count, "io_weight", version == 2 ? "io.bfq.weight" : "blkio.bfq.weight",
		bfq_weight(limits->io_weight), "");
	files[*count - 1].bounds = false;
	if (!*disk)
		return;
	if (version == 2) {
		limit = add(files, count, "io_max_mb_per_second", "io.max", bounds);
		if (bounds)
			snprintf(limit->value, sizeof(limit->value),
				"%s rbps=%" PRIu64 " wbps=%" PRIu64, disk, most, most);
		else
			snprintf(limit->value, sizeof(limit->value), "%s rbps=max wbps=max", disk);
		return;
	}
	for (size_t i = 0; i < sizeof(old) / sizeof(*old); i++) {
		limit = add(files, count, "io_max_mb_per_second", old[i], bounds);
		snprintf(
			limit->value, sizeof(limit->value), "%s %" PRIu64, disk, bounds ? most : 0);
	}
}

size_t cgroup_limits_spell(const struct cgroup_limits *limits, enum cgroup_resource resource,
	unsigned version, const char *disk, struct cgroup_limit files[CGROUP_LIMIT_FILES])
{
	size_t count = 0;

	switch (resource) {
	case CGROUP_OF_MEMORY:
		spell_memory(limits, version, files, &count);
		break;
	case CGROUP_OF_CPU:
		spell_cpu(limits, version, files, &count);
		break;
	case CGROUP_OF_PIDS:
		add_number(files, &count, "pids_limit", "pids.max", limits->pids, "max");
		break;
	case CGROUP_OF_IO:
		spell_io(limits, version, disk, files, &count);
		break;
	}
	return count;
}
