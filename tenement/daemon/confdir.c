#include "daemon/confdir.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/log.h"
#include "config_path.h"
#include "daemon/accepted.h"
#include "daemon/conf_files.h"
#include "daemon/events.h"
#include "daemon/reconcile.h"
#include "daemon/rollout.h"
#include "daemon/settings.h"
#include "daemon/watch.h"
#include "mem.h"

#define RESCAN_SECONDS 30.0
#define AGAIN_SECONDS  1.0
#define MUCH           256 /* files at once, after which memory is given back */

/* A tenant that was removed, for as long as the guard counts it. */
struct removed {
	char *key;
	double time;
	UT_hash_handle hh;
};

struct confdir {
	struct conf_files files;
	struct removed *removed; /* the oldest first */
	ev_timer quiet, periodic, again;
	bool rescan, rearm, confirm, quiet_over, any_dirty;
	bool held;
	char *held_why;
	char **held_files, **held_instances;
	char *author;
};

static void stage(struct daemon *d, const struct conf_reading *reading)
{
	if (reading->why)
		config_set_stage_unreadable(d->set, reading->file->name, reading->why);
	else
		config_set_stage(d->set, reading->file->name, reading->text, reading->len);
}

static void note_removed(void *data, const char *key, const struct ten_spec *spec)
{
	char ***removed = data;

	if (!spec)
		mem_strv_append(removed, key);
}

/* Which tenants would go if what is staged were in force. Owned strv or NULL. */
static char **would_remove(struct daemon *d)
{
	struct config_change change = { 0 };
	char **problems = NULL, **removed = NULL;

	config_set_try(d->set, &change, &problems, note_removed, &removed);
	config_change_clear(&change);
	mem_strv_free(problems);
	return removed;
}

static void removed_free(struct confdir *confdir, struct removed *removed)
{
	HASH_DEL(confdir->removed, removed);
	free(removed->key);
	free(removed);
}

/* Who was removed and is declared again was no loss: a preview that is made anew each time must
 * not use up what the guard allows. */
static void note_comings_and_goings(struct daemon *d, const struct config_change *change)
{
	struct confdir *confdir = d->confdir;
	struct removed *removed, *next;
	double now = daemon_now();
	size_t returns = 0;

	HASH_ITER (hh, confdir->removed, removed, next) {
		if (removed->time >= now - GUARD_WINDOW_SECONDS)
			break;
		removed_free(confdir, removed);
	}
	for (size_t i = 0; change->instances && change->instances[i]; i++) {
		const char *key = change->instances[i];

		HASH_FIND_STR(confdir->removed, key, removed);
		if (config_set_instance(d->set, key)) {
			if (removed) {
				removed_free(confdir, removed);
				returns++;
			}
		} else if (!removed) {
			removed = mem_alloc(sizeof(*removed));
			removed->key = mem_strdup(key);
			removed->time = now;
			HASH_ADD_KEYPTR(hh, confdir->removed, removed->key, strlen(key), removed);
		}
	}
	guard_note_returns(&d->guard, now, returns);
}

/* For who reads the journal: what is wrong with a file when it becomes so. */
static void log_problems(struct daemon *d)
{
	const struct config_problem *problems;
	size_t count = config_set_problems(d->set, &problems);

	for (size_t i = 0; i < count; i++) {
		const char *base = config_path_name(problems[i].file);
		bool main = strcmp(base, config_path_name(d->place.main_path)) == 0;
		const struct conf_file *file =
			conf_files_find(&d->confdir->files, main ? CONFIG_MAIN : base);

		if (!file || !file->rejected || !file->was_dirty)
			continue;
		log_warn("%s:%d:%d: %s", problems[i].file, problems[i].line, problems[i].column,
			problems[i].message);
		events_note_problem(d, &problems[i]);
	}
}

static void note_verdicts(struct daemon *d, const struct config_change *change)
{
	struct conf_files *files = &d->confdir->files;

	for (size_t i = 0; change->accepted && change->accepted[i]; i++) {
		struct conf_file *file = conf_files_get(files, change->accepted[i]);

		if (file->rejected) {
			log_info("%s is right again", config_path_name(file->name));
			events_note(d, EVENT_SOLVED, config_path_name(file->name), "right again");
		}
		file->rejected = file->waiting = file->was_dirty = false;
	}
	for (size_t i = 0; change->rejected && change->rejected[i]; i++) {
		struct conf_file *file = conf_files_get(files, change->rejected[i]);

		file->rejected = true;
		file->waiting = false;
	}
	if (change->rejected)
		log_problems(d);
	for (size_t i = 0; change->rejected && change->rejected[i]; i++)
		conf_files_get(files, change->rejected[i])->was_dirty = false;
}

