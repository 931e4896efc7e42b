#include "cli/nearest.h"

#include "suggest.h"

const char *nearest_name(const char *wrong, const char *const *names)
{
	struct suggest suggest = suggest_begin(wrong);

	for (; *names; names++)
		suggest_offer(&suggest, *names);
	return suggest.best;
}
