/*
 * "Did you mean": the name that a mistyped one was probably meant to be.
 */
#ifndef TEN_NEAREST_H
#define TEN_NEAREST_H

/* The one of NAMES (NULL-terminated) that is nearest to WRONG, or NULL when none is near. */
const char *nearest_name(const char *wrong, const char *const *names);

#endif
