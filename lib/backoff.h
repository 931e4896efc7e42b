/*
 * How long to wait before the next try, and how to keep many that wait from doing it all at once.
 */
#ifndef TEN_BACKOFF_H
#define TEN_BACKOFF_H

#include <stddef.h>
#include <stdint.h>

/* A number from 0 to less than 1 that is the same for the same KEY and TURN, and spread evenly over
 * many of either. */
double backoff_share(const char *key, uint64_t turn);

/* BASE_MS doubled for each of FAILURES but the first, not over MAX_MS; then SHARE of the way from
 * 20 % less to 20 % more, not over MAX_MS either. */
uint64_t backoff_delay_ms(uint64_t base_ms, uint64_t max_ms, size_t failures, double share);

#endif
