/*
 * Where a program is, looked for as execvp(3) does, but for somebody else: in another working
 * directory, by another PATH.
 */
#ifndef TEN_PROGRAM_FIND_H
#define TEN_PROGRAM_FIND_H

/* What tenants have for a PATH that their files do not say. */
#define PROGRAM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* 0: NAME is there, or it cannot be seen; ENOENT: it is not; EACCES: it is no program. FOLDER is
 * the working directory, absolute. */
int program_find(const char *name, const char *folder, const char *path);

#endif
