/* GET /api/openapi.json: tenement/api/openapi.json, compiled in. */
#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "mem.h"
#include "text.h"

extern const unsigned char openapi_json[];
extern const size_t openapi_json_size;

void control_openapi(struct control_call *call)
{
	autotext struct text body = { 0 };

	text_add(&body, (const char *)openapi_json, openapi_json_size);
	control_answer_text(call, "application/json", &body);
}
