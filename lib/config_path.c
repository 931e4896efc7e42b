#include "config_path.h"

#include <string.h>

#include "mem.h"
#include "text.h"

enum dots { DOTS_KEEP, DOTS_RESOLVE };

static void drop_last_part(struct text *path)
{
	while (path->len && path->data[path->len - 1] != '/')
		path->len--;
	if (path->len)
		path->data[--path->len] = '\0';
}

static void add_parts(struct text *out, const char *path, enum dots dots)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && memcmp(path, "..", 2) == 0 && dots == DOTS_RESOLVE) {
			drop_last_part(out);
		} else if (len && !(len == 1 && *path == '.')) {
			text_puts(out, "/");
			text_add(out, path, len);
		}
		path += len;
		path += *path == '/';
	}
}

static char *finish(struct text *out)
{
	if (!out->len)
		text_puts(out, "/");
	return text_steal(out);
}

char *config_path_join(const char *folder, const char *path)
{
	struct text out = { 0 };

	if (*path != '/')
		add_parts(&out, folder, DOTS_KEEP);
	add_parts(&out, path, DOTS_KEEP);
	return finish(&out);
}

char *config_path_normalize(const char *path)
{
	struct text out = { 0 };

	add_parts(&out, path, DOTS_RESOLVE);
	return finish(&out);
}

char *config_path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash > path ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup("/");
}

const char *config_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool config_path_within(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	if (len == 1)
		return true;
	return strncmp(path, folder, len) == 0 && (!path[len] || path[len] == '/');
}
