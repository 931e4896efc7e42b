/*
 * Reading the store of logs, which takes a disk's time: it is done by tenement-logs, a process
 * beside the daemon that is run from our own program when there is something to read, and that
 * forks for each question, so that none waits for another.
 *
 * Each question has a socket of its own, of which one end goes along with it. What comes back is
 * text that is ready to be passed on, in pieces; it is only read as fast as it is wanted, and the
 * other side waits with the rest. Whichever of these processes ends, it costs nothing but the
 * questions in hand: those that follow are asked again from where they were.
 */
#ifndef TEN_LOG_READER_H
#define TEN_LOG_READER_H

#include "daemon/daemon.h"
#include "daemon/log_question.h"

#define LOG_READER         "tenement-logs"
#define LOG_READER_ASKS    48 /* at a time */
#define LOG_READER_SECONDS 10 /* that are looked for lines, before there is an answer */

/* What the two say to each other: this, then the text. */
enum log_reader_word {
	LOG_READER_TEXT,  /* lines; CURSOR is that of the last */
	LOG_READER_ERROR, /* what is wrong, for people: the question cannot be answered */
	LOG_READER_WRONG, /* likewise, with what was to be searched for */
	LOG_READER_END,   /* all is said */
};

struct log_reader_piece {
	uint32_t word; /* enum log_reader_word */
	uint32_t unused;
	uint64_t cursor;
};

#define LOG_READER_PIECE_MAX 65536 /* bytes of text */

/* The other side's descriptors: where questions come, the folder that has the store in it, and the
 * routing table, which says whose lines are JSON. */
#define LOG_READER_LINK   0
#define LOG_READER_FOLDER 3
#define LOG_READER_TABLE  4

/* The other side. Started as root it goes on as UID. */
int log_reader_main(const char *uid);

struct log_ask;

struct log_answer {
	/* The next piece, which may be empty: of a question that is asked ONCE an array of JSON,
	 * else Server-Sent Events. */
	void (*text)(void *data, const char *text, size_t len);
	/* There is no more. STATUS: 200, or why not, which WHY says. The ask is no more. */
	void (*end)(void *data, int status, const char *why);
};

/* Both are called from the loop only, never from in here. NULL: too much is asked at a time. */
struct log_ask *log_reader_ask(struct daemon *d, const struct log_question *question,
	const struct log_answer *answer, void *data);

/* Wait with further pieces, or go on. */
void log_ask_pause(struct log_ask *ask);
void log_ask_resume(struct log_ask *ask);

void log_ask_forget(struct log_ask *ask);

void log_reader_stop(struct daemon *d);

#endif
