/*
 * What clocks show elsewhere, by the machine's database of time zones.
 */
#ifndef TEN_ZONE_H
#define TEN_ZONE_H

#include <stdint.h>

/* A calendar_offset (see calendar.h). The C library knows one zone at a time: after some of these
 * zone_leave() makes it the daemon's own again. */
int64_t zone_offset(const char *zone, int64_t time);
void zone_leave(void);

/* TIME for people: "Fri 2026-11-20 18:00 CET". The caller frees. */
char *zone_spell(const char *zone, int64_t time);

#endif
