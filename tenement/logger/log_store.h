/*
 * The log files of all tenants: DIR/SERVICE/ID.log and its predecessor ID.log.1, which together
 * never exceed a bound (a lowered bound takes hold with the next two rotations). Access logs are
 * kept likewise, in a store of their own: ID.access.log and ID.access.log.1.
 *
 * Nothing here fails towards the caller: what a full or broken disk does not take is counted, and
 * the file says "N lines dropped" once it can be written again. Only the most recently written
 * files are kept open.
 */
#ifndef TEN_LOGGER_LOG_STORE_H
#define TEN_LOGGER_LOG_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_STORE_OPEN_MAX   256
#define LOG_STORE_MIN_KB     64
#define LOG_STORE_MAX_KB     10485760
#define LOG_STORE_BATCH_SIZE (32u << 10) /* half of LOG_STORE_MIN_KB */

struct log_store;
struct log_file;

enum log_store_kind { LOG_STORE_OUTPUT, LOG_STORE_ACCESS };

struct log_store *log_store_new(enum log_store_kind kind, const char *dir, uint64_t max_kb);
void log_store_free(struct log_store *store); /* all files released before */

/* The bound of each tenant's two files, in KiB. At least LOG_STORE_MIN_KB; 0: none. */
void log_store_set_max_kb(struct log_store *store, uint64_t max_kb);

/* The file of tenant SERVICE:ID, whose names the caller has checked. Counted: each call is answered
 * by a log_file_release(). Opens nothing yet. */
struct log_file *log_store_file(struct log_store *store, const char *service, const char *id);
void log_file_release(struct log_file *file);

/* Append whole lines: LEN bytes of any number, each with its newline and shorter than
 * LOG_STORE_BATCH_SIZE. */
void log_file_write(struct log_file *file, const char *lines, size_t len);

/* Open each file by its name again before the next line: somebody else has moved them away. */
void log_store_reopen(struct log_store *store);

/* Whether a file owes a "dropped" remark. */
bool log_store_owes(const struct log_store *store);

/* Try to write the remarks that are owed. True: some are still owed. */
bool log_store_settle(struct log_store *store);

#endif
