#include "daemon/isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/files.h"
#include "common/process.h"
#include "common/programs.h"
#include "config_path.h"
#include "daemon/cgroup.h"
#include "daemon/notify.h"
#include "daemon/secrets.h"
#include "machine.h"
#include "mem.h"

#define MIB             (1024 * 1024)
#define RESOLV_CONF     "/etc/resolv.conf"
#define RESOLV_CONF_MAX 65536
#define TMP_DEFAULT     256 /* MiB, where memory has no limit */

/* ---- what all of them see ---- */

struct fixed {
	enum view_kind kind;
	unsigned flags;
	const char *path;
};

static const struct fixed everywhere[] = {
	{ VIEW_TMP, 0, "/tmp" },
	{ VIEW_TMP, VIEW_OPTIONAL, "/var/tmp" },
	{ VIEW_DEV, 0, "/dev" },
	{ VIEW_PTS, 0, "/dev/pts" },
	{ VIEW_TMP, 0, "/dev/shm" },
	/* What the kernel shows of the machine, as container runtimes have it. */
	{ VIEW_PROC, 0, "/proc" },
	{ VIEW_SEAL, 0, "/proc/sys" },
	{ VIEW_SEAL, 0, "/proc/sysrq-trigger" },
	{ VIEW_SEAL, 0, "/proc/bus" },
	{ VIEW_SEAL, 0, "/proc/fs" },
	{ VIEW_SEAL, 0, "/proc/irq" },
	{ VIEW_HIDE, VIEW_FIRM, "/proc/acpi" },
	{ VIEW_HIDE, VIEW_FIRM, "/proc/asound" },
	{ VIEW_HIDE, VIEW_FIRM, "/proc/interrupts" },
	{ VIEW_HIDE, VIEW_FIRM, "/proc/kcore" },
	{ VIEW_HIDE, VIEW_FIRM, "/proc/keys" },
	{ VIEW_HIDE, VIEW_FIRM, "/proc/latency_stats" },
	{ VIEW_HIDE, VIEW_FIRM, "/proc/sched_debug" },
	{ VIEW_HIDE, VIEW_FIRM, "/proc/scsi" },
	{ VIEW_HIDE, VIEW_FIRM, "/proc/timer_list" },
	{ VIEW_HIDE, VIEW_FIRM, "/sys/firmware" },
	{ VIEW_HIDE, VIEW_FIRM, "/sys/fs/bpf" },
	{ VIEW_HIDE, VIEW_FIRM, "/sys/fs/cgroup" },
	{ VIEW_HIDE, VIEW_FIRM, "/sys/fs/pstore" },
	{ VIEW_HIDE, VIEW_FIRM, "/sys/kernel/debug" },
	{ VIEW_HIDE, VIEW_FIRM, "/sys/kernel/tracing" },
};

static const struct fixed of_the_host[] = {
	{ VIEW_HIDE, 0, "/root" },
	{ VIEW_HIDE, VIEW_FIRM, "/home" },
	/* Nothing of /run but what is asked for here, or by read_only_paths: names of hosts, the
	 * system's log, and data bases. */
	{ VIEW_HIDE, VIEW_FIRM, "/run" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/systemd/resolve" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/resolvconf" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/NetworkManager/resolv.conf" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/nscd" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/systemd/journal/dev-log" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/systemd/journal/socket" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/postgresql" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/mysqld" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/redis" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/memcached" },
	{ VIEW_READ, VIEW_OPTIONAL, "/run/mongodb" },
};

static const struct fixed in_a_root_of_its_own[] = {
	{ VIEW_READ, 0, "/sys" },
};

#define ADD_ALL(view, rows) add_all(view, rows, sizeof(rows) / sizeof(*(rows)))

static void add_all(struct view *view, const struct fixed *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		view_add(view, rows[i].kind, rows[i].flags, rows[i].path, NULL, NULL);
}

/* PATH without links; as it is where it is not there. The caller frees. */
static char *real(const char *path)
{
	char *found = realpath(path, NULL);

	return found ? found : mem_strdup(path);
}

/* What is shown of our own place, both by its own name and by the one that tenants are told, where
 * that leads through a link that is hidden. */
