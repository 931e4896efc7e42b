/*
 * Who holds which folder: a tree of path components, in which a path that equals, holds or lies
 * inside another is found in as many steps as it has components.
 */
#ifndef TEN_CONFIG_CLAIMS_H
#define TEN_CONFIG_CLAIMS_H

struct config_claims;

struct config_claims *config_claims_new(void);
void config_claims_free(struct config_claims *claims);

/* OWNER, whoever that is, holds PATH (normalized, absolute). Several may; taking it back is what
 * the one that conflicts does next. */
void config_claims_add(struct config_claims *claims, const char *path, const void *owner);
void config_claims_remove(struct config_claims *claims, const char *path, const void *owner);

/* An owner other than OWNER that holds PATH, a folder above it or one below it, and *where (owned
 * by CLAIMS) the path that it holds; NULL: nobody. */
const void *config_claims_conflict(const struct config_claims *claims, const char *path,
	const void *owner, const char **where);

#endif
