#include "daemon/uids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "common/files.h"
#include "mem.h"
#include "option_value.h"
#include "text.h"
#include "wire.h"

#define UIDS_FILE     "uids"
#define UIDS_FILE_MAX (16u << 20)

struct given {
	char *key;
	uint32_t uid;
	bool saved;
	UT_hash_handle hh; /* by key */
	UT_hash_handle by_uid;
};
static struct given *by_key, *by_uid;
static uint32_t next_uid;

static void add(const char *key, uint32_t uid, bool saved)
{
	struct given *given = mem_alloc(sizeof(*given));

	given->key = mem_strdup(key);
	given->uid = uid;
	given->saved = saved;
	HASH_ADD_KEYPTR(hh, by_key, given->key, strlen(given->key), given);
	HASH_ADD(by_uid, by_uid, uid, sizeof(given->uid), given);
}

int uids_load(struct daemon *d, struct ten_error *err)
{
	autofree char *text = files_read(d->own_fd, UIDS_FILE, UIDS_FILE_MAX, NULL, err);
	char *rest = text, *line;

	/* Two tenements on one machine know nothing of each other: they begin at different places.
	 */
	next_uid =
		d->uid_first + (uint32_t)(option_hash_bytes(d->data_dir, strlen(d->data_dir), 0) %
					  (d->uid_last - d->uid_first + 1));
	if (!text)
		return err->code == ENOENT ? 0 : -1;
	while ((line = strsep(&rest, "\n"))) {
		char *key = strchr(line, ' ');
		struct given *have;
		int64_t uid;

		if (!key)
			continue;
		*key++ = '\0';
		HASH_FIND_STR(by_key, key, have);
		if (!have && wire_number(line, 1, UINT32_MAX - 1, &uid))
			add(key, (uint32_t)uid, true);
	}
	return 0;
}

static int save(struct daemon *d, struct ten_error *err)
{
	autotext struct text text = { 0 };
	struct given *given, *next;

	HASH_ITER (hh, by_key, given, next)
		text_printf(&text, "%u %s\n", given->uid, given->key);
	if (files_write(d->own_fd, UIDS_FILE, text.data, text.len, 0600, err) < 0)
		return -1;
	HASH_ITER (hh, by_key, given, next)
		given->saved = true;
	return 0;
}

static bool folder_is_gone(struct daemon *d, const char *key)
{
	const char *colon = strchr(key, ':');
	autofree char *path = NULL;
	struct stat st;

	if (!colon)
		return false;
	path = mem_printf("%.*s/%s", (int)(colon - key), key, colon + 1);
	return fstatat(d->data_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* When the range is used up: one of a tenant that is neither declared nor on disk. */
static bool take_back(struct daemon *d, uint32_t *uid)
{
	struct given *given, *next;

	HASH_ITER (hh, by_key, given, next) {
		if (config_set_instance(d->set, given->key) || !folder_is_gone(d, given->key))
			continue;
		*uid = given->uid;
		HASH_DELETE(hh, by_key, given);
		HASH_DELETE(by_uid, by_uid, given);
		free(given->key);
		free(given);
		return true;
	}
	return false;
}

/* The next one of the range that nobody has. */
static bool find_free(struct daemon *d, uint32_t *uid)
{
	uint32_t span = d->uid_last - d->uid_first + 1;

	for (uint32_t i = 0; i < span; i++) {
		struct given *given;

		*uid = next_uid;
		next_uid = next_uid == d->uid_last ? d->uid_first : next_uid + 1;
		HASH_FIND(by_uid, by_uid, uid, sizeof(*uid), given);
		if (!given)
			return true;
	}
	return false;
}

int uids_get(struct daemon *d, const char *key, uint32_t *uid, struct ten_error *err)
{
	struct given *given;

	HASH_FIND_STR(by_key, key, given);
	if (given) {
		*uid = given->uid;
		return given->saved ? 0 : save(d, err);
	}
	if (!find_free(d, uid) && !take_back(d, uid))
		return ten_error_set(err, 0,
			"no uid is left for %s: make [settings] uid_range larger, or remove "
			"folders of tenants that are gone",
			key);
	add(key, *uid, false);
	/* On disk before anything is owned by it. */
	return save(d, err);
}

const char *uids_key(uint32_t uid)
{
	struct given *given;

	HASH_FIND(by_uid, by_uid, &uid, sizeof(uid), given);
	return given ? given->key : NULL;
}