static bool has_main(char *const *names)
{
	for (size_t i = 0; names && names[i]; i++)
		if (strcmp(names[i], CONFIG_MAIN) == 0)
			return true;
	return false;
}

/* Put in force what is staged now, keep it for the next life, and mark what changed. */
static void judge(struct daemon *d)
{
	struct config_change change = { 0 };
	const struct confdir *confdir = d->confdir;

	config_set_judge(d->set, &change);
	/* Written first: a daemon that comes back must not find the new text alone. */
	for (size_t i = 0; change.templates && change.templates[i]; i++)
		rollout_begin(d, mem_steal(&change.templates[i]));
	note_verdicts(d, &change);
	accepted_keep(d, &change, confdir->author ? confdir->author : "conf.d");
	/* What is pinned does not differ in the set, but in the file. */
	if (change.settings || has_main(change.accepted) || has_main(change.rejected))
		settings_changed(d);
	reconcile_mark_change(d, &change);
	note_comings_and_goings(d, &change);
	config_change_clear(&change);
	guard_note_size(&d->guard, daemon_now(), config_set_instance_count(d->set));
}

static void stage_all(struct daemon *d, const struct conf_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		stage(d, &batch->readings[i]);
}

static void release(struct confdir *confdir)
{
	confdir->held = false;
	free(confdir->held_why);
	confdir->held_why = NULL;
	mem_strv_free(confdir->held_files);
	mem_strv_free(confdir->held_instances);
	confdir->held_files = confdir->held_instances = NULL;
}

static void let_go(struct daemon *d)
{
	if (d->confdir->held)
		events_note(d, EVENT_UNHELD, NULL, "no removal is held any more");
	release(d->confdir);
}

static void hold(struct daemon *d, const struct conf_batch *batch, char **removed)
{
	struct confdir *confdir = d->confdir;
	double now = daemon_now();
	bool news = !confdir->held;

	release(confdir);
	confdir->held = true;
	confdir->held_why =
		mem_printf("%zu of %zu tenants would have been removed within ten minutes "
			   "(max_delete_percent = %lld)",
			guard_removed(&d->guard, now) + mem_strv_length(removed),
			guard_largest(&d->guard, now),
			(long long)config_set_settings(d->set)->max_delete_percent);
	confdir->held_instances = mem_strv_copy(removed);
	for (size_t i = 0; i < batch->count; i++)
		if (batch->readings[i].file->waiting)
			mem_strv_append(&confdir->held_files, batch->readings[i].file->name);
	if (!news)
		return;
	log_warn("removals are held: %s; `ten apply --confirm` if it is meant", confdir->held_why);
	events_note(d, EVENT_HELD, NULL, "%s", confdir->held_why);
}

/* What takes no tenant away does not wait for what does. */
static void judge_harmless(struct daemon *d, struct conf_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct conf_reading *reading = &batch->readings[i];
		char **removed;

		stage(d, reading);
		removed = would_remove(d);
		reading->file->waiting = removed != NULL;
		mem_strv_free(removed);
	}
	for (size_t i = 0; i < batch->count; i++)
		if (!batch->readings[i].file->waiting)
			stage(d, &batch->readings[i]);
	judge(d);
}

/* What was asked for by name is done, whatever the guard thinks of the rest. */
static void judge_meant(struct daemon *d, struct conf_batch *batch)
{
	bool any = false;

	for (size_t i = 0; i < batch->count; i++) {
		if (!batch->readings[i].file->meant)
			continue;
		stage(d, &batch->readings[i]);
		batch->readings[i].file->meant = false;
		any = true;
	}
	if (any)
		judge(d);
}

