#include "storage_rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOOK_SHARE      20 /* of the time at the most */
#define FULL_LOOKS      4  /* before it will be full, if it goes on as it did */
#define INTERVAL_NONE   600.
#define INTERVAL_LITTLE 60.
#define INTERVAL_HALF   20.
#define INTERVAL_NEAR   5.
#define INTERVAL_FULL   2.
#define NOTE_FORMAT     "1 used=%" PRIu64 " quota=%" PRIu64 " level=%s\n"

const char *const storage_level_names[STORAGE_LEVELS] = {
	[STORAGE_BELOW] = "below",
	[STORAGE_NEAR] = "near",
	[STORAGE_FULL] = "full",
};

enum storage_level storage_level_next(
	enum storage_level was, uint64_t used, struct storage_quota quota)
{
	uint64_t full = quota.bytes - (quota.enforced ? quota.bytes / 64 : 0);
	uint64_t near = quota.bytes - quota.bytes / 5;

	if (!quota.bytes || used == STORAGE_UNKNOWN)
		return STORAGE_BELOW;
	if (used >= full || (was == STORAGE_FULL && used >= quota.bytes - quota.bytes / 20))
		return STORAGE_FULL;
	if (used >= near || (was != STORAGE_BELOW && used >= quota.bytes - quota.bytes / 4))
		return STORAGE_NEAR;
	return STORAGE_BELOW;
}

unsigned storage_percent(uint64_t used, uint64_t quota)
{
	double percent = quota ? (double)used / (double)quota * 100 : 0;

	if (percent >= 9999)
		return 9999;
	/* What is not full is not called so. */
	return percent >= 100 && used < quota ? 99 : (unsigned)percent;
}

double storage_interval(uint64_t used, uint64_t quota, double look_seconds, double growth)
{
	unsigned percent = storage_percent(used, quota);
	double interval = INTERVAL_FULL;

	if (!quota)
		interval = INTERVAL_NONE;
	else if (percent < 50)
		interval = INTERVAL_LITTLE;
	else if (percent < 80)
		interval = INTERVAL_HALF;
	else if (percent < 95)
		interval = INTERVAL_NEAR;
	/* It may be full long before. */
	if (quota && used < quota && growth > 0 &&
		(double)(quota - used) / growth / FULL_LOOKS < interval)
		interval = (double)(quota - used) / growth / FULL_LOOKS;
	if (interval < INTERVAL_FULL)
		interval = INTERVAL_FULL;
	return interval > look_seconds * LOOK_SHARE ? interval : look_seconds * LOOK_SHARE;
}

void storage_size(uint64_t bytes, char out[STORAGE_SIZE_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double number = (double)bytes;
	size_t unit = 0;

	while (number >= 1024 && unit + 1 < sizeof(units) / sizeof(*units)) {
		number /= 1024;
		unit++;
	}
	snprintf(out, STORAGE_SIZE_MAX, unit && number < 100 ? "%.1f %s" : "%.0f %s", number,
		units[unit]);
}

int storage_note_write(const struct storage_note *note, char out[STORAGE_NOTE_MAX])
{
	return snprintf(out, STORAGE_NOTE_MAX, NOTE_FORMAT, note->used, note->quota,
		storage_level_names[note->level]);
}

bool storage_note_read(const char *text, struct storage_note *note)
{
	char level[8];

	*note = (struct storage_note){ .used = STORAGE_UNKNOWN };
	if (sscanf(text, "1 used=%" SCNu64 " quota=%" SCNu64 " level=%7s", &note->used,
		    &note->quota, level) != 3)
		return false;
	for (int i = 0; i < STORAGE_LEVELS; i++) {
		if (strcmp(level, storage_level_names[i]) != 0)
			continue;
		note->level = (enum storage_level)i;
		return true;
	}
	return false;
}
