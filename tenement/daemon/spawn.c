#include "daemon/spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/become.h"
#include "common/log.h"
#include "common/loopback.h"
#include "common/process.h"
#include "common/program_find.h"
#include "config_path.h"
#include "daemon/activation.h"
#include "daemon/cgroup.h"
#include "daemon/cgroup_tree.h"
#include "daemon/folders.h"
#include "daemon/hold.h"
#include "daemon/isolation.h"
#include "daemon/limits.h"
#include "daemon/log_stream.h"
#include "daemon/network.h"
#include "daemon/orphans.h"
#include "daemon/readiness.h"
#include "daemon/record.h"
#include "daemon/rollout.h"
#include "daemon/sandbox.h"
#include "daemon/secrets.h"
#include "daemon/storage.h"
#include "daemon/uids.h"
#include "mem.h"
#include "option_value.h"
#include "wire.h"

int spawn_identity(struct daemon *d, const struct ten_spec *spec, uint32_t *uid, uint32_t *gid,
	struct ten_error *err)
{
	const char *user = spec->values.user;
	struct passwd *entry;
	int64_t number;

	*uid = *gid = BECOME_KEEP;
	if (!d->root) {
		/* "dynamic" is the default and degrades; a name that was written must be ours. */
		entry = strcmp(user, "dynamic") == 0 ? NULL : getpwnam(user);
		if (strcmp(user, "dynamic") != 0 && (!entry || entry->pw_uid != d->uid))
			return ten_error_set(err, 0,
				"user = \"%s\" needs a daemon that is root: run `ten serve` as "
				"root, or "
				"remove the key",
				user);
		return 0;
	}
	if (strcmp(user, "dynamic") == 0) {
		if (uids_get(d, spec->key, uid, err) < 0)
			return -1;
		*gid = *uid;
		return 0;
	}
	if (wire_number(user, 0, UINT32_MAX - 1, &number)) {
		*uid = *gid = (uint32_t)number;
		entry = getpwuid((uid_t)number);
	} else {
		entry = getpwnam(user);
		if (!entry)
			return ten_error_set(err, 0, "user = \"%s\": there is no such user", user);
	}
	if (entry) {
		*uid = entry->pw_uid;
		*gid = entry->pw_gid;
	}
	return 0;
}

/* Its folder is shown to the tenant, and below runtime_dir given to it: none that others share. */
static int check_socket_folder(
	struct daemon *d, const struct ten_spec *spec, const char *path, struct ten_error *err)
{
	static const char *const ours[] = { "sockets", "credentials", "sandboxes", "notify.d",
		"instances", "failures" };
	autofree char *own = mem_printf("%s/sockets/%s", d->runtime_dir, spec->key);
	autofree char *folder = config_path_parent(path);
	bool shared = isolation_level(d, spec) != ISOLATION_PROCESS &&
		      (strcmp(folder, d->runtime_dir) == 0 || strcmp(folder, d->data_dir) == 0 ||
			      strcmp(folder, d->conf_dir) == 0);

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		autofree char *place = mem_printf("%s/%s", d->runtime_dir, ours[i]);

		shared = shared || config_path_within(folder, place);
	}
	if (!shared || strcmp(folder, own) == 0)
		return 0;
	return ten_error_set(err, 0,
		"socket: %s is a folder of tenement's own: use one of the tenant's, as "
		"{runtime_dir}/{name}-{id}/socket, or leave socket out",
		folder);
}

char *spawn_socket_path(struct daemon *d, const struct ten_spec *spec, struct ten_error *err)
{
	char *path = spec->socket_path ? mem_strdup(spec->socket_path)
				       : mem_printf("%s/sockets/%s/s", d->runtime_dir, spec->key);

	if (strlen(path) > ROUTE_SOCKET_MAX || *path != '/') {
		ten_error_set(err, 0, "the socket's path %s is %s", path,
			*path == '/' ? "longer than 107 bytes: set [settings] runtime_dir to a "
				       "shorter one"
				     : "not absolute");
		free(path);
		return NULL;
	}
	if (check_socket_folder(d, spec, path, err) < 0) {
		free(path);
		return NULL;
	}
	return path;
}

