#include "daemon/abilities.h"

#include <unistd.h>

#include "common/secret_file.h"
#include "daemon/isolation.h"
#include "daemon/network.h"
#include "daemon/sandbox.h"
#include "daemon/limits.h"
#include "machine.h"
#include "mem.h"

static void find_levels(struct daemon *d, struct machine *machine)
{
	autofree char *why = isolation_try(d);

	static const char *const needing[] = { "mounts", "read_only_paths", "read_write_paths",
		"hide_paths", "rootfs" };

	for (size_t i = 0; why && i < sizeof(needing) / sizeof(*needing); i++)
		machine_add_lack(machine, needing[i], NULL, "%s", why);
	if (why)
		machine_add_lack(machine, "isolation", "namespace",
			"%s (isolation = \"process\" needs no namespaces)", why);
	if (why)
		machine_add_lack(machine, "storage_over", "readonly", "%s", why);
	sandbox_find_lacks(d);
#ifndef HAVE_STATIC_INIT
	machine_add_lack(machine, "rootfs", NULL,
		"this build's tenement-init needs the host's "
		"libraries: build it where libc.a is");
#endif
}

static void find_secrets(struct machine *machine, const char *runtime_dir)
{
	autofree char *lack = secret_place_lack(runtime_dir);

	if (lack)
		machine_add_lack(machine, "credentials", NULL, "%s", lack);
}

/* A syslog daemon may be away for a moment; a machine without journald has none later either. */
static void find_logs(struct machine *machine, const char *journald)
{
	if (access(journald, F_OK) < 0)
		machine_add_lack(machine, "log_to", "journald",
			"there is no journald here: %s is not there", journald);
}

void abilities_find(struct daemon *d)
{
	find_levels(d, &d->machine);
	limits_find_lacks(d);
	find_secrets(&d->machine, d->runtime_dir);
	network_find_lacks(d);
	find_logs(&d->machine, d->boot.journald_socket);
	d->place.machine = &d->machine;
}
