#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/exec_confine.h"
#include "cli/exec_guard.h"
#include "cli/exec_join.h"
#include "cli/exec_remote.h"
#include "cli/server.h"
#include "cli/socket.h"
#include "common/become.h"
#include "common/secret_file.h"
#include "env_file.h"
#include "mem.h"

#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND  127

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define THIS_ARCH AUDIT_ARCH_RISCV64
#elif defined(__i386__)
#define THIS_ARCH AUDIT_ARCH_I386
#elif defined(__arm__)
#define THIS_ARCH AUDIT_ARCH_ARM
#else
#error "which AUDIT_ARCH is this?"
#endif
#define X32_BIT 0x40000000u

/* The tenant's program shares the operator's terminal. TIOCSTI would let it type there, into the
 * shell that is back afterwards, so that call is taken from it; TIOCLINUX can paste likewise. */
static int guard_terminal(struct ten_error *err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return ten_error_set(err, errno, "guarding the terminal");
	return 0;
}

/* Also one that none of the three leads to is opened by anybody in the session, as /dev/tty. */
static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO);
}

/* Who reads files of secrets: those that a daemon names which is not root are not read as root. */
enum reader { READ_AS_OURSELVES, READ_AS_TENANT };

static bool has_variable(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; env && *env; env++) {
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return true;
	}
	return false;
}

/* The tenant's environment, and what a terminal needs. The caller frees. */
static char **environment(const struct cli *cli, const json_t *identity)
{
	char **env = mem_strv_copy((char *[]){ NULL });
	const char *terminal = getenv("TERM");
	const json_t *variable;
	size_t i;

	json_array_foreach (answer_list(identity, "env"), i, variable) {
		if (json_is_string(variable))
			mem_strv_append(&env, json_string_value(variable));
	}
	if (cli->term.out_is_terminal && terminal && !has_variable(env, "TERM")) {
		autofree char *variable_text = mem_printf("TERM=%s", terminal);

		mem_strv_append(&env, variable_text);
	}
	if (!has_variable(env, "PATH"))
		mem_strv_append(&env, "PATH=/usr/local/bin:/usr/bin:/bin");
	return env;
}

static void set_variable(char ***env, const char *pair)
{
	size_t len = strcspn(pair, "=") + 1;

	for (size_t i = 0; (*env)[i]; i++) {
		if (strncmp((*env)[i], pair, len) != 0)
			continue;
		free((*env)[i]);
		(*env)[i] = mem_strdup(pair);
		return;
	}
	mem_strv_append(env, pair);
}

/* Whether the tenant's own `env` has the variable of PAIR: that stands. */
static bool is_said(const json_t *identity, const char *pair)
{
	size_t len = strcspn(pair, "="), i;
	const json_t *name;

	json_array_foreach (answer_list(identity, "said"), i, name) {
		const char *text = json_is_string(name) ? json_string_value(name) : "";

		if (strlen(text) == len && strncmp(text, pair, len) == 0)
			return true;
	}
	return false;
}

static int read_env_file(const char *path, struct env_file *file, struct ten_error *err)
{
	uint64_t stamp;
	size_t len = 0;
	char *text = secret_file_read(path, geteuid(), &len, &stamp, err);
	int result = text ? env_file_parse(text, len, file, err) : -1;

	secret_wipe(text, len);
	return result < 0 ? ten_error_wrap(err, "env_file %s", path) : 0;
}

/* What the daemon does not tell, of files that are read as who we are now. */
static int add_secrets(const json_t *identity, char ***env, struct ten_error *err)
{
	const char *credentials = answer_text(identity, "credentials");
	struct env_file file = { 0 };
	const json_t *path;
	int result = 0;
	size_t i;

	json_array_foreach (answer_list(identity, "env_files"), i, path)
		if (result == 0 && json_is_string(path))
			result = read_env_file(json_string_value(path), &file, err);
	for (i = 0; result == 0 && i < file.count; i++)
		if (!is_said(identity, file.pairs[i]))
			set_variable(env, file.pairs[i]);
	env_file_wipe(&file);
	if (*credentials) {
		autofree char *pair = mem_printf("CREDENTIALS_DIRECTORY=%s", credentials);

		set_variable(env, pair);
	}
	return result;
}

