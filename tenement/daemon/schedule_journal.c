#include "daemon/schedule_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/files.h"
#include "common/log.h"
#include "mem.h"
#include "text.h"

/* Lines: "until TIME", or "DUE SKIPPED KEY" (see struct instance); the last one of a key counts. A
 * line that was cut short is none. */
#define JOURNAL_FILE "schedule"
#define JOURNAL_MAX  (64u << 20)
#define LINES_MAX    20000 /* appended before it is written anew */

struct noted {
	char *key;
	int64_t due, skipped;
	UT_hash_handle hh;
};
static struct noted *noted; /* by an earlier life */
static int64_t until;
static size_t appended;
static bool damaged; /* by a line that did not fit */

static void drop(struct noted *one)
{
	HASH_DEL(noted, one);
	free(one->key);
	free(one);
}

static void read_line(const char *line)
{
	struct noted *one;
	int64_t due, skipped;
	int key = 0;

	if (sscanf(line, "until %" SCNd64, &due) == 1) {
		until = due;
		return;
	}
	if (sscanf(line, "%" SCNd64 " %" SCNd64 " %n", &due, &skipped, &key) != 2 || !key)
		return;
	HASH_FIND_STR(noted, line + key, one);
	if (!one) {
		one = mem_alloc(sizeof(*one));
		one->key = mem_strdup(line + key);
		HASH_ADD_KEYPTR(hh, noted, one->key, strlen(one->key), one);
	}
	one->due = due;
	one->skipped = skipped;
}

int schedule_journal_load(struct daemon *d, struct ten_error *err)
{
	autofree char *text = files_read(d->own_fd, JOURNAL_FILE, JOURNAL_MAX, NULL, err);
	char *rest = text, *line;

	if (!text)
		return err->code == ENOENT ? 0 : -1;
	while ((line = strsep(&rest, "\n")))
		if (rest)
			read_line(line);
	/* The last line may have been cut short: nothing is to be written behind it. */
	damaged = true;
	return 0;
}

int64_t schedule_journal_until(void)
{
	return until;
}

void schedule_journal_give(struct instance *instance)
{
	struct noted *one;

	HASH_FIND_STR(noted, instance->key, one);
	if (!one)
		return;
	instance->wake_due = one->due;
	instance->hours_skipped = one->skipped;
	drop(one);
}

void schedule_journal_forget(void)
{
	struct noted *one, *next;

	HASH_ITER (hh, noted, one, next)
		drop(one);
}

static void put(struct text *out, const char *key, int64_t due, int64_t skipped)
{
	if (due || skipped)
		text_printf(out, "%" PRId64 " %" PRId64 " %s\n", due, skipped, key);
}

void schedule_journal_write(struct daemon *d, int64_t time)
{
	autotext struct text text = { 0 };
	struct instance *instance, *next;
	struct noted *one, *after;
	struct ten_error err;

	until = time;
	text_printf(&text, "until %" PRId64 "\n", time);
	HASH_ITER (hh, d->instances, instance, next)
		put(&text, instance->key, instance->wake_due, instance->hours_skipped);
	/* (who has yet to join) */
	HASH_ITER (hh, noted, one, after)
		put(&text, one->key, one->due, one->skipped);
	appended = 0;
	damaged = files_write(d->own_fd, JOURNAL_FILE, text.data, text.len, 0600, &err) < 0;
	if (damaged)
		log_warn("what was woken by the clock is not written down, and may be woken for "
			 "the same time again by the next tenementd: %s",
			err.text);
}

static void append(struct daemon *d, const struct text *text)
{
	autoclose int fd = -1;

	if (!damaged && ++appended <= LINES_MAX)
		fd = openat(d->own_fd, JOURNAL_FILE,
			O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text->data, text->len) != (ssize_t)text->len)
		schedule_journal_write(d, until);
}

void schedule_journal_set_until(struct daemon *d, int64_t time)
{
	autotext struct text text = { 0 };

	if (time == until)
		return;
	until = time;
	text_printf(&text, "until %" PRId64 "\n", time);
	append(d, &text);
}

void schedule_journal_note(struct daemon *d, const struct instance *instance)
{
	autotext struct text text = { 0 };

	text_printf(&text, "%" PRId64 " %" PRId64 " %s\n", instance->wake_due,
		instance->hours_skipped, instance->key);
	append(d, &text);
}
