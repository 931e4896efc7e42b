#include "common/audit_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "mem.h"
#include "text.h"
#include "token.h"
#include "utf8.h"

#define FOLDER        "audit"
#define FILE_MAX      (1u << 20) /* after the line that goes beyond, the next file */
#define READ_MAX      (2u << 20)
#define NAME_MAX_SIZE 40
#define WORD_MAX      64 /* bytes that are kept */
#define PATH_MAX_KEPT 256

static const struct {
	const char *name;
	uint64_t files;
} series_of[AUDIT_SERIES] = {
	[AUDIT_DONE] = { "done", 48 },
	[AUDIT_REFUSED] = { "refused", 8 },
};

struct series {
	int fd;
	uint64_t number;
	bool torn;       /* its last line has no end */
	uint64_t unsaid; /* lines that were lost, and no line says so yet */
};

struct audit_log {
	int own_fd;
	uint64_t lost;
	struct series series[AUDIT_SERIES];
};

struct audit_log *audit_log_new(int own_fd)
{
	struct audit_log *log = mem_alloc(sizeof(*log));

	log->own_fd = own_fd;
	for (int i = 0; i < AUDIT_SERIES; i++)
		log->series[i].fd = -1;
	return log;
}

void audit_log_free(struct audit_log *log)
{
	for (int i = 0; i < AUDIT_SERIES; i++)
		if (log->series[i].fd >= 0)
			close(log->series[i].fd);
	free(log);
}

uint64_t audit_log_lost(const struct audit_log *log)
{
	return log->lost;
}

/* ---- files ---- */

static void name_file(enum audit_series kind, uint64_t number, char name[NAME_MAX_SIZE])
{
	snprintf(name, NAME_MAX_SIZE, "%s-%010" PRIu64 ".jsonl", series_of[kind].name, number);
}

/* The number in NAME, 0: it is none of KIND. */
static uint64_t number_of(enum audit_series kind, const char *name)
{
	const char *dash = strchr(name, '-');
	char again[NAME_MAX_SIZE];
	uint64_t number = dash ? strtoull(dash + 1, NULL, 10) : 0;

	name_file(kind, number, again);
	return strcmp(name, again) == 0 ? number : 0;
}

static int open_folder(const struct audit_log *log, struct ten_error *err)
{
	autoclose int fd = files_make_dir(log->own_fd, FOLDER, 0700, err);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return ten_error_say(err, EPERM, ".tenement/" FOLDER " is not ours alone");
	return fd_steal(&fd);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? 1 : left > right ? -1 : 0;
}

/* The numbers of KIND's files, the newest first; *COUNT of them. The caller frees. */
static uint64_t *list_files(int folder, enum audit_series kind, size_t *count)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t *numbers = NULL, number;

	*count = 0;
	if (!dir && fd >= 0)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		number = number_of(kind, entry->d_name);
		if (!number)
			continue;
		numbers = mem_resize(numbers, *count + 1, sizeof(*numbers));
		numbers[(*count)++] = number;
	}
	if (dir)
		closedir(dir);
	if (*count)
		qsort(numbers, *count, sizeof(*numbers), compare_numbers);
	return numbers;
}

/* Take up file NUMBER, which is made if it is not there. */
static int open_file(struct series *series, int folder, enum audit_series kind, uint64_t number,
	struct ten_error *err)
{
	char name[NAME_MAX_SIZE], last = '\n';
	autoclose int fd = -1;
	struct stat st;

	name_file(kind, number, name);
	fd = openat(folder, name,
		O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ten_error_set(err, errno, FOLDER "/%s", name);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return ten_error_say(err, EPERM, FOLDER "/%s is no file of ours", name);
	if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
		return ten_error_set(err, errno, FOLDER "/%s", name);
	if (series->fd >= 0)
		close(series->fd);
	series->fd = fd_steal(&fd);
	series->number = number;
	series->torn = last != '\n';
	return 0;
}

static void remove_old(int folder, enum audit_series kind)
{
	size_t count;
	autofree uint64_t *numbers = list_files(folder, kind, &count);
	char name[NAME_MAX_SIZE];

	for (size_t i = series_of[kind].files; i < count; i++) {
		name_file(kind, numbers[i], name);
		unlinkat(folder, name, 0);
	}
}

/* Have the file that the next line goes to. */
static int make_ready(struct audit_log *log, enum audit_series kind, struct ten_error *err)
{
	struct series *series = &log->series[kind];
	bool is_there = series->fd >= 0;
	autofree uint64_t *numbers = NULL;
	autoclose int folder = -1;
	struct stat st = { 0 };
	size_t count;

	is_there = is_there && fstat(series->fd, &st) == 0 && st.st_nlink;
	if (is_there && st.st_size < FILE_MAX)
		return 0;
	folder = open_folder(log, err);
	if (folder < 0)
		return -1;
	if (!is_there) {
		numbers = list_files(folder, kind, &count);
		if (open_file(series, folder, kind, count ? numbers[0] : 1, err) < 0)
			return -1;
		if (fstat(series->fd, &st) == 0 && st.st_size < FILE_MAX)
			return 0;
	}
	if (open_file(series, folder, kind, series->number + 1, err) < 0)
		return -1;
	remove_old(folder, kind);
	return 0;
}

/* ---- a line ---- */

/* Somebody may have put a token where none belongs. */
static bool is_token(const char *text)
{
	return strncmp(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) == 0 &&
	       strspn(text + strlen(TOKEN_PREFIX), "0123456789abcdefABCDEF") >= 16;
}

/* TEXT as UTF-8 without control characters or tokens, at most MAX bytes of it. */
static json_t *clean(const char *text, size_t max)
{
	autotext struct text out = { 0 };
	size_t left = strlen(text);

	while (left && out.len < max) {
		size_t bytes = utf8_length((const unsigned char *)text, left);

		if (is_token(text)) {
			text_puts(&out, TOKEN_PREFIX "***");
			bytes = strlen(TOKEN_PREFIX);
			bytes += strspn(text + bytes, "0123456789abcdefABCDEF");
		} else if (!bytes || (unsigned char)*text < ' ' || *text == 0x7f) {
			text_puts(&out, "?");
			bytes = 1;
		} else {
			text_add(&out, text, bytes);
		}
		text += bytes;
		left -= bytes;
	}
	if (left)
		text_puts(&out, "...");
	return json_string(out.data ? out.data : "");
}

static void put_json(struct text *line, json_t *json)
{
	autofree char *dump = json_dumps(json, JSON_COMPACT);

	text_printf(line, "%s\n", dump);
	json_decref(json);
}

static void put_entry(struct text *line, const struct audit_entry *entry)
{
	json_t *json = json_pack("{s:I, s:o, s:o, s:o, s:o, s:i}", "timestamp",
		(json_int_t)entry->time_ms, "by", clean(entry->by, WORD_MAX), "address",
		clean(entry->address, WORD_MAX), "method", clean(entry->method, WORD_MAX), "path",
		clean(entry->path, PATH_MAX_KEPT), "status", entry->status);

	if (entry->count > 1)
		json_object_set_new(json, "count", json_integer((json_int_t)entry->count));
	put_json(line, json);
}

int audit_log_add(struct audit_log *log, enum audit_series kind, const struct audit_entry *entry,
	struct ten_error *err)
{
	struct series *series = &log->series[kind];
	autotext struct text line = { 0 };
	ssize_t put = -1;

