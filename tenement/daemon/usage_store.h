/*
 * The way to usage.db: readings are handed to a process of its own (usage_keeper.c), so that no
 * disk holds up the daemon, and are forgotten when that has said that they are on disk.
 *
 * It is run from our own program when there is something for it, again when it has ended, and ends
 * when its socket does: what it has then is still written. What is on its way there twice, or from
 * two daemons, is counted once: see usage.h.
 */
#ifndef TEN_USAGE_STORE_H
#define TEN_USAGE_STORE_H

#include "daemon/daemon.h"
#include "usage_db.h"

/* What the two say to each other: this, then BYTES of payload. */
enum usage_word {
	USAGE_SETUP,    /* struct usage_setup; no answer */
	USAGE_READINGS, /* struct usage_reading, several; USAGE_DONE */
	USAGE_ASK,      /* struct usage_query; USAGE_ROWS or USAGE_DONE */
	USAGE_DONE,     /* struct usage_done */
	USAGE_ROWS,     /* struct usage_row, several, at most USAGE_DB_PAGE */
};

struct usage_message {
	uint32_t word; /* enum usage_word */
	uint32_t bytes;
	uint64_t number; /* of the message that is answered */
};

struct usage_setup {
	struct usage_begin begin;
	uint64_t board; /* the one there is now */
	int64_t hour;   /* it is */
	int64_t keep_days;
};

struct usage_done {
	int64_t failed;
	char text[256];  /* why; "": it has not */
	char aside[128]; /* what a damaged database is called from now on; "": none was found */
};

#define USAGE_MESSAGE_MAX (USAGE_DB_PAGE * sizeof(struct usage_row))

/* The other side, on standard input and in the folder that is descriptor 3. */
int usage_keeper_main(void);
#define USAGE_KEEPER "tenement-usage"

/* At the start, whenever usage_days may have changed, and once an hour. */
void usage_store_setup(struct daemon *d, int64_t hour);

/* There will be something, soon: who keeps it is begun. A database that is not there is made, so
 * that what comes is known to be its own, whatever becomes of the daemon before it is stored. */
void usage_store_expect(struct daemon *d);

/* To be stored. LAST: they are not to be read again, so they are kept until they are stored; others
 * are let go when they cannot be. */
void usage_store_put(
	struct daemon *d, const struct usage_reading *readings, size_t count, bool last);

/* Whether it has not answered yet to readings that were not the last. */
bool usage_store_is_busy(void);

/* Ask. ANSWER is called once, with a count less than 0 and WHY if it failed. Returns what to say to
 * usage_store_forget(). */
typedef void usage_answer(void *data, const struct usage_row *rows, ssize_t count, const char *why);
uint64_t usage_store_ask(
	struct daemon *d, const struct usage_query *query, usage_answer *answer, void *data);
void usage_store_forget(uint64_t number);

/* What status says of it; NULL: all is well. The caller frees. */
char *usage_store_problem(const struct daemon *d);

/* Give it a moment to store what it was given, and be rid of it. */
void usage_store_stop(struct daemon *d);

#endif