/* A port on which nobody listens and which can be bound. */
static int pick_port(struct daemon *d, uint16_t *port, struct ten_error *err)
{
	const char *range = config_set_settings(d->set)->port_range;
	unsigned first = 0, last = 0;

	if (sscanf(range, "%u-%u", &first, &last) != 2 || first < 1 || last > 65535 || first > last)
		return ten_error_set(err, 0, "port_range = \"%s\" is not FIRST-LAST", range);
	/* Two tenements on one machine begin at different places: each knows only what it gave. */
	if (!d->next_port)
		d->next_port =
			(uint16_t)(first + option_hash_bytes(d->data_dir, strlen(d->data_dir), 0) %
						   (last - first + 1));
	for (unsigned i = 0; i <= last - first; i++) {
		struct sockaddr_in address = { .sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_ANY) };
		autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return ten_error_set(err, errno, "looking for a port");
		if (d->next_port < first || d->next_port > last)
			d->next_port = (uint16_t)first;
		*port = d->next_port++;
		/* One that was given but is not bound yet is not free either. */
		if (d->port_given[*port])
			continue;
		address.sin_port = htons(*port);
		if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
			d->port_given[*port] = true;
			return 0;
		}
	}
	return ten_error_set(err, 0, "no port is free in port_range = \"%s\"", range);
}

uint16_t spawn_any_port(struct daemon *d)
{
	return (uint16_t)strtoul(config_set_settings(d->set)->port_range, NULL, 10);
}

static void env_set(char ***env, const char *name, const char *value)
{
	autofree char *pair = mem_printf("%s=%s", name, value);
	size_t len = strlen(name) + 1;

	for (size_t i = 0; *env && (*env)[i]; i++) {
		if (strncmp((*env)[i], pair, len) == 0) {
			free((*env)[i]);
			(*env)[i] = mem_steal(&pair);
			return;
		}
	}
	mem_strv_append(env, pair);
}

int spawn_words_make(struct daemon *d, const struct ten_spec *spec, const struct run *run,
	struct spawn_words *words, struct ten_error *err)
{
	struct spec_place place = { .data_dir = d->data_dir,
		.runtime_dir = d->runtime_dir,
		.socket = run->socket_path,
		.port = run->port };
	const struct option_map *env = &spec->values.env;
	autofree char *notify = mem_printf("%s/notify.d/socket", d->runtime_dir);
	autofree char *hold = hold_path(d, spec, run->socket_path);
	char port[8];

	*words = (struct spawn_words){ 0 };
	for (size_t i = 0; spec->argv[i]; i++) {
		autofree char *word = spec_interpolate(spec, &place, spec->argv[i], err);

		if (!word)
			return -1;
		mem_strv_append(&words->argv, word);
	}
	snprintf(port, sizeof(port), "%u", run->port);
	env_set(&words->env, "PATH", PROGRAM_PATH);
	env_set(&words->env, "LANG", "C.UTF-8");
	env_set(&words->env, "HOME", spec->dir);
	env_set(&words->env, "DATA_DIR", spec->dir);
	for (size_t i = 0; i < env->count; i++) {
		autofree char *value = spec_interpolate(spec, &place, env->pairs[i].value, err);

		if (!value)
			return ten_error_wrap(err, "env.%s", env->pairs[i].name);
		env_set(&words->env, env->pairs[i].name, value);
	}
	env_set(&words->env, ORPHANS_MARK, spec->key);
	env_set(&words->env, "TENANT_ID", spec->id);
	env_set(&words->env, "PORT", port);
	env_set(&words->env, "SOCKET_PATH", run->socket_path);
	env_set(&words->env, "TENEMENT_HOLD", hold);
	if (spec->values.ready == READY_NOTIFY)
		env_set(&words->env, "NOTIFY_SOCKET", notify);
	words->workdir = spec_interpolate(spec, &place, spec->values.workdir, err);
	return words->workdir ? 0 : -1;
}

void spawn_words_free(struct spawn_words *words)
{
	/* (some of it may be secret) */
	for (size_t i = 0; words->env && words->env[i]; i++)
		explicit_bzero(words->env[i], strlen(words->env[i]));
	mem_strv_free(words->argv);
	mem_strv_free(words->env);
	free(words->workdir);
}

/* ---- the child ---- */

struct child {
	struct spawn_words words;
	struct become become;
	struct isolation isolation;
	struct sandbox sandbox;
	const char *key;
	int init;   /* tenement-init, to be executed; -1: none */
	int go;     /* a byte comes when its record is written; its end when the daemon died */
	int failed; /* where a reason goes; closed by exec */
	int out, error;
	int activation;          /* -1: none */
	int doors[CGROUP_PARTS]; /* of the control groups that it enters by itself */
	int door_count;
	bool own_network;
};

