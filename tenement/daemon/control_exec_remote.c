/* `ten exec` from elsewhere: who may, and how many. */
#include <string.h>
#include <strings.h>

#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/exec_session.h"
#include "exec_frame.h"

void control_instance_exec_remote(struct control_call *call)
{
	char protocol[32] = "";

	control_header(call, "upgrade", protocol, sizeof(protocol));
	if (call->who.local && !control_is_own(call)) {
		control_refuse(call, 403, "`ten exec` is for root and the daemon's own user");
	} else if (!call->head->connection_upgrade || call->head->content_length ||
		   strcasecmp(protocol, EXEC_PROTOCOL) != 0) {
		control_add_header(call, "Connection: Upgrade");
		control_add_header(call, "Upgrade: " EXEC_PROTOCOL);
		control_refuse(call, 426,
			"a command's input and output go by \"Upgrade: " EXEC_PROTOCOL
			"\", and this request, which has no body");
	} else if (!exec_session_is_room()) {
		control_refuse(call, 503,
			"%d commands are being run from elsewhere: no more at a time",
			EXEC_SESSIONS_MAX);
	} else {
		exec_session_begin(call);
	}
}
