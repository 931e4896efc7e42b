#include "logger/log_store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>
#include <utlist.h>

#include "access_line.h"
#include "common/clock.h"
#include "common/log.h"
#include "log_line.h"
#include "mem.h"

#define WARN_EVERY_SECONDS 60

struct log_store {
	enum log_store_kind kind;
	char *dir;
	uint64_t half;          /* bytes that one file may have */
	struct log_file *files; /* by key */
	struct log_file *open;  /* most recently written first */
	unsigned open_count;
	unsigned owing;      /* files that owe a remark */
	int64_t warned_at_s; /* of the last warning; one a minute is enough for any number of files
			      */
};

struct log_file {
	struct log_store *store;
	char *key; /* "service/id" */
	char *service;
	char *id;
	unsigned references;
	int fd; /* -1: not open */
	uint64_t dropped;
	int dropped_why; /* an errno value */
	bool is_json;    /* of an access log: its last line was */
	UT_hash_handle hh;
	struct log_file *prev, *next; /* in store->open */
};

static const char *suffix_of(const struct log_store *store)
{
	return store->kind == LOG_STORE_ACCESS ? "access.log" : "log";
}

struct log_store *log_store_new(enum log_store_kind kind, const char *dir, uint64_t max_kb)
{
	struct log_store *store = mem_alloc(sizeof(*store));

	store->kind = kind;
	store->dir = mem_strdup(dir);
	store->warned_at_s = -WARN_EVERY_SECONDS;
	log_store_set_max_kb(store, max_kb);
	return store;
}

void log_store_set_max_kb(struct log_store *store, uint64_t max_kb)
{
	if (!max_kb)
		store->half = UINT64_MAX;
	else
		store->half = (max_kb < LOG_STORE_MIN_KB ? LOG_STORE_MIN_KB : max_kb) * 1024 / 2;
}

static void file_close(struct log_file *file)
{
	if (file->fd < 0)
		return;
	close(file->fd);
	file->fd = -1;
	DL_DELETE(file->store->open, file);
	file->store->open_count--;
}

static void file_free(struct log_file *file)
{
	file_close(file);
	if (file->dropped)
		file->store->owing--;
	HASH_DEL(file->store->files, file);
	free(file->key);
	free(file->service);
	free(file->id);
	free(file);
}

void log_store_free(struct log_store *store)
{
	struct log_file *file, *next;

	HASH_ITER (hh, store->files, file, next) {
		assert(!file->references);
		if (file->dropped)
			log_warn("%s/%s.%s: %llu lines dropped", store->dir, file->key,
				suffix_of(store), (unsigned long long)file->dropped);
		file_free(file);
	}
	free(store->dir);
	free(store);
}

struct log_file *log_store_file(struct log_store *store, const char *service, const char *id)
{
	autofree char *key = mem_printf("%s/%s", service, id);
	struct log_file *file;

	HASH_FIND_STR(store->files, key, file);
	if (!file) {
		file = mem_alloc(sizeof(*file));
		file->store = store;
		file->key = mem_steal(&key);
		file->service = mem_strdup(service);
		file->id = mem_strdup(id);
		file->fd = -1;
		HASH_ADD_KEYPTR(hh, store->files, file->key, strlen(file->key), file);
	}
	file->references++;
	return file;
}

void log_file_release(struct log_file *file)
{
	assert(file->references);
	/* One that owes a remark stays until log_store_settle() has written it. */
	if (--file->references == 0 && !file->dropped)
		file_free(file);
}

static size_t count_lines(const char *lines, size_t len)
{
	size_t count = 0;
	const char *at = lines;

	while ((at = memchr(at, '\n', len - (size_t)(at - lines)))) {
		count++;
		at++;
	}
	return count;
}

static void drop(struct log_file *file, size_t lines, int why)
{
	struct log_store *store = file->store;
	int64_t now = clock_seconds(CLOCK_MONOTONIC);

	if (!lines)
		return;
	if (!file->dropped)
		store->owing++;
	file->dropped += lines;
	file->dropped_why = why;
	if (now - store->warned_at_s < WARN_EVERY_SECONDS)
		return;
	store->warned_at_s = now;
	log_warn("cannot write %s/%s.%s, dropping lines: %s", store->dir, file->key,
		suffix_of(store), strerror(why));
}

/* The folder DIR/SERVICE, made if need be; -1 with errno. A link in its place is refused: what is
 * in DIR is ours alone. */
static int open_folder(const struct log_file *file)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	autoclose int top = open(file->store->dir, flags);
	int folder;

	if (top < 0)
		return -1;
	folder = openat(top, file->service, flags);
	if (folder < 0 && errno == ENOENT) {
		if (mkdirat(top, file->service, 0750) < 0 && errno != EEXIST)
			return -1;
		folder = openat(top, file->service, flags);
	}
	return folder;
}

/* A predecessor of ours may have been killed in the middle of a line. */
static int end_torn_line(int fd, uint64_t size)
{
	char last;

	if (!size)
		return 0;
	if (pread(fd, &last, 1, (off_t)(size - 1)) != 1)
		return -1;
	return last == '\n' || write(fd, "\n", 1) == 1 ? 0 : -1;
}

