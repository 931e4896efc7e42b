#include "daemon/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/files.h"
#include "common/log.h"
#include "common/process.h"
#include "daemon/tokens.h"
#include "mem.h"

#define FILE_NAME  "sessions"
#define STORE_SECS 60 /* how much of when one was last used a daemon that is killed may forget */

static struct sessions *sessions;
static int64_t stored; /* when */
static char boot[PROCESS_BOOT_SIZE];

static int64_t now_secs(void)
{
	return clock_seconds(CLOCK_BOOTTIME);
}

static void store(struct daemon *d)
{
	autotext struct text record = { 0 };
	struct ten_error err;

	stored = now_secs();
	sessions_format(sessions, boot, &record);
	if (files_write_fast(d->run_fd, FILE_NAME, record.data, record.len, 0600, &err) < 0)
		log_warn("sessions of the dashboard would be lost with the daemon: %s", err.text);
}

void sessions_start(struct daemon *d)
{
	struct ten_error err = { 0 };
	size_t len;
	autofree char *record = files_read(d->run_fd, FILE_NAME, SESSIONS_RECORD_MAX, &len, &err);

	process_boot(boot);
	sessions = sessions_new();
	stored = now_secs();
	if (record && sessions_parse(sessions, record, len, boot, stored, &err) < 0)
		log_warn("who was signed in at the dashboard has to do it again: %s", err.text);
}

void sessions_stop(struct daemon *d)
{
	if (!sessions)
		return;
	if (sessions_count(sessions))
		store(d);
	sessions_free(sessions);
	sessions = NULL;
}

int sessions_begin(
	struct daemon *d, const char *id, char value[SESSION_TEXT_SIZE], struct ten_error *err)
{
	unsigned char random[SESSION_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return ten_error_set(err, errno, "getrandom");
	session_add(sessions, random, id, now_secs(), value);
	explicit_bzero(random, sizeof(random));
	store(d);
	return 0;
}

int sessions_check(struct daemon *d, const char *value, size_t len, struct principal *who)
{
	int64_t now = now_secs();
	const char *id = session_find(sessions, value, len, now);

	if (!id)
		return -1;
	if (tokens_check_id(d, id, who) != TOKENS_GOOD) {
		sessions_end(d, value, len);
		return -1;
	}
	if (now - stored >= STORE_SECS)
		store(d);
	return 0;
}

bool sessions_live(const char *value)
{
	return session_lives(sessions, value, strlen(value), now_secs());
}

bool sessions_end(struct daemon *d, const char *value, size_t len)
{
	bool there = session_remove(sessions, value, len);

	if (there)
		store(d);
	return there;
}
