/*
 * What one searches lines for:
 *
 *	timeout health		both words, in any order (AND may stand between)
 *	timeout OR refused	either; NOT binds most tightly, then AND, then OR
 *	timeout AND NOT health
 *	(a OR b) c		parentheses group
 *	"connection refused"	these words, one after the other
 *	10.0.0.1  user-id	likewise, as it holds more than one word
 *	conn*  "connection re"*	the (last) word begins so
 *	level:error  user.id:42	a field of a line that is JSON, by name, nested ones by dots;
 *`name:*`: that it is there. In other lines the two one after the other: level=error
 *
 * Words are those of log_words.h. Whatever is typed is a search: parentheses and quotes that have
 *no other are taken as if they had, operators without something to work on are no operators.
 */
#ifndef TEN_LOG_SEARCH_H
#define TEN_LOG_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "text.h"

#define LOG_SEARCH_BYTES 4096
#define LOG_SEARCH_WORDS 128 /* and as many operators */
#define LOG_SEARCH_DEPTH 16  /* FTS5 takes few more */

struct log_search;

/* err->code: E2BIG: it is larger than that. The caller frees. */
struct log_search *log_search_parse(const char *text, size_t len, struct ten_error *err);
void log_search_free(struct log_search *search);

/* Whether there is nothing in it to look for: it matches every line. */
bool log_search_is_empty(const struct log_search *search);

bool log_search_matches(const struct log_search *search, const char *line, size_t len);

/* Whether a line that matches may be among these lines: a quicker look than one at each. */
bool log_search_may_match(const struct log_search *search, const char *lines, size_t len);

/* Add an FTS5 expression that each set of words matches that a matching line is part of. False:
 * there is none, any may. */
bool log_search_index(const struct log_search *search, struct text *out);

#endif
