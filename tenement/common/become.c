#include "common/become.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int limit(int resource, rlim_t value)
{
	struct rlimit both = { value, value };
	struct rlimit have;

	if (getrlimit(resource, &have) == 0 && have.rlim_max < value)
		both = (struct rlimit){ have.rlim_max, have.rlim_max };
	return setrlimit(resource, &both);
}

/* As capng_apply(CAPNG_SELECT_BOUNDS), which reads files of /proc for it: a third of a millisecond
 * of each wake. */
static int drop_bounding_set(void)
{
	int present;

	for (int cap = 0; (present = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++)
		if (present && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -1;
	return 0;
}

int become_tenant(const struct become *who, struct ten_error *err)
{
	if (who->nofile && limit(RLIMIT_NOFILE, who->nofile) < 0)
		return ten_error_set(err, errno, "limit of descriptors");
	if (limit(RLIMIT_CORE, 0) < 0)
		return ten_error_set(err, errno, "limit of core files");
	capng_clear(CAPNG_SELECT_BOTH);
	if (geteuid() == 0 && drop_bounding_set() < 0)
		return ten_error_set(err, errno, "dropping the capability bounding set");
	if (who->uid != BECOME_KEEP) {
		/* In a plain user's namespace nobody may, and who has none need not. */
		if ((setgroups(0, NULL) < 0 && getgroups(0, NULL) != 0) ||
			setresgid(who->gid, who->gid, who->gid) < 0 ||
			setresuid(who->uid, who->uid, who->uid) < 0)
			return ten_error_set(err, errno, "uid %u", who->uid);
	}
	/* Also for who stays root, and for a daemon that is not root but was given some. */
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return ten_error_set(err, errno, "dropping capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return ten_error_set(err, errno, "no_new_privs");
	umask(who->umask);
	if (who->workdir && chdir(who->workdir) < 0)
		return ten_error_set(err, errno, "workdir %s", who->workdir);
	return 0;
}
