/*
 * Where our own programs are: beside the running one (so that a build folder works as it is), else
 * where they are installed.
 */
#ifndef TEN_PROGRAMS_H
#define TEN_PROGRAMS_H

/* The path of program NAME; the caller frees. Whether it is there is left to exec. */
char *programs_path(const char *name);

/* The path of `ten`; likewise. */
char *programs_ten(void);

#endif
