#include "daemon/control_crowd.h"

#include <string.h>

static bool is_under_way(const struct control_connection *connection)
{
	return connection->known || connection->look || connection->streaming;
}

static bool is_tenants(const struct principal *who)
{
	return who->scope == SCOPE_TENANT || who->scope == SCOPE_INSTANCE;
}

bool control_crowd_is_full(const struct control_connection *connection)
{
	const struct principal *who = &connection->who;
	const struct control_connection *other;
	unsigned alike = 0, near = 0, tenants = 0;

	if (connection->door == CONTROL_DOOR_LOCAL)
		return false;
	for (other = control_connections(connection->daemon); other; other = other->next) {
		if (other == connection || other->door != connection->door || !is_under_way(other))
			continue;
		tenants += is_tenants(&other->who);
		if (strcmp(other->who.name, who->name) != 0)
			continue;
		alike++;
		near += strcmp(other->address, connection->address) == 0;
	}
	if (who->scope == SCOPE_NONE)
		return alike >= CROWD_STRANGERS || near >= CROWD_OF_ADDRESS;
	if (is_tenants(who))
		return alike >= CROWD_OF_A_TENANT || tenants >= CROWD_TENANTS;
	return alike >= CROWD_OF_TOKEN;
}
