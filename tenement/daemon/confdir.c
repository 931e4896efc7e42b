#include "daemon/confdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "common/files.h"
#include "common/log.h"
#include "daemon/accepted.h"
#include "daemon/reconcile.h"
#include "daemon/settings.h"
#include "daemon/watch.h"
#include "mem.h"

#define RESCAN_SECONDS 30.0

struct identity {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

struct conf_file {
	char *name;
	struct identity identity;
	bool present;  /* at the last look */
	bool dirty;    /* to be looked at */
	bool waiting;  /* a change that would remove tenants, not in force yet */
	bool meant;    /* its removal was asked for by name: the guard does not count it */
	bool rejected; /* its last good text is in force; judged again with every other change */
	bool seen;     /* in the present scan */
	UT_hash_handle hh;
};

/* A tenant that was removed, for as long as the guard counts it. */
struct removed {
	char *key;
	double time;
	UT_hash_handle hh;
};

struct confdir {
	struct conf_file *files;
	struct removed *removed; /* the oldest first */
	ev_timer quiet, periodic;
	bool rescan, rearm, confirm, quiet_over, any_dirty, scanned;
	bool held;
	char *held_why;
	char **held_files, **held_instances;
	char *problem;
	dev_t device; /* of the folder when it was last seen with its files */
	char *author;
};

/* What was read of one file in this turn. */
struct reading {
	struct conf_file *file;
	char *text; /* NULL: gone, or WHY says why it cannot be read */
	size_t len;
	char *why;
};

struct batch {
	struct reading *readings;
	size_t count;
};

static struct conf_file *file_get(struct confdir *confdir, const char *name)
{
	struct conf_file *file;