static void show(struct view *view, enum view_kind kind, unsigned flags, const char *path)
{
	autofree char *source = real(path);
	const struct view_item *found;

	view_add(view, kind, flags, source, NULL, NULL);
	found = view_find(view, path);
	if (strcmp(path, source) != 0 && found &&
		(found->kind == VIEW_HIDE || found->kind == VIEW_TMP))
		view_add(view, kind, flags, path, source, NULL);
}

static void hide(struct isolation *isolation, size_t number, const char *path)
{
	isolation->kept[number] = real(path);
	/* In a root of its own they are not there. */
	if (!isolation->rootfs)
		view_add(&isolation->view, VIEW_HIDE, VIEW_FIRM, isolation->kept[number], NULL,
			NULL);
}

static void hide_ours(struct daemon *d, struct isolation *isolation)
{
	hide(isolation, 0, d->data_dir);
	hide(isolation, 1, d->runtime_dir);
	hide(isolation, 2, d->conf_dir);
	hide(isolation, 3, d->place.main_path);
}

/* ---- what this one sees ---- */

static bool is_its_own(const struct ten_spec *spec, const char *path)
{
	bool own = config_path_within(path, spec->dir);

	for (size_t i = 0; spec->claims && spec->claims[i]; i++)
		own = own || config_path_within(path, spec->claims[i]);
	return own;
}

static void show_its_own(struct daemon *d, const struct ten_spec *spec, const struct run *run,
	struct isolation *isolation)
{
	struct view *view = &isolation->view;
	autofree char *sockets = config_path_parent(run->socket_path);
	autofree char *notify = notify_folder(d);
	autofree char *credentials = secrets_folder(d, run);

	enum view_kind stored = run->reads_only ? VIEW_READ : VIEW_WRITE;

	show(view, stored, VIEW_NO_LINKS | VIEW_OWN, spec->dir);
	for (size_t i = 0; spec->claims && spec->claims[i]; i++)
		show(view, stored, VIEW_NO_LINKS | VIEW_OWN, spec->claims[i]);
	if (is_its_own(spec, sockets)) /* where it could put a link */
		view_add(view, VIEW_WRITE, VIEW_NO_LINKS | VIEW_OWN, sockets, NULL, NULL);
	else
		show(view, VIEW_WRITE, VIEW_NO_LINKS | VIEW_OWN, sockets);
	if (credentials)
		show(view, VIEW_READ, VIEW_NO_LINKS, credentials);
	if (spec->values.ready == READY_NOTIFY)
		show(view, VIEW_READ, VIEW_NO_LINKS, notify);
}

static char *fill_in(
	struct daemon *d, const struct ten_spec *spec, const char *text, struct ten_error *err)
{
	struct spec_place place = { .data_dir = d->data_dir, .runtime_dir = d->runtime_dir };

	return spec_interpolate(spec, &place, text, err);
}

/* What a key of the operator's asks for, PATHS being a list of places. */
static int add_asked(struct daemon *d, const struct ten_spec *spec, struct view *view,
	enum view_kind kind, const char *key, char *const *paths, struct ten_error *err)
{
	for (; paths && *paths; paths++) {
		autofree char *path = fill_in(d, spec, *paths, err);

		if (!path)
			return ten_error_wrap(err, "%s", key);
		view_add(view, kind, VIEW_ASKED, path, NULL, key);
	}
	return 0;
}

static int add_mounts(
	struct daemon *d, const struct ten_spec *spec, struct view *view, struct ten_error *err)
{
	for (char *const *mount = spec->values.mounts; mount && *mount;
		mount += OPTION_MOUNT_STRINGS) {
		autofree char *source = fill_in(d, spec, mount[0], err);
		autofree char *destination = source ? fill_in(d, spec, mount[1], err) : NULL;
		bool writable = strcmp(mount[2], OPTION_MOUNT_WRITE) == 0;

		if (!destination)
			return ten_error_wrap(err, "mounts");
		view_add(view, writable ? VIEW_WRITE : VIEW_READ, VIEW_ASKED, destination, source,
			"mounts");
	}
	return 0;
}

static int add_all_asked(
	struct daemon *d, const struct ten_spec *spec, struct view *view, struct ten_error *err)
{
	const struct service_values *values = &spec->values;

