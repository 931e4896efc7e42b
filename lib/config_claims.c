#include "config_claims.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "mem.h"

struct folder {
	UT_hash_handle hh; /* in its parent's folders, by name */
	struct folder *parent;
	struct folder *folders;
	const void **owners;
	size_t owner_count;
	char *path;
	char name[];
};

struct config_claims {
	struct folder *root;
};

static struct folder *folder_new(struct folder *parent, const char *name, size_t len)
{
	struct folder *folder = mem_alloc(sizeof(*folder) + len + 1);

	memcpy(folder->name, name, len);
	folder->parent = parent;
	if (parent)
		HASH_ADD(hh, parent->folders, name[0], (unsigned)len, folder);
	return folder;
}

static void folder_free(struct folder *folder)
{
	struct folder *child, *next;

	HASH_ITER (hh, folder->folders, child, next) {
		HASH_DEL(folder->folders, child);
		folder_free(child);
	}
	free(folder->owners);
	free(folder->path);
	free(folder);
}

struct config_claims *config_claims_new(void)
{
	struct config_claims *claims = mem_alloc(sizeof(*claims));

	claims->root = folder_new(NULL, "", 0);
	return claims;
}

void config_claims_free(struct config_claims *claims)
{
	if (!claims)
		return;
	folder_free(claims->root);
	free(claims);
}

/* The next component of *path, which moves behind it; 0 at the end. */
static size_t next_component(const char **path, const char **name)
{
	size_t len;

	*path += strspn(*path, "/");
	*name = *path;
	len = strcspn(*path, "/");
	*path += len;
	return len;
}

static struct folder *find_child(struct folder *folder, const char *name, size_t len)
{
	struct folder *child;

	HASH_FIND(hh, folder->folders, name, (unsigned)len, child);
	return child;
}

void config_claims_add(struct config_claims *claims, const char *path, const void *owner)
{
	struct folder *folder = claims->root, *child;
	const char *rest = path, *name;
	size_t len;

	while ((len = next_component(&rest, &name))) {
		child = find_child(folder, name, len);
		folder = child ? child : folder_new(folder, name, len);
	}
	if (!folder->path)
		folder->path = mem_strdup(path);
	folder->owners =
		mem_resize(folder->owners, folder->owner_count + 1, sizeof(*folder->owners));
	folder->owners[folder->owner_count++] = owner;
}

/* Take away folders that hold nothing any more, from the bottom up. */
static void prune(struct folder *folder)
{
	while (folder->parent && !folder->owner_count && !folder->folders) {
		struct folder *parent = folder->parent;
		HASH_DEL(parent->folders, folder);
		folder_free(folder);
		folder = parent;
	}
}

void config_claims_remove(struct config_claims *claims, const char *path, const void *owner)
{
	struct folder *folder = claims->root;
	const char *rest = path, *name;
	size_t len;

	while ((len = next_component(&rest, &name))) {
		folder = find_child(folder, name, len);
		assert(folder);
	}
	for (size_t i = 0; i < folder->owner_count; i++) {
		if (folder->owners[i] != owner)
			continue;
		folder->owners[i] = folder->owners[--folder->owner_count];
		prune(folder);
		return;
	}
	assert(!"a claim that was never made");
}

static const void *other_owner(const struct folder *folder, const void *owner, const char **where)
{
	for (size_t i = 0; i < folder->owner_count; i++) {
		if (folder->owners[i] == owner)
			continue;
		*where = folder->path;
		return folder->owners[i];
	}
	return NULL;
}

/* An owner of FOLDER or of anything below it. Every folder without folders has owners, so that the
 * way down is short unless OWNER alone holds what is there. */
static const void *owner_below(struct folder *folder, const void *owner, const char **where)
{
	const void *found = other_owner(folder, owner, where);

	for (struct folder *child = folder->folders; child && !found; child = child->hh.next)
		found = owner_below(child, owner, where);
	return found;
}

const void *config_claims_conflict(
	const struct config_claims *claims, const char *path, const void *owner, const char **where)
{
	struct folder *folder = claims->root;
	const char *rest = path, *name;
	size_t len;

	while ((len = next_component(&rest, &name))) {
		const void *found = other_owner(folder, owner, where);
		if (found)
			return found;
		folder = find_child(folder, name, len);
		if (!folder)
			return NULL;
	}
	return owner_below(folder, owner, where);
}