	HASH_FIND_STR(confdir->files, name, file);
	if (file)
		return file;
	file = mem_alloc(sizeof(*file));
	file->name = mem_strdup(name);
	HASH_ADD_KEYPTR(hh, confdir->files, file->name, strlen(file->name), file);
	return file;
}

bool confdir_is_config_name(const char *name)
{
	size_t len = strlen(name);

	return len > 5 && len <= 200 && name[0] != '.' && name[0] != '#' &&
	       strcmp(name + len - 5, ".toml") == 0;
}

static char *path_of(struct daemon *d, const char *name)
{
	if (strcmp(name, CONFIG_MAIN) == 0)
		return mem_strdup(d->place.main_path);
	return mem_printf("%s/%s", d->conf_dir, name);
}

/* Who could change it could run anything as any tenant. */
static int check_owner(
	struct daemon *d, const struct stat *st, const char *path, struct ten_error *err)
{
	if (st->st_uid != 0 && st->st_uid != d->uid)
		return ten_error_say(err, EPERM,
			"%s belongs to uid %u: it is not read unless it is owned by root or by the "
			"daemon's user",
			path, st->st_uid);
	if (st->st_mode & S_IWOTH)
		return ten_error_say(err, EPERM,
			"%s can be written by others: it is not read until `chmod o-w %s`", path,
			path);
	return 0;
}

char *confdir_read(struct daemon *d, const char *name, size_t *len, struct ten_error *err)
{
	autofree char *path = path_of(d, name);
	struct stat st;

	if (stat(path, &st) < 0) {
		ten_error_set(err, errno, "%s", path);
		return NULL;
	}
	if (check_owner(d, &st, path, err) < 0)
		return NULL;
	return files_read(AT_FDCWD, path, CONFIG_FILE_MAX, len, err);
}

static void identify(const struct stat *st, struct identity *identity)
{
	memset(identity, 0, sizeof(*identity));
	identity->device = st->st_dev;
	identity->inode = st->st_ino;
	identity->size = st->st_size;
	identity->modified = st->st_mtim;
	identity->changed = st->st_ctim;
}

static void set_problem(struct confdir *confdir, char *problem)
{
	if (problem && (!confdir->problem || strcmp(problem, confdir->problem) != 0))
		log_warn("%s", problem);
	free(confdir->problem);
	confdir->problem = problem;
}

/* Compare one file with what it was; only what differs is read. */
static void glance(struct confdir *confdir, int fd, const char *name)
{
	struct conf_file *file = file_get(confdir, name);
	struct identity now;
	struct stat st;

	file->seen = true;
	if (fstatat(fd, name, &st, 0) < 0) {
		file->dirty = file->dirty || file->present;
		return;
	}
	identify(&st, &now);
	if (!file->present || memcmp(&now, &file->identity, sizeof(now)) != 0)
		file->dirty = true;
}

static bool holds_files(DIR *folder)
{
	struct dirent *entry;
	bool found = false;

	while (!found && (entry = readdir(folder)))
		found = confdir_is_config_name(entry->d_name);
	rewinddir(folder);
	return found;
}

/* A folder that vanished, is unreadable, or was mounted over says nothing about its tenants. */
static DIR *open_folder(struct daemon *d)
{
	int fd = open(d->conf_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ten_error err;
	struct stat st;
	DIR *folder;

	if (fd < 0 || fstat(fd, &st) < 0) {
		set_problem(d->confdir, mem_printf("%s: %s; everything goes on as it was",
						d->conf_dir, strerror(errno)));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	if (check_owner(d, &st, d->conf_dir, &err) < 0) {
		set_problem(d->confdir, mem_strdup(err.text));
		close(fd);
		return NULL;
	}
	folder = fdopendir(fd);
	if (st.st_dev != d->confdir->device && d->confdir->device && !holds_files(folder)) {
		set_problem(
			d->confdir, mem_printf("%s is empty and on another file system than "
					       "before: unmounted? Everything goes on as it was",
					    d->conf_dir));
		closedir(folder);
		return NULL;
	}
	d->confdir->device = st.st_dev;
	set_problem(d->confdir, NULL);
	return folder;
}

static bool folder_is_there(struct daemon *d)
{
	DIR *folder = open_folder(d);

	if (folder)
		closedir(folder);
	return folder != NULL;
}

/* What an earlier life accepted may have gone since. */
static void know(void *data, const char *name, bool good)
{
	struct confdir *confdir = data;
	struct conf_file *file;

	(void)good;
	HASH_FIND_STR(confdir->files, name, file);
	if (!file)
		file_get(confdir, name)->present = true;
}

static void scan(struct daemon *d)
{
	struct confdir *confdir = d->confdir;
	struct conf_file *file, *next;
	struct dirent *entry;
	DIR *folder;

	file_get(confdir, CONFIG_MAIN)->dirty = true;
	folder = open_folder(d);
	confdir->any_dirty = true;
	if (!folder)
		return;
	config_set_each_file(d->set, know, confdir);
	HASH_ITER (hh, confdir->files, file, next)
		file->seen = strcmp(file->name, CONFIG_MAIN) == 0;
	while ((entry = readdir(folder))) {
		if (confdir_is_config_name(entry->d_name))
			glance(confdir, dirfd(folder), entry->d_name);
	}
	HASH_ITER (hh, confdir->files, file, next) {
		if (!file->seen && (file->present || config_set_text(d->set, file->name, NULL)))
			file->dirty = true;
	}
	closedir(folder);
}

static void read_one(struct daemon *d, struct conf_file *file, struct reading *reading)
{
	autofree char *path = path_of(d, file->name);
	struct ten_error err = { 0 };
	struct stat st;

	*reading = (struct reading){ .file = file };
	if (stat(path, &st) == 0)
		identify(&st, &file->identity);
	reading->text = confdir_read(d, file->name, &reading->len, &err);
	file->present = reading->text || err.code != ENOENT;
	if (!reading->text && err.code != ENOENT)
		reading->why = mem_strdup(err.text);
	/* The main file may never have been there; one that went away removes nothing. */
	if (!file->present && strcmp(file->name, CONFIG_MAIN) == 0 &&
		config_set_text(d->set, CONFIG_MAIN, NULL)) {
		reading->why = mem_printf("%s is gone; what it said stays in force", path);
	}
	file->dirty = false;
}

static void collect(struct daemon *d, struct batch *batch)
{
	struct confdir *confdir = d->confdir;
	struct conf_file *file, *next;
	size_t room = 0;
	bool any = confdir->confirm || confdir->quiet_over;
	bool there;

	HASH_ITER (hh, confdir->files, file, next)
		any = any || file->dirty;
	if (!any)
		return;
	/* Of a folder that is gone no file was removed: they are looked for when it is back. */
	there = folder_is_there(d);
	HASH_ITER (hh, confdir->files, file, next) {
		if (!file->dirty && !file->waiting && !file->rejected)
			continue;
		if (!there && strcmp(file->name, CONFIG_MAIN) != 0)
			continue;
		if (batch->count == room)
			batch->readings = mem_resize(batch->readings, room = room ? room * 2 : 16,
				sizeof(*batch->readings));
		read_one(d, file, &batch->readings[batch->count++]);
	}
}

static void batch_free(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		free(batch->readings[i].text);
		free(batch->readings[i].why);
	}
	free(batch->readings);
}

static void stage(struct daemon *d, const struct reading *reading)
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

/* Which tenants would go if the first COUNT of READINGS were in force. Owned strv or NULL. */
static char **would_remove(struct daemon *d, const struct reading *readings, size_t count)
{
	struct config_change change = { 0 };
	char **problems = NULL, **removed = NULL;

	for (size_t i = 0; i < count; i++)
		stage(d, &readings[i]);
	config_set_try(d->set, &change, &problems, note_removed, &removed);
	config_change_clear(&change);
	mem_strv_free(problems);
	return removed;
}

static bool named_in(char *const *list, const char *name)
{
	for (size_t i = 0; list && list[i]; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
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

/* Put in force what is staged now, keep it for the next life, and mark what changed. */
static void judge(struct daemon *d, const struct batch *batch)
{
	struct config_change change = { 0 };
	const struct confdir *confdir = d->confdir;

	config_set_judge(d->set, &change);
	for (size_t i = 0; i < batch->count; i++) {
		struct conf_file *file = batch->readings[i].file;

		if (named_in(change.accepted, file->name))
			file->rejected = file->waiting = false;
		else if (named_in(change.rejected, file->name))
			file->rejected = true, file->waiting = false;
	}
	accepted_keep(d, &change, confdir->author ? confdir->author : "conf.d");
	/* What is pinned does not differ in the set, but in the file. */
	if (change.settings || named_in(change.accepted, CONFIG_MAIN))
		settings_changed(d);
	reconcile_mark_change(d, &change);
	note_comings_and_goings(d, &change);
	config_change_clear(&change);
	guard_note_size(&d->guard, daemon_now(), config_set_instance_count(d->set));
}

static void stage_all(struct daemon *d, const struct batch *batch)
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

static void hold(struct daemon *d, const struct batch *batch, char **removed)
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
	if (news)
		log_warn("removals are held: %s; `ten apply --confirm` if it is meant",
			confdir->held_why);
}

/* What takes no tenant away does not wait for what does. */
static void judge_harmless(struct daemon *d, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct reading *reading = &batch->readings[i];
		char **removed = would_remove(d, reading, 1);

		reading->file->waiting = removed != NULL;
		mem_strv_free(removed);
	}
	for (size_t i = 0; i < batch->count; i++)
		if (!batch->readings[i].file->waiting)
			stage(d, &batch->readings[i]);
	judge(d, batch);
}

/* What was asked for by name is done, whatever the guard thinks of the rest. */
static void judge_meant(struct daemon *d, struct batch *batch)
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
		judge(d, batch);
}

static void load_batch(struct daemon *d, struct batch *batch)
{
	struct confdir *confdir = d->confdir;
	double now = daemon_now();
	char **removed = would_remove(d, batch->readings, batch->count);
	size_t count = mem_strv_length(removed);
	bool allowed;

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
		release(confdir);
		stage_all(d, batch);
		judge(d, batch);
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

static void forget_gone_files(struct daemon *d)
{
	struct conf_file *file, *next;

	HASH_ITER (hh, d->confdir->files, file, next) {
		if (file->present || file->dirty || file->waiting || file->rejected ||
			config_set_text(d->set, file->name, NULL))
			continue;
		HASH_DEL(d->confdir->files, file);
		free(file->name);
		free(file);
	}
}

void confdir_load(struct daemon *d)
{
	struct confdir *confdir = d->confdir;
	struct batch batch = { 0 };

	if (confdir->rearm)
		watch_arm(d);
	if (confdir->rescan || confdir->rearm)
		scan(d);
	confdir->rescan = confdir->rearm = false;
	if (!confdir->any_dirty && !confdir->quiet_over && !confdir->confirm)
		return;
	if (confdir->confirm)
		settings_confirm(d);
	collect(d, &batch);
	judge_meant(d, &batch);
	if (batch.count)
		load_batch(d, &batch);
	else if (confdir->held)
		release(confdir);
	batch_free(&batch);
	forget_gone_files(d);
	confdir->any_dirty = confdir->quiet_over = confdir->confirm = false;
	free(confdir->author);
	confdir->author = NULL;
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
	file_get(d->confdir, name)->dirty = true;
	d->confdir->any_dirty = true;
}

void confdir_mark_meant(struct daemon *d, const char *name)
{
	confdir_mark(d, name);
	file_get(d->confdir, name)->meant = true;
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
		.problem = confdir->problem,
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
