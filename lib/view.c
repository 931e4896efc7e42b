#include "view.h"

#include <stdlib.h>
#include <string.h>

#include "config_path.h"
#include "mem.h"

static void item_clear(struct view_item *item)
{
	free(item->destination);
	free(item->source);
	free(item->said_by);
}

void view_add(struct view *view, enum view_kind kind, unsigned flags, const char *destination,
	const char *source, const char *said_by)
{
	struct view_item item = { .kind = kind, .flags = flags };
	size_t at = 0;

	item.destination = config_path_normalize(destination);
	if (kind == VIEW_READ || kind == VIEW_WRITE)
		item.source = config_path_normalize(source ? source : destination);
	item.said_by = said_by ? mem_strdup(said_by) : NULL;
	while (at < view->count && strcmp(view->items[at].destination, item.destination) != 0)
		at++;
	if (at < view->count) {
		item_clear(&view->items[at]);
	} else {
		view->items = mem_resize(view->items, view->count + 1, sizeof(*view->items));
		view->count++;
	}
	view->items[at] = item;
}

static const struct view_item *deepest(const struct view *view, size_t count, const char *path)
{
	const struct view_item *found = NULL;
	size_t found_len = 0;

	for (size_t i = 0; i < count; i++) {
		const struct view_item *item = &view->items[i];
		size_t len = strlen(item->destination);

		if (config_path_within(path, item->destination) && len >= found_len) {
			found = item;
			found_len = len;
		}
	}
	return found;
}

const struct view_item *view_find(const struct view *view, const char *path)
{
	return deepest(view, view->count, path);
}

const struct view_item *view_below(const struct view *view, size_t index)
{
	return deepest(view, index, view->items[index].destination);
}

void view_uncover(struct view *view, const char *path, unsigned flags, const char *said_by)
{
	autofree char *plain = config_path_normalize(path);
	const struct view_item *found = view_find(view, plain);
	bool firm;

	if (!found || (found->kind != VIEW_HIDE && found->kind != VIEW_TMP))
		return;
	firm = found->kind == VIEW_TMP || found->flags & VIEW_FIRM;
	if (!firm || strcmp(found->destination, plain) != 0)
		view_add(view, VIEW_READ, flags, plain, NULL, said_by);
}

/* What a place lies in is a prefix of it, and the shorter of two comes first. */
static int compare(const void *left, const void *right)
{
	const struct view_item *a = left, *b = right;

	return strcmp(a->destination, b->destination);
}

void view_sort(struct view *view)
{
	if (view->count)
		qsort(view->items, view->count, sizeof(*view->items), compare);
}

void view_clear(struct view *view)
{
	for (size_t i = 0; i < view->count; i++)
		item_clear(&view->items[i]);
	free(view->items);
	*view = (struct view){ 0 };
}

bool view_is_own(const struct view *view, const char *path)
{
	for (size_t i = 0; i < view->count; i++)
		if (view->items[i].flags & VIEW_OWN &&
			config_path_within(path, view->items[i].destination))
			return true;
	return false;
}

bool view_path_is_plain(const char *path)
{
	if (*path != '/')
		return false;
	while (*path) {
		size_t len = strcspn(++path, "/");

		if ((len == 1 && *path == '.') || (len == 2 && memcmp(path, "..", 2) == 0))
			return false;
		path += len;
	}
	return true;
}
