/*
 * What is asked of the store of logs: how it comes in a request's query, and how it goes on to the
 * process that reads.
 */
#ifndef TEN_LOG_QUESTION_H
#define TEN_LOG_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/principal.h"
#include "error.h"
#include "names.h"
#include "wire.h"

#define LOG_QUESTION_LIMIT      100 /* lines, where nothing is said */
#define LOG_QUESTION_LIMIT_MAX  100000
#define LOG_QUESTION_SEARCH_MAX 4096 /* bytes */

enum log_question_kind {
	LOG_QUESTION_ONCE,
	LOG_QUESTION_FOLLOW, /* and go on with what is written from then on */
};

struct log_question {
	enum log_question_kind kind;
	char service[NAMES_MAX + 1]; /* "": any */
	char id[NAMES_MAX + 1];      /* "": any */
	char level[16];              /* "": any */
	char search[LOG_QUESTION_SEARCH_MAX + 1];
	int64_t since_ms, until_ms; /* 0: from the first, to the last */
	int64_t limit;
	bool resumes; /* all that came after the cursor AFTER, instead of the last LIMIT lines */
	uint64_t after;
};

/* Fill *QUESTION from the query of a request: process, id (also "notes:alice"), level, search,
 * since, until, limit. On failure *PARAMETER is the one that is wrong. */
int log_question_read(struct log_question *question, const char *query, const char **parameter,
	struct ten_error *err);

/* Resume after the line whose cursor is written as TEXT. */
int log_question_resume(struct log_question *question, const char *text, struct ten_error *err);

/* Narrow it to what WHO sees. False: nothing of what it asks for. */
bool log_question_narrow(struct log_question *question, const struct principal *who);

void log_question_pack(const struct log_question *question, struct wire_buffer *message);
bool log_question_unpack(struct log_question *question, const struct wire *message);

#endif