static void fail(const struct child *child, const char *reason)
{
	ssize_t ignored = write(child->failed, reason, strlen(reason));

	(void)ignored;
	_exit(127);
}

/* The first process in the PID namespace, once it has a child. It needs nothing of the tenant but
 * its uid. */
static void be_init(const struct child *child, pid_t app)
{
	struct become become = child->become;
	char number[16], mark[CONFIG_INSTANCE_MAX + sizeof(ORPHANS_MARK) + 1];
	char *argv[] = { "tenement-init", number, (char *)child->key, NULL };
	char *env[] = { mark, NULL };
	struct ten_error err;

	dup2(STDIN_FILENO, STDOUT_FILENO);
	dup2(STDIN_FILENO, STDERR_FILENO);
	snprintf(number, sizeof(number), "%d", (int)app);
	snprintf(mark, sizeof(mark), ORPHANS_MARK "=%s", child->key);
	become.workdir = "/";
	if (become_tenant(&become, &err) == 0) {
		syscall(SYS_execveat, child->init, "", argv, env, AT_EMPTY_PATH);
		ten_error_set(&err, errno, "tenement-init");
	}
	fail(child, err.text);
}

/* The one above waits until the app has been executed: it is the app that somebody waits for, and
 * two that copy the same pages at a time are in each other's way. */
static pid_t fork_app(void)
{
	struct clone_args args = { .flags = CLONE_VFORK, .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	return pid < 0 && (errno == ENOSYS || errno == EPERM) ? fork() : pid;
}

/* Into its namespaces; the app returns from here, and the process above it does not. */
static void isolate(const struct child *child)
{
	struct ten_error err;
	pid_t app;

	if (unshare(CLONE_NEWCGROUP) < 0 && errno != EINVAL && errno != EPERM)
		fail(child, "a cgroup namespace");
	if ((child->sandbox.kind == SANDBOX_KIND_GVISOR ? enter_processes : enter_view)(
		    &child->isolation.enter, &err) < 0)
		fail(child, err.text);
	/* Until the init is executed its memory and descriptors are the daemon's, and the app is in
	 * there with it: where both have one uid from the start nothing else keeps them apart. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (!child->isolation.init)
		return;
	app = fork_app();
	if (app < 0)
		fail(child, errno == EAGAIN
				    ? "no process is left for it: is pids_limit too small? (the "
				      "first in its PID namespace counts)"
				    : "forking in its namespaces");
	if (app > 0)
		be_init(child, app);
}

static void child_main(struct child *child)
{
	struct ten_error err;
	char byte;
	int null;

	/* To the first of a PID namespace what is not handled does not happen: it is held back
	 * until there is a second. */
	if (child->isolation.clone_flags)
		process_forget_handlers();
	else
		process_hear_signals();
	setsid();
	if (cgroup_enter(child->doors, (size_t)child->door_count) < 0) {
		ten_error_set(&err, errno, "entering its control groups");
		fail(child, err.text);
	}
	if (read(child->go, &byte, 1) != 1)
		_exit(127);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(child->out, STDOUT_FILENO) < 0 ||
		dup2(child->error, STDERR_FILENO) < 0)
		fail(child, "redirecting its output");
	/* What the daemon has open is close-on-exec; this is for what a library may have forgotten.
	 */
	syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
	child->failed = fcntl(child->failed, F_DUPFD_CLOEXEC, ACTIVATION_FD + 1);
	if (child->own_network && loopback_up(&err) < 0)
		fail(child, err.text);
	if (child->isolation.clone_flags) {
		isolate(child);
		process_hear_signals();
	}
	if (child->activation >= 0 && activation_pass(child->activation, child->words.env) < 0)
		fail(child, "passing its socket");
	if (become_tenant(&child->become, &err) < 0)
		fail(child, err.text);
	if (child->sandbox.kind == SANDBOX_KIND_NATIVE &&
		confine_apply(&child->sandbox.confine, &err) < 0)
		fail(child, err.text);
	environ = child->words.env;
	if (child->sandbox.kind == SANDBOX_KIND_GVISOR)
		syscall(SYS_execveat, child->sandbox.program, "", child->words.argv, environ,
			AT_EMPTY_PATH);
	else
		execvp(child->words.argv[0], child->words.argv);
	ten_error_set(&err, errno, "command \"%s\"", child->words.argv[0]);
	fail(child, err.text);
}

