/*
 * tests/unit/webui/test_pages.c — mirrors webui/pages.c.
 * Goal:   pages in the form that was asked for, shared while they are the same, fresh when not,
 *         and never more kept than the bound.
 */
#include "webui/pages.h"

#include "tests/unit/core/account.h"
#include "tests/unit/webui/folder.h"

#define FORM(text, tag)                                                                            \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1, "\"" tag "\""                                   \
    }

static const struct asset table[] = {
    {"index.html", "text/html", FORM("<p>index", "i"), FORM("GZIP", "i-gzip")},
    {"led/index.html", "text/html", FORM("<p>led", "l"), {0}},
    {"style.css", "text/css", FORM("p{}", "s"), {0}},
};
static const struct assets assets = {table, COUNT_OF(table)};

static struct pages pages;
static struct http_request request;
static int64_t now_s;

static void start(void)
{
    account_open();
    folder_open(files_open_root);
    pages_init(&pages, &account, &assets, folder_fd);
    request = (struct http_request){.keeps = true};
    now_s = 1000000;
}

static void stop(void)
{
    pages_deinit(&pages);
    folder_close();
    cr_assert(account_is_empty());
}

TestSuite(pages, .init = start, .fini = stop);

/* Ask for @rest; the response, of which the caller has a reference. */
static struct msg *ask(bool is_file, const char *rest, int expected_code)
{
    struct msg *msg = NULL;

    snprintf(request.path, sizeof(request.path), "/%s", rest);
    int code = is_file ? pages_file(&pages, rest, &request, now_s, &msg)
                       : pages_asset(&pages, rest, &request, now_s, &msg);

    cr_assert_eq(code, expected_code, "%s: %d", rest, code);
    cr_assert_not_null(msg);
    return msg;
}

static bool holds(const struct msg *msg, const char *text)
{
    return memmem(msg->bytes, msg->bytes_count, text, strlen(text)) != NULL;
}

static void assert_holds(bool is_file, const char *rest, int code, const char *text)
{
    struct msg *msg = ask(is_file, rest, code);

    cr_assert(holds(msg, text), "%.*s", (int)msg->bytes_count, (const char *)msg->bytes);
    msg_unref(&account, msg);
}

Test(pages, that_are_not_there_are_404)
{
    assert_holds(false, "nothing", 404, "there is no such page");
    assert_holds(false, "index.html/", 404, "there is no such page");
    assert_holds(true, "nothing", 404, "there is no such page");
    assert_holds(true, "outer", 404, "there is no such page");
    assert_holds(true, "up/", 404, "there is no such page");
}

Test(pages, of_a_folder_are_its_index)
{
    assert_holds(false, "", 200, "<p>index");
    assert_holds(false, "led/", 200, "<p>led");
    assert_holds(true, "", 200, "<p>hello");
    assert_holds(true, "a/", 200, "<p>a");
}

Test(pages, without_the_slash_of_a_folder_are_elsewhere)
{
    assert_holds(false, "led", 308, "Location: /led/\r\n");
    assert_holds(true, "a", 308, "Location: /a/\r\n");
}

Test(pages, come_packed_to_who_can_unpack)
{
    assert_holds(false, "index.html", 200, "<p>index");
    assert_holds(false, "index.html", 200, "Vary: Accept-Encoding");
    request.accepts_gzip = true;
    assert_holds(false, "index.html", 200, "\r\n\r\nGZIP");
    assert_holds(false, "index.html", 200, "Content-Encoding: gzip");
    assert_holds(false, "index.html", 200, "ETag: \"i-gzip\"");
    assert_holds(false, "style.css", 200, "p{}");
}

Test(pages, are_not_sent_again_to_who_has_them)
{
    request.if_none_match = span_of("\"i\"", 3);
    assert_holds(false, "index.html", 304, "ETag: \"i\"");
    request.accepts_gzip = true;
    assert_holds(false, "index.html", 200, "GZIP"); /* the tag was that of the other form */
}

Test(pages, are_one_message_for_all)
{
    struct msg *first = ask(false, "index.html", 200);
    struct msg *second = ask(false, "index.html", 200);

    cr_assert_eq(first, second);
    msg_unref(&account, second);
    request.is_secure = true;
    second = ask(false, "index.html", 200);
    cr_assert_neq(first, second, "over TLS another header belongs to it");
    msg_unref(&account, second);
    request.is_secure = false;
    now_s += ANSWER_AGE_S;
    second = ask(false, "index.html", 200);
    cr_assert_neq(first, second, "its date was old");
    msg_unref(&account, second);
    msg_unref(&account, first);
}

Test(pages, to_head_have_no_body)
{
    request.method = WEB_HEAD;
    struct msg *msg = ask(false, "index.html", 200);

    cr_assert(holds(msg, "Content-Length: 8\r\n"));
    cr_assert_not(holds(msg, "<p>"));
    msg_unref(&account, msg);
    msg = ask(true, "index.html", 200);
    cr_assert(holds(msg, "Content-Length: 8\r\n"));
    cr_assert_not(holds(msg, "<p>"));
    msg_unref(&account, msg);
}

Test(pages, of_files_are_kept_until_they_change)
{
    struct msg *first = ask(true, "index.html", 200);
    struct msg *second = ask(true, "index.html", 200);

    cr_assert_eq(first, second);
    msg_unref(&account, second);
    folder_write("root/index.html", "<p>changed");
    second = ask(true, "index.html", 200);
    cr_assert(holds(second, "<p>changed"));
    msg_unref(&account, first);
    msg_unref(&account, second);
}

Test(pages, of_files_can_be_asked_for_conditionally)
{
    struct file_facts facts;
    char etag[FILE_ETAG_BYTES];
    int fd;

    cr_assert_eq(file_open(folder_fd, "index.html", &fd, &facts), FILE_FOUND);
    close(fd);
    file_etag(&facts, etag);
    request.if_none_match = span_of(etag, strlen(etag));
    assert_holds(true, "index.html", 304, etag);
    folder_write("root/index.html", "<p>hello, and more");
    assert_holds(true, "index.html", 200, "and more");
}

Test(pages, of_files_are_kept_within_a_bound)
{
    static char large[KEPT_FILE_BYTES + 1];
    char name[64];

    memset(large, 'x', KEPT_FILE_BYTES);
    for (uint32_t i = 0; i < 3 * KEPT_FILES_MAX; i++) {
        snprintf(name, sizeof(name), "root/%u.txt", i);
        folder_write(name, i % 8 == 0 ? large : "small");
        msg_unref(&account, ask(true, name + 5, 200));
        cr_assert_leq(pages.kept_bytes, KEPT_BYTES_MAX);
    }
    cr_assert_gt(pages.kept_bytes, 0);
    pages_forget(&pages);
    cr_assert_eq(pages.kept_bytes, 0);
}

Test(pages, survive_without_memory)
{
    struct msg *msg;

    for (uint64_t n = 1; n < 4; n++) {
        pages_forget(&pages);
        account.fail_at = n;
        (void)pages_asset(&pages, "index.html", &request, now_s, &msg);
        msg_unref(&account, msg);
        account.fail_at = n;
        (void)pages_file(&pages, "index.html", &request, now_s, &msg);
        msg_unref(&account, msg);
    }
    account.fail_at = 0;
    assert_holds(true, "index.html", 200, "<p>hello");
}