static void load_batch(struct daemon *d, struct conf_batch *batch)
{
	struct confdir *confdir = d->confdir;
	double now = daemon_now();
	char **removed = NULL;
	bool tried, allowed;
	size_t count;

	stage_all(d, batch);
	/* Where nobody is, nobody goes, and nothing is judged twice. */
	tried = config_set_instance_count(d->set) > 0;
	if (tried)
		removed = would_remove(d);
	count = mem_strv_length(removed);
	/* Also what an earlier life accepted is something that can be removed. */
	guard_note_size(&d->guard, now, config_set_instance_count(d->set));
	allowed = count == 0 || confdir->confirm ||
		  (confdir->quiet_over && !confdir->held &&
			  guard_allows(&d->guard, now, count,
				  config_set_settings(d->set)->max_delete_percent));

	if (allowed) {
		if (confdir->confirm)
			guard_forget(&d->guard);
		else
			guard_note_removals(&d->guard, now, count);
		let_go(d);
		if (tried)
			stage_all(d, batch);
		judge(d);
	} else {
		judge_harmless(d, batch);
		if (confdir->quiet_over || confdir->held) {
			hold(d, batch, removed);
		} else {
			ev_timer_stop(d->loop, &confdir->quiet);
			ev_timer_set(&confdir->quiet, GUARD_QUIET_SECONDS, 0.);
			ev_timer_start(d->loop, &confdir->quiet);
		}
	}
	mem_strv_free(removed);
}

void confdir_load(struct daemon *d)
{
	struct confdir *confdir = d->confdir;
	struct conf_batch batch = { 0 };
	bool there;

	if (confdir->rearm)
		watch_arm(d);
	if (confdir->rescan || confdir->rearm) {
		conf_files_scan(d, &confdir->files);
		confdir->any_dirty = true;
	}
	confdir->rescan = confdir->rearm = false;
	if (!confdir->any_dirty && !confdir->quiet_over && !confdir->confirm)
		return;
	if (confdir->confirm)
		settings_confirm(d);
	there = conf_files_read(
		d, &confdir->files, confdir->confirm || confdir->quiet_over, &batch);
	judge_meant(d, &batch);
	if (batch.count)
		load_batch(d, &batch);
	else if (confdir->held && there)
		let_go(d);
	d->much_was_read = d->much_was_read || batch.count >= MUCH;
	conf_batch_free(&batch);
	conf_files_forget(d, &confdir->files);
	confdir->any_dirty = confdir->quiet_over = confdir->confirm = false;
	/* What waits for quiet is still their doing. */
	if (!ev_is_active(&confdir->quiet)) {
		free(confdir->author);
		confdir->author = NULL;
	}
	if (confdir->files.again && !ev_is_active(&confdir->again)) {
		ev_timer_set(&confdir->again, AGAIN_SECONDS, 0.);
		ev_timer_start(d->loop, &confdir->again);
	}
	confdir->files.again = false;
}

static void on_quiet(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);

	(void)timer;
	(void)events;
	d->confdir->quiet_over = true;
}

static void on_periodic(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	confdir_rearm(ev_userdata(loop));
}

void confdir_mark(struct daemon *d, const char *name)
{
	struct conf_files *files = &d->confdir->files;

	conf_files_mark(files, conf_files_get(files, name));
	d->confdir->any_dirty = true;
}

void confdir_mark_meant(struct daemon *d, const char *name)
{
	confdir_mark(d, name);
	conf_files_get(&d->confdir->files, name)->meant = true;
}

void confdir_rescan(struct daemon *d)
{
	d->confdir->rescan = true;
}

void confdir_rearm(struct daemon *d)
{
	d->confdir->rearm = true;
}

void confdir_confirm(struct daemon *d)
{
	d->confdir->confirm = true;
	rollout_go_on(d);
}

void confdir_set_author(struct daemon *d, const char *author)
{
	free(d->confdir->author);
	d->confdir->author = mem_strdup(author);
}

void confdir_status(struct daemon *d, struct confdir_status *status)
{
	const struct confdir *confdir = d->confdir;

	*status = (struct confdir_status){
		.problem = confdir->files.problem,
		.held = confdir->held,
		.held_why = confdir->held_why,
		.held_files = confdir->held_files,
		.held_instances = confdir->held_instances,
		.waiting = confdir->any_dirty || confdir->rescan || confdir->rearm ||
			   ev_is_active(&confdir->quiet),
	};
	settings_status(d, &status->confirm, &status->restart_needed);
}

int confdir_start(struct daemon *d, struct ten_error *err)
{
	struct confdir *confdir = mem_alloc(sizeof(*confdir));

	d->confdir = confdir;
	ev_timer_init(&confdir->quiet, on_quiet, 0., 0.);
	ev_timer_init(&confdir->again, on_periodic, 0., 0.);
	ev_timer_init(&confdir->periodic, on_periodic, RESCAN_SECONDS, RESCAN_SECONDS);
	ev_timer_start(d->loop, &confdir->periodic);
	if (accepted_seed(d, err) < 0)
		return -1;
	if (watch_start(d, err) < 0)
		return -1;
	confdir_rearm(d);
	confdir_load(d);
	return 0;
}
