#include "common/project_quota.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/quota.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem.h"

#ifndef PRJQUOTA
#define PRJQUOTA 2
#endif
#define BLOCK 512u /* what all of these count in */

static int ask(int fd, int command, uint32_t project, void *answer)
{
	return (int)syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), project, answer);
}

int project_quota_find(int fd, struct project_quota *found, struct ten_error *err)
{
	struct fs_quota_statv all = { .qs_version = FS_QSTATV_VERSION1 };

	*found = (struct project_quota){ 0 };
	if (ask(fd, Q_XGETQSTATV, 0, &all) < 0)
		return ten_error_set(err, errno, "project quotas");
	found->counted = all.qs_flags & FS_QUOTA_PDQ_ACCT;
	found->enforced = all.qs_flags & FS_QUOTA_PDQ_ENFD;
	if (!found->counted)
		return ten_error_set(err, 0, "the file system is mounted without prjquota");
	return 0;
}

/* A project that has nothing has no quota either. */
static int get(int fd, uint32_t project, struct fs_disk_quota *quota, struct ten_error *err)
{
	*quota = (struct fs_disk_quota){ 0 };
	if (ask(fd, Q_XGETQUOTA, project, quota) < 0 && errno != ENOENT && errno != ESRCH)
		return ten_error_set(err, errno, "the quota of project %u", project);
	return 0;
}

int project_quota_used(
	int fd, uint32_t project, uint64_t *bytes, uint64_t *entries, struct ten_error *err)
{
	struct fs_disk_quota quota;

	if (get(fd, project, &quota, err) < 0)
		return -1;
	*bytes = quota.d_bcount * BLOCK;
	*entries = quota.d_icount;
	return 0;
}

int project_quota_limit(int fd, uint32_t project, uint64_t limit_bytes, struct ten_error *err)
{
	struct fs_disk_quota quota;
	uint64_t blocks = limit_bytes / BLOCK;

	if (get(fd, project, &quota, err) < 0)
		return -1;
	if (quota.d_blk_hardlimit == blocks && !quota.d_blk_softlimit)
		return 0;
	quota = (struct fs_disk_quota){ .d_version = FS_DQUOT_VERSION,
		.d_flags = FS_PROJ_QUOTA,
		.d_fieldmask = FS_DQ_BHARD | FS_DQ_BSOFT,
		.d_id = project,
		.d_blk_hardlimit = blocks };
	if (ask(fd, Q_XSETQLIM, project, &quota) < 0)
		return ten_error_set(err, errno, "the limit of project %u", project);
	return 0;
}

bool project_quota_is_of(int fd, uint32_t project)
{
	struct fsxattr have;

	return ioctl(fd, FS_IOC_FSGETXATTR, &have) == 0 && have.fsx_projid == project &&
	       (have.fsx_xflags & FS_XFLAG_PROJINHERIT);
}

int project_quota_give(int folder, const char *name, uint32_t project, struct ten_error *err)
{
	/* (what was a file when it was looked at may be a pipe by now: it is not waited for) */
	struct open_how how = { .flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	autoclose int fd = (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));
	struct fsxattr have;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return ten_error_set(err, errno, "%s", name);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	if (ioctl(fd, FS_IOC_FSGETXATTR, &have) < 0)
		return ten_error_set(err, errno, "%s", name);
	have.fsx_projid = project;
	if (S_ISDIR(st.st_mode))
		have.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	if (ioctl(fd, FS_IOC_FSSETXATTR, &have) < 0)
		return ten_error_set(err, errno, "%s", name);
	return 0;
}
