#include "daemon/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "common/log.h"
#include "common/project_quota.h"
#include "daemon/owed.h"
#include "daemon/storage_helper.h"
#include "daemon/storage_mode.h"
#include "daemon/uids.h"
#include "mem.h"
#include "storage_rules.h"
#include "text.h"

#define FOLDER          "storage"
#define FIRST_SECONDS   10. /* after it began to run, of one without a quota */
#define COUNTED_SECONDS 5.
#define LEAST_SECONDS   0.25 /* between two rounds of asking */
#define LOST_SECONDS    2.   /* after the helper ended */
#define WRONG_SECONDS   60.  /* after one that could not be looked at */
#define AUDIT_SECONDS   3600.
#define PARTIAL_LOOKS   3 /* in a row: then it is taken for full */
#define NOTE_STEP       (1u << 20)

struct storage {
	char *key;
	uint64_t used, noted;
	uint64_t quota; /* that .level is of */
	enum storage_level level;
	double looked; /* daemon_now() when the last look was over; 0: not in this life */
	double look_seconds;
	double growth; /* bytes a second, between the last two looks */
	double due, audited;
	uint64_t asked;   /* id of what the helper was asked; 0: nothing */
	bool moved;       /* it ran since the last look began */
	bool again;       /* since it was asked something changed */
	unsigned partial; /* looks in a row that did not see all */
	char *problem;    /* of the last look; NULL: none */
	bool counted;     /* by the file system */
	bool watched;
	TAILQ_ENTRY(storage) next;
	UT_hash_handle hh;
};

static struct storage *all;
static TAILQ_HEAD(, storage) watched = TAILQ_HEAD_INITIALIZER(watched);
static ev_timer round_timer;
static struct project_quota projects;
static uint64_t last_id;
static unsigned asked_now;

static struct storage *find(const char *key)
{
	struct storage *storage;

	HASH_FIND_STR(all, key, storage);
	return storage;
}

static struct storage *get(const char *key)
{
	struct storage *storage = find(key);

	if (storage)
		return storage;
	storage = mem_alloc(sizeof(*storage));
	storage->key = mem_strdup(key);
	storage->used = storage->noted = STORAGE_UNKNOWN;
	HASH_ADD_KEYPTR(hh, all, storage->key, strlen(storage->key), storage);
	return storage;
}

static uint64_t quota_of(const struct ten_spec *spec)
{
	return (uint64_t)spec->values.storage_quota_mb << 20;
}

static enum storage_level level_by(const struct storage *storage, const struct ten_spec *spec)
{
	struct storage_quota quota = { .bytes = quota_of(spec), .enforced = projects.enforced };

	/* What hides from being looked at is not given the room. */
	if (quota.bytes && storage->partial >= PARTIAL_LOOKS)
		return STORAGE_FULL;
	return storage_level_next(storage->quota == quota.bytes ? storage->level : STORAGE_BELOW,
		storage->used, quota);
}

/* ---- when it is looked at ---- */

static void round_in(struct daemon *d, double seconds)
{
	double least = seconds > LEAST_SECONDS ? seconds : LEAST_SECONDS;

	if (ev_is_active(&round_timer) && ev_timer_remaining(d->loop, &round_timer) <= least)
		return;
	ev_timer_stop(d->loop, &round_timer);
	ev_now_update(d->loop);
	ev_timer_set(&round_timer, least, 0.);
	ev_timer_start(d->loop, &round_timer);
}

static void watch(struct daemon *d, struct storage *storage, double due)
{
	if (!storage->watched) {
		storage->watched = true;
		storage->due = due;
		TAILQ_INSERT_TAIL(&watched, storage, next);
	} else if (due < storage->due) {
		storage->due = due;
	}
	round_in(d, storage->due - daemon_now());
}

static void unwatch(struct storage *storage)
{
	if (storage->watched)
		TAILQ_REMOVE(&watched, storage, next);
	storage->watched = false;
}

static bool is_active(const struct instance *instance)
{
	return instance->run && instance->run->exit == PLAN_EXIT_NONE &&
	       instance->state != INSTANCE_FROZEN;
}

static double next_look(const struct storage *storage, uint64_t quota)
{
	double interval;

	if (!storage->looked)
		return daemon_now() + (quota ? 0 : FIRST_SECONDS);
	interval = storage_interval(storage->used, quota, storage->look_seconds, storage->growth);
	/* To ask the kernel costs next to nothing. */
	if (quota && storage->counted && interval > COUNTED_SECONDS)
		interval = COUNTED_SECONDS;
	return storage->looked + interval;
}

/* ---- what follows ---- */

