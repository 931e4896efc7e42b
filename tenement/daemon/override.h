/*
 * What an operator did by hand to a declared thing: one small TOML file each below
 * {data_dir}/.tenement/overrides/, laid over conf.d, ended by `ten overrides clear` or when the
 * declared value changes.
 */
#ifndef TEN_OVERRIDE_H
#define TEN_OVERRIDE_H

#include <uthash.h>

#include "daemon/daemon.h"

enum override_what { OVERRIDE_STATE, OVERRIDE_WEIGHT, OVERRIDE_SPLIT, OVERRIDE_HOLD };
extern const char *const override_what_names[];

struct override {
	char *name;   /* of its file, without .toml: "notes:alice.state", "notes.split" */
	char *target; /* "notes:alice", or a service for SPLIT */
	enum override_what what;
	char *value;    /* "suspended"; "5"; "v1=95,v2=5"; "2026-01-31T12:00:00Z" */
	char *declared; /* the declared value then, likewise */
	int64_t since;  /* Unix time */
	double until;   /* of a hold: its end, as daemon_now() has it */
	char *by;       /* "uid 0" */
	UT_hash_handle hh;
};

int override_load_all(struct daemon *d, struct ten_error *err);
const struct override *override_find(
	const struct daemon *d, const char *target, enum override_what what);

/* Set one (or replace it), on disk first. When VALUE is what is declared, it is ended instead. */
int override_set(struct daemon *d, const char *target, enum override_what what, const char *value,
	const char *declared, const char *by, struct ten_error *err);

/* End those of TARGET (NULL: all). Returns how many; marks what they were about. */
int override_clear(struct daemon *d, const char *target);
int override_clear_one(struct daemon *d, const char *target, enum override_what what);

/* The declared value of WHAT is DECLARED now: one that was made over another is ended. */
void override_check(
	struct daemon *d, const char *target, enum override_what what, const char *declared);

/* "v1=95,v2=5" to ids and weights, and back; the caller frees. */
struct publish_split;
int override_parse_split(const char *text, struct publish_split **split, size_t *count);
char *override_format_split(const struct publish_split *split, size_t count);

#endif
