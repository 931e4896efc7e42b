/*
 * What follows from how much a tenant has stored and how much it may: pure.
 */
#ifndef TEN_STORAGE_RULES_H
#define TEN_STORAGE_RULES_H

#include <stdbool.h>
#include <stdint.h>

#define STORAGE_UNKNOWN UINT64_MAX /* bytes of one that was not looked at yet */

enum storage_level {
	STORAGE_BELOW,
	STORAGE_NEAR, /* from 80 % on, until it is below 75 % */
	STORAGE_FULL, /* from 100 % on, until it is below 95 % */
	STORAGE_LEVELS
};
extern const char *const storage_level_names[STORAGE_LEVELS];

struct storage_quota {
	uint64_t bytes; /* 0: there is none */
	bool enforced;  /* the file system refuses what is beyond: 100 % is never quite reached, so
			   that full is when 1/64 is left */
};

/* The level of one that has stored USED and was WAS by the same quota (BELOW: by another one). */
enum storage_level storage_level_next(
	enum storage_level was, uint64_t used, struct storage_quota quota);

/* Whole per cent, rounded down, at most 9999; 0 without a quota. */
unsigned storage_percent(uint64_t used, uint64_t quota);

/* Seconds until it is looked at again, of which the last look took LOOK_SECONDS, and which grew by
 * GROWTH bytes a second before it: the sooner it may be full the sooner, and never so often that
 * looking takes more than a twentieth of the time. */
double storage_interval(uint64_t used, uint64_t quota, double look_seconds, double growth);

/* "1.5 GiB", for people. */
#define STORAGE_SIZE_MAX 32
void storage_size(uint64_t bytes, char out[STORAGE_SIZE_MAX]);

/* The line that is kept of one: read and written here, so that both agree. */
struct storage_note {
	uint64_t used;
	uint64_t quota; /* that the level is of */
	enum storage_level level;
};
#define STORAGE_NOTE_MAX 96
int storage_note_write(const struct storage_note *note, char out[STORAGE_NOTE_MAX]); /* length */
bool storage_note_read(const char *text, struct storage_note *note);

#endif
