/* The process that keeps usage.db: see usage_store.h. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/files.h"
#include "daemon/usage_store.h"
#include "mem.h"

#define FOLDER_FD 3
#define PRUNE_HOURS                                                                                \
	168 /* of history, at a time: a clock that is wrong for an hour costs no more              \
	     */

static struct usage_setup setup;
static struct usage_db *db;
static char aside[sizeof(((struct usage_done *)NULL)->aside)]; /* not told yet */

/* False: the daemon has gone. */
static bool read_all(void *data, size_t bytes)
{
	char *at = data;

	while (bytes) {
		ssize_t got = read(STDIN_FILENO, at, bytes);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		bytes -= (size_t)got;
	}
	return true;
}

/* Nobody hears what is said when the daemon has gone. */
static void answer(enum usage_word word, uint64_t number, const void *data, size_t bytes)
{
	struct usage_message head = { word, (uint32_t)bytes, number };

	if (files_write_all(STDIN_FILENO, &head, sizeof(head)) == 0)
		files_write_all(STDIN_FILENO, data, bytes);
}

static void answer_done(uint64_t number, const struct ten_error *err)
{
	struct usage_done done = { 0 };

	if (err) {
		done.failed = 1;
		snprintf(done.text, sizeof(done.text), "%.255s", err->text);
	}
	memcpy(done.aside, aside, sizeof(done.aside));
	*aside = '\0';
	answer(USAGE_DONE, number, &done, sizeof(done));
}

static void note_aside(char *name)
{
	snprintf(aside, sizeof(aside), "%s", name);
	free(name);
}

/* What a damaged one had counted is not to be counted by the next one. */
static int begin_anew(struct ten_error *err)
{
	char *name;

	usage_db_close(db);
	db = NULL;
	name = usage_db_set_aside();
	if (!name)
		return ten_error_set(
			err, errno, "%s is damaged, and cannot be renamed", USAGE_DB_FILE);
	note_aside(name);
	setup.begin.since_ms = clock_ms(CLOCK_MONOTONIC);
	setup.begin.known_board = setup.board;
	return usage_db_open(&db, &setup.begin, err);
}

static int open_db(struct ten_error *err)
{
	if (db || usage_db_open(&db, &setup.begin, err) == 0)
		return 0;
	return err->code == EUCLEAN ? begin_anew(err) : -1;
}

static int credit(const void *payload, size_t bytes, struct ten_error *err)
{
	size_t count = bytes / sizeof(struct usage_reading);

	if (open_db(err) < 0)
		return -1;
	if (usage_db_credit(db, payload, count, err) == 0)
		return 0;
	return err->code == EUCLEAN && begin_anew(err) == 0
		       ? usage_db_credit(db, payload, count, err)
		       : -1;
}

static int ask(const struct usage_query *query, struct usage_row *rows, struct ten_error *err)
{
	int count = open_db(err) < 0 ? -1 : usage_db_query(db, query, rows, err);

	if (count < 0 && err->code == EUCLEAN && begin_anew(err) == 0)
		return usage_db_query(db, query, rows, err);
	return count;
}

static void prune(void)
{
	struct ten_error err;

	/* Whatever is wrong with it is said when something is to be stored. */
	if (open_db(&err) == 0)
		usage_db_prune(
			db, setup.hour, setup.hour - 24 * setup.keep_days, PRUNE_HOURS, &err);
}

static void handle(const struct usage_message *head, const void *payload, struct usage_row *rows)
{
	struct ten_error err;
	int count;

	switch ((enum usage_word)head->word) {
	case USAGE_SETUP: {
		struct usage_begin begin = setup.begin;
		bool first = !setup.keep_days;

		memcpy(&setup, payload, sizeof(setup));
		if (!first)
			setup.begin = begin;
		prune();
		break;
	}
	case USAGE_READINGS:
		answer_done(head->number, credit(payload, head->bytes, &err) < 0 ? &err : NULL);
		break;
	case USAGE_ASK:
		count = ask(payload, rows, &err);
		if (count < 0)
			answer_done(head->number, &err);
		else
			answer(USAGE_ROWS, head->number, rows, (size_t)count * sizeof(*rows));
		break;
	case USAGE_DONE:
	case USAGE_ROWS:
		break;
	}
}

int usage_keeper_main(void)
{
	static const int heard[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	autofree void *payload = mem_alloc(USAGE_MESSAGE_MAX);
	autofree struct usage_row *rows = mem_alloc(USAGE_DB_PAGE * sizeof(*rows));
	struct usage_message head;

	/* It ends with its socket, whoever else is told to end. */
	for (size_t i = 0; i < sizeof(heard) / sizeof(*heard); i++)
		signal(heard[i], SIG_IGN);
	prctl(PR_SET_NAME, USAGE_KEEPER);
	umask(077);
	if (fchdir(FOLDER_FD) < 0)
		return EXIT_FAILURE;
	syscall(SYS_close_range, (unsigned)FOLDER_FD, ~0u, 0u);
	while (read_all(&head, sizeof(head)) && head.bytes <= USAGE_MESSAGE_MAX &&
		read_all(payload, head.bytes))
		handle(&head, payload, rows);
	usage_db_close(db);
	return EXIT_SUCCESS;
}
