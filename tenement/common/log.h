/*
 * What our own programs have to say to the operator: one line each on standard error, with the
 * program's name before it. Under systemd (JOURNAL_STREAM) lines carry sd-daemon(3) priorities.
 */
#ifndef TEN_LOG_H
#define TEN_LOG_H

void log_init(const char *program); /* PROGRAM is kept, not copied */
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
