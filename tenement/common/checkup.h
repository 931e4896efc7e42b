/*
 * What `ten doctor` looks at: each thing of the kernel, the machine and our rights that tenement
 * can use, whether it is there, what is lost without, and what to do. Found out by trying, in
 * children that end at once, so that nothing of it lasts. The daemon's abilities are told in the
 * same words.
 */
#ifndef TEN_CHECKUP_H
#define TEN_CHECKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

enum checkup_state { CHECKUP_OK, CHECKUP_MISSING };

#define CHECKUP_NEEDED_BY_MAX 8

struct checkup_finding {
	const char *group, *name;
	enum checkup_state state;
	char *found;             /* what there is, or why there is not */
	const char *lost, *todo; /* where it is missing */
	/* Values of services' options that cannot be given without it; NULL: any that asks. */
	struct checkup_need {
		const char *option, *value;
	} needed_by[CHECKUP_NEEDED_BY_MAX];
	size_t needed_by_count;
	bool asked; /* the configuration asks for it */
};

struct checkup {
	const struct setting_values *settings;
	bool configured; /* there are files, and not defaults alone */
	size_t tenants;  /* that are declared */
	int64_t nofile;  /* the largest nofile_limit of a service */
	char **secrets;  /* files that tenants' env_file and credentials name; NULL: none */
	bool asks_native, asks_gvisor; /* a service's sandbox is to be */
	bool names_users;              /* a service's user is another than dynamic */
	struct checkup_finding *items;
	size_t count;
};

/* All of it, in an order for people. *checkup comes with what the probes are to know. */
void checkup_run(struct checkup *checkup);
void checkup_clear(struct checkup *checkup); /* the findings */

/* ---- for the probes ---- */

/* One more finding: FOUND by its format; LOST and TODO are kept, not copied. The reference holds
 * until the next. */
struct checkup_finding *checkup_add(struct checkup *checkup, const char *group, const char *name,
	bool there, const char *lost, const char *todo, const char *found, ...)
	__attribute__((format(printf, 7, 8)));
void checkup_need(struct checkup_finding *finding, const char *option, const char *value);

/* PROBE(DATA) in a child: 0, or the errno it returned; EINTR when it was killed or hung. */
int checkup_try(int (*probe)(void *data), void *data);

void checkup_rights(struct checkup *checkup);
void checkup_kernel(struct checkup *checkup);
void checkup_groups(struct checkup *checkup);
void checkup_network(struct checkup *checkup);
void checkup_storage(struct checkup *checkup);
void checkup_machine(struct checkup *checkup);

#endif
