#include "daemon/apply.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "common/log.h"
#include "daemon/confdir.h"
#include "daemon/instance.h"
#include "daemon/owned.h"
#include "daemon/publish.h"
#include "daemon/reconcile.h"
#include "mem.h"
#include "plan.h"

#define JOURNAL     "journal"
#define JOURNAL_MAX (64u << 20)
#define STAGED      "#ten-" /* not read: a half-written batch is invisible */

void apply_add(struct apply *apply, const char *name, const char *text)
{
	apply->files = mem_resize(apply->files, apply->count + 1, sizeof(*apply->files));
	apply->files[apply->count++] =
		(struct apply_file){ mem_strdup(name), mem_strdup(text), false };
}

void apply_clear(struct apply *apply)
{
	for (size_t i = 0; i < apply->count; i++) {
		free(apply->files[i].name);
		free(apply->files[i].text);
	}
	free(apply->files);
	free(apply->author);
	mem_strv_free(apply->problems);
	mem_strv_free(apply->conflicts);
	mem_strv_free(apply->instances);
	json_decref(apply->changes);
	json_decref(apply->actions);
	*apply = (struct apply){ 0 };
}

/* ---- judging ---- */

static void note_change(struct apply *apply, const char *name, const char *change)
{
	json_array_append_new(
		apply->changes, json_pack("{s:s, s:s}", "name", name, "change", change));
}

static void check_file(struct daemon *d, struct apply *apply, struct apply_file *file)
{
	struct ten_error err = { 0 };
	size_t len = 0;
	autofree char *now = confdir_read(d, file->name, &len, &err);
	autofree char *conflict = NULL;
	bool same =
		now && file->text && strlen(file->text) == len && memcmp(now, file->text, len) == 0;

	if (!confdir_is_config_name(file->name) || strchr(file->name, '/')) {
		conflict = mem_printf(
			"%s: a file in conf.d has a name that ends in .toml and does not "
			"begin with a dot",
			file->name);
		mem_strv_append(&apply->problems, conflict);
		return;
	}
	file->same = same || (!now && !file->text);
	note_change(apply, file->name,
		same || (!now && !file->text) ? "same"
		: !file->text                 ? "removed"
		: now                         ? "changed"
					      : "added");
	if (same || !now || apply->force)
		return;
	switch (owned_state(d, file->name, now, len)) {
	case OWNED_OURS:
		return;
	case OWNED_NOT:
		conflict =
			mem_printf("%s: ten did not write it (--force takes it over)", file->name);
		break;
	case OWNED_CHANGED:
		conflict = mem_printf(
			"%s: changed by hand since ten wrote it (--force writes over it)",
			file->name);
		break;
	}
	mem_strv_append(&apply->conflicts, conflict);
}

struct wanted {
	struct daemon *d;
	struct apply *apply;
};

static void note_action(json_t *actions, const char *action, const char *key, const char *why)
{
	json_array_append_new(actions, json_pack("{s:s, s:s, s:s}", "action", action, "instance",
					       key, "why", why ? why : ""));
}

static void preview(struct daemon *d, json_t *actions, const char *key, const struct ten_spec *spec)
{
	struct plan_step step = reconcile_preview(d, key, spec);
	const char *action = plan_action_names[step.action];

	if (step.action == PLAN_NOTHING)
		return;
	if (step.action == PLAN_DRAIN || step.action == PLAN_STOP)
		action = step.again ? "restart" : "stop";
	note_action(actions, action, key, step.why);
	/* What is declared running is started as the next step. */
	if (step.action == PLAN_DECLARE && spec && spec->tenant.state == TENANT_RUNNING)
		note_action(actions, "start", key, "declared running");
	if (!spec && step.action != PLAN_REMOVE)
		note_action(actions, "remove", key, "no longer declared");
}

static void on_wanted(void *data, const char *key, const struct ten_spec *spec)
{
	struct wanted *wanted = data;

	mem_strv_append(&wanted->apply->instances, key);
	preview(wanted->d, wanted->apply->actions, key, spec);
}

