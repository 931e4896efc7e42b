#include "daemon/log_entry.h"

#include "common/clock.h"
#include "log_line.h"

json_t *log_entry_remark(const char *text)
{
	return json_pack("{s:I, s:s, s:s, s:s, s:s}", "timestamp",
		(json_int_t)clock_ms(CLOCK_REALTIME), "level",
		log_line_stream_name(LOG_LINE_TENEMENT), "process", "", "instance_id", "",
		"message", text);
}
