#include "daemon/zone.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mem.h"

static bool away;     /* TZ is not the daemon's own */
static char *own;     /* which was this; NULL: none */
static char *present; /* where we are while away */

static void set(const char *value)
{
	if (value)
		setenv("TZ", value, 1);
	else
		unsetenv("TZ");
	tzset();
}

static void enter(const char *zone)
{
	if (!away) {
		const char *before = getenv("TZ");

		own = before ? mem_strdup(before) : NULL;
		present = mem_strdup("");
		away = true;
		tzset();
	}
	if (strcmp(zone, present) == 0)
		return;
	free(present);
	present = mem_strdup(zone);
	if (*zone) {
		autofree char *value = mem_printf(":%s", zone);

		set(value);
	} else {
		set(own);
	}
}

int64_t zone_offset(const char *zone, int64_t time)
{
	time_t seconds = (time_t)time;
	struct tm parts = { 0 };

	enter(zone);
	return localtime_r(&seconds, &parts) ? parts.tm_gmtoff : 0;
}

char *zone_spell(const char *zone, int64_t time)
{
	time_t seconds = (time_t)time;
	struct tm parts = { 0 };
	char text[64];

	enter(zone);
	localtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M %Z", &parts);
	zone_leave();
	return mem_strdup(text);
}

void zone_leave(void)
{
	if (!away)
		return;
	if (*present)
		set(own);
	free(own);
	free(present);
	own = present = NULL;
	away = false;
}