static char *describe(const struct storage *storage, const struct ten_spec *spec)
{
	char used[STORAGE_SIZE_MAX], quota[STORAGE_SIZE_MAX];

	storage_size(storage->used, used);
	storage_size(quota_of(spec), quota);
	if (storage->partial >= PARTIAL_LOOKS)
		return mem_printf("how much is in its folder cannot be found out (folders deeper "
				  "than can be followed, or moved while they are), so that it is "
				  "taken for more than storage_quota_mb = %lld",
			(long long)spec->values.storage_quota_mb);
	return mem_printf("its folder holds %s of %s (%u %%)", used, quota,
		storage_percent(storage->used, quota_of(spec)));
}

static const char *consequence(const struct ten_spec *spec)
{
	switch ((enum spec_storage_over)spec->values.storage_over) {
	case STORAGE_OVER_STOP:
		return "; it is stopped until that is below 95 % or storage_quota_mb is raised";
	case STORAGE_OVER_READONLY:
		return "; it cannot write there until that is below 95 % or storage_quota_mb is "
		       "raised";
	case STORAGE_OVER_WARN:
		break;
	}
	return projects.enforced ? "; the file system refuses more" : "";
}

static void write_note(struct daemon *d, struct storage *storage)
{
	struct storage_note note = {
		.used = storage->used, .quota = storage->quota, .level = storage->level
	};
	autofree char *path = mem_printf(FOLDER "/%s", storage->key);
	char text[STORAGE_NOTE_MAX];
	int len = storage_note_write(&note, text);

	storage->noted = storage->used;
	owed_write(d, d->own_fd, path, text, (size_t)len, false);
}

static bool has_moved(const struct storage *storage)
{
	uint64_t used = storage->used, noted = storage->noted;
	uint64_t step = NOTE_STEP > noted / 64 ? NOTE_STEP : noted / 64;

	return noted == STORAGE_UNKNOWN || used + step <= noted || noted + step <= used;
}

/* The level that follows from what is known, and what follows from that. */
static void settle(struct daemon *d, struct storage *storage, const struct ten_spec *spec)
{
	struct instance *instance = instance_find(d, storage->key);
	enum storage_level was = storage->level, level = level_by(storage, spec);
	autofree char *text = describe(storage, spec);
	bool changed = was != level || storage->quota != quota_of(spec);

	storage->level = level;
	storage->quota = quota_of(spec);
	if (changed || (storage->used != STORAGE_UNKNOWN && has_moved(storage)))
		write_note(d, storage);
	if (was == level)
		return;
	if (level == STORAGE_FULL)
		log_warn("%s: %s%s", storage->key, text, consequence(spec));
	else if (level == STORAGE_NEAR && was == STORAGE_BELOW)
		log_warn("%s: %s", storage->key, text);
	else if (storage->quota)
		log_info("%s: %s: %s", storage->key, text,
			level == STORAGE_NEAR ? "no longer full" : "no longer near its quota");
	if (instance)
		instance_mark(d, instance);
}

/* ---- looking ---- */

static bool ask(struct daemon *d, struct storage *storage, const struct instance *instance)
{
	const struct ten_spec *spec = instance->spec;
	size_t count = mem_strv_length(spec->claims), at = 0;
	autofree const char **folders = mem_alloc((count + 2) * sizeof(*folders));
	struct storage_ask question = { .id = ++last_id, .limit_bytes = quota_of(spec) };
	struct ten_error err;

	folders[at++] = spec->dir;
	for (size_t i = 0; i < count; i++)
		folders[at++] = spec->claims[i];
	/* The number by which it is known here is that of its project, whoever it runs as. */
	if (projects.counted && uids_get(d, storage->key, &question.project, &err) < 0)
		log_warn("%s: no project quota: %s", storage->key, err.text);
	question.audit = daemon_now() - storage->audited > AUDIT_SECONDS;
	if (!storage_helper_ask(d, &question, folders))
		return false;
	if (question.audit)
		storage->audited = daemon_now();
	storage->asked = question.id;
	storage->moved = is_active(instance);
	storage->again = false;
	asked_now++;
	return true;
}

static bool is_due(const struct storage *storage, double now)
{
	return !storage->asked && storage->due <= now;
}

