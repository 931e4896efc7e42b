/*
 * The store of what tenants write: logs.db, in SQLite. One process writes it (log_writer.h), any
 * number read it at the same time.
 *
 *	tenant   who there is: number, names, bounds
 *	tail     a row per tenant and quarter second: the newest lines, as they are
 *	block    up to 64 KiB of a tenant's lines, compressed (log_block.h)
 *	segment  a stretch of blocks, and words_N, an FTS5 index of the words in each of its blocks
 *
 * What a search means is in log_search.h. The index only says which blocks are worth reading; each
 * line is then looked at by itself.
 */
#ifndef TEN_LOG_DB_H
#define TEN_LOG_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "log_line.h"

#define LOG_DB_FILE    "logs.db"
#define LOG_DB_VERSION 1

#define LOG_QUERY_LIMIT_MAX 100000
#define LOG_QUERY_BYTES_MAX (64u << 20) /* of messages; what is beyond makes a result partial */
#define LOG_QUERY_WAL_MAX   (1 << 30)   /* who looks keeps it from shrinking: then it is given up */

struct log_db; /* for reading */

struct log_query {
	const char *service; /* NULL: any */
	const char *id;      /* NULL: any */
	const char *level;   /* "stdout", "stderr" or "tenement" (our own remarks); NULL: any */
	const char *search;  /* see log_search.h; NULL or "": every line */
	int64_t since_ms;    /* from then on; 0: from the first */
	int64_t until_ms;    /* before then; 0: to the last */
	uint64_t after;      /* only what was stored after the row of this cursor; 0: all */
	bool oldest_first;   /* the first LIMIT after the cursor, not the last: for following */
	size_t limit;        /* rows; 0: none, which is good for the cursor alone */
	unsigned timeout_ms; /* give up looking after so long, with what there is; 0: never */
	bool (*is_wanted)(void *data); /* asked now and then: false is to give up; may be NULL */
};

struct log_row {
	uint64_t cursor; /* greater than that of any row stored before; less than 2^53 */
	struct log_line
		line; /* its message is good until the callback returns, with no NUL at the end */
	const char *service;
	const char *id;
};

struct log_result {
	uint64_t cursor;  /* of the newest row that there is, of whomever; what to follow from */
	bool partial;     /* there was no time to look at everything, or no room for LIMIT rows */
	bool late;        /* there was no time */
	unsigned damaged; /* blocks that could not be read */
};

/* Returning false ends the query. */
typedef bool log_db_each(void *data, const struct log_row *row);

/* logs.db in FOLDER. err->code: ENOENT: there is none yet; EUCLEAN: it is damaged. Any failure of
 * what follows is a reason to close it and to open it again: the writer may have set it aside. */
int log_db_open(struct log_db **db, const char *folder, struct ten_error *err);
void log_db_close(struct log_db *db);

/* Whether the file is still the one that is there by this name. */
bool log_db_is_current(const struct log_db *db);

/* EACH is told of the rows in the order of their cursors, which is that in which they were stored
 * (their times follow that but for clocks that were set). RESULT may be NULL. DATA is is_wanted's,
 * too. err->code EINVAL: of the query. */
int log_db_query(struct log_db *db, const struct log_query *query, log_db_each *each, void *data,
	struct log_result *result, struct ten_error *err);

#endif
