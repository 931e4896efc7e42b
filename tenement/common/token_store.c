#include "common/token_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/files.h"
#include "mem.h"
#include "text.h"

#define TRIES_FOR_AN_ID 16

bool token_store_trusts(const struct stat *st)
{
	return S_ISREG(st->st_mode) && (st->st_uid == geteuid() || st->st_uid == 0) &&
	       !(st->st_mode & (S_IRWXG | S_IRWXO)) && st->st_size <= TOKEN_RECORD_MAX;
}

int token_store_open(int own_fd, enum token_store_make make, struct ten_error *err)
{
	autoclose int fd = -1;
	struct stat st;

	if (make == TOKEN_STORE_MAKE)
		fd = files_make_dir(own_fd, TOKEN_STORE_FOLDER, 0700, err);
	else
		fd = openat(own_fd, TOKEN_STORE_FOLDER,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ten_error_set(err, errno, ".tenement/" TOKEN_STORE_FOLDER);
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return ten_error_say(err, EPERM,
			".tenement/" TOKEN_STORE_FOLDER
			" is not ours alone (uid %u, mode %04o), and no token in it counts",
			st.st_uid, st.st_mode & 07777);
	return fd_steal(&fd);
}

static int fill_random(void *bytes, size_t len, struct ten_error *err)
{
	if (getrandom(bytes, len, 0) != (ssize_t)len)
		return ten_error_set(err, errno, "random numbers");
	return 0;
}

/* An id that no file has yet. */
static int choose_id(int folder, char id[TOKEN_ID_SIZE], struct ten_error *err)
{
	unsigned char random[TOKEN_ID_BYTES];

	for (int i = 0; i < TRIES_FOR_AN_ID; i++) {
		if (fill_random(random, sizeof(random), err) < 0)
			return -1;
		token_show_id(random, id);
		if (faccessat(folder, id, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : ten_error_set(err, errno, "%s", id);
	}
	return ten_error_set(err, EEXIST, "an id for a token");
}

int token_store_add(
	int folder, struct token *token, char text[TOKEN_TEXT_SIZE], struct ten_error *err)
{
	unsigned char random[TOKEN_BYTES];
	autotext struct text record = { 0 };

	if (fill_random(random, sizeof(random), err) < 0 || choose_id(folder, token->id, err) < 0)
		return -1;
	token_show(random, text);
	explicit_bzero(random, sizeof(random));
	token_digest(text, strlen(text), token->digest);
	token->created = (int64_t)time(NULL);
	token_format(token, &record);
	if (files_write(folder, token->id, record.data, record.len, 0600, err) < 0) {
		explicit_bzero(text, TOKEN_TEXT_SIZE);
		unlinkat(folder, token->id, 0); /* it may be there, and nobody knows it */
		return ten_error_wrap(err, ".tenement/" TOKEN_STORE_FOLDER);
	}
	return 0;
}

int token_store_remove(int folder, const char *id, struct ten_error *err)
{
	if (unlinkat(folder, id, 0) < 0)
		return errno == ENOENT ? 0
				       : ten_error_set(err, errno,
						 ".tenement/" TOKEN_STORE_FOLDER "/%s", id);
	if (fsync(folder) < 0)
		return ten_error_set(err, errno, ".tenement/" TOKEN_STORE_FOLDER);
	return 1;
}

int token_store_read(int folder, const char *id, struct token *token, int64_t *used,
	struct stat *st, struct ten_error *err)
{
	char record[TOKEN_RECORD_MAX + 1];
	autoclose int fd = -1;
	ssize_t len;

	/* (a FIFO or a device is not even opened) */
	if (fstatat(folder, id, st, AT_SYMLINK_NOFOLLOW) < 0)
		return ten_error_set(err, errno, "%s", id);
	if (!token_store_trusts(st))
		return ten_error_say(err, EPERM,
			"%s is not a small file of ours that nobody else may read (uid %u, mode "
			"%04o)",
			id, st->st_uid, st->st_mode & 07777);
	fd = openat(folder, id, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, st) < 0)
		return ten_error_set(err, errno, "%s", id);
	if (!token_store_trusts(st))
		return ten_error_say(err, EPERM, "%s was exchanged", id);
	do
		len = read(fd, record, sizeof(record));
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return ten_error_set(err, errno, "%s", id);
	if (token_parse(record, (size_t)len, token, err) < 0)
		return ten_error_wrap(err, "%s", id);
	if (strcmp(token->id, id) != 0)
		return ten_error_say(err, EINVAL, "%s is the file of %s", id, token->id);
	*used = st->st_mtim.tv_nsec == TOKEN_STORE_USED_NSEC ? st->st_mtim.tv_sec : 0;
	return 0;
}

void token_store_mark_used(int folder, const char *id, int64_t now)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = (time_t)now, .tv_nsec = TOKEN_STORE_USED_NSEC } };

	utimensat(folder, id, times, AT_SYMLINK_NOFOLLOW);
}

int token_store_list(DIR *folder, void (*visit)(void *data, const char *id),
	void (*strange)(void *data, const char *name), void *data, struct ten_error *err)
{
	struct dirent *entry;
	size_t count = 0;

	rewinddir(folder);
	while (errno = 0, (entry = readdir(folder))) {
		/* (".ID.new" is what was being written when somebody was killed) */
		if (entry->d_name[0] == '.')
			continue;
		if (!token_is_id(entry->d_name)) {
			if (strange)
				strange(data, entry->d_name);
			continue;
		}
		if (++count > TOKEN_STORE_MAX)
			return ten_error_set(err, E2BIG, ".tenement/" TOKEN_STORE_FOLDER);
		visit(data, entry->d_name);
	}
	return errno ? ten_error_set(err, errno, ".tenement/" TOKEN_STORE_FOLDER) : 0;
}