	if (add_asked(d, spec, view, VIEW_HIDE, "hide_paths", values->hide_paths, err) < 0 ||
		add_asked(d, spec, view, VIEW_WRITE, "read_write_paths", values->read_write_paths,
			err) < 0 ||
		add_asked(d, spec, view, VIEW_READ, "read_only_paths", values->read_only_paths,
			err) < 0)
		return -1;
	return add_mounts(d, spec, view, err);
}

/* Where PATH leads. A tenant's links are not followed: it could have shown to it what it likes. */
static char *led_to(const struct ten_spec *spec, const char *path)
{
	return is_its_own(spec, path) ? config_path_normalize(path) : real(path);
}

/* A program that is named by a path, and what it is a link to. */
static void show_program(
	struct view *view, const struct ten_spec *spec, const struct spawn_words *words)
{
	autofree char *path = config_path_join(words->workdir, words->argv[0]);
	autofree char *plain = config_path_normalize(path);
	autofree char *target = led_to(spec, plain);
	autofree char *beside = config_path_parent(plain);
	autofree char *folder = led_to(spec, beside);
	autofree char *target_folder = config_path_parent(target);

	if (!strchr(words->argv[0], '/'))
		return;
	view_uncover(view, folder, VIEW_OPTIONAL, NULL);
	view_uncover(view, beside, VIEW_OPTIONAL, NULL);
	view_uncover(view, target_folder, VIEW_OPTIONAL, NULL);
}

static size_t depth(const char *path)
{
	size_t parts = 0;

	for (; *path; path++)
		parts += *path == '/' && path[1];
	return parts;
}

/* The folder that tenement.toml is in, where it is one of tenement's own, as /etc/tenement: what is
 * replaced in a folder that is hidden stays hidden. Where programs are in there as well it is left,
 * for nobody knows what else of it they need. */
static void hide_its_folder(
	struct isolation *isolation, const struct ten_spec *spec, const struct spawn_words *words)
{
	autofree char *folder = config_path_parent(isolation->kept[3]);
	autofree char *workdir = led_to(spec, words->workdir);
	autofree char *path = config_path_join(words->workdir, words->argv[0]);
	autofree char *plain = config_path_normalize(path);
	autofree char *program = led_to(spec, plain);

	if (depth(folder) >= 2 && !config_path_within(workdir, folder) &&
		!config_path_within(path, folder) && !config_path_within(program, folder))
		view_add(&isolation->view, VIEW_HIDE, VIEW_FIRM, folder, NULL, NULL);
}

static void show_what_it_runs(
	struct isolation *isolation, const struct ten_spec *spec, const struct spawn_words *words)
{
	autofree char *workdir = led_to(spec, words->workdir);

	view_uncover(&isolation->view, workdir, VIEW_OPTIONAL, "workdir");
	view_uncover(&isolation->view, words->workdir, VIEW_OPTIONAL, "workdir");
	show_program(&isolation->view, spec, words);
}

static void show_group(const struct run *run, struct view *view)
{
	autofree char *group = cgroup_folder(run->cgroup);

	if (group)
		view_add(view, VIEW_READ, VIEW_OPTIONAL, "/sys/fs/cgroup", group, NULL);
}

/* systemd-resolved listens on the machine's loopback, which is another network's: where it asks
 * itself is shown instead. */
static void show_resolvers(const struct run *run, struct view *view)
{
	autofree char *text = NULL, *place = NULL;

	if (run->network.kind != NETWORK_PRIVATE)
		return;
	text = files_read(AT_FDCWD, RESOLV_CONF, RESOLV_CONF_MAX, NULL, NULL);
	place = real(RESOLV_CONF);
	if (text && strstr(text, "nameserver 127."))
		view_add(view, VIEW_READ, VIEW_OPTIONAL, place, "/run/systemd/resolve/resolv.conf",
			NULL);
}

static uint64_t tmp_bytes(const struct ten_spec *spec)
{
	int64_t mib =
		spec && spec->values.memory_limit_mb ? spec->values.memory_limit_mb : TMP_DEFAULT;

	return (uint64_t)mib * MIB;
}

static void prepare(struct daemon *d, const struct ten_spec *spec, struct isolation *isolation)
{
	isolation->clone_flags = enter_clone_flags(!d->root);
	isolation->enter = (struct enter){ .view = &isolation->view,
		.kept = isolation->kept,
		.tmp_bytes = tmp_bytes(spec),
		.user_namespace = !d->root,
		.uid = geteuid(),
		.gid = getegid() };
}