	if (make_ready(log, kind, err) == 0) {
		if (series->torn)
			text_puts(&line, "\n");
		if (series->unsaid)
			put_json(&line,
				json_pack("{s:I, s:I}", "timestamp", (json_int_t)entry->time_ms,
					"lost", (json_int_t)series->unsaid));
		put_entry(&line, entry);
		put = write(series->fd, line.data, line.len);
		if (put < 0)
			ten_error_set(err, errno, ".tenement/" FOLDER);
		else if ((size_t)put < line.len)
			ten_error_set(err, ENOSPC, ".tenement/" FOLDER);
	}
	if (put >= 0 && (size_t)put == line.len) {
		series->torn = false;
		series->unsaid = 0;
		return 0;
	}
	series->torn |= put > 0;
	series->unsaid++;
	log->lost++;
	return -1;
}

/* ---- reading ---- */

/* Put the lines of TEXT at or after SINCE_MS into LIST, the last first, until it has LIMIT. False:
 * that is all there is to be found. */
static bool take_lines(char *text, size_t len, int64_t since_ms, size_t limit, json_t *list)
{
	while (len) {
		char *begin;
		json_t *entry;

		if (text[len - 1] == '\n')
			text[--len] = '\0';
		begin = memrchr(text, '\n', len);
		begin = begin ? begin + 1 : text;
		entry = json_loads(begin, 0, NULL);
		len = (size_t)(begin - text);
		if (!json_is_object(entry)) {
			json_decref(entry); /* torn */
			continue;
		}
		if (json_integer_value(json_object_get(entry, "timestamp")) < since_ms) {
			json_decref(entry);
			return false;
		}
		json_array_append_new(list, entry);
		if (json_array_size(list) >= limit)
			return false;
	}
	return true;
}

static json_t *read_series(int folder, enum audit_series kind, int64_t since_ms, size_t limit)
{
	size_t count;
	autofree uint64_t *numbers = list_files(folder, kind, &count);
	json_t *list = json_array();
	bool goes_on = true;

	for (size_t i = 0; i < count && goes_on; i++) {
		char name[NAME_MAX_SIZE];
		autofree char *text = NULL;
		size_t len = 0;

		name_file(kind, numbers[i], name);
		text = files_read(folder, name, READ_MAX, &len, NULL);
		goes_on = !text || take_lines(text, len, since_ms, limit, list);
	}
	return list;
}

static json_int_t time_at(const json_t *list, size_t at)
{
	return json_integer_value(json_object_get(json_array_get(list, at), "timestamp"));
}

json_t *audit_log_read(struct audit_log *log, int64_t since_ms, size_t limit, struct ten_error *err)
{
	json_t *found[AUDIT_SERIES], *newest = json_array(), *merged = json_array();
	size_t at[AUDIT_SERIES] = { 0 };
	autoclose int folder = open_folder(log, err);

	if (folder < 0) {
		json_decref(newest);
		json_decref(merged);
		return NULL;
	}
	for (int i = 0; i < AUDIT_SERIES; i++)
		found[i] = read_series(folder, (enum audit_series)i, since_ms, limit);
	while (json_array_size(newest) < limit) {
		int from = -1;

		for (int i = 0; i < AUDIT_SERIES; i++)
			if (at[i] < json_array_size(found[i]) &&
				(from < 0 ||
					time_at(found[i], at[i]) > time_at(found[from], at[from])))
				from = i;
		if (from < 0)
			break;
		json_array_append(newest, json_array_get(found[from], at[from]++));
	}
	for (size_t i = json_array_size(newest); i-- > 0;)
		json_array_append(merged, json_array_get(newest, i));
	for (int i = 0; i < AUDIT_SERIES; i++)
		json_decref(found[i]);
	json_decref(newest);
	return merged;
}
