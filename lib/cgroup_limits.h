/*
 * A tenant's limits as what is written into the files of its control groups, in the words of
 * version 1 or 2. Pure: who finds the files and writes them is daemon/limits.h.
 */
#ifndef TEN_CGROUP_LIMITS_H
#define TEN_CGROUP_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

#define CGROUP_NO_LIMIT UINT64_MAX

/* From where on one with a limit of BYTES of memory is slowed down: a sixteenth below, and no more
 * than 16 MiB, for who comes to its limit is to be killed after some seconds and not minutes. */
uint64_t cgroup_limits_high(uint64_t bytes);

struct cgroup_limits {
	uint64_t memory_bytes, swap_bytes; /* CGROUP_NO_LIMIT: none, here and below */
	uint64_t cpu_weight;               /* as cpu.weight has it: 100 is usual */
	uint64_t cpu_hundredths;           /* of a processor */
	uint64_t pids;
	uint64_t io_weight;
	uint64_t io_bytes_per_second;
};

/* What VALUES ask for, with BOOST times the processor (0 and 1: as it is). */
void cgroup_limits_of(
	const struct service_values *values, uint64_t boost, struct cgroup_limits *limits);

/* Whether any is asked for that is not there by default. */
bool cgroup_limits_asked(const struct cgroup_limits *limits);

enum cgroup_resource { CGROUP_OF_MEMORY, CGROUP_OF_CPU, CGROUP_OF_PIDS, CGROUP_OF_IO };

/* One file. */
struct cgroup_limit {
	const char *option; /* that asks for it */
	const char *file;
	char value[64];
	bool bounds; /* else there is none, and the file need not be there */
};

#define CGROUP_LIMIT_FILES 4

/* The files of RESOURCE in VERSION, in the order in which lowering them is least disturbing: those
 * that hand memory back before those that kill. DISK is the number of the device that is meant
 * ("8:0"), or "". Returns how many. */
size_t cgroup_limits_spell(const struct cgroup_limits *limits, enum cgroup_resource resource,
	unsigned version, const char *disk, struct cgroup_limit files[CGROUP_LIMIT_FILES]);

#endif
