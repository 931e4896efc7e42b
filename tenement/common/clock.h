/*
 * The time of a clock as one number.
 */
#ifndef TEN_COMMON_CLOCK_H
#define TEN_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_us(clockid_t id)
{
	return clock_ns(id) / 1000;
}

static inline uint64_t clock_ms(clockid_t id)
{
	return clock_ns(id) / 1000000;
}

static inline int64_t clock_seconds(clockid_t id)
{
	return (int64_t)(clock_ns(id) / 1000000000u);
}

#endif
