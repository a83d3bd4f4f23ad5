/*
 * tests/unit/webui/folder.h — a folder of pages for a test: a few files, a folder, and what must
 * not be read: links that lead out, a pipe, a file beside it.
 *
 *      BASE/secret           outside
 *      BASE/root/index.html  "<p>hello"
 *      BASE/root/a/index.html, a/b.txt
 *      BASE/root/inner -> a/b.txt, outer -> ../secret, absolute -> /etc/hostname, up -> ..
 *      BASE/root/pipe
 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

static char folder_base[] = "/tmp/smqd-pages-XXXXXX";
static int folder_fd;

static inline void folder_path(const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", folder_base, name);
}

static inline void folder_write(const char *name, const char *text)
{
    char path[256];

    folder_path(name, path);
    FILE *file = fopen(path, "w");

    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static inline void folder_link(const char *name, const char *to)
{
    char path[256];

    folder_path(name, path);
    cr_assert_eq(symlink(to, path), 0);
}

static inline void folder_make(const char *name)
{
    char path[256];

    folder_path(name, path);
    cr_assert_eq(mkdir(path, 0700), 0);
}

static inline void folder_open(int (*open_root)(const char *path))
{
    char path[256];

    strcpy(folder_base + sizeof(folder_base) - 7, "XXXXXX");
    cr_assert_not_null(mkdtemp(folder_base));
    folder_write("secret", "secret");
    folder_make("root");
    folder_make("root/a");
    folder_write("root/index.html", "<p>hello");
    folder_write("root/a/index.html", "<p>a");
    folder_write("root/a/b.txt", "b");
    folder_link("root/inner", "a/b.txt");
    folder_link("root/outer", "../secret");
    folder_link("root/absolute", "/etc/passwd");
    folder_link("root/up", "..");
    folder_path("root/pipe", path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    folder_path("root", path);
    folder_fd = open_root(path);
    cr_assert_geq(folder_fd, 0);
}

static inline void folder_close(void)
{
    char command[256];

    close(folder_fd);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder_base);
    cr_assert_eq(system(command), 0);
}