/* Before we go where they are hidden. */
static int add_secrets_as(const struct become *who, enum reader reader, const json_t *identity,
	char ***env, struct ten_error *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int result;

	if (reader == READ_AS_TENANT && (setegid(who->gid) < 0 || seteuid(who->uid) < 0))
		return ten_error_set(err, errno, "uid %u", who->uid);
	result = add_secrets(identity, env, err);
	if (reader == READ_AS_TENANT && (seteuid(uid) < 0 || setegid(gid) < 0))
		return ten_error_set(err, errno, "uid %u", uid);
	return result;
}

/* Only returns when it fails. */
static int become_and_run(const struct cli *cli, const struct become *who, const json_t *identity,
	enum reader reader, struct exec_join *join, char ***env)
{
	char *const shell[] = { "/bin/sh", NULL };
	char *const *command = cli->arg_count > 1 ? cli->args + 1 : shell;
	char **own_env = environ;
	int code;
	bool shares_terminal = has_terminal();
	struct ten_error err;

	if (close_range(3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
		return cli_fail(CLI_FAILED, "closing descriptors: %s", strerror(errno));
	if (add_secrets_as(who, reader, identity, env, &err) < 0 || exec_join_go(join, &err) < 0 ||
		become_tenant(who, &err) < 0 || (shares_terminal && guard_terminal(&err) < 0) ||
		exec_confine(identity, &err) < 0) {
		ten_error_wrap(&err, "cannot become %s", cli->args[0]);
		return cli_fail(CLI_FAILED, "%s", err.text);
	}
	environ = *env; /* its PATH is the one that is searched */
	execvp(command[0], command);
	code = errno;
	environ = own_env;
	return cli_fail(code == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN, "%s: %s", command[0],
		strerror(code));
}

static uint32_t identity_number(const json_t *identity, const char *key)
{
	int64_t number = answer_number(identity, key);

	return number < 0 || number >= UINT32_MAX ? BECOME_KEEP : (uint32_t)number;
}

/* A tenant without a uid of its own has the daemon's, which need not be ours when we are root. Nor
 * can a daemon that is not root have given it another: what it says of that is not believed, or it
 * could have root run a command in an environment of its choosing. */
static int take_daemons_identity(
	const struct cli *cli, struct become *who, enum reader *reader, struct ten_error *err)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return 0;
	if (control_socket_owner(cli, &uid, &gid, err) < 0)
		return -1;
	if (uid == 0)
		return 0;
	who->uid = uid;
	who->gid = gid;
	*reader = READ_AS_TENANT;
	return 0;
}

static int read_identity(
	const struct cli *cli, const json_t *identity, struct become *who, enum reader *reader)
{
	int64_t mask = answer_number(identity, "umask"), nofile = answer_number(identity, "nofile");
	struct ten_error err;

	who->uid = identity_number(identity, "uid");
	who->gid = identity_number(identity, "gid");
	/* A tenant that has a uid of its own is never run as us by mistake. */
	if (!json_object_get(identity, "uid") ||
		(who->uid != BECOME_KEEP && who->gid == BECOME_KEEP))
		return cli_fail(CLI_FAILED, "the daemon did not say who %s is", cli->args[0]);
	if (take_daemons_identity(cli, who, reader, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	if (who->uid == geteuid())
		who->uid = who->gid = BECOME_KEEP;
	who->workdir = *answer_text(identity, "dir") ? answer_text(identity, "dir") : NULL;
	who->umask = (mode_t)(mask < 0 ? 077 : mask);
	who->nofile = nofile < 0 ? 0 : (uint64_t)nofile;
	return CLI_DONE;
}

int cmd_exec(struct cli *cli)
{
	autofree char *path = client_instance_path(cli->args[0], "/exec");
	autojson json_t *identity = NULL;
	struct become who = { 0 };
	enum reader reader = READ_AS_OURSELVES;
	struct exec_join join = { .process = -1 };
	bool guarded = false;
	struct ten_error err;
	int code = cli_check_target(cli, cli->args[0]);
	char **env;

	if (!code && server_is_remote(cli))
		return exec_remote(cli);
	if (!code && exec_guard_begin(&guarded, &err) < 0)
		code = cli_fail(CLI_FAILED, "%s", err.text);
	if (!code)
		code = client_get(cli, path, &identity);
	if (!code)
		code = read_identity(cli, identity, &who, &reader);
	if (!code && exec_join_open(&join, identity, cli->args[0], &who, &err) < 0)
		code = cli_fail(CLI_FAILED, "%s", err.text);
	if (code)
		return code;
	join.guarded = guarded;
	env = environment(cli, identity);
	code = become_and_run(cli, &who, identity, reader, &join, &env);
	exec_join_close(&join);
	mem_strv_free(env);
	return code;
}
