#include "daemon/owed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "common/files.h"
#include "common/log.h"
#include "mem.h"

#define AGAIN_SECONDS 1.0

struct owed {
	char *key; /* "DIR_FD PATH" */
	int dir_fd;
	const char *path; /* in key */
	char *data;       /* NULL: it is to be removed */
	size_t len;
	UT_hash_handle hh;
};
static struct owed *all; /* the oldest first */
static ev_timer again;
static struct ten_error trouble; /* the latest */

static char *key_of(int dir_fd, const char *path)
{
	return mem_printf("%d %s", dir_fd, path);
}

static struct owed *find(int dir_fd, const char *path)
{
	autofree char *key = all ? key_of(dir_fd, path) : NULL;
	struct owed *owed = NULL;

	if (key)
		HASH_FIND_STR(all, key, owed);
	return owed;
}

static void forget(struct owed *owed)
{
	HASH_DEL(all, owed);
	free(owed->key);
	free(owed->data);
	free(owed);
}

static int remove_file(int dir_fd, const char *path, struct ten_error *err)
{
	if (unlinkat(dir_fd, path, 0) < 0 && errno != ENOENT)
		return ten_error_set(err, errno, "%s", path);
	return 0;
}

static void pay(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct owed *owed, *next;

	(void)events;
	HASH_ITER (hh, all, owed, next) {
		int rc = owed->data ? files_write(owed->dir_fd, owed->path, owed->data, owed->len,
					      0600, &trouble)
				    : remove_file(owed->dir_fd, owed->path, &trouble);

		if (rc == 0)
			forget(owed);
		/* What is in the way of this one alone is in nobody else's. */
		else if (trouble.code != EISDIR && trouble.code != ENOTDIR &&
			 trouble.code != ENOENT && trouble.code != ELOOP)
			return;
	}
	if (all)
		return;
	log_info("there is room again: all is written");
	ev_timer_stop(loop, timer);
}

static void owe(struct daemon *d, int dir_fd, const char *path, const char *data, size_t len)
{
	struct owed *owed = mem_alloc(sizeof(*owed));

	owed->key = key_of(dir_fd, path);
	owed->dir_fd = dir_fd;
	owed->path = strchr(owed->key, ' ') + 1;
	if (data) {
		owed->data = mem_alloc(len + 1);
		memcpy(owed->data, data, len);
		owed->len = len;
	}
	if (!all)
		log_error("%s; it is kept in memory until there is room", trouble.text);
	HASH_ADD_KEYPTR(hh, all, owed->key, strlen(owed->key), owed);
	if (ev_is_active(&again))
		return;
	ev_timer_init(&again, pay, AGAIN_SECONDS, AGAIN_SECONDS);
	ev_timer_start(d->loop, &again);
}

void owed_write(
	struct daemon *d, int dir_fd, const char *path, const char *data, size_t len, bool sync)
{
	owed_forget(dir_fd, path);
	if ((sync ? files_write : files_write_fast)(dir_fd, path, data, len, 0600, &trouble) < 0)
		owe(d, dir_fd, path, data, len);
}

void owed_forget(int dir_fd, const char *path)
{
	struct owed *owed = find(dir_fd, path);

	if (owed)
		forget(owed);
}

void owed_remove(struct daemon *d, int dir_fd, const char *path)
{
	owed_forget(dir_fd, path);
	if (remove_file(dir_fd, path, &trouble) < 0)
		owe(d, dir_fd, path, NULL, 0);
}

char *owed_read(struct daemon *d, int dir_fd, const char *path, size_t max, size_t *len,
	struct ten_error *err)
{
	const struct owed *owed = find(dir_fd, path);
	char *data;

	(void)d;
	if (!owed)
		return files_read(dir_fd, path, max, len, err);
	if (!owed->data) {
		ten_error_set(err, ENOENT, "%s", path);
		return NULL;
	}
	data = mem_alloc(owed->len + 1);
	memcpy(data, owed->data, owed->len);
	if (len)
		*len = owed->len;
	return data;
}

char *owed_problem(void)
{
	size_t count = HASH_COUNT(all);

	return count ? mem_printf("%s; %zu file%s of tenement's own wait%s for room on the disk",
			       trouble.text, count, count == 1 ? "" : "s", count == 1 ? "s" : "")
		     : NULL;
}
