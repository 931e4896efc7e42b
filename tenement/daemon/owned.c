#include "daemon/owned.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/files.h"
#include "daemon/owed.h"
#include "mem.h"
#include "option_value.h"
#include "text.h"

#define OWNED_FILE "owned"
#define OWNED_MAX  (64u << 20)

struct owned {
	char *name;
	uint64_t hash;
	UT_hash_handle hh;
};
static struct owned *all;
static bool loaded;

static void put(const char *name, uint64_t hash)
{
	struct owned *owned;

	HASH_FIND_STR(all, name, owned);
	if (!owned) {
		owned = mem_alloc(sizeof(*owned));
		owned->name = mem_strdup(name);
		HASH_ADD_KEYPTR(hh, all, owned->name, strlen(owned->name), owned);
	}
	owned->hash = hash;
}

static void parse(char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		char *end;
		uint64_t hash = strtoull(line, &end, 16);

		if (end != line && *end == ' ')
			put(end + 1, hash);
	}
}

/* What could not be read is not taken for empty: it would be written so. */
static int load(struct daemon *d, struct ten_error *err)
{
	autofree char *text = NULL;
	struct ten_error why = { 0 };

	if (loaded)
		return 0;
	text = owed_read(d, d->own_fd, OWNED_FILE, OWNED_MAX, NULL, &why);
	if (!text && why.code != ENOENT) {
		if (err)
			*err = why;
		return -1;
	}
	loaded = true;
	parse(text);
	return 0;
}

static void forget(struct owned *owned)
{
	HASH_DEL(all, owned);
	free(owned->name);
	free(owned);
}

char *owned_snapshot(struct daemon *d)
{
	struct text text = { 0 };
	struct owned *owned, *next;

	if (load(d, NULL) < 0)
		return NULL;
	text_puts(&text, "");
	HASH_ITER (hh, all, owned, next)
		text_printf(&text, "%016" PRIx64 " %s\n", owned->hash, owned->name);
	return text_steal(&text);
}

void owned_restore(struct daemon *d, const char *snapshot)
{
	autofree char *text = snapshot ? mem_strdup(snapshot) : NULL;
	struct owned *owned, *next;

	if (!text)
		return;
	HASH_ITER (hh, all, owned, next)
		forget(owned);
	parse(text);
	owed_write(d, d->own_fd, OWNED_FILE, snapshot, strlen(snapshot), true);
}

static int save(struct daemon *d, struct ten_error *err)
{
	autofree char *text = owned_snapshot(d);

	if (files_write(d->own_fd, OWNED_FILE, text, strlen(text), 0600, err) < 0)
		return -1;
	/* (an earlier one that is still owed must not come after it) */
	owed_forget(d->own_fd, OWNED_FILE);
	return 0;
}

static uint64_t hash_of(const char *text, size_t len)
{
	return option_hash_bytes(text, len, 0);
}

enum owned_state owned_state(struct daemon *d, const char *name, const char *text, size_t len)
{
	struct owned *owned;

	if (load(d, NULL) < 0)
		return OWNED_NOT;
	HASH_FIND_STR(all, name, owned);
	if (!owned)
		return OWNED_NOT;
	return owned->hash == hash_of(text, len) ? OWNED_OURS : OWNED_CHANGED;
}

int owned_set(
	struct daemon *d, const char *name, const char *text, size_t len, struct ten_error *err)
{
	if (load(d, err) < 0)
		return -1;
	put(name, hash_of(text, len));
	return save(d, err);
}

int owned_drop(struct daemon *d, const char *name, struct ten_error *err)
{
	struct owned *owned;

	if (load(d, err) < 0)
		return -1;
	HASH_FIND_STR(all, name, owned);
	if (!owned)
		return 0;
	forget(owned);
	return save(d, err);
}

char **owned_names(struct daemon *d)
{
	char **names = NULL;
	struct owned *owned, *next;

	if (load(d, NULL) < 0)
		return NULL;
	HASH_ITER (hh, all, owned, next)
		mem_strv_append(&names, owned->name);
	return names;
}
