/*
 * tests/unit/core/test_files.c — mirrors core/files.c.
 *
 * Goal:   a file is replaced whole or not at all, and belongs to whom it should.
 * Method: a folder of our own; as root also one that is somebody else's.
 */
#include "core/files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOMEBODY 12345u

static char folder[] = "/tmp/smqd-files-XXXXXX";
static char path[64], new_path[64], inner[64], inner_path[64];

static void begin(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
    snprintf(new_path, sizeof(new_path), "%s/file.new", folder);
    snprintf(inner, sizeof(inner), "%s/inner", folder);
    snprintf(inner_path, sizeof(inner_path), "%s/inner/file", folder);
}

static void end(void)
{
    (void)unlink(inner_path);
    (void)rmdir(inner);
    (void)unlink(path);
    cr_assert_eq(rmdir(folder), 0, "nothing else is left behind");
}

TestSuite(files, .init = begin, .fini = end);

static struct stat look(const char *at)
{
    struct stat found;

    cr_assert_eq(stat(at, &found), 0, "%s: %s", at, strerror(errno));
    return found;
}

static void write_text(const char *text, mode_t mode)
{
    cr_assert_eq(files_replace(path, mode, span_of(text, strlen(text))), 0);
}

static void expect_text(const char *text)
{
    char found[64] = {0};
    int fd = open(path, O_RDONLY);

    cr_assert_geq(fd, 0);
    cr_assert_geq(read(fd, found, sizeof(found) - 1), 0);
    close(fd);
    cr_assert_str_eq(found, text);
}

Test(files, is_new_then_replaced_with_the_mode_that_is_asked_for)
{
    umask(0077);
    write_text("one", 0644);
    expect_text("one");
    cr_assert_eq(look(path).st_mode & 0777, 0644, "whatever the umask");
    write_text("two, longer", 0600);
    expect_text("two, longer");
    cr_assert_eq(look(path).st_mode & 0777, 0600);
    write_text("", 0600);
    expect_text("");
}

Test(files, what_a_run_that_was_cut_short_left_is_no_obstacle)
{
    int fd = open(new_path, O_WRONLY | O_CREAT, 0666);

    cr_assert_geq(fd, 0);
    close(fd);
    write_text("whole", 0600);
    expect_text("whole");
    cr_assert_eq(access(new_path, F_OK), -1);
}

Test(files, what_cannot_be_written_is_an_errno_and_changes_nothing)
{
    char long_path[5000];

    cr_assert_eq(files_replace(inner_path, 0600, span_of("x", 1)), ENOENT);
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    cr_assert_eq(files_replace(long_path, 0600, span_of("x", 1)), ENAMETOOLONG);
    cr_assert_eq(files_make_folder(path, 0755), 0);
    cr_assert_eq(files_replace(path, 0600, span_of("x", 1)), EISDIR);
    cr_assert_eq(access(new_path, F_OK), -1);
    cr_assert_eq(rmdir(path), 0);
}

Test(files, lines_are_put_behind_each_other)
{
    cr_assert_eq(files_append(path, 0644, span_of("one\n", 4)), 0);
    cr_assert_eq(files_append(path, 0644, span_of("two\n", 4)), 0);
    expect_text("one\ntwo\n");
    cr_assert_eq(files_append(inner_path, 0644, span_of("x", 1)), ENOENT);
}

Test(files, a_folder_is_made_once)
{
    cr_assert_eq(files_make_folder(inner, 0755), 0);
    cr_assert_eq(files_make_folder(inner, 0755), 0);
    cr_assert(S_ISDIR(look(inner).st_mode));
    cr_assert_eq(files_make_folder("/tmp/smqd-not-there/inner", 0755), ENOENT);
}

Test(files, what_root_writes_belongs_to_whose_folder_it_is)
{
    if (geteuid() != 0)
        cr_skip_test("only root can give files away");
    cr_assert_eq(chown(folder, SOMEBODY, SOMEBODY + 1), 0);
    write_text("new", 0600);
    cr_assert_eq(look(path).st_uid, SOMEBODY);
    cr_assert_eq(look(path).st_gid, SOMEBODY + 1);
    cr_assert_eq(files_make_folder(inner, 0755), 0);
    cr_assert_eq(look(inner).st_uid, SOMEBODY);

    cr_assert_eq(chown(path, SOMEBODY + 2, SOMEBODY + 2), 0);
    write_text("replaced", 0600);
    cr_assert_eq(look(path).st_uid, SOMEBODY + 2, "a file keeps its owner");
    cr_assert_eq(files_append(path, 0600, span_of("x", 1)), 0);
    cr_assert_eq(look(path).st_uid, SOMEBODY + 2);

    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(files_append(path, 0600, span_of("x", 1)), 0);
    cr_assert_eq(look(path).st_uid, SOMEBODY);
}
