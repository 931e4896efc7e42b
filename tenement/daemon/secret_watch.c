#include "daemon/secret_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "common/log.h"
#include "common/secret_file.h"
#include "config_path.h"
#include "daemon/rollout.h"
#include "daemon/secrets.h"
#include "env_file.h"
#include "mem.h"

#define EVENTS                                                                                     \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB |        \
		IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define LOOK_SECONDS   0.1
#define SETTLE_SECONDS 0.2 /* a file that is as it was so long ago is not being written */
#define RESCAN_SECONDS 30.0

/* A folder that is watched; two paths may lead to one. */
struct folder {
	int number;
	unsigned references;
	bool touched, gone;
	UT_hash_handle hh;
};

enum { BY_NAME, BY_LINKS, WAYS };

/* A file that secrets come from. */
struct source {
	char *name; /* "e" or "c" (of variables, or not) and its path */
	const char *path;
	uint64_t stamp;     /* as it was when it was found settled; 0: it cannot be used */
	uint64_t candidate; /* what it was at the last look, while that is another */
	uint64_t parsed;    /* the stamp of what was found to be right as a file of variables */
	bool settling, look;
	char *problem; /* why it cannot be used */
	struct folder *folders[WAYS];
	struct secret_use *users;
	UT_hash_handle hh;
};

struct secret_use {
	struct instance *instance;
	struct source *source;
	struct secret_use *prev, *next;
};

struct instance_secrets {
	const struct ten_spec *spec;
	size_t count;
	struct secret_use uses[];
};

static struct source *sources;
static struct folder *folders;
static int inotify = -1;
static ev_io reader;
static ev_timer look_timer, rescan_timer;

/* ---- folders ---- */

static struct folder *watch_folder(const char *path)
{
	int number = inotify >= 0 ? inotify_add_watch(inotify, path, EVENTS) : -1;
	struct folder *folder;

	if (number < 0)
		return NULL;
	HASH_FIND_INT(folders, &number, folder);
	if (!folder) {
		folder = mem_alloc(sizeof(*folder));
		folder->number = number;
		HASH_ADD_INT(folders, number, folder);
	}
	folder->references++;
	return folder;
}

static void leave_folder(struct folder *folder)
{
	if (!folder || --folder->references)
		return;
	if (!folder->gone)
		inotify_rm_watch(inotify, folder->number);
	HASH_DEL(folders, folder);
	free(folder);
}

/* The folder that PATH is in or, where that is not there, the nearest above that is. */
static struct folder *watch_above(const char *path)
{
	autofree char *at = config_path_parent(path);

	for (;;) {
		struct folder *folder = watch_folder(at);
		autofree char *above = NULL;

		if (folder || strcmp(at, "/") == 0 || (errno != ENOENT && errno != ENOTDIR))
			return folder;
		above = config_path_parent(at);
		free(at);
		at = mem_steal(&above);
	}
}

static void leave_folders(struct source *source)
{
	for (int way = 0; way < WAYS; way++)
		leave_folder(source->folders[way]);
	memset(source->folders, 0, sizeof(source->folders));
}

static void arm(struct source *source)
{
	struct folder *before[WAYS];
	autofree char *real = realpath(source->path, NULL);

	memcpy(before, source->folders, sizeof(before));
	source->folders[BY_NAME] = watch_above(source->path);
	source->folders[BY_LINKS] =
		real && strcmp(real, source->path) != 0 ? watch_above(real) : NULL;
	/* (the new ones first, so that one that stays is never left) */
	for (int way = 0; way < WAYS; way++)
		leave_folder(before[way]);
}

/* ---- files ---- */

static int check_variables(struct daemon *d, struct source *source, struct ten_error *err)
{
	struct env_file file = { 0 };
	uint64_t stamp = 0;
	size_t len = 0;
	char *text = secret_file_read(source->path, d->uid, &len, &stamp, err);
	int result;

	if (!text)
		return -1;
	result = env_file_parse(text, len, &file, err);
	env_file_wipe(&file);
	secret_wipe(text, len);
	if (result < 0)
		return ten_error_wrap(err, "%s", source->path);
	source->parsed = stamp;
	return 0;
}

/* Its stamp as it is now; 0: it cannot be used, and *err says why. */
static uint64_t examine(struct daemon *d, struct source *source, struct ten_error *err)
{
	struct stat st;
	int fd = secret_file_open(source->path, d->uid, &st, err);
	uint64_t stamp;

	if (fd < 0)
		return 0;
	close(fd);
	stamp = secret_file_stamp(&st);
	if (source->name[0] == 'e' && source->parsed != stamp &&
		check_variables(d, source, err) < 0)
		return 0;
	return stamp;
}