/* Whether traffic is shared out for SERVICE, now or by one of the files. */
static bool is_routed(struct daemon *d, const struct apply *apply, const char *service)
{
	autofree char *table = mem_printf("[route.%s]", service);
	struct publish_split *split;
	const char *source;
	size_t count = publish_split_of(d, service, &split, &source);
	bool routed = source != NULL;

	publish_split_free(split, count);
	for (size_t i = 0; i < apply->count; i++)
		routed = routed || (apply->files[i].text && strstr(apply->files[i].text, table));
	return routed;
}

bool apply_judge(struct daemon *d, struct apply *apply)
{
	struct config_change change = { 0 };
	struct wanted wanted = { d, apply };

	apply->changes = json_array();
	apply->actions = json_array();
	for (size_t i = 0; i < apply->count; i++) {
		struct apply_file *file = &apply->files[i];

		check_file(d, apply, file);
		config_set_stage(
			d->set, file->name, file->text, file->text ? strlen(file->text) : 0);
	}
	config_set_try(d->set, &change, &apply->problems, on_wanted, &wanted);
	for (size_t i = 0; change.routes && change.routes[i]; i++) {
		autofree char *name = mem_printf("route %s", change.routes[i]);

		if (is_routed(d, apply, change.routes[i]))
			note_action(apply->actions, "publish", name, "changed");
	}
	config_change_clear(&change);
	return !apply->problems && !apply->conflicts;
}

struct pending {
	struct daemon *d;
	json_t *actions;
};

static void pending_one(void *data, const struct ten_spec *spec)
{
	struct pending *pending = data;

	preview(pending->d, pending->actions, spec->key, spec);
}

json_t *apply_pending_actions(struct daemon *d)
{
	struct pending pending = { d, json_array() };
	struct confdir_status status;

	config_set_each_instance(d->set, pending_one, &pending);
	confdir_status(d, &status);
	for (size_t i = 0; status.held_instances && status.held_instances[i]; i++)
		note_action(pending.actions, "hold", status.held_instances[i],
			"its removal waits for `ten apply --confirm`");
	return pending.actions;
}

/* ---- carrying out ---- */

static char *staged_name(const char *name)
{
	return mem_printf(STAGED "%s", name);
}

static int open_conf_dir(struct daemon *d, struct ten_error *err)
{
	int fd = open(d->conf_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? ten_error_set(err, errno, "%s", d->conf_dir) : fd;
}

static int move_in(int fd, const char *name, bool remove, struct ten_error *err)
{
	autofree char *staged = staged_name(name);

	if (remove) {
		if (unlinkat(fd, name, 0) < 0 && errno != ENOENT)
			return ten_error_set(err, errno, "%s", name);
		return 0;
	}
	/* After a crash it may have been moved already. */
	if (renameat(fd, staged, fd, name) < 0 && errno != ENOENT)
		return ten_error_set(err, errno, "%s", name);
	return 0;
}

/* The journal is a JSON list of {"name", "remove"}: once it is on disk the batch will happen. */
static int run_journal(struct daemon *d, json_t *journal, struct ten_error *err)
{
	autoclose int fd = open_conf_dir(d, err);
	json_t *entry;
	size_t i;

	if (fd < 0)
		return -1;
	json_array_foreach (journal, i, entry) {
		const char *name = json_string_value(json_object_get(entry, "name"));

		if (name &&
			move_in(fd, name, json_is_true(json_object_get(entry, "remove")), err) < 0)
			return -1;
	}
	if (fsync(fd) < 0)
		return ten_error_set(err, errno, "%s", d->conf_dir);
	unlinkat(d->own_fd, JOURNAL, 0);
	fsync(d->own_fd);
	return 0;
}

/* What a batch had staged when it was cut short before its journal was there. */
static void sweep_staged(struct daemon *d)
{
	int fd = open_conf_dir(d, NULL);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		const char *name = entry->d_name;

		if (*name == '.')
			name++;
		if (strncmp(name, STAGED, strlen(STAGED)) == 0)
			unlinkat(dirfd(folder), entry->d_name, 0);
	}
	if (folder)
		closedir(folder);
}

