/* Reading the text of a rule. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "calendar.h"

#define EVERY_DAY       0x7f
#define MINUTES_PER_DAY 1440
#define TEXT_MAX        200

static const char window_wanted[] = "wanted are days, hours and perhaps a zone, as in \"Mon-Fri "
				    "08:00-18:00 Europe/Berlin\" or \"daily 22:00-06:00\"";
static const char moment_wanted[] =
	"wanted are days, a time and perhaps a zone, as in \"daily 03:00\", \"Mon,Thu 04:30 "
	"Europe/Berlin\" or \"hourly :15\"";

struct reader {
	const char *text; /* all of it */
	const char *at;
	const char *wanted;
	struct ten_error *err;
};

/* WHAT is wrong with what stands at the reader's place. */
static int refuse(const struct reader *reader, const char *what)
{
	size_t len = strcspn(reader->at, " ");

	if (!*reader->at)
		return ten_error_set(
			reader->err, 0, "\"%.80s\" ends early: %s", reader->text, reader->wanted);
	return ten_error_set(reader->err, 0, "\"%.80s\": \"%.*s\" %s: %s", reader->text,
		(int)(len < 40 ? len : 40), reader->at, what, reader->wanted);
}

static void skip_blanks(struct reader *reader)
{
	reader->at += strspn(reader->at, " ");
}

/* Whether the word WORD comes next; then it is passed. */
static bool take_word(struct reader *reader, const char *word)
{
	size_t len = strlen(word);

	if (strncasecmp(reader->at, word, len) != 0 || (reader->at[len] && reader->at[len] != ' '))
		return false;
	reader->at += len;
	return true;
}

/* Monday: 0. -1: no day. */
static int take_day(struct reader *reader)
{
	static const char names[7][4] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

	for (int day = 0; day < 7; day++) {
		if (strncasecmp(reader->at, names[day], 3) == 0 &&
			!isalpha((unsigned char)reader->at[3])) {
			reader->at += 3;
			return day;
		}
	}
	return -1;
}

static int read_days(struct reader *reader, uint8_t *days)
{
	const char *begin = reader->at;

	if (take_word(reader, "daily")) {
		*days = EVERY_DAY;
		return 0;
	}
	for (*days = 0;; reader->at++) {
		int first = take_day(reader), last = first;

		if (first >= 0 && *reader->at == '-') {
			reader->at++;
			last = take_day(reader);
		}
		if (first < 0 || last < 0) {
			/* All of them are shown. */
			if (*reader->at)
				reader->at = begin;
			return refuse(reader, "are no days (Mon Tue Wed Thu Fri Sat Sun, daily)");
		}
		for (int day = first;; day = (day + 1) % 7) {
			*days |= (uint8_t)(1 << day);
			if (day == last)
				break;
		}
		if (*reader->at != ',')
			break;
	}
	if (*reader->at && *reader->at != ' ') {
		reader->at = begin;
		return refuse(reader, "are no days (Mon Tue Wed Thu Fri Sat Sun, daily)");
	}
	return 0;
}

static bool take_digits(struct reader *reader, unsigned *number, unsigned most)
{
	const char *at = reader->at;

	if (!isdigit((unsigned char)at[0]) || !isdigit((unsigned char)at[1]))
		return false;
	*number = (unsigned)(at[0] - '0') * 10 + (unsigned)(at[1] - '0');
	reader->at += 2;
	return *number <= most;
}

/* "08:00", until MOST minutes; leaves the reader where it began when it is none. */
static bool take_time(struct reader *reader, uint16_t *minutes, unsigned most)
{
	const char *begin = reader->at;
	unsigned hour, minute;

	if (take_digits(reader, &hour, 24) && *reader->at == ':') {
		reader->at++;
		if (take_digits(reader, &minute, 59) && hour * 60 + minute <= most) {
			*minutes = (uint16_t)(hour * 60 + minute);
			return true;
		}
	}
	reader->at = begin;
	return false;
}

/* Parts of letters, digits, "_", "+" and "-", with "/" between: nothing that leads out of the
 * folder where zones are looked up. */
static bool is_zone(const char *text)
{
	size_t len = strlen(text);

	if (!len || len > CALENDAR_ZONE_MAX || !isalpha((unsigned char)*text) ||
		text[len - 1] == '/' || strstr(text, "//"))
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("_+-/", *text))
			return false;
	return true;
}

/* What is left is a zone or nothing. */
static int read_zone(struct reader *reader, char *zone)
{
	if (*reader->at && *reader->at != ' ')
		return refuse(reader, "is not what a time ends with");
	skip_blanks(reader);
	if (*reader->at && !is_zone(reader->at))
		return refuse(reader, "is no time zone");
	memcpy(zone, reader->at, strlen(reader->at) + 1);
	return 0;
}

static int begin(struct reader *reader)
{
	if (strlen(reader->text) > TEXT_MAX)
		return ten_error_set(reader->err, 0, "\"%.40s...\" is too long: %s", reader->text,
			reader->wanted);
	return 0;
}

int calendar_read_window(const char *text, struct calendar_rule *rule, struct ten_error *err)
{
	struct reader reader = { text, text, window_wanted, err };

	*rule = (struct calendar_rule){ 0 };
	if (begin(&reader) < 0 || read_days(&reader, &rule->days) < 0)
		return -1;
	skip_blanks(&reader);
	if (!take_time(&reader, &rule->begin, MINUTES_PER_DAY - 1) || *reader.at != '-')
		return refuse(&reader, "is no stretch of time (HH:MM-HH:MM)");
	reader.at++;
	if (!take_time(&reader, &rule->end, MINUTES_PER_DAY))
		return refuse(&reader, "is no time of day (HH:MM)");
	if (rule->end == rule->begin)
		return ten_error_set(err, 0,
			"\"%.80s\" ends when it begins: the whole day is 00:00-24:00", text);
	if (rule->end < rule->begin)
		rule->end = (uint16_t)(rule->end + MINUTES_PER_DAY);
	return read_zone(&reader, rule->zone);
}

int calendar_read_moment(const char *text, struct calendar_rule *rule, struct ten_error *err)
{
	struct reader reader = { text, text, moment_wanted, err };
	const char *minute_at;
	unsigned minute;

	*rule = (struct calendar_rule){ 0 };
	if (begin(&reader) < 0)
		return -1;
	rule->hourly = take_word(&reader, "hourly");
	if (rule->hourly)
		rule->days = EVERY_DAY;
	else if (read_days(&reader, &rule->days) < 0)
		return -1;
	skip_blanks(&reader);
	if (!rule->hourly) {
		if (!take_time(&reader, &rule->begin, MINUTES_PER_DAY - 1))
			return refuse(&reader, "is no time of day (HH:MM)");
		return read_zone(&reader, rule->zone);
	}
	minute_at = reader.at;
	reader.at += *reader.at == ':';
	if (*minute_at != ':' || !take_digits(&reader, &minute, 59)) {
		reader.at = minute_at;
		return refuse(&reader, "is no minute of the hour (:MM)");
	}
	rule->begin = (uint16_t)minute;
	return read_zone(&reader, rule->zone);
}