static void accept(struct daemon *d, struct source *source, uint64_t stamp, const char *problem)
{
	struct secret_use *use;

	source->stamp = stamp;
	free(source->problem);
	source->problem = stamp ? NULL : mem_strdup(problem);
	if (stamp)
		log_info("%s: the secret changed", source->path);
	else
		log_warn(
			"a secret cannot be used: %s; what runs goes on with what it has", problem);
	DL_FOREACH (source->users, use)
		instance_mark(d, use->instance);
}

/* That we cannot look says nothing of the file. */
static bool is_ours(int code)
{
	return code == EMFILE || code == ENFILE || code == ENOMEM || code == EIO || code == EINTR ||
	       code == EAGAIN || code == ESTALE;
}

/* What is found twice is so; what was just written may be written on. */
static void look_at(struct daemon *d, struct source *source)
{
	struct ten_error err = { 0 };
	uint64_t stamp = examine(d, source, &err);

	source->look = false;
	if (!stamp && is_ours(err.code)) {
		source->settling = false;
		return;
	}
	if (stamp == source->stamp) {
		source->settling = false;
		if (!stamp && strcmp(source->problem, err.text) != 0)
			accept(d, source, stamp, err.text);
		return;
	}
	if (source->settling && source->candidate == stamp) {
		source->settling = false;
		accept(d, source, stamp, err.text);
		return;
	}
	source->settling = true;
	source->candidate = stamp;
}

static void look_later(struct daemon *d, double seconds)
{
	if (ev_is_active(&look_timer))
		return;
	ev_timer_set(&look_timer, seconds, 0.);
	ev_timer_start(d->loop, &look_timer);
}

static bool is_touched(const struct source *source)
{
	for (int way = 0; way < WAYS; way++)
		if (source->folders[way] && source->folders[way]->touched)
			return true;
	return false;
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);
	struct source *source, *next;
	struct folder *folder, *next_folder;
	bool settling = false;

	(void)timer;
	(void)events;
	HASH_ITER (hh, sources, source, next) {
		if (is_touched(source))
			source->look = true;
	}
	HASH_ITER (hh, folders, folder, next_folder)
		folder->touched = false;
	HASH_ITER (hh, sources, source, next) {
		bool moved = source->look;

		if (!source->look && !source->settling)
			continue;
		look_at(d, source);
		if (moved)
			arm(source);
		settling = settling || source->settling;
	}
	if (settling)
		look_later(d, SETTLE_SECONDS);
}

static void on_inotify(struct ev_loop *loop, ev_io *io, int events)
{
	_Alignas(struct inotify_event) char buffer[16384];
	const struct inotify_event *event;
	ssize_t len = read(io->fd, buffer, sizeof(buffer));
	struct folder *folder, *next;

	(void)events;
	for (char *at = buffer; at < buffer + len; at += sizeof(*event) + event->len) {
		event = (const struct inotify_event *)(void *)at;
		if (event->mask & IN_Q_OVERFLOW) {
			HASH_ITER (hh, folders, folder, next)
				folder->touched = true;
			continue;
		}
		HASH_FIND_INT(folders, &event->wd, folder);
		if (!folder)
			continue;
		folder->touched = true;
		folder->gone = folder->gone || (event->mask & IN_IGNORED);
	}
	look_later(ev_userdata(loop), LOOK_SECONDS);
}

/* One stat a file: nothing is read where that says the same. */
void secret_watch_rescan(struct daemon *d)
{
	struct source *source, *next;
	bool any = false;

	HASH_ITER (hh, sources, source, next) {
		struct stat st;

		if (source->stamp && stat(source->path, &st) == 0 &&
			secret_file_stamp(&st) == source->stamp)
			continue;
		source->look = any = true;
	}
	if (any)
		look_later(d, 0.);
}

static void on_rescan(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	secret_watch_rescan(ev_userdata(loop));
}

static void start(struct daemon *d)
{
	static bool started;

	if (started)
		return;
	started = true;
	ev_timer_init(&look_timer, on_look, 0., 0.);
	ev_timer_init(&rescan_timer, on_rescan, RESCAN_SECONDS, RESCAN_SECONDS);
	ev_timer_start(d->loop, &rescan_timer);
	inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (inotify < 0) {
		log_warn("watching secrets: %s; they are looked at every half minute only",
			strerror(errno));
		return;
	}
	ev_io_init(&reader, on_inotify, inotify, EV_READ);
	ev_io_start(d->loop, &reader);
}

/* ---- who uses them ---- */

static struct source *get(struct daemon *d, char kind, const char *path)
{
	autofree char *name = mem_printf("%c%s", kind, path);
	struct ten_error err = { 0 };
	struct source *source;

