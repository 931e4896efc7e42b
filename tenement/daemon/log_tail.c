#include "daemon/log_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log_line.h"
#include "mem.h"

#define BLOCK          65536
#define TAIL_LINES_MAX 100000

char *log_tail_path(struct daemon *d, const char *key)
{
	const char *colon = strchr(key, ':');

	return mem_printf(
		"%s/.tenement/logs/%.*s/%s.log", d->data_dir, (int)(colon - key), key, colon + 1);
}

json_t *log_tail_entry(const char *key, const char *text, size_t len)
{
	const char *colon = strchr(key, ':');
	struct log_line line;

	if (!log_line_parse(text, len, &line))
		return NULL;
	return json_pack("{s:I, s:s, s:s%, s:s, s:s%}", "timestamp", (json_int_t)line.time_ms,
		"level", log_line_stream_name(line.stream), "process", key, (size_t)(colon - key),
		"instance_id", colon + 1, "message", line.message, line.len);
}

/* Lines of one file, newest first, until COUNT are there or the last MOST bytes were read. False:
 * the latter. */
static bool read_backwards(
	const char *path, const char *key, size_t count, off_t most, json_t *newest_first)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	autofree char *tail = NULL;
	size_t tail_len = 0;
	off_t at, floor;

	if (fd < 0 || fstat(fd, &st) < 0)
		return true;
	at = st.st_size;
	floor = at > most ? at - most : 0;
	while (at > floor && json_array_size(newest_first) < count) {
		size_t take = at - floor > BLOCK ? BLOCK : (size_t)(at - floor);
		autofree char *block = mem_resize(NULL, take + tail_len + 1, 1);
		size_t len = take + tail_len;

		at -= (off_t)take;
		if (pread(fd, block, take, at) != (ssize_t)take)
			return true;
		if (tail_len)
			memcpy(block + take, tail, tail_len);
		while (len && json_array_size(newest_first) < count) {
			size_t end = block[len - 1] == '\n' ? len - 1 : len;
			char *newline = end ? memrchr(block, '\n', end) : NULL;
			size_t begin = newline ? (size_t)(newline - block) + 1 : 0;
			json_t *entry;

			if (!newline && at > 0)
				break;
			entry = log_tail_entry(key, block + begin, end - begin);
			if (entry)
				json_array_append_new(newest_first, entry);
			len = begin;
		}
		free(tail);
		tail = mem_steal(&block);
		tail_len = len;
	}
	return at > floor || floor == 0;
}

json_t *log_tail_lines(struct daemon *d, const char *key, size_t count, off_t most)
{
	autofree char *path = log_tail_path(d, key);
	autofree char *older = mem_printf("%s.1", path);
	json_t *newest_first = json_array();
	json_t *lines = json_array();

	if (count > TAIL_LINES_MAX)
		count = TAIL_LINES_MAX;
	if (read_backwards(path, key, count, most, newest_first) &&
		json_array_size(newest_first) < count)
		read_backwards(older, key, count, most, newest_first);
	for (size_t i = json_array_size(newest_first); i > 0; i--)
		json_array_append(lines, json_array_get(newest_first, i - 1));
	json_decref(newest_first);
	return lines;
}
