#include "log_field.h"

#include <string.h>
#include <strings.h>

#define DEPTH_MAX 64

struct scan {
	const char *at;
	const char *end;
	log_field_test *test;
	void *data;
	bool found;
	bool broken;
};

struct path {
	const char *text;
	size_t len; /* 0: the value that is here */
};

static void skip_space(struct scan *scan)
{
	while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t'))
		scan->at++;
}

static bool take(struct scan *scan, char c)
{
	skip_space(scan);
	if (scan->at >= scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

/* A string's inside; scan->at is behind its first quote. */
static void read_string(struct scan *scan, const char **text, size_t *len)
{
	*text = scan->at;
	while (scan->at < scan->end && *scan->at != '"')
		scan->at += *scan->at == '\\' ? 2 : 1;
	if (scan->at >= scan->end) {
		scan->broken = true;
		return;
	}
	*len = (size_t)(scan->at++ - *text);
}

static void read_value(struct scan *scan, const struct path *path, int depth);

/* What of PATH is left for the member called NAME; false: it is not on the way. */
static bool path_below(const struct path *path, const char *name, size_t len, struct path *below)
{
	if (!path || len > path->len || strncasecmp(path->text, name, len) != 0)
		return false;
	*below = (struct path){ path->text + len, path->len - len };
	if (!below->len)
		return path->len > 0;
	if (*below->text != '.' || below->len < 2)
		return false;
	below->text++;
	below->len--;
	return true;
}

static void read_object(struct scan *scan, const struct path *path, int depth)
{
	if (take(scan, '}'))
		return;
	do {
		const char *name;
		size_t len = 0;
		struct path below;

		if (!take(scan, '"')) {
			scan->broken = true;
			return;
		}
		read_string(scan, &name, &len);
		if (scan->broken || !take(scan, ':')) {
			scan->broken = true;
			return;
		}
		read_value(scan, path_below(path, name, len, &below) ? &below : NULL, depth);
	} while (!scan->broken && !scan->found && take(scan, ','));
	if (!scan->found && !take(scan, '}'))
		scan->broken = true;
}

static void read_array(struct scan *scan, const struct path *path, int depth)
{
	if (take(scan, ']'))
		return;
	do {
		read_value(scan, path, depth);
	} while (!scan->broken && !scan->found && take(scan, ','));
	if (!scan->found && !take(scan, ']'))
		scan->broken = true;
}

static void read_scalar(struct scan *scan, const char **text, size_t *len)
{
	*text = scan->at;
	while (scan->at < scan->end && !memchr(",]} \t\"{[:", *scan->at, 9))
		scan->at++;
	*len = (size_t)(scan->at - *text);
	scan->broken = *len == 0;
}

/* PATH NULL: nobody asks for it. */
static void read_value(struct scan *scan, const struct path *path, int depth)
{
	const char *text;
	size_t len = 0;
	bool here = path && !path->len;

	if (depth >= DEPTH_MAX) {
		scan->broken = true;
		return;
	}
	skip_space(scan);
	text = scan->at;
	if (take(scan, '{')) {
		read_object(scan, here ? NULL : path, depth + 1);
		len = (size_t)(scan->at - text);
	} else if (take(scan, '[')) {
		read_array(scan, here ? NULL : path, depth + 1);
		len = (size_t)(scan->at - text);
	} else if (take(scan, '"')) {
		read_string(scan, &text, &len);
	} else {
		read_scalar(scan, &text, &len);
	}
	if (here && !scan->broken && !scan->found)
		scan->found = scan->test(scan->data, text, len);
}

enum log_field log_field_find(const char *line, size_t len, const char *path, size_t path_len,
	log_field_test *test, void *data)
{
	struct scan scan = { .at = line, .end = line + len, .test = test, .data = data };
	const struct path whole = { path, path_len };

	skip_space(&scan);
	if (scan.at >= scan.end || *scan.at != '{')
		return LOG_FIELD_NOT_JSON;
	read_value(&scan, &whole, 0);
	skip_space(&scan);
	if (scan.found)
		return LOG_FIELD_YES;
	return scan.broken || scan.at != scan.end ? LOG_FIELD_NOT_JSON : LOG_FIELD_NO;
}
