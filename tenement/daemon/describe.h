/*
 * Instances as JSON, as the management API shows them.
 */
#ifndef TEN_DESCRIBE_H
#define TEN_DESCRIBE_H

#include <jansson.h>

#include "daemon/instance.h"
#include "options.h"

/* A new reference. */
json_t *describe_instance(struct daemon *d, struct instance *instance);
/* What `ten ps` shows of it; what is nothing is left out. */
json_t *describe_instance_brief(struct daemon *d, struct instance *instance);
/* With its environment (masked unless SECRETS), command and declaration. */
json_t *describe_instance_whole(struct daemon *d, struct instance *instance, bool secrets);

/* "no tenant notes:carl (did you mean notes:carol?)"; the caller frees. */
char *describe_unknown(struct daemon *d, const char *key);

/* When it will sleep, as things are now; what is in flight puts it all off. */
json_t *describe_next_steps(struct daemon *d, struct instance *instance);

/* What was declared: the files' texts (secrets masked), or none of them for who is not to see what
 * else is in them; and what all layers come to. */
enum describe_files { DESCRIBE_NO_FILES, DESCRIBE_FILES };
json_t *describe_spec(struct daemon *d, const struct ten_spec *spec, enum describe_files files);

/* What VALUES, of SCOPE, hold, by the names of the options. */
json_t *describe_values(enum option_scope scope, const void *values);

json_t *describe_strv(char *const *list);

#endif
