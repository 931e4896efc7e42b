/*
 * A main() for fuzz targets where there is no libFuzzer: feeds them the files named, and those in
 * the folders named, once each. So a corpus is a test, too.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mem.h"

#define INPUT_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void complain(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
}

/* The content of PATH in memory of exactly its size, so that a sanitizer sees one byte too far. */
static uint8_t *read_whole(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rbe");
	uint8_t *data = NULL;

	*size = 0;
	if (!file)
		return NULL;
	data = mem_alloc(INPUT_MAX);
	*size = fread(data, 1, INPUT_MAX, file);
	if (ferror(file)) {
		free(data);
		data = NULL;
	}
	fclose(file);
	return data ? mem_resize(data, *size, 1) : NULL;
}

static int replay_file(const char *path, unsigned *count)
{
	size_t size;
	autofree uint8_t *data = read_whole(path, &size);

	if (!data) {
		complain(path);
		return -1;
	}
	LLVMFuzzerTestOneInput(data, size);
	++*count;
	return 0;
}

static int replay_folder(const char *path, unsigned *count)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int result = 0;

	if (!folder) {
		complain(path);
		return -1;
	}
	while ((entry = readdir(folder))) {
		autofree char *file = mem_printf("%s/%s", path, entry->d_name);

		if (entry->d_name[0] != '.' && replay_file(file, count) < 0)
			result = -1;
	}
	closedir(folder);
	return result;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	int result = 0;

	for (int i = 1; i < argc; i++) {
		struct stat status;

		if (argv[i][0] == '-')
			continue; /* an option of libFuzzer's */
		if (stat(argv[i], &status) < 0) {
			complain(argv[i]);
			result = -1;
		} else if (S_ISDIR(status.st_mode)) {
			result |= replay_folder(argv[i], &count);
		} else {
			result |= replay_file(argv[i], &count);
		}
	}
	printf("%s: %u inputs\n", argv[0], count);
	return result || !count ? EXIT_FAILURE : EXIT_SUCCESS;
}