enum spec_isolation isolation_level(const struct daemon *d, const struct ten_spec *spec)
{
	/* Nobody who asks for it runs with less. */
	if (spec->values.isolation == ISOLATION_SANDBOX)
		return ISOLATION_SANDBOX;
	if (spec->values.isolation == ISOLATION_PROCESS ||
		machine_lacks_value(&d->machine, "isolation", "namespace"))
		return ISOLATION_PROCESS;
	return (enum spec_isolation)spec->values.isolation;
}

const char *isolation_name(enum spec_isolation level)
{
	static const char *const names[] = { "process", "namespace", "sandbox" };

	return names[level];
}

int isolation_plan(struct daemon *d, const struct ten_spec *spec, const struct run *run,
	const struct spawn_words *words, struct isolation *isolation, struct ten_error *err)
{
	*isolation = (struct isolation){ .level = isolation_level(d, spec) };
	if (isolation->level == ISOLATION_PROCESS)
		return 0;
	isolation->init = spec->values.init;
	prepare(d, spec, isolation);
	ADD_ALL(&isolation->view, everywhere);
	if (spec->values.rootfs) {
		isolation->rootfs = fill_in(d, spec, spec->values.rootfs, err);
		if (!isolation->rootfs)
			return ten_error_wrap(err, "rootfs");
		isolation->enter.rootfs = isolation->rootfs;
		ADD_ALL(&isolation->view, in_a_root_of_its_own);
	} else {
		ADD_ALL(&isolation->view, of_the_host);
	}
	hide_ours(d, isolation);
	if (!isolation->rootfs)
		hide_its_folder(isolation, spec, words);
	if (add_all_asked(d, spec, &isolation->view, err) < 0)
		return -1;
	show_its_own(d, spec, run, isolation);
	if (!isolation->rootfs)
		show_what_it_runs(isolation, spec, words);
	show_group(run, &isolation->view);
	show_resolvers(run, &isolation->view);
	view_sort(&isolation->view);
	return 0;
}

void isolation_clear(struct isolation *isolation)
{
	view_clear(&isolation->view);
	free(isolation->rootfs);
	for (size_t i = 0; i < sizeof(isolation->kept) / sizeof(*isolation->kept); i++)
		free(isolation->kept[i]);
	*isolation = (struct isolation){ 0 };
}

/* ---- whether it can be had ---- */

static void try_to_enter(const struct isolation *isolation, int said)
{
	struct ten_error err;
	ssize_t ignored;

	if (enter_view(&isolation->enter, &err) < 0) {
		ignored = write(said, err.text, strlen(err.text));
		(void)ignored;
		_exit(1);
	}
	_exit(0);
}

/* What the child PID SAID, and how it ended. */
static char *outcome(pid_t pid, int said)
{
	char text[TEN_ERROR_TEXT_MAX];
	ssize_t len = read(said, text, sizeof(text));
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (len > 0)
		return mem_strndup(text, (size_t)len);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0
		       ? NULL
		       : mem_strdup("a process in namespaces ended before it was one");
}

char *isolation_try(struct daemon *d)
{
	struct isolation isolation = { .level = ISOLATION_NAMESPACE };
	struct clone_args args = { .exit_signal = SIGCHLD };
	autoclose int init = -1;
	struct ten_error err;
	int said[2];
	sigset_t before;
	char *why;
	pid_t pid;

	init = isolation_init_fd(&err);
	if (init < 0)
		return mem_strdup(err.text);
	if (pipe2(said, O_CLOEXEC) < 0)
		return mem_printf("a pipe: %s", strerror(errno));
	prepare(d, NULL, &isolation);
	ADD_ALL(&isolation.view, everywhere);
	ADD_ALL(&isolation.view, of_the_host);
	view_sort(&isolation.view);
	args.flags = isolation.clone_flags;
	process_hold_signals(&before);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		try_to_enter(&isolation, said[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(said[1]);
	why = pid < 0 ? mem_printf("namespaces: %s", strerror(errno)) : outcome(pid, said[0]);
	close(said[0]);
	isolation_clear(&isolation);
	return why;
}

int isolation_init_fd(struct ten_error *err)
{
	autofree char *path = programs_path("tenement-init");
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return ten_error_set(err, errno, "%s", path);
	return fd;
}