/* A fork whose child is the keeper's, who is told of its end also when the daemon is not there; and
 * is born with the NAMESPACES (flags) and in the control group open as GROUP. *BORN_THERE: that
 * could be. */
static pid_t fork_for_keeper(uint64_t namespaces, int group, bool *born_there)
{
	struct clone_args args = { .flags = CLONE_PARENT | namespaces };
	pid_t pid = -1;

	if (group >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)group;
		pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		args = (struct clone_args){ .flags = CLONE_PARENT | namespaces };
	}
	*born_there = pid >= 0;
	if (pid < 0)
		pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	/* Some containers' filters know the older call alone. */
	if (pid < 0 && (errno == ENOSYS || errno == EPERM))
		pid = (pid_t)syscall(
			SYS_clone, CLONE_PARENT | namespaces | SIGCHLD, NULL, NULL, NULL, NULL);
	return pid;
}

/* exec closes the pipe; who fails says why first. The daemon does not wait for it: on a path of the
 * tenant's own it could be made to wait for long. */
char *spawn_problem(const struct run *run)
{
	char reason[TEN_ERROR_TEXT_MAX];
	ssize_t len = run->failed_fd >= 0 ? read(run->failed_fd, reason, sizeof(reason)) : 0;

	return len > 0 ? mem_strndup(reason, (size_t)len) : NULL;
}

struct pipes {
	int go[2], failed[2], out[2], error[2];
};

static void pipes_close(struct pipes *pipes)
{
	int *all = pipes->go;

	for (size_t i = 0; i < sizeof(*pipes) / sizeof(int); i++)
		if (all[i] >= 0)
			close(all[i]);
}

static int pipes_open(struct pipes *pipes)
{
	*pipes = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(pipes->go, O_CLOEXEC) < 0 || pipe2(pipes->failed, O_CLOEXEC) < 0 ||
		pipe2(pipes->out, O_CLOEXEC) < 0 || pipe2(pipes->error, O_CLOEXEC) < 0)
		return -1;
	return 0;
}

/* Before it becomes anything: it waits for its go. -1: it must not have it, for limits are asked
 * for that it would run without. */
static int join_group(struct daemon *d, struct instance *instance, struct ten_error *err)
{
	struct run *run = instance->run;
	autofree char *group = NULL;

	if (!run->cgroup || cgroup_join(run->cgroup, run->pid, err) == 0)
		return 0;
	log_warn("%s: it has no control group: %s", run->key, err->text);
	group = mem_steal(&run->cgroup);
	cgroup_end(d, group);
	return limits_begin(instance, err);
}

static int launch(struct daemon *d, struct instance *instance, struct child *child,
	struct pipes *pipes, struct ten_error *err)
{
	struct run *run = instance->run;
	autoclose int group = -1;
	sigset_t before;
	bool born_there;
	ssize_t told;