/* Of an access log the line is taken away: its message is still in the socket and comes again. */
static int cut_torn_line(int fd, uint64_t size)
{
	autofree char *tail = mem_alloc(ACCESS_LINE_MAX);
	size_t len = size < ACCESS_LINE_MAX ? (size_t)size : ACCESS_LINE_MAX;
	const char *newline;

	if (pread(fd, tail, len, (off_t)(size - len)) != (ssize_t)len)
		return -1;
	newline = memrchr(tail, '\n', len);
	if (!newline && len < size) /* then it is none of ours */
		return end_torn_line(fd, size);
	return ftruncate(fd, (off_t)(size - len + (newline ? (size_t)(newline + 1 - tail) : 0)));
}

static int file_open(struct log_file *file, int folder)
{
	struct log_store *store = file->store;
	autofree char *name = mem_printf("%s.%s", file->id, suffix_of(store));
	autoclose int fd = openat(folder, name,
		O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -1;
	if (!S_ISREG(status.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	if ((store->kind == LOG_STORE_ACCESS ? cut_torn_line : end_torn_line)(
		    fd, (uint64_t)status.st_size) < 0)
		return -1;
	while (store->open_count >= LOG_STORE_OPEN_MAX)
		file_close(store->open->prev); /* the head's prev is the tail */
	file->fd = fd_steal(&fd);
	DL_PREPEND(store->open, file);
	store->open_count++;
	return 0;
}

static int file_rotate(struct log_file *file)
{
	autoclose int folder = open_folder(file);
	autofree char *name = mem_printf("%s.%s", file->id, suffix_of(file->store));
	autofree char *older = mem_printf("%s.1", name);

	if (folder < 0 || renameat(folder, name, folder, older) < 0)
		return -1;
	file_close(file);
	return file_open(file, folder);
}

/* Have the file open with room for LEN bytes; *SIZE is what it has now. */
static int file_prepare(struct log_file *file, size_t len, uint64_t *size)
{
	struct stat status;

	/* Somebody may have removed it, or truncated it, since. */
	if (file->fd >= 0 && (fstat(file->fd, &status) < 0 || status.st_nlink == 0))
		file_close(file);
	if (file->fd < 0) {
		autoclose int folder = open_folder(file);

		if (folder < 0 || file_open(file, folder) < 0)
			return -1;
	} else if (file->store->open != file) {
		DL_DELETE(file->store->open, file);
		DL_PREPEND(file->store->open, file);
	}
	if (fstat(file->fd, &status) < 0)
		return -1;
	if (status.st_size && (uint64_t)status.st_size + len > file->store->half) {
		if (file_rotate(file) < 0 || fstat(file->fd, &status) < 0)
			return -1;
	}
	*size = (uint64_t)status.st_size;
	return 0;
}

/* Append LEN bytes of whole lines. Returns how many bytes are there to stay: a line that the disk
 * took a part of only is taken back. Short: errno says why. */
static size_t file_append(struct log_file *file, const char *lines, size_t len)
{
	uint64_t size;
	size_t written = 0;
	int why = 0;

	if (file_prepare(file, len, &size) < 0)
		return 0;
	while (written < len) {
		ssize_t count = write(file->fd, lines + written, len - written);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0) {
			why = count < 0 ? errno : ENOSPC;
			break;
		}
		written += (size_t)count;
	}
	if (written == len)
		return len;
	while (written && lines[written - 1] != '\n')
		written--;
	if (ftruncate(file->fd, (off_t)(size + written)) < 0)
		file_close(file); /* the next opening ends the torn line */
	errno = why;
	return written;
}

/* Write the remark that FILE owes. False: it still does. */
static bool file_settle(struct log_file *file)
{
	autofree char *message = mem_printf("%llu lines dropped: %s",
		(unsigned long long)file->dropped, strerror(file->dropped_why));
	const struct log_line line = {
		.time_ms = (int64_t)clock_ms(CLOCK_REALTIME),
		.stream = LOG_LINE_TENEMENT,
		.message = message,
		.len = strlen(message),
	};
	autotext struct text text = { 0 };

	if (file->store->kind == LOG_STORE_ACCESS) {
		autofree char *lost = mem_alloc(ACCESS_LINE_MAX);

		access_line_lost(lost, file->is_json ? ACCESS_JSON : ACCESS_COMBINED, line.time_ms,
			file->dropped, strerror(file->dropped_why));
		text_printf(&text, "%s\n", lost);
	} else {
		log_line_format(&text, &line);
	}
	if (file_append(file, text.data, text.len) != text.len)
		return false;
	file->dropped = 0;
	file->store->owing--;
	return true;
}

void log_file_write(struct log_file *file, const char *lines, size_t len)
{
	file->is_json = *lines == '{';
	while (len) {
		size_t chunk = len < LOG_STORE_BATCH_SIZE ? len : LOG_STORE_BATCH_SIZE;
		const char *end = memrchr(lines, '\n', chunk);
		size_t written = 0;

		assert(end);
		chunk = (size_t)(end + 1 - lines);
		if (!file->dropped || file_settle(file))
			written = file_append(file, lines, chunk);
		if (written < chunk)
			drop(file, count_lines(lines + written, chunk - written), errno);
		lines += chunk;
		len -= chunk;
	}
}

void log_store_reopen(struct log_store *store)
{
	while (store->open)
		file_close(store->open);
}

bool log_store_owes(const struct log_store *store)
{
	return store->owing > 0;
}

bool log_store_settle(struct log_store *store)
{
	struct log_file *file, *next;

	if (!store->owing)
		return false;
	HASH_ITER (hh, store->files, file, next) {
		if (file->dropped && file_settle(file) && !file->references)
			file_free(file);
	}
	return store->owing > 0;
}
