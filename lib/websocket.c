#include "websocket.h"

#define FIN_PING     0x89
#define MASKED       0x80
#define MASK_BYTES   4
#define CONTROL_MOST 125 /* bytes of a control frame's payload */

bool websocket_is_pings(const char *data, size_t len)
{
	const unsigned char *at = (const unsigned char *)data;

	if (!len)
		return false;
	while (len) {
		size_t payload, frame;

		if (len < 2 || at[0] != FIN_PING || !(at[1] & MASKED))
			return false;
		payload = at[1] & 0x7f;
		frame = 2 + MASK_BYTES + payload;
		if (payload > CONTROL_MOST || frame > len)
			return false;
		at += frame;
		len -= frame;
	}
	return true;
}