static void on_round(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);
	double now = daemon_now(), soonest = INFINITY;
	struct storage *storage, *next;

	(void)timer;
	(void)events;
	for (storage = TAILQ_FIRST(&watched); storage; storage = next) {
		const struct instance *instance = instance_find(d, storage->key);

		next = TAILQ_NEXT(storage, next);
		if (!instance || !instance->spec) {
			unwatch(storage);
			continue;
		}
		if (is_due(storage, now)) {
			/* (an answer begins a new round) */
			if (asked_now == STORAGE_JOBS_MAX)
				continue;
			if (ask(d, storage, instance)) {
				/* What waited longest was first; now it waits behind all. */
				TAILQ_REMOVE(&watched, storage, next);
				TAILQ_INSERT_TAIL(&watched, storage, next);
				if (storage == next)
					break;
				continue;
			}
			storage->due = now + LOST_SECONDS;
		}
		if (!storage->asked && storage->due < soonest)
			soonest = storage->due;
	}
	if (soonest < INFINITY)
		round_in(d, soonest - now);
}

static void set_problem(struct storage *storage, const char *text)
{
	if (*text && (!storage->problem || strcmp(storage->problem, text) != 0))
		log_warn("%s: how much it has stored: %s", storage->key, text);
	free(storage->problem);
	storage->problem = *text ? mem_strdup(text) : NULL;
}

static double grown(const struct storage *storage, uint64_t bytes)
{
	double seconds = daemon_now() - storage->looked;

	if (storage->looked <= 0 || storage->used == STORAGE_UNKNOWN || bytes <= storage->used)
		return 0;
	return (double)(bytes - storage->used) / (seconds > 1 ? seconds : 1);
}

static void on_answer(struct daemon *d, const struct storage_answer *answer)
{
	struct storage *storage;
	const struct instance *instance;

	if (asked_now)
		asked_now--;
	round_in(d, 0);
	TAILQ_FOREACH (storage, &watched, next)
		if (storage->asked == answer->id)
			break;
	instance = storage ? instance_find(d, storage->key) : NULL;
	if (!instance || !instance->spec)
		return; /* it is gone meanwhile */
	storage->asked = 0;
	storage->growth = grown(storage, answer->bytes);
	storage->looked = daemon_now();
	storage->look_seconds = answer->counted ? 0 : (double)answer->took_us / 1e6;
	storage->counted = answer->counted;
	set_problem(storage, answer->problem);
	/* Of what was only seen in part, more is never less. */
	if (!answer->partial || storage->used == STORAGE_UNKNOWN || answer->bytes > storage->used)
		storage->used = answer->bytes;
	storage->partial = !answer->partial   ? 0
			   : answer->too_deep ? PARTIAL_LOOKS
					      : storage->partial + 1;
	settle(d, storage, instance->spec);
	storage->due = next_look(storage, quota_of(instance->spec));
	if (storage->problem && storage->due < storage->looked + WRONG_SECONDS)
		storage->due = storage->looked + WRONG_SECONDS;
	if (storage->again)
		storage->due = daemon_now();
	if (!storage->moved && !is_active(instance) && storage->level != STORAGE_FULL &&
		!storage->again)
		unwatch(storage);
}

static void on_lost(struct daemon *d)
{
	struct storage *storage;

	asked_now = 0;
	TAILQ_FOREACH (storage, &watched, next) {
		if (!storage->asked)
			continue;
		storage->asked = 0;
		storage->moved = true;
	}
	round_in(d, LOST_SECONDS);
}

/* ---- what the others say ---- */

void storage_state_is(struct daemon *d, struct instance *instance)
{
	bool active = is_active(instance);
	struct storage *storage = active ? get(instance->key) : find(instance->key);

	if (!storage || !instance->spec || d->shutting_down)
		return;
	storage->moved = storage->moved || active;
	if (active && instance->run->inherited && !instance->run->mode_known) {
		instance->run->mode_known = true;
		storage_mode_find(instance);
	}
	if (active && instance->run->reads_only != storage_reads_only(instance))
		instance_mark(d, instance);
	if (storage->moved && !storage->asked)
		watch(d, storage, next_look(storage, quota_of(instance->spec)));
}

static void take_quota(struct daemon *d, struct storage *storage, struct instance *instance,
	const struct ten_spec *spec)
{
	settle(d, storage, spec);
	storage->again = true;
	if (projects.counted || storage->level == STORAGE_FULL || storage->watched ||
		is_active(instance))
		watch(d, storage, daemon_now());
}

void storage_want(struct daemon *d, struct instance *instance, const struct ten_spec *spec)
{
	struct storage *storage = find(instance->key);

	if (storage && storage->level == STORAGE_FULL && !storage->watched)
		watch(d, storage, daemon_now());
	if (storage && storage->quota != quota_of(spec))
		take_quota(d, storage, instance, spec);
	if (instance->state == INSTANCE_READY && is_active(instance))
		storage_mode_want(d, instance, storage_reads_only(instance));
}