	run->cgroup = cgroup_make(run->key);
	if (isolation_plan(d, run->spec, run, &child->words, &child->isolation, err) < 0)
		return -1;
	run->level = child->isolation.level;
	if (sandbox_plan(d, run, &child->isolation, &child->words, &child->sandbox, err) < 0)
		return -1;
	child->become.workdir = child->words.workdir;
	if (child->sandbox.kind == SANDBOX_KIND_GVISOR)
		child->become.nofile = 0; /* the program's is in its bundle */
	child->key = run->key;
	child->init = child->isolation.init ? isolation_init_fd(err) : -1;
	if (child->isolation.init && child->init < 0)
		return -1;
	run->init = child->isolation.init;
	group = cgroup_open(run->cgroup);
	if (limits_begin(instance, err) < 0)
		return -1;
	child->door_count = run->cgroup ? cgroup_tree_doors(run->cgroup, child->doors) : 0;
	if (child->door_count < 0)
		return ten_error_set(err, errno, "its control groups");
	child->go = pipes->go[0];
	child->failed = pipes->failed[1];
	child->out = pipes->out[1];
	child->error = pipes->error[1];
	child->own_network = network_clone_flags(run) != 0;
	process_hold_signals(&before);
	run->pid = fork_for_keeper(
		child->isolation.clone_flags | network_clone_flags(run), group, &born_there);
	if (run->pid == 0) {
		close(pipes->go[1]); /* or the end of the daemon would not be seen */
		child_main(child);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	while (child->door_count)
		close(child->doors[--child->door_count]);
	if (run->pid < 0)
		return ten_error_set(err, errno, "starting a process");
	run->start_time = process_start_time(run->pid);
	if (!run->start_time) {
		kill(run->pid, SIGKILL);
		run->pid = 0;
		return ten_error_set(err, errno, "reading the start time of its process");
	}
	run_register(d, run);
	run->started = daemon_now();
	if ((!born_there && cgroup_tree_version(CGROUP_CORE) == 2 &&
		    join_group(d, instance, err) < 0) ||
		network_open(d, run, err) < 0 || record_write(d, instance, err) < 0) {
		kill(run->pid, SIGKILL);
		return -1;
	}
	log_stream_hand(d, run, "stdout", pipes->out[0]);
	log_stream_hand(d, run, "stderr", pipes->error[0]);
	instance->log_bounds_hash = 0;
	log_stream_bound(d, instance);
	close(fd_steal(&pipes->failed[1]));
	run->failed_fd = fd_steal(&pipes->failed[0]);
	fcntl(run->failed_fd, F_SETFL, O_NONBLOCK);
	told = write(pipes->go[1], "", 1);
	(void)told;
	return 0;
}

static int make_socket(
	struct daemon *d, struct instance *instance, struct child *child, struct ten_error *err)
{
	const struct run *run = instance->run;

	child->activation = -1;
	if (!run->spec->values.socket_activation) {
		activation_drop(d, instance);
		return folders_make_socket(d, run->socket_path, run->uid, run->gid, err);
	}
	if (activation_prepare(d, instance, err) < 0)
		return -1;
	child->activation = activation_fd(instance);
	return 0;
}

/* As systemd has it; a name of a socket unit without one of its own is that of the unit. */
static void name_socket(const struct ten_spec *spec, struct spawn_words *words)
{
	autofree char *name = mem_printf("%s.socket", spec->service_name);

	env_set(&words->env, "LISTEN_FDS", "1");
	env_set(&words->env, "LISTEN_PID", ACTIVATION_BLANK);
	env_set(&words->env, "LISTEN_FDNAMES", name);
}

int spawn_start(struct daemon *d, struct instance *instance, struct ten_error *err)
{
	const struct ten_spec *spec = rollout_spec(d, instance);
	struct run *run = mem_alloc(sizeof(*run));
	struct child child = { .init = -1, .sandbox.program = -1 };
	struct pipes pipes = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int rc = -1;

	instance->run = run;
	run->key = mem_strdup(instance->key);
	run->spec = spec_ref(spec);
	run->restart_hash = spec->restart_hash;
	run->reads_only = storage_reads_only(instance);
	run->failed_fd = run->freezer_fd = -1;
	if (spawn_identity(d, spec, &run->uid, &run->gid, err) == 0 &&
		(run->socket_path = spawn_socket_path(d, spec, err)) &&
		pick_port(d, &run->port, err) == 0 && network_prepare(d, run, err) == 0 &&
		folders_make_data(d, spec, run->uid, run->gid, err) == 0 &&
		make_socket(d, instance, &child, err) == 0 &&
		spawn_words_make(d, spec, run, &child.words, err) == 0 &&
		secrets_give(d, run, &child.words.env, err) == 0) {
		if (child.activation >= 0)
			name_socket(spec, &child.words);
		child.become = (struct become){ .uid = run->uid,
			.gid = run->gid,
			.workdir = child.words.workdir,
			.umask = 077,
			.nofile = (uint64_t)spec->values.nofile_limit };
		/* Its own, so that it can open /dev/stdout. */
		if (pipes_open(&pipes) < 0 ||
			(run->uid != BECOME_KEEP &&
				(fchown(pipes.out[1], run->uid, run->gid) < 0 ||
					fchown(pipes.error[1], run->uid, run->gid) < 0)))
			ten_error_set(err, errno, "pipes");
		else
			rc = launch(d, instance, &child, &pipes, err);
	}
	pipes_close(&pipes);
	if (child.init >= 0)
		close(child.init);
	sandbox_clear(&child.sandbox);
	isolation_clear(&child.isolation);
	spawn_words_free(&child.words);
	if (rc < 0) {
		run_free(d, run);
		instance->run = NULL;
		return -1;
	}
	return 0;
}
