#include "daemon/sandbox_gvisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/become.h"
#include "common/files.h"
#include "common/process.h"
#include "common/program_find.h"
#include "common/programs.h"
#include "common/secret_file.h"
#include "daemon/folders.h"
#include "daemon/orphans.h"
#include "daemon/sandbox_bundle.h"
#include "mem.h"

#define NOBODY 65534
#define FOLDER "sandboxes" /* in runtime_dir */

/* ---- whether it can be had ---- */

/* What it says of its options; the caller frees. NULL: it could not be run. */
static char *ask_runsc(void)
{
	char *const words[] = { "runsc", "flags", NULL };
	autoclose int answer = memfd_create("runsc", MFD_CLOEXEC);
	static char text[65536];
	sigset_t before;
	ssize_t len;
	pid_t pid;
	int status = -1;

	process_hold_signals(&before);
	pid = answer < 0 ? -1 : fork();
	if (pid == 0) {
		process_hear_signals();
		dup2(answer, STDOUT_FILENO);
		dup2(answer, STDERR_FILENO);
		setenv("PATH", PROGRAM_PATH, 1);
		execvp(*words, words);
		_exit(127);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (answer < 0 || pid < 0 || lseek(answer, 0, SEEK_SET) < 0)
		return NULL;
	len = read(answer, text, sizeof(text));
	return len > 0 ? mem_strndup(text, (size_t)len) : NULL;
}

static bool has_systrap(void)
{
	static int known = -1;
	autofree char *answer = known < 0 ? ask_runsc() : NULL;

	if (known < 0)
		known = answer && strstr(answer, "systrap");
	return known;
}

/* As a process that has no rights, which is what it is to be run as. */
static bool can_have_user_namespace(void)
{
	int status = -1;
	sigset_t before;
	pid_t pid;

	process_hold_signals(&before);
	pid = fork();
	if (pid == 0)
		_exit((geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0) ||
			unshare(CLONE_NEWUSER) < 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

char *sandbox_gvisor_try(struct daemon *d)
{
	(void)d;
	if (program_find("runsc", "/", PROGRAM_PATH) != 0)
		return mem_strdup("gVisor is not installed: install runsc, or set "
				  "sandbox = \"native\"");
	if (!can_have_user_namespace())
		return mem_strdup(
			"gVisor needs user namespaces, which this machine keeps from "
			"plain users (sysctl user.max_user_namespaces, "
			"kernel.unprivileged_userns_clone, "
			"kernel.apparmor_restrict_unprivileged_userns): allow them, or set "
			"sandbox = \"native\"");
	return NULL;
}

/* ---- the bundle ---- */

static char *sandboxes_folder(const struct daemon *d)
{
	return mem_printf("%s/" FOLDER, d->runtime_dir);
}

static int write_bundle(
	const struct sandbox_bundle *bundle, const struct run *run, struct ten_error *err)
{
	autofree char *text = sandbox_bundle_config(bundle, err);
	autoclose int at = -1;

	if (!text)
		return -1;
	at = files_make_dir(AT_FDCWD, bundle->folder, 0700, err);
	if (at < 0 || files_write_fast(at, "config.json", text, strlen(text), 0600, err) < 0 ||
		files_write_fast(at, "empty", "", 0, 0400, err) < 0)
		return ten_error_wrap(err, "%s", bundle->folder);
	/* The folder last: until then there is nobody who could put a link there. */
	if (run->uid != BECOME_KEEP &&
		(fchownat(at, "config.json", run->uid, run->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
			fchownat(at, "empty", run->uid, run->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
			fchown(at, run->uid, run->gid) < 0))
		return ten_error_set(err, errno, "%s", bundle->folder);
	return 0;
}

/* Of all containers on the machine: runsc's control socket has it for a name. */
static char *new_id(void)
{
	uint64_t bits[2] = { 0 };

	if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
		bits[0] = (uint64_t)getpid();
	return mem_printf("tenement-%016" PRIx64 "%016" PRIx64, bits[0], bits[1]);
}

/* What runsc is told: newer ones have a better way to run a program than tracing it, and know it as
 * the default. */
static const char *const runsc_options[] = { "--rootless", "--ignore-cgroups", "--host-uds=create",
	"--file-access=shared", "--network=host" };

static void say_command(struct spawn_words *words, const char *folder, const char *key)
{
	autofree char *id = new_id();
	autofree char *mark = mem_printf("%s=%s", ORPHANS_MARK, key);
	char **argv = NULL, **env = NULL;

	mem_strv_append(&argv, "tenement-sandbox");
	mem_strv_append(&argv, folder);
	mem_strv_append(&argv, id);
	for (size_t i = 0; i < sizeof(runsc_options) / sizeof(*runsc_options); i++)
		mem_strv_append(&argv, runsc_options[i]);
	if (!has_systrap())
		mem_strv_append(&argv, "--platform=ptrace");
	mem_strv_append(&env, "PATH=" PROGRAM_PATH);
	mem_strv_append(&env, mark);
	mem_strv_free(words->argv);
	mem_strv_free(words->env);
	free(words->workdir);
	*words = (struct spawn_words){ .argv = argv, .env = env, .workdir = mem_strdup("/") };
}

int sandbox_gvisor_prepare(struct daemon *d, const struct run *run,
	const struct isolation *isolation, struct spawn_words *words, struct ten_error *err)
{
	autofree char *sandboxes = sandboxes_folder(d);
	autofree char *folder = mem_printf("%s/%s", sandboxes, run->key);
	autofree char *program = programs_path("tenement-sandbox");
	const struct sandbox_bundle bundle = { .folder = folder,
		.view = &isolation->view,
		.kept = isolation->kept,
		.argv = words->argv,
		.env = words->env,
		.workdir = words->workdir,
		.hostname = run->spec->id,
		.nofile = (uint64_t)run->spec->values.nofile_limit };
	autoclose int fd = open(program, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return ten_error_set(err, errno, "%s", program);
	/* What is in there is in the environment, which runsc reads from the bundle. */
	if (run->spec->values.env_file && run->spec->values.env_file[0]) {
		autofree char *lack = secret_place_lack(d->runtime_dir);

		if (lack)
			return ten_error_set(err, 0, "env_file, in gVisor: %s", lack);
	}
	sandbox_gvisor_remove(d, run->key);
	if (files_make_dirs(sandboxes, 0711, err) < 0 || write_bundle(&bundle, run, err) < 0)
		return -1;
	say_command(words, folder, run->key);
	return fd_steal(&fd);
}

/* ---- its end ---- */

void sandbox_gvisor_remove(struct daemon *d, const char *key)
{
	autofree char *path = mem_printf(FOLDER "/%s", key);

	files_remove_tree(d->run_fd, path);
}

static void sweep_one(struct daemon *d, const char *key)
{
	const struct instance *instance = instance_find(d, key);

	if (!instance || !instance->run)
		sandbox_gvisor_remove(d, key);
}

void sandbox_gvisor_sweep(struct daemon *d)
{
	folders_visit(d, FOLDER, sweep_one);
}
