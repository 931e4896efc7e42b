#include "cli/human.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MINUTE 60
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define YEAR   (365 * DAY)

void human_age(int64_t secs, char out[HUMAN_MAX])
{
	if (secs < 0)
		snprintf(out, HUMAN_MAX, "-");
	else if (secs == 0)
		snprintf(out, HUMAN_MAX, "now");
	else if (secs < MINUTE)
		snprintf(out, HUMAN_MAX, "%" PRId64 "s", secs);
	else if (secs < HOUR)
		snprintf(out, HUMAN_MAX, "%" PRId64 "m", secs / MINUTE);
	else if (secs < 2 * DAY)
		snprintf(out, HUMAN_MAX, "%" PRId64 "h", secs / HOUR);
	else if (secs < 2 * (int64_t)YEAR)
		snprintf(out, HUMAN_MAX, "%" PRId64 "d", secs / DAY);
	else
		snprintf(out, HUMAN_MAX, "%" PRId64 "y", secs / YEAR);
}

void human_ago(int64_t then, int64_t now, char out[HUMAN_MAX])
{
	char age[HUMAN_MAX];

	if (then > now || now - then < 1) {
		snprintf(out, HUMAN_MAX, "just now");
		return;
	}
	human_age(now - then, age);
	snprintf(out, HUMAN_MAX, "%.27s ago", age);
}

void human_moment(int64_t millis, char out[HUMAN_MAX])
{
	time_t seconds = (time_t)(millis / 1000);
	struct tm local;

	*out = '\0';
	if (localtime_r(&seconds, &local))
		strftime(out, HUMAN_MAX, "%Y-%m-%d %H:%M:%S", &local);
}

void human_bytes(int64_t bytes, char out[HUMAN_MAX])
{
	static const char units[] = "KMGTPE";
	double number = (double)bytes;
	int unit = -1;

	if (bytes < 0) {
		snprintf(out, HUMAN_MAX, "-");
		return;
	}
	/* What would be rounded to four digits is of the next unit. */
	for (; number >= 999.5 && units[unit + 1]; unit++)
		number /= 1024;
	if (unit < 0)
		snprintf(out, HUMAN_MAX, "%" PRId64, bytes);
	else
		snprintf(out, HUMAN_MAX, "%.*f%c", number < 9.95, number, units[unit]);
}

const char *human_plural(int64_t count)
{
	return count == 1 ? "" : "s";
}

long human_parse_secs(const char *text)
{
	char *end;
	long value, unit = 1;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtol(text, &end, 10);
	if (strcmp(end, "m") == 0)
		unit = MINUTE;
	else if (strcmp(end, "h") == 0)
		unit = HOUR;
	else if (*end && strcmp(end, "s") != 0)
		return -1;
	if (errno || value > YEAR / unit)
		return -1;
	return value * unit;
}
