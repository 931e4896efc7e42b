/*
 * The writing side of the store of log lines (log_db.h). One process at a time.
 *
 * Lines are taken into memory; log_writer_commit() puts them where a kill does not reach them, and
 * is to be called within a quarter second. Nothing fails towards who brings a line: what cannot be
 * stored is counted, and a line of ours says so when there is room again.
 */
#ifndef TEN_LOG_WRITER_H
#define TEN_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "log_line.h"

#define LOG_TAILS_MAX     (16u << 20) /* bytes of lines that wait to be a block, of all tenants */
#define LOG_SEGMENT_BYTES (256u << 20)

/* What one tenant may have. */
struct log_bounds {
	int64_t rate;     /* lines a second, for whoever hands them in; 0: any number */
	int64_t max_mb;   /* of lines, as they were written; 0: any number */
	int64_t max_days; /* 0: for ever */
};

struct log_writer;
struct log_tenant;

/* What has become of the store meanwhile, for who tells people. */
struct log_writer_state {
	char *set_aside; /* the new name of a store that was damaged; the caller frees and clears it
			  */
	uint64_t dropped; /* lines, since the start */
	uint64_t lines;   /* that were stored, since the start */
};

/* For logs.db in FOLDER. BOUNDS are those of tenants of whom none are known. */
struct log_writer *log_writer_new(const char *folder, const struct log_bounds *bounds);

/* Open it; a damaged one is set aside. What cannot be opened is tried again by each commit. */
int log_writer_open(struct log_writer *writer, struct ten_error *err);

/* What is in memory is stored before, if that can be. */
void log_writer_close(struct log_writer *writer);

struct log_writer_state *log_writer_state(struct log_writer *writer);
const struct log_bounds *log_writer_bounds(const struct log_writer *writer);

/* The tenant SERVICE:ID, whose names the caller has checked. Counted: each call is answered by a
 * log_tenant_release(). */
struct log_tenant *log_writer_tenant(
	struct log_writer *writer, const char *service, const char *id);
void log_tenant_release(struct log_tenant *tenant);

/* Only one that has rows, or is held by somebody; uncounted. NULL: there is none. */
struct log_tenant *log_writer_find(struct log_writer *writer, const char *service, const char *id);

const struct log_bounds *log_tenant_bounds(const struct log_tenant *tenant);

/* Remembered until others are said. */
void log_tenant_set_bounds(struct log_tenant *tenant, const struct log_bounds *bounds);

void log_tenant_add(struct log_tenant *tenant, const struct log_line *line);

/* Whether there is something to commit. */
bool log_writer_is_dirty(const struct log_writer *writer);

/* Store what is in memory, NOW_MS being the time. -1: what could not be stored is counted, or, if
 * the database is another's at this moment, still there. */
int log_writer_commit(struct log_writer *writer, int64_t now_ms, struct ten_error *err);

/* One small step of what has to be done now and then: forget what is too old or too much, give room
 * back. Returns 1 when there is more to do at once. */
int log_writer_tend(struct log_writer *writer, int64_t now_ms, struct ten_error *err);

#endif
