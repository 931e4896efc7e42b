/*
 * Lines of /proc/PID/mountinfo (proc(5)).
 */
#ifndef TEN_MOUNTINFO_H
#define TEN_MOUNTINFO_H

#include <stddef.h>

/* Of a line: "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw" */
#define MOUNTINFO_ROOT    3
#define MOUNTINFO_POINT   4
#define MOUNTINFO_OPTIONS 5

/* The WORD-th word of LINE, counted from 0, with blanks (\040) as they are; NULL: it has fewer. The
 * caller frees. */
char *mountinfo_word(const char *line, size_t len, size_t word);

#endif