int apply_finish_journal(struct daemon *d, struct ten_error *err)
{
	size_t len;
	autofree char *text = files_read(d->own_fd, JOURNAL, JOURNAL_MAX, &len, err);
	struct ten_error why;
	json_t *journal;

	if (!text) {
		sweep_staged(d);
		return err->code == ENOENT ? 0 : -1;
	}
	journal = json_loadb(text, len, 0, NULL);
	log_info("ending an `apply` that was cut short");
	if (run_journal(d, journal, &why) < 0)
		log_error("%s", why.text);
	json_decref(journal);
	return 0;
}

static int stage_file(int fd, const struct apply_file *file, struct ten_error *err)
{
	autofree char *staged = staged_name(file->name);

	if (!file->text)
		return 0;
	/* env may hold secrets: not for everybody to read. */
	return files_write(fd, staged, file->text, strlen(file->text), 0640, err);
}

static void unstage(struct daemon *d, const struct apply *apply)
{
	autoclose int fd = open_conf_dir(d, NULL);

	for (size_t i = 0; fd >= 0 && i < apply->count; i++) {
		autofree char *staged = staged_name(apply->files[i].name);

		unlinkat(fd, staged, 0);
	}
	unlinkat(d->own_fd, JOURNAL, 0);
	fsync(d->own_fd);
}

static int stage_all(struct daemon *d, const struct apply *apply, struct ten_error *err)
{
	autoclose int fd = open_conf_dir(d, err);

	if (fd < 0)
		return -1;
	for (size_t i = 0; i < apply->count; i++) {
		if (stage_file(fd, &apply->files[i], err) < 0)
			return -1;
	}
	return 0;
}

/* Whose they are is said before they appear: a crash between errs towards "changed by hand". */
static int own_all(struct daemon *d, const struct apply *apply, struct ten_error *err)
{
	for (size_t i = 0; i < apply->count; i++) {
		const struct apply_file *file = &apply->files[i];
		int rc = file->same ? 0
			 : file->text
				 ? owned_set(d, file->name, file->text, strlen(file->text), err)
				 : owned_drop(d, file->name, err);

		if (rc < 0)
			return -1;
	}
	return 0;
}

static int write_journal(
	struct daemon *d, const struct apply *apply, json_t *journal, struct ten_error *err)
{
	autofree char *text = NULL;

	for (size_t i = 0; i < apply->count; i++)
		json_array_append_new(journal, json_pack("{s:s, s:b}", "name", apply->files[i].name,
						       "remove", apply->files[i].text == NULL));
	text = json_dumps(journal, JSON_COMPACT);
	return files_write(d->own_fd, JOURNAL, text, strlen(text), 0600, err);
}

int apply_carry_out(struct daemon *d, struct apply *apply, struct ten_error *err)
{
	json_t *journal = json_array();
	autofree char *owned = owned_snapshot(d);
	int rc = stage_all(d, apply, err);

	if (rc == 0)
		rc = own_all(d, apply, err);
	if (rc == 0)
		rc = write_journal(d, apply, journal, err);
	/* Nothing has been moved yet, and ten's own files are not "changed by hand". */
	if (rc < 0)
		owned_restore(d, owned);
	if (rc == 0)
		rc = run_journal(d, journal, err);
	/* What failed was refused: it must not be carried out by a later life. */
	if (rc < 0)
		unstage(d, apply);
	json_decref(journal);
	for (size_t i = 0; i < apply->count; i++)
		confdir_mark(d, apply->files[i].name);
	confdir_set_author(d, apply->author ? apply->author : "ten");
	if (rc == 0 && apply->confirm)
		confdir_confirm(d);
	return rc;
}
