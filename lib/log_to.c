#include "log_to.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *word;
	enum log_to bit;
} places[] = {
	{ "store", LOG_TO_STORE },
	{ "journald", LOG_TO_JOURNALD },
	{ "syslog", LOG_TO_SYSLOG },
	{ "files", LOG_TO_FILES },
};

static unsigned find(const char *word)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (strcmp(places[i].word, word) == 0)
			return places[i].bit;
	return 0;
}

int log_to_check(const char *word, struct ten_error *err)
{
	if (find(word))
		return 0;
	return ten_error_set(
		err, 0, "\"%.60s\" is not one of store, journald, syslog and files", word);
}

unsigned log_to_read(char *const *list)
{
	unsigned bits = 0;

	for (; *list; list++)
		bits |= find(*list);
	return bits;
}
