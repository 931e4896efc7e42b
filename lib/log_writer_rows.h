/*
 * What log_writer.c, log_writer_rows.c and log_writer_tend.c share. A transaction is open from the
 * first row on to the commit; what it did to a tenant's numbers in memory is read again when it is
 * rolled back.
 */
#ifndef TEN_LOG_WRITER_ROWS_H
#define TEN_LOG_WRITER_ROWS_H

#include <sys/types.h>

#include <uthash.h>

#include "log_block.h"
#include "log_sqlite.h"
#include "log_words.h"
#include "log_writer.h"
#include "text.h"

struct log_tenant {
	struct log_writer *writer;
	int64_t number; /* 0: it has no row yet */
	char *key;      /* "service:id" */
	char *service;
	char *id;
	unsigned references;
	struct log_bounds bounds;
	bool has_bounds;     /* of its own */
	bool bounds_changed; /* since they were stored */

	struct log_chunk chunk; /* lines that are in no row yet */
	struct text tail;       /* what its rows of the table tail hold */
	int64_t tail_first_ms, tail_last_ms;
	uint64_t tail_first_seq, tail_last_seq;
	unsigned tail_streams;
	uint64_t raw;      /* bytes of lines in its blocks */
	int64_t oldest_ms; /* last_ms of the first of them; 0: to be looked up */

	bool is_dirty;                            /* in writer->dirty */
	bool is_new;                              /* its row came with the transaction */
	uint64_t in_doubt;                        /* lines that the transaction holds */
	uint64_t lost;                            /* lines that nobody was told of yet */
	uint64_t noted;                           /* of those, what the transaction tells of */
	int lost_why;                             /* an errno value */
	struct log_tenant *prev, *next;           /* in writer->dirty */
	struct log_tenant *tail_prev, *tail_next; /* in writer->tails: who has one */
	UT_hash_handle hh;
};

struct log_writer {
	struct log_sqlite sql;
	struct log_checkpoint *checkpoint; /* NULL: none */
	char *folder;
	char *path;
	dev_t device;
	ino_t inode;
	struct log_bounds bounds; /* of who has none of its own */
	struct log_writer_state state;
	struct log_tenant *tenants; /* by key */
	struct log_tenant *dirty;
	struct log_tenant *tails; /* the oldest first */
	size_t tail_bytes;
	uint64_t seq; /* given last */
	bool in_transaction;
	unsigned failures;        /* calls of log_writer_fail() */
	struct ten_error failure; /* since the last commit, if has_failed */
	bool has_failed;

	int64_t segment; /* that is written; 0: to be looked up */
	uint64_t segment_raw;
	sqlite3_stmt *index; /* adds a document to it */

	struct log_packer *packer;
	struct log_wordset *words;
	struct text encoded;
	struct text packed;

	char *tend_key;       /* of the tenant after which tending goes on; owned */
	int64_t tend_segment; /* likewise */
};

/* The newest number that any row has; all tenants, with what they have; 0, or -1 with ERR. */
int log_rows_load(struct log_writer *writer, struct ten_error *err);

/* Read again what rows TENANT has. */
int log_rows_reload(struct log_tenant *tenant, struct ten_error *err);

/* Forget what is known of TENANT's tail. */
void log_rows_clear_tail(struct log_tenant *tenant);

/* Give TENANT a row if it has none, and its row its bounds. */
int log_rows_store_tenant(struct log_tenant *tenant, struct ten_error *err);

/* Store TENANT's chunk: as a row of its tail, or, when there is enough, in a block with that. */
int log_rows_add_chunk(struct log_tenant *tenant, struct ten_error *err);

/* Make a block of the tail, and forget the oldest blocks if there is too much. */
int log_rows_seal(struct log_tenant *tenant, struct ten_error *err);

/* Whether TENANT's blocks are more than it may have. */
bool log_rows_too_much(const struct log_tenant *tenant);

/* Forget TENANT's oldest block. Returns 0 when there is none, else 1. */
int log_rows_drop_oldest(struct log_tenant *tenant, struct ten_error *err);

/* Give the block SEQ a number of now, and its words to the segment that is written. */
int log_rows_move(struct log_writer *writer, int64_t seq, struct ten_error *err);

/* ---- of log_writer.c ---- */

int log_writer_begin(struct log_writer *writer, struct ten_error *err);
void log_writer_mark(struct log_tenant *tenant); /* the transaction is about it, too */
/* Roll the transaction back, what it held being lost; with EUCLEAN set the store aside. Returns -1.
 */
int log_writer_fail(struct log_writer *writer, struct ten_error *err);

/* Begin another store if somebody took the file away. */
void log_writer_reopen_moved(struct log_writer *writer);
void log_writer_forget(struct log_tenant *tenant);

#endif
