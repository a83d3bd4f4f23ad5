/*
 * tests/unit/webui/test_files.c — mirrors webui/files.c.
 * Goal:   what is in the folder can be read, and nothing else, by no name.
 */
#include "webui/files.h"

#include "tests/unit/webui/folder.h"

static void start(void)
{
    folder_open(files_open_root);
}

TestSuite(files, .init = start, .fini = folder_close);

static enum file_result try(const char *path, char *text, size_t room)
{
    struct file_facts facts;
    int fd = -1;
    enum file_result result = file_open(folder_fd, path, &fd, &facts);

    if (result != FILE_FOUND)
        return result;
    cr_assert_lt(facts.bytes_count, room);
    cr_assert(file_read(fd, (uint8_t *)text, facts.bytes_count));
    text[facts.bytes_count] = '\0';
    close(fd);
    return result;
}

static void assert_none(const char *path)
{
    char text[64];

    cr_assert_eq(try(path, text, sizeof(text)), FILE_NONE, "%s", path);
}

static void assert_text(const char *path, const char *expected)
{
    char text[64];

    cr_assert_eq(try(path, text, sizeof(text)), FILE_FOUND, "%s", path);
    cr_assert_str_eq(text, expected);
}

Test(files, are_not_found_outside)
{
    assert_none("../secret");
    assert_none("a/../../secret");
    assert_none("outer");
    assert_none("absolute");
    assert_none("up/secret");
    assert_none("/etc/passwd");
    assert_none("..");
    assert_none("nobody");
    assert_none("index.html/");
    assert_none("index.html/x");
}

Test(files, are_not_devices_or_pipes)
{
    assert_none("pipe");
}

Test(files, are_read_whole)
{
    assert_text("index.html", "<p>hello");
    assert_text("a/b.txt", "b");
    assert_text("inner", "b");
    folder_write("root/empty", "");
    assert_text("empty", "");
}

Test(files, are_told_from_folders)
{
    char text[64];

    cr_assert_eq(try("a", text, sizeof(text)), FILE_IS_FOLDER);
    cr_assert_eq(try("a/", text, sizeof(text)), FILE_IS_FOLDER);
    cr_assert_eq(try("", text, sizeof(text)), FILE_IS_FOLDER);
}

Test(files, have_a_largest_size)
{
    char path[256];
    char text[64];

    folder_write("root/large", "x");
    folder_path("root/large", path);
    cr_assert_eq(truncate(path, FILE_BYTES_MAX + 1), 0);
    cr_assert_eq(try("large", text, sizeof(text)), FILE_TOO_LARGE);
}

Test(files, that_shrink_while_they_are_read_are_not_sent)
{
    struct file_facts facts;
    char text[64];
    int fd;

    cr_assert_eq(file_open(folder_fd, "index.html", &fd, &facts), FILE_FOUND);
    folder_write("root/index.html", "<p>");
    cr_assert_not(file_read(fd, (uint8_t *)text, facts.bytes_count));
    close(fd);
}

Test(files, have_an_etag_that_changes_with_them)
{
    struct file_facts facts = {.mtime_ns = 1, .bytes_count = 2, .inode = 3};
    char first[FILE_ETAG_BYTES];
    char second[FILE_ETAG_BYTES];

    file_etag(&facts, first);
    cr_assert_str_eq(first, "\"1-2-3\"");
    facts.mtime_ns++;
    file_etag(&facts, second);
    cr_assert_str_neq(first, second);
}

Test(files, have_a_type_by_their_name)
{
    cr_assert_str_eq(file_type("a/b.HTML"), "text/html; charset=utf-8");
    cr_assert_str_eq(file_type("b.mjs"), "text/javascript; charset=utf-8");
    cr_assert_str_eq(file_type("b"), "application/octet-stream");
    cr_assert_str_eq(file_type("b.exe"), "application/octet-stream");
}
