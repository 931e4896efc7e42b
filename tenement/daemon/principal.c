#include "daemon/principal.h"

#include <string.h>

#include "daemon/instance.h"

bool principal_sees_key(const struct principal *who, const char *key)
{
	const char *colon = strchr(key, ':');

	switch (who->scope) {
	case SCOPE_NONE:
		return false;
	case SCOPE_ALL:
		return true;
	case SCOPE_TENANT:
		return colon && strcmp(colon + 1, who->of) == 0;
	case SCOPE_INSTANCE:
		return strcmp(key, who->of) == 0;
	}
	return false;
}

bool principal_sees(const struct principal *who, const struct instance *instance)
{
	return principal_sees_key(who, instance->key);
}
