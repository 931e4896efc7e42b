#include "cli/token_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/load.h"
#include "cli/place.h"
#include "cli/server.h"
#include "cli/socket.h"
#include "common/audit_log.h"
#include "common/clock.h"
#include "common/files.h"
#include "mem.h"

#define OWN_NAME   ".tenement"
#define SAVED_NAME "api_token"

bool token_files_needed(struct cli *cli)
{
	return !server_is_remote(cli) && !cli->flags.value[FLAG_SERVER] && !client_reachable(cli);
}

/* What is made in a plain user's folder is theirs, and no link of theirs has root's right. */
static int become_owner(int folder, struct ten_error *err)
{
	struct stat st;

	if (fstat(folder, &st) < 0)
		return ten_error_set(err, errno, "the data folder");
	if (geteuid() != 0 || st.st_uid == 0)
		return 0;
	if (setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0)
		return ten_error_set(err, errno, "becoming uid %u, whose the folder is", st.st_uid);
	return 0;
}

static int open_folder(const char *data_dir, struct ten_error *err)
{
	autoclose int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ten_error_set(err, errno, "%s", data_dir);
	return become_owner(fd, err) < 0 ? -1 : fd_steal(&fd);
}

static int open_all(struct token_files *files, enum token_store_make make, struct ten_error *err)
{
	if (make == TOKEN_STORE_MAKE) {
		umask(022);
		if (files_make_dirs(files->data_dir, 0711, err) < 0)
			return -1;
	}
	files->data = open_folder(files->data_dir, err);
	if (files->data < 0)
		return -1;
	files->own = make == TOKEN_STORE_MAKE
			     ? files_make_dir(files->data, OWN_NAME, 0711, err)
			     : openat(files->data, OWN_NAME,
				       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (files->own < 0)
		return ten_error_set(err, errno, "%s/" OWN_NAME, files->data_dir);
	files->folder = token_store_open(files->own, make, err);
	return files->folder < 0 ? ten_error_wrap(err, "%s", files->data_dir) : 0;
}

int token_files_open(struct cli *cli, enum token_store_make make, struct token_files *files)
{
	autosocket struct control_socket sock = { .folder = -1 };
	struct ten_error err = { 0 };

	*files = (struct token_files){ .data = -1, .own = -1, .folder = -1 };
	if (control_socket_find(cli, &sock, &err) < 0)
		return cli_fail(CLI_USAGE, "%s", err.text);
	if (sock.unplaced)
		return control_socket_explain(&sock, ENOENT);
	files->data_dir = mem_strdup(sock.data_dir);
	if (open_all(files, make, &err) == 0 || (make == TOKEN_STORE_TAKE && err.code == ENOENT))
		return CLI_DONE;
	return cli_fail(CLI_FAILED, "%s%s", err.text,
		err.code == EACCES || err.code == EPERM
			? ": only root and the daemon's own user may"
			: "");
}

void token_files_close(struct token_files *files)
{
	const int open_ones[] = { files->data, files->own, files->folder };

	for (size_t i = 0; i < 3; i++)
		if (open_ones[i] >= 0)
			close(open_ones[i]);
	free(files->data_dir);
	*files = (struct token_files){ .data = -1, .own = -1, .folder = -1 };
}

int token_files_save(
	struct cli *cli, const char *text, char **path, bool *replaced, struct ten_error *err)
{
	autosocket struct control_socket sock = { .folder = -1 };
	autofree char *line = mem_printf("%s\n", text);
	autoclose int folder = -1;
	int result;

	if (control_socket_find(cli, &sock, err) < 0)
		return -1;
	if (!sock.data_dir)
		return ten_error_set(err, 0, "--server says no data folder");
	folder = open_folder(sock.data_dir, err);
	if (folder < 0)
		return -1;
	*replaced = faccessat(folder, SAVED_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	result = files_write(folder, SAVED_NAME, line, strlen(line), 0600, err);
	explicit_bzero(line, strlen(line));
	*path = mem_printf("%s/" SAVED_NAME, sock.data_dir);
	return result;
}

/* What is saved there, as it is kept. */
static bool saved_digest(int data, unsigned char digest[TOKEN_DIGEST_BYTES])
{
	size_t len;
	autofree char *text = files_read(data, SAVED_NAME, TOKEN_TEXT_SIZE, &len, NULL);
	bool is_token = text && len && token_digest(text, len - (text[len - 1] == '\n'), digest);

	if (text)
		explicit_bzero(text, len);
	return is_token;
}

char *token_files_saved(struct cli *cli, const char *id)
{
	autosocket struct control_socket sock = { .folder = -1 };
	autoclose int data = -1, folder = -1;
	unsigned char digest[TOKEN_DIGEST_BYTES];
	struct token token;
	struct stat st;
	int64_t used;

	if (server_is_remote(cli) || control_socket_find(cli, &sock, NULL) < 0 || !sock.data_dir)
		return NULL;
	data = open(sock.data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	folder = openat(data, OWN_NAME "/" TOKEN_STORE_FOLDER,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0 || token_store_read(folder, id, &token, &used, &st, NULL) < 0 ||
		!saved_digest(data, digest) || !token_same(digest, token.digest))
		return NULL;
	return mem_printf("%s/" SAVED_NAME, sock.data_dir);
}

void token_files_audit(
	const struct token_files *files, const char *method, const char *path, int status)
{
	struct audit_log *log = audit_log_new(files->own);
	char by[32];
	const struct audit_entry entry = { .time_ms = (int64_t)clock_ms(CLOCK_REALTIME),
		.by = by,
		.address = "files",
		.method = method,
		.path = path,
		.status = status };
	struct ten_error err;

	snprintf(by, sizeof(by), "uid %u", getuid());
	if (audit_log_add(log, AUDIT_DONE, &entry, &err) < 0)
		cli_note("the audit log has no line of this: %s", err.text);
	audit_log_free(log);
}
