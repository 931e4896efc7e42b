#include "cli/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/load.h"
#include "cli/place.h"
#include "mem.h"

#define SOCKET_NAME "control.sock"

static int take_server(struct control_socket *sock, const char *server, struct ten_error *err)
{
	if (strncmp(server, "unix:", 5) == 0 && server[5]) {
		sock->path = place_absolute(server + 5);
		return 0;
	}
	if (*server == '/') {
		sock->path = mem_strdup(server);
		return 0;
	}
	return ten_error_set(err, 0,
		"--server %s: not an address; write https://HOST[:PORT], http://localhost[:PORT] "
		"or "
		"unix:/path/to/control.sock",
		server);
}

/* A socket's address holds 107 bytes: a longer path is gone to by the descriptor of its folder. */
static void make_address(struct control_socket *sock)
{
	autofree char *folder =
		mem_strndup(sock->path, (size_t)(strrchr(sock->path, '/') - sock->path));
	const char *name = strrchr(sock->path, '/') + 1;
	struct stat info;

	sock->folder = open(*folder ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (sock->folder < 0) {
		sock->code = errno;
		return;
	}
	snprintf(
		sock->address, sizeof(sock->address), "/proc/self/fd/%d/%.80s", sock->folder, name);
	if (fstatat(sock->folder, name, &info, 0) < 0)
		sock->code = errno;
	else if (!S_ISSOCK(info.st_mode))
		sock->code = ENOTSOCK;
}

int control_socket_find(const struct cli *cli, struct control_socket *sock, struct ten_error *err)
{
	const char *server = cli->flags.value[FLAG_SERVER];
	autoplace struct place place = { 0 };

	*sock = (struct control_socket){ .folder = -1 };
	if (server) {
		if (take_server(sock, server, err) < 0)
			return -1;
	} else {
		if (place_find(cli, &place, err) < 0)
			return -1;
		sock->data_dir = load_data_dir(cli, &place);
		sock->unplaced =
			!place.data_dir_override && !place.main_exists && !place.conf_dir_exists;
		sock->path = mem_printf("%s/.tenement/run/" SOCKET_NAME, sock->data_dir);
	}
	make_address(sock);
	return 0;
}

void control_socket_free(struct control_socket *sock)
{
	free(sock->path);
	free(sock->data_dir);
	if (sock->folder >= 0)
		close(sock->folder);
	*sock = (struct control_socket){ .folder = -1 };
}

int control_socket_owner(const struct cli *cli, uid_t *uid, gid_t *gid, struct ten_error *err)
{
	autosocket struct control_socket sock = { .folder = -1 };
	const struct passwd *owner;
	struct stat info;

	if (control_socket_find(cli, &sock, err) < 0)
		return -1;
	if (sock.folder < 0 || fstatat(sock.folder, strrchr(sock.path, '/') + 1, &info, 0) < 0)
		return ten_error_set(err, sock.folder < 0 ? sock.code : errno, "%s", sock.path);
	/* The socket's group may be admin_group. */
	owner = getpwuid(info.st_uid);
	*uid = info.st_uid;
	*gid = owner ? owner->pw_gid : info.st_gid;
	return 0;
}

/* Who may, as far as it can be seen from here. */
static int explain_refused(const struct control_socket *sock)
{
	struct stat info;
	const struct passwd *owner = NULL;
	const struct group *group = NULL;

	if ((sock->folder >= 0 && fstatat(sock->folder, SOCKET_NAME, &info, 0) == 0) ||
		(sock->data_dir && stat(sock->data_dir, &info) == 0)) {
		owner = getpwuid(info.st_uid);
		group = S_ISSOCK(info.st_mode) && info.st_gid ? getgrgid(info.st_gid) : NULL;
	}
	cli_fail(CLI_UNREACHABLE, "%s: this user may not use it", sock->path);
	cli_note("root may%s%s%s%s%s%s", owner && owner->pw_uid ? ", and the daemon's user \"" : "",
		owner && owner->pw_uid ? owner->pw_name : "", owner && owner->pw_uid ? "\"" : "",
		group ? ", and members of the group \"" : "", group ? group->gr_name : "",
		group ? "\"" : ", and members of admin_group where one is set");
	return CLI_UNREACHABLE;
}

int control_socket_explain(const struct control_socket *sock, int code)
{
	if (code == EACCES || code == EPERM)
		return explain_refused(sock);
	if (sock->unplaced)
		return cli_fail(CLI_UNREACHABLE,
			"no daemon: there is no tenement.toml and no conf.d here, in a parent or "
			"in " PLACE_SYSTEM "; `ten init` and `ten serve` start one, "
			"--data-dir DIR or TENEMENT_DATA_DIR says where one is");
	if (code == ENOENT || code == ECONNREFUSED || code == ENOTDIR || code == ENOTSOCK) {
		cli_fail(CLI_UNREACHABLE, "no daemon is running%s%s (looked for %s)",
			sock->data_dir ? " for " : "", sock->data_dir ? sock->data_dir : "",
			sock->path);
		cli_note(
			"start it with `ten serve` or `systemctl start tenement`; one with another "
			"data folder is found by --data-dir DIR or TENEMENT_DATA_DIR");
		return CLI_UNREACHABLE;
	}
	return cli_fail(CLI_UNREACHABLE, "%s: %s", sock->path, strerror(code));
}
