#include "daemon/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/log.h"
#include "daemon/override.h"
#include "daemon/record.h"
#include "mem.h"
#include "wire.h"

#define NOTIFY_KEY "EXTEND_TIMEOUT_USEC="
#define NOT_HELD   "not held"

/* ---- an operator's ---- */

static char *spell(int64_t unix_time)
{
	time_t time = (time_t)unix_time;
	struct tm parts;
	char text[32];

	gmtime_r(&time, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	return mem_strdup(text);
}

double hold_end(const struct override *override)
{
	struct tm parts = { 0 };
	const char *end = strptime(override->value, "%Y-%m-%dT%H:%M:%SZ", &parts);
	int64_t at = end && !*end ? (int64_t)timegm(&parts) : 0;
	int64_t left = at - (int64_t)time(NULL);

	/* Of a clock that was set back meanwhile it has no more than it was given. */
	if (left > at - override->since)
		left = at - override->since;
	return left > 0 ? daemon_now() + (double)left : 0;
}

void hold_prune(struct daemon *d)
{
	struct override *override, *next;
	double now = daemon_now();

	HASH_ITER (hh, d->overrides, override, next)
		if (override->what == OVERRIDE_HOLD && override->until <= now)
			override_clear_one(d, override->target, OVERRIDE_HOLD);
}

static double by_operator(struct daemon *d, const struct instance *instance)
{
	const struct override *override = override_find(d, instance->key, OVERRIDE_HOLD);

	return override && override->until > daemon_now() ? override->until : 0;
}

int hold_set(struct daemon *d, struct instance *instance, int64_t seconds, const char *by,
	struct ten_error *err)
{
	autofree char *value = spell((int64_t)time(NULL) + seconds);

	if (override_set(d, instance->key, OVERRIDE_HOLD, value, NOT_HELD, by, err) < 0)
		return -1;
	log_info("%s: held awake until %s by %s", instance->key, value, by);
	return 0;
}

bool hold_release(struct daemon *d, struct instance *instance)
{
	bool had = hold_until(d, instance, NULL) > daemon_now();

	override_clear_one(d, instance->key, OVERRIDE_HOLD);
	if (instance->run) {
		autofree char *path = hold_path(d, instance->run->spec, instance->run->socket_path);

		unlink(path);
		if (instance->run->hold_until) {
			instance->run->hold_until = 0;
			record_write_later(instance);
		}
	}
	instance_mark(d, instance);
	if (instance->state == INSTANCE_READY || instance->state == INSTANCE_FROZEN)
		instance_arm_sleep(d, instance);
	return had;
}

/* ---- a tenant's own ---- */

char *hold_path(struct daemon *d, const struct ten_spec *spec, const char *socket_path)
{
	const char *slash = socket_path ? strrchr(socket_path, '/') : NULL;
	size_t len = strlen(d->runtime_dir);

	/* Beside its socket where that is in our place and so on tmpfs, and the folder the tenant's
	 * (that of a socket that is passed is not). */
	if (slash && !spec->values.socket_activation &&
		strncmp(socket_path, d->runtime_dir, len) == 0 && socket_path[len] == '/')
		return mem_printf("%.*s/hold", (int)(slash - socket_path), socket_path);
	return mem_printf("%s/.tenement-hold", spec->dir);
}

static double by_file(struct daemon *d, const struct instance *instance)
{
	const struct run *run = instance->run;
	autofree char *path = run ? hold_path(d, run->spec, run->socket_path) : NULL;
	struct timespec now;
	struct stat st;
	double until;

	if (!path || fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	until = (double)(st.st_mtim.tv_sec - now.tv_sec) +
		(double)(st.st_mtim.tv_nsec - now.tv_nsec) / 1e9;
	if (until > HOLD_SECONDS_MAX)
		until = HOLD_SECONDS_MAX;
	return daemon_now() + until;
}

void hold_notified(struct instance *instance, const char *text)
{
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t len = strcspn(line, "\n");
		autofree char *number = NULL;
		int64_t usec;

		if (strncmp(line, NOTIFY_KEY, strlen(NOTIFY_KEY)) != 0 || !instance->run)
			continue;
		number = mem_strndup(line + strlen(NOTIFY_KEY), len - strlen(NOTIFY_KEY));
		if (!wire_number(number, 0, (int64_t)HOLD_SECONDS_MAX * 1000000, &usec))
			continue;
		instance->run->hold_until = usec ? daemon_now() + (double)usec / 1e6 : 0;
		/* Once in a turn, however many there were. */
		record_write_later(instance);
	}
}

double hold_until(struct daemon *d, const struct instance *instance, const char **by)
{
	double until = by_operator(d, instance);
	double file = by_file(d, instance);
	const char *which = "ten hold";

	if (instance->run && instance->run->hold_until > until) {
		until = instance->run->hold_until;
		which = "EXTEND_TIMEOUT_USEC";
	}
	if (file > until) {
		until = file;
		which = "TENEMENT_HOLD";
	}
	if (by)
		*by = which;
	return until > 0 ? until : 0;
}
