/*
 * How much of the last ten seconds somebody waited for memory: the kernel's pressure stall
 * information (PSI), "some avg10" of /proc/pressure/memory.
 */
#ifndef TEN_PRESSURE_H
#define TEN_PRESSURE_H

#include <stdbool.h>

/* In percent; -1: the text does not say it. */
double pressure_parse(const char *text);

/* The same, as it is now; -1: this kernel does not tell. */
double pressure_now(void);

#endif
