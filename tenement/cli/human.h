/*
 * Times and numbers as people say them.
 */
#ifndef TEN_HUMAN_H
#define TEN_HUMAN_H

#include <stddef.h>
#include <stdint.h>

#define HUMAN_MAX 32

/* "now", "42s", "3m", "7h", "12d", "3y": the largest unit that fits; "-" for less than nothing. */
void human_age(int64_t secs, char out[HUMAN_MAX]);

/* The same for a moment in the past: "just now", "3m ago". Both are seconds since the epoch. */
void human_ago(int64_t then, int64_t now, char out[HUMAN_MAX]);

/* "2026-11-21 09:30:00" where we are; milliseconds since the epoch. */
void human_moment(int64_t millis, char out[HUMAN_MAX]);

/* "0", "512", "1.5K", "20M", "1.2G": bytes by 1024s; "-" for less than nothing. */
void human_bytes(int64_t bytes, char out[HUMAN_MAX]);

/* "s" unless COUNT is one. */
const char *human_plural(int64_t count);

/* A time such as "30", "30s", "5m" or "1h" in seconds, or -1. */
long human_parse_secs(const char *text);

#endif