void storage_forget(struct daemon *d, const char *key)
{
	autofree char *path = mem_printf(FOLDER "/%s", key);
	struct storage *storage = find(key);

	if (!storage)
		return;
	owed_remove(d, d->own_fd, path);
	unwatch(storage);
	HASH_DEL(all, storage);
	free(storage->problem);
	free(storage->key);
	free(storage);
}

bool storage_reads_only(const struct instance *instance)
{
	const struct ten_spec *spec = instance->spec;
	const struct storage *storage = spec ? find(instance->key) : NULL;

	return storage && storage->level == STORAGE_FULL && spec->values.storage_quota_mb &&
	       spec->values.storage_over == STORAGE_OVER_READONLY;
}

bool storage_stops(const struct ten_spec *spec)
{
	const struct storage *storage;

	if (!spec->values.storage_quota_mb || spec->values.storage_over != STORAGE_OVER_STOP)
		return false;
	storage = find(spec->key);
	return storage && level_by(storage, spec) == STORAGE_FULL;
}

uint64_t storage_used(const struct instance *instance)
{
	const struct storage *storage = find(instance->key);

	return storage ? storage->used : STORAGE_UNKNOWN;
}

char *storage_reason(const struct instance *instance)
{
	const struct storage *storage = instance->spec ? find(instance->key) : NULL;
	autofree char *text = NULL;

	if (!storage || storage->level == STORAGE_BELOW)
		return NULL;
	text = describe(storage, instance->spec);
	return mem_printf(
		"%s%s", text, storage->level == STORAGE_FULL ? consequence(instance->spec) : "");
}

bool storage_is_trouble(const struct instance *instance)
{
	const struct storage *storage = instance->spec ? find(instance->key) : NULL;

	return storage && storage->level == STORAGE_FULL;
}

json_t *storage_describe(const struct instance *instance)
{
	const struct ten_spec *spec = instance->spec ? instance->spec : instance->published;
	const struct storage *storage = find(instance->key);
	uint64_t used = storage ? storage->used : STORAGE_UNKNOWN;
	uint64_t quota = spec ? quota_of(spec) : 0;
	json_t *json = json_object();

	json_object_set_new(json, "used_bytes",
		used == STORAGE_UNKNOWN ? json_null() : json_integer((json_int_t)used));
	json_object_set_new(
		json, "quota_bytes", quota ? json_integer((json_int_t)quota) : json_null());
	json_object_set_new(json, "usage_percent",
		quota && used != STORAGE_UNKNOWN
			? json_integer((json_int_t)storage_percent(used, quota))
			: json_null());
	json_object_set_new(json, "path", json_string(spec ? spec->dir : ""));
	json_object_set_new(json, "level",
		json_string(storage_level_names[storage ? storage->level : STORAGE_BELOW]));
	json_object_set_new(json, "looked_secs",
		storage && storage->looked > 0
			? json_integer((json_int_t)(daemon_now() - storage->looked))
			: json_null());
	json_object_set_new(json, "problem",
		storage && storage->problem ? json_string(storage->problem) : json_null());
	return json;
}

uint64_t storage_quota(const struct instance *instance)
{
	return instance->spec ? quota_of(instance->spec) : 0;
}

const char *storage_way(void)
{
	if (projects.enforced)
		return "project quotas, which the file system enforces";
	return projects.counted ? "project quotas, which the file system does not enforce"
				: "measured";
}

/* ---- the start ---- */

static void read_note(struct daemon *d, const char *key)
{
	autofree char *path = mem_printf(FOLDER "/%s", key);
	autofree char *text = files_read(d->own_fd, path, STORAGE_NOTE_MAX, NULL, NULL);
	struct storage_note note;
	struct storage *storage;

	if (!text || !storage_note_read(text, &note))
		return;
	storage = get(key);
	storage->used = storage->noted = note.used;
	storage->quota = note.quota;
	storage->level = note.level;
	/* Who is full is looked at without being run: an operator may make room. */
	if (note.level == STORAGE_FULL)
		watch(d, storage, daemon_now());
}

int storage_start(struct daemon *d, struct ten_error *err)
{
	int fd = files_make_dir(d->own_fd, FOLDER, 0700, err);
	struct ten_error why;
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!folder)
		return fd < 0 ? -1 : ten_error_set(err, errno, "%s/.tenement/" FOLDER, d->data_dir);
	ev_timer_init(&round_timer, on_round, 0., 0.);
	storage_helper_start(d, on_answer, on_lost);
	if (d->root && project_quota_find(d->data_fd, &projects, &why) < 0)
		projects = (struct project_quota){ 0 };
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			read_note(d, entry->d_name);
	closedir(folder);
	log_info("how much tenants store: %s", storage_way());
	return 0;
}
