#include "cli/since.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DIGITS_MAX 9

/* COUNT digits at *AT, which is moved behind them. */
static bool take_digits(const char **at, int count, int *number)
{
	*number = 0;
	for (; count; count--, ++*at) {
		if (!isdigit((unsigned char)**at))
			return false;
		*number = *number * 10 + (**at - '0');
	}
	return true;
}

static bool take(const char **at, char wanted)
{
	if (**at != wanted)
		return false;
	++*at;
	return true;
}

static bool parse_date(const char *text, int64_t *moment)
{
	struct tm date = { 0 }, again;
	int year, month;
	time_t seconds;

	if (!take_digits(&text, 4, &year) || !take(&text, '-') || !take_digits(&text, 2, &month) ||
		!take(&text, '-') || !take_digits(&text, 2, &date.tm_mday))
		return false;
	if ((take(&text, 'T') || take(&text, ' ')) &&
		(!take_digits(&text, 2, &date.tm_hour) || !take(&text, ':') ||
			!take_digits(&text, 2, &date.tm_min)))
		return false;
	take(&text, 'Z');
	if (*text || year < 1970 || date.tm_hour > 23 || date.tm_min > 59)
		return false;
	date.tm_year = year - 1900;
	date.tm_mon = month - 1;
	again = date;
	seconds = timegm(&again);
	/* The 30th of February is made another day's. */
	if (again.tm_mon != date.tm_mon || again.tm_mday != date.tm_mday)
		return false;
	*moment = seconds;
	return true;
}

static bool parse_span(const char *text, int64_t *secs)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	size_t digits = strspn(text, "0123456789");
	int64_t count = strtoll(text, NULL, 10);

	if (!digits || digits > DIGITS_MAX || !text[digits] || text[digits + 1])
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (units[i].unit == text[digits]) {
			*secs = count * units[i].seconds;
			return true;
		}
	return false;
}

bool since_parse(const char *text, int64_t now, int64_t *moment)
{
	int64_t ago;

	if (!parse_span(text, &ago))
		return parse_date(text, moment);
	*moment = ago < now ? now - ago : 0;
	return true;
}

bool since_parse_ahead(const char *text, int64_t now, int64_t *moment)
{
	int64_t ahead;

	if (!parse_span(text, &ahead))
		return parse_date(text, moment);
	*moment = now + ahead;
	return true;
}
