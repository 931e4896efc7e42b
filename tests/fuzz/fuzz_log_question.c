/*
 * Whatever is asked of the logs: it is refused with the parameter that is wrong, or it comes
 * through to the process that reads as it was, and to who is limited to a tenant never as more.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log_question.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void check_wire(const struct log_question *question)
{
	autofree struct wire_buffer *message = mem_alloc(sizeof(*message));
	autofree struct log_question *back = mem_alloc(sizeof(*back));
	autofree struct wire *wire = mem_alloc(sizeof(*wire));

	log_question_pack(question, message);
	require(wire_parse(message->bytes, message->len, wire));
	require(log_question_unpack(back, wire));
	require(strcmp(back->service, question->service) == 0);
	require(strcmp(back->id, question->id) == 0);
	require(strcmp(back->level, question->level) == 0);
	require(strcmp(back->search, question->search) == 0);
	require(back->since_ms == question->since_ms && back->until_ms == question->until_ms);
	require(back->limit == question->limit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct principal alice = { .scope = SCOPE_TENANT, .of = "alice" };
	static const struct principal one = { .scope = SCOPE_INSTANCE, .of = "notes:alice" };
	autofree char *query = mem_strndup((const char *)data, size);
	autofree struct log_question *question = mem_alloc(sizeof(*question));
	const char *parameter = NULL;
	struct ten_error err = { 0 };
	struct log_question asked;

	if (log_question_read(question, query, &parameter, &err) < 0) {
		require(parameter && *err.text);
		return 0;
	}
	require(!*question->service || names_valid(question->service));
	require(!*question->id || names_valid(question->id));
	check_wire(question);
	asked = *question;
	if (log_question_narrow(question, &alice))
		require(strcmp(question->id, "alice") == 0);
	*question = asked;
	if (log_question_narrow(question, &one))
		require(strcmp(question->id, "alice") == 0 &&
			strcmp(question->service, "notes") == 0);
	return 0;
}
