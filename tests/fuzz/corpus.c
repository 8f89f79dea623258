// SPDX-License-Identifier: MIT
#include "tests/fuzz/corpus.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int read_all(FILE *stream, size_t size, struct fuzz_file *f)
{
	/* Not malloc(0): it may be NULL. */
	f->data = malloc(size ? size : 1);
	if (!f->data)
		return -ENOMEM;
	f->len = fread(f->data, 1, size, stream);
	return f->len == size ? 0 : -EIO;
}

static int read_file(const char *path, size_t size, struct fuzz_file *f)
{
	FILE *stream = fopen(path, "rb");
	int ret;

	if (!stream)
		return -errno;
	ret = read_all(stream, size, f);
	fclose(stream);
	return ret;
}

static int add_file(struct fuzz_corpus *c, const char *path, size_t size)
{
	struct fuzz_file *files = reallocarray(c->files, c->n + 1, sizeof(*files));
	struct fuzz_file f = { 0 };
	int ret;

	if (!files)
		return -ENOMEM;
	c->files = files;
	ret = read_file(path, size, &f);
	if (ret) {
		free(f.data);
		return ret;
	}
	if (asprintf(&f.path, "%s", path) < 0) {
		free(f.data);
		return -ENOMEM;
	}
	files[c->n++] = f;
	return 0;
}

static int add_entry(struct fuzz_corpus *c, const char *dir, const char *name)
{
	struct stat st;
	char *path;
	int ret = 0;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	if (stat(path, &st))
		ret = -errno;
	else if (S_ISREG(st.st_mode))
		ret = add_file(c, path, (size_t)st.st_size);
	free(path);
	return ret;
}

static int add_folder(struct fuzz_corpus *c, const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort), i, ret = 0;

	if (n < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		if (!ret && entries[i]->d_name[0] != '.')
			ret = add_entry(c, path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return ret;
}

int fuzz_corpus_add(struct fuzz_corpus *c, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	return S_ISDIR(st.st_mode) ? add_folder(c, path) : add_file(c, path, (size_t)st.st_size);
}

void fuzz_corpus_free(struct fuzz_corpus *c)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		free(c->files[i].path);
		free(c->files[i].data);
	}
	free(c->files);
	*c = (struct fuzz_corpus){ 0 };
}