	HASH_FIND_STR(sources, name, source);
	if (source)
		return source;
	start(d);
	source = mem_alloc(sizeof(*source));
	source->name = mem_steal(&name);
	source->path = source->name + 1;
	HASH_ADD_KEYPTR(hh, sources, source->name, strlen(source->name), source);
	arm(source); /* before the look, or news between would be lost */
	source->stamp = examine(d, source, &err);
	if (!source->stamp)
		source->problem = mem_strdup(err.text);
	return source;
}

static void put_back(struct source *source)
{
	if (source->users)
		return;
	leave_folders(source);
	HASH_DEL(sources, source);
	free(source->problem);
	free(source->name);
	free(source);
}

static void use(struct daemon *d, struct instance *instance, struct instance_secrets *secrets,
	char kind, const char *written)
{
	autofree char *path = secrets_path(d, secrets->spec, written);
	struct secret_use *one = &secrets->uses[secrets->count++];

	one->instance = instance;
	one->source = get(d, kind, path);
	DL_APPEND(one->source->users, one);
}

void secret_watch_leave(struct daemon *d, struct instance *instance)
{
	struct instance_secrets *secrets = mem_steal(&instance->secrets);

	(void)d;
	if (!secrets)
		return;
	for (size_t i = 0; i < secrets->count; i++) {
		DL_DELETE(secrets->uses[i].source->users, &secrets->uses[i]);
		put_back(secrets->uses[i].source);
	}
	spec_unref(secrets->spec);
	free(secrets);
}

static void follow(struct daemon *d, struct instance *instance, const struct ten_spec *spec)
{
	const struct option_map *map = &spec->values.credentials;
	size_t count = mem_strv_length(spec->values.env_file) + map->count;
	struct instance_secrets *before = instance->secrets, *secrets;

	if (before && before->spec == spec)
		return;
	secrets = mem_alloc(sizeof(*secrets) + count * sizeof(*secrets->uses));
	secrets->spec = spec_ref(spec);
	for (char *const *path = spec->values.env_file; path && *path; path++)
		use(d, instance, secrets, 'e', *path);
	for (size_t i = 0; i < map->count; i++)
		use(d, instance, secrets, 'c', map->pairs[i].value);
	secret_watch_leave(d, instance);
	instance->secrets = secrets;
}

static bool may_be_tried_again(const struct instance *instance)
{
	return instance->state == INSTANCE_FAILED || instance->state == INSTANCE_BACKOFF;
}

void secret_watch_follow(struct daemon *d, struct instance *instance)
{
	const struct ten_spec *spec = NULL;

	if (instance->run)
		spec = instance->run->spec;
	else if (instance->spec && may_be_tried_again(instance))
		spec = rollout_spec(d, instance);
	if (spec && secrets_asked(spec))
		follow(d, instance, spec);
	else
		secret_watch_leave(d, instance);
}

/* In the order in which they are given; 0: not all of them can be used. */
static uint64_t stamp_of(const struct instance_secrets *secrets)
{
	uint64_t stamp = 0;

	for (size_t i = 0; secrets && i < secrets->count; i++) {
		if (!secrets->uses[i].source->stamp)
			return 0;
		stamp = secrets_mix(stamp, secrets->uses[i].source->stamp);
	}
	return stamp;
}

bool secret_watch_changed(const struct instance *instance)
{
	const struct run *run = instance->run;
	uint64_t stamp = stamp_of(instance->secrets);

	if (!stamp)
		return false;
	if (run)
		return run->secrets_stamp && run->secrets_stamp != stamp && !run->unknown;
	return may_be_tried_again(instance) && instance->failed_secrets != stamp;
}

void secret_watch_failed(struct daemon *d, struct instance *instance)
{
	const struct ten_spec *spec = instance->spec ? rollout_spec(d, instance) : NULL;

	if (!spec || !secrets_asked(spec))
		return;
	follow(d, instance, spec);
	instance->failed_secrets = instance->run && instance->run->secrets_stamp
					   ? instance->run->secrets_stamp
					   : stamp_of(instance->secrets);
}

const char *secret_watch_problem(const struct instance *instance)
{
	for (size_t i = 0; instance->secrets && i < instance->secrets->count; i++)
		if (instance->secrets->uses[i].source->problem)
			return instance->secrets->uses[i].source->problem;
	return NULL;
}

void secret_watch_each_problem(void (*visit)(void *data, const char *problem), void *data)
{
	struct source *source, *next;

	HASH_ITER (hh, sources, source, next)
		if (source->problem)
			visit(data, source->problem);
}
