/*
 * A thread that brings what is in the store's write-ahead log into logs.db itself, so that whoever
 * writes lines never waits for a disk's sync.
 */
#ifndef TEN_LOG_CHECKPOINT_H
#define TEN_LOG_CHECKPOINT_H

#include <sqlite3.h>

struct log_checkpoint;

/* For the database PATH that WRITER has open. NULL: it cannot be had, SQLite does it by itself. */
struct log_checkpoint *log_checkpoint_start(const char *path, sqlite3 *writer);
void log_checkpoint_stop(struct log_checkpoint *checkpoint);

#endif
