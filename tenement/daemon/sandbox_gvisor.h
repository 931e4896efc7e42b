/*
 * isolation = "sandbox" by gVisor: a tenant's program runs on a kernel of its own, which is a
 * process of the tenant's uid (runsc --rootless), and reaches files through another such process.
 * What it sees of the file system is the view that a tenant in namespaces has.
 *
 * runsc is told by a bundle, a folder that is made for each start:
 *	{runtime_dir}/sandboxes/notes:alice/	the tenant's, 0700
 *		config.json	0600: its environment is in it
 *		empty		what is seen in the place of hidden files
 *		state/		runsc's own
 * tenement-sandbox (tenement/sandbox) is the process that the keeper knows.
 */
#ifndef TEN_SANDBOX_GVISOR_H
#define TEN_SANDBOX_GVISOR_H

#include "daemon/isolation.h"

/* Why it cannot be had here; NULL: it can. The caller frees. */
char *sandbox_gvisor_try(struct daemon *d);

/* Make the bundle of RUN, which is to be started with WORDS in ISOLATION, and put what is to be
 * executed into *WORDS instead. Returns a descriptor of the program. */
int sandbox_gvisor_prepare(struct daemon *d, const struct run *run,
	const struct isolation *isolation, struct spawn_words *words, struct ten_error *err);

/* Remove the bundle of KEY, whose process has ended. */
void sandbox_gvisor_remove(struct daemon *d, const char *key);
/* The same of all that an earlier life left: of those that have no process now. */
void sandbox_gvisor_sweep(struct daemon *d);

#endif
