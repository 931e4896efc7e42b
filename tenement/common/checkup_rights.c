/* Who we are and what we may. */
#include <cap-ng.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/checkup.h"
#include "mem.h"
#include "text.h"

#define GROUP "rights"

static const struct {
	int number;
	const char *name, *lost;
} capabilities[] = {
	{ CAP_SETUID, "CAP_SETUID", "no tenant can have a uid of its own" },
	{ CAP_SETGID, "CAP_SETGID", "no tenant can have a uid of its own" },
	{ CAP_CHOWN, "CAP_CHOWN", "folders cannot be given to tenants" },
	{ CAP_FOWNER, "CAP_FOWNER", "tenants' folders cannot be kept at mode 0700" },
	{ CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", "tenants' folders cannot be looked after" },
	{ CAP_KILL, "CAP_KILL", "tenants with a uid of their own cannot be stopped" },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "no namespaces and mounts but in user namespaces" },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN",
		"no rules for tenants' ports, no network of a tenant's own" },
	{ CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", "no listening on ports below 1024" },
	{ CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE",
		"no nofile_limit above the hard limit, no project quotas" },
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE",
		"processes that a tenant left behind are not found without control groups" },
};

/* Of listeners below 1024 the configuration says so. */
static bool listens_low(const struct setting_values *settings)
{
	for (size_t i = 0; i < settings->listener_count; i++) {
		const char *colon = strrchr(settings->listeners[i].address, ':');
		size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;

		if (strncmp(settings->listeners[i].address, "unix:", 5) == 0 || !digits)
			continue;
		if (digits < 4 || (digits == 4 && strcmp(colon + 1, "1024") < 0))
			return true;
	}
	return false;
}

static void find_capabilities(struct checkup *checkup)
{
	bool low = listens_low(checkup->settings);
	size_t missing = 0;

	capng_get_caps_process();
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(*capabilities); i++) {
		struct checkup_finding *finding;

		if (capng_have_capability(CAPNG_EFFECTIVE, (unsigned)capabilities[i].number))
			continue;
		missing++;
		finding = checkup_add(checkup, GROUP, capabilities[i].name, false,
			capabilities[i].lost, "run the daemon as root, with this capability", "%s",
			"not ours");
		finding->asked = low && capabilities[i].number == CAP_NET_BIND_SERVICE;
	}
	if (!missing)
		checkup_add(checkup, GROUP, "capabilities", true, NULL, NULL, "%s",
			"all that are used");
}

void checkup_rights(struct checkup *checkup)
{
	bool root = geteuid() == 0;

	checkup_add(checkup, GROUP, "root", root,
		"tenants share the daemon's uid, and can read each other's files but where they "
		"have namespaces",
		"run `ten serve` as root (the systemd unit does)", "uid %u", geteuid())
		->asked = checkup->names_users;
	find_capabilities(checkup);
}
