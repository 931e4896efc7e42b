#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fds.h"
#include "common/files.h"
#include "common/log.h"
#include "daemon/abilities.h"
#include "daemon/accepted_queue.h"
#include "daemon/activation.h"
#include "daemon/apply.h"
#include "daemon/audit.h"
#include "daemon/cgroup.h"
#include "daemon/confdir.h"
#include "daemon/control.h"
#include "daemon/failures.h"
#include "daemon/exec_session.h"
#include "daemon/folders.h"
#include "daemon/keeper_link.h"
#include "daemon/limits.h"
#include "daemon/listeners.h"
#include "daemon/log_reader.h"
#include "daemon/network.h"
#include "daemon/notify.h"
#include "daemon/override.h"
#include "daemon/publish.h"
#include "daemon/publish_api.h"
#include "daemon/reconcile.h"
#include "daemon/record.h"
#include "daemon/rollout.h"
#include "daemon/sandbox_gvisor.h"
#include "daemon/schedule.h"
#include "daemon/seats.h"
#include "daemon/secret_watch.h"
#include "daemon/secrets.h"
#include "daemon/sessions.h"
#include "daemon/settings.h"
#include "daemon/storage.h"
#include "daemon/storage_helper.h"
#include "daemon/tokens.h"
#include "daemon/uids.h"
#include "daemon/upgrade.h"
#include "daemon/usage.h"
#include "daemon/usage_store.h"
#include "daemon/wake.h"
#include "daemon/workers.h"
#include "mem.h"

#define LOCK_TRIES     100
#define LOCK_TRIES_NEW 25

static int parse_arguments(struct daemon *d, int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *value = argv[i + 1];

		if (strcmp(name, "--main") == 0)
			d->place.main_path = value;
		else if (strcmp(name, "--data-dir") == 0)
			d->place.data_dir_override = value;
		else if (strcmp(name, "--conf-dir") == 0)
			d->place.conf_dir_override = value;
		else if (strcmp(name, "--domain") == 0)
			d->place.domain_override = value;
		else if (strcmp(name, "--port") == 0)
			d->place.port_override = strtol(value, NULL, 10);
		else
			return -1;
	}
	return argc % 2 == 1 && d->place.main_path ? 0 : -1;
}

/* The folders that are ours. */
static int open_folders(struct daemon *d, struct ten_error *err)
{
	struct stat st;

	if (files_make_dirs(d->data_dir, 0711, err) < 0 ||
		files_make_dirs(d->runtime_dir, 0711, err) < 0)
		return -1;
	d->data_fd = open(d->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d->run_fd = open(d->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->data_fd < 0 || d->run_fd < 0)
		return ten_error_set(
			err, errno, "%s", d->data_fd < 0 ? d->data_dir : d->runtime_dir);
	/* In a folder under /tmp a stranger may have been first. */
	if (fstat(d->run_fd, &st) < 0 || st.st_uid != d->uid || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return ten_error_set(err, 0,
			"%s is not ours alone: remove it, or set [settings] runtime_dir",
			d->runtime_dir);
	d->own_fd = files_make_dir(d->data_fd, ".tenement", 0711, err);
	return d->own_fd < 0 ? -1 : 0;
}

/* One daemon for one data_dir. */
static int take_lock(struct daemon *d, struct ten_error *err)
{
	struct timespec moment = { .tv_nsec = 20000000 };
	int fd = openat(d->own_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return ten_error_set(err, errno, "%s/.tenement/lock", d->data_dir);
	/* A child of the daemon before us may hold it for the moment it takes to end, and the
	 * daemon of a keeper that was killed until it has noticed. */
	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (tries == (d->keeper_is_new ? LOCK_TRIES_NEW : LOCK_TRIES))
			return ten_error_set(err, 0,
				"another tenement runs on %s: stop it first, or use another "
				"data_dir",
				d->data_dir);
		nanosleep(&moment, NULL);
	}
	return 0; /* kept open for life */
}

/* {data_dir}/.tenement/run is how `ten` finds us. */
static int link_runtime(struct daemon *d, struct ten_error *err)
{
	autoclose int instances = files_make_dir(d->run_fd, "instances", 0700, err);
	char leads_to[PATH_MAX];
	ssize_t len = readlinkat(d->own_fd, "run", leads_to, sizeof(leads_to));
	autoclose int failures = files_make_dir(d->run_fd, "failures", 0700, err);

	if (instances < 0)
		return -1;
	if (failures < 0)
		log_warn("%s: failures are forgotten with the daemon", err->text);
	/* Who comes back while the disk is full can make none anew. */
	if (len == (ssize_t)strlen(d->runtime_dir) &&
		memcmp(leads_to, d->runtime_dir, (size_t)len) == 0)
		return 0;
	unlinkat(d->own_fd, ".run.new", 0);
	if (symlinkat(d->runtime_dir, d->own_fd, ".run.new") < 0 ||
		renameat(d->own_fd, ".run.new", d->own_fd, "run") < 0)
		return ten_error_set(err, errno, "%s/.tenement/run", d->data_dir);
	return 0;
}

static void remove_socket_folders(struct daemon *d)
{
	int fd = openat(d->run_fd, "sockets", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (list && (entry = readdir(list))) {
		if (entry->d_name[0] != '.')
			folders_remove_socket(d, entry->d_name);
	}
	if (list)
		closedir(list);
	unlinkat(d->run_fd, "sockets", AT_REMOVEDIR);
}

/* An end leaves nothing: what cannot be removed here was not ours. */
static void remove_runtime(struct daemon *d)
{
	remove_socket_folders(d);
	unlinkat(d->run_fd, "instances", AT_REMOVEDIR);
	secrets_end(d);
	sandbox_gvisor_sweep(d);
	unlinkat(d->run_fd, "sandboxes", AT_REMOVEDIR);
	failures_end(d);
	notify_end(d);
	unlinkat(d->own_fd, "run", 0);
	rmdir(d->runtime_dir);
}

static int prepare(struct daemon *d, struct ten_error *err)
{
	if (settings_boot(d, err) < 0 || open_folders(d, err) < 0 || take_lock(d, err) < 0 ||
		settings_check_confirmed(d, err) < 0 || link_runtime(d, err) < 0 ||
		uids_load(d, err) < 0)
		return -1;
	reconcile_load_pause(d);
	if (cgroup_start(d, err) < 0)
		return -1;
	limits_start(d);
	abilities_find(d);
	d->set = config_set_new(&d->place);
	if (workers_share(d, err) < 0 || listeners_start(d, err) < 0 ||
		override_load_all(d, err) < 0 || apply_finish_journal(d, err) < 0 ||
		rollout_load(d, err) < 0 || storage_start(d, err) < 0 ||
		confdir_start(d, err) < 0 || schedule_start(d, err) < 0 || notify_start(d, err) < 0)
		return -1;
	tokens_start(d);
	audit_start(d);
	sessions_start(d);
	if (control_start(d, err) < 0)
		return -1;
	return 0;
}

static void take_over_slot(void *data, const struct route_instance *seen)
{
	struct daemon *d = data;
	const struct ten_spec *spec = config_set_instance(d->set, seen->name);
	struct instance *instance;

	if (publish_api_take_over(d, seen))
		return;
	if (!spec) {
		route_table_slot_give_back(d->table, seen->self);
		return;
	}
	instance = instance_get(d, seen->name);
	instance->spec = spec_ref(spec);
	instance->published = spec_ref(spec);
	instance->target = seen->self;
	instance->known = instance->used = true;
	instance->wanted_state = reconcile_effective_state(d, spec);
	schedule_join(d, instance);
	d->by_slot[seen->self.slot] = instance;
	route_table_state(d->table, seen->self, &instance->state);
}

/* An instance whose process is gone with the daemon that knew it. */
static void settle_states(struct daemon *d)
{
	struct instance *instance, *next;

	HASH_ITER (hh, d->instances, instance, next) {
		if (instance->known && !instance->run) {
			/* (who waited for its turn waits no more) */
			board_wake_clear(&d->board->wakes[instance->target.slot]);
			if (!failures_resume(d, instance))
				instance_set_state(d, instance, INSTANCE_ASLEEP, NULL);
		}
	}
}

static int take_over(struct daemon *d, struct ten_error *err)
{
	usage_start(d);
	route_table_each_instance(d->table, take_over_slot, d);
	activation_take_over(d);
	record_adopt_all(d);
	secrets_sweep(d);
	failures_load_all(d);
	network_start(d);
	cgroup_sweep(d);
	sandbox_gvisor_sweep(d);
	settle_states(d);
	publish_sweep(d);
	if (keeper_link_start(d, err) < 0)
		return -1;
	seats_settle(d);
	return reconcile_start(d, err);
}

static void on_detach(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	log_info("leaving; the tenants go on");
	ev_break(loop, EVBREAK_ALL);
}

static void on_reload(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	confdir_rearm(ev_userdata(loop));
	schedule_look(ev_userdata(loop));
	secret_watch_rescan(ev_userdata(loop));
}

static void on_upgrade(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct ten_error err;

	(void)watcher;
	(void)events;
	if (upgrade_begin(ev_userdata(loop), &err) < 0)
		log_error("no upgrade: %s", err.text);
}

/* The first reconcile is done when the loop has turned once. */
static void on_first_turn(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);
	char **addresses = listeners_addresses();

	(void)timer;
	(void)events;
	d->first_reconcile_done = true;
	schedule_settle(d);
	reconcile_mark_settings(d);
	keeper_link_ready(d);
	for (size_t i = 0; addresses && addresses[i]; i++)
		log_info("serving %s on %s", d->domain, addresses[i]);
}

int main(int argc, char **argv)
{
	static struct daemon daemon;
	struct daemon *d = &daemon;
	struct ten_error err = { 0 };
	ev_signal terminate, interrupt, reload, upgrade;
	ev_timer first;

	log_init("tenementd");
	if (argc == 2 && strcmp(argv[1], "--usage") == 0 && strcmp(argv[0], USAGE_KEEPER) == 0)
		return usage_keeper_main();
	if (argc == 3 && strcmp(argv[1], "--logs") == 0 && strcmp(argv[0], LOG_READER) == 0)
		return log_reader_main(argv[2]);
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("tenementd %s\n", TEN_VERSION);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], STORAGE_HELPER_FLAG) == 0)
		storage_helper_main();
	d->keeper = fds_find("keeper");
	d->keeper_is_new = fds_find("table.writer") < 0;
	if (parse_arguments(d, argc, argv) < 0 || d->keeper < 0) {
		fprintf(stderr, "tenementd is run by tenement-keeper: use `ten serve`\n");
		return 2;
	}
	d->started = daemon_now();
	/* Of no use to who guesses it; unique is enough. */
	if (getrandom(&d->boot_id, sizeof(d->boot_id), 0) < 0)
		d->boot_id = clock_ns(CLOCK_REALTIME);
	d->boot_id >>= 16;
	d->uid = geteuid();
	d->root = d->uid == 0;
	d->place.root = d->root;
	d->place.xdg_runtime_dir = getenv("XDG_RUNTIME_DIR");
	d->loop = ev_loop_new(EVFLAG_NOENV);
	TAILQ_INIT(&d->queue);
	ev_set_userdata(d->loop, d);
	umask(022);
	/* Taken over, the table goes on serving: nothing is unready meanwhile. */
	d->first_reconcile_done = !d->keeper_is_new;
	signal(SIGPIPE, SIG_IGN);
	if (prepare(d, &err) < 0 || take_over(d, &err) < 0 || workers_run(d, &err) < 0) {
		log_error("%s", err.text);
		if (d->keeper_is_new) {
			listeners_remove_sockets();
			cgroup_stop(d);
		}
		return EXIT_FAILURE;
	}
	wake_start(d);
	ev_signal_init(&terminate, on_detach, SIGTERM);
	ev_signal_start(d->loop, &terminate);
	ev_signal_init(&interrupt, on_detach, SIGINT);
	ev_signal_start(d->loop, &interrupt);
	ev_signal_init(&reload, on_reload, SIGHUP);
	ev_signal_start(d->loop, &reload);
	ev_signal_init(&upgrade, on_upgrade, SIGUSR2);
	ev_signal_start(d->loop, &upgrade);
	ev_timer_init(&first, on_first_turn, 0., 0.);
	ev_timer_start(d->loop, &first);
	ev_run(d->loop, 0);
	usage_stop(d);
	accepted_queue_finish(d);
	control_stop(d);
	exec_session_stop(d);
	sessions_stop(d);
	tokens_stop(d);
	audit_stop(d);
	log_reader_stop(d);
	if (d->shutting_down) {
		listeners_remove_sockets();
		network_stop(d);
		cgroup_stop(d);
		remove_runtime(d);
	}
	return 0;
}
