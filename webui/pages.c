/* webui/pages.c — see webui/pages.h. Thread: the web actor's. */
#include "webui/pages.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

static const char index_name[] = "index.html";

void pages_init(struct pages *pages, struct mem *mem, const struct assets *assets, int root_fd)
{
    *pages = (struct pages){.mem = mem, .assets = assets, .root_fd = root_fd};
    pages->kept_assets =
        mem_alloc_always(mem, MEM_WEB, (assets->count + 1) * sizeof(struct kept_asset));
    memset(pages->kept_assets, 0, assets->count * sizeof(struct kept_asset));
    if (root_fd < 0)
        return;
    pages->kept_files = mem_alloc_always(mem, MEM_WEB, KEPT_FILES_MAX * sizeof(struct kept_file));
    memset(pages->kept_files, 0, KEPT_FILES_MAX * sizeof(struct kept_file));
}

static void forget_file(struct pages *pages, struct kept_file *kept)
{
    if (kept->path[0] == '\0')
        return;
    pages->kept_bytes -= kept->msg->bytes_count;
    msg_unref(pages->mem, kept->msg);
    *kept = (struct kept_file){.path = ""};
}

void pages_forget(struct pages *pages)
{
    for (uint32_t i = 0; i < pages->assets->count; i++) {
        for (uint32_t form = 0; form < ASSET_FORM_COUNT; form++) {
            msg_unref(pages->mem, pages->kept_assets[i].msgs[form]);
            pages->kept_assets[i].msgs[form] = NULL;
        }
    }
    for (uint32_t i = 0; pages->kept_files && i < KEPT_FILES_MAX; i++)
        forget_file(pages, &pages->kept_files[i]);
}

void pages_deinit(struct pages *pages)
{
    pages_forget(pages);
    mem_free(pages->mem, MEM_WEB, pages->kept_assets,
             (pages->assets->count + 1) * sizeof(struct kept_asset));
    mem_free(pages->mem, MEM_WEB, pages->kept_files, KEPT_FILES_MAX * sizeof(struct kept_file));
    pages->kept_assets = NULL;
    pages->kept_files = NULL;
}

static int say(struct pages *pages, struct reply reply, const struct http_request *request,
               int64_t now_s, struct msg **msg)
{
    *msg = reply_message(pages->mem, &reply, request, now_s);
    return reply.code;
}

static int redirect(struct pages *pages, const struct http_request *request, int64_t now_s,
                    struct msg **msg)
{
    struct reply reply;

    if (!reply_redirect(&reply, request->path))
        reply = reply_error(404, "there is no such page");
    return say(pages, reply, request, now_s, msg);
}

static uint32_t form_of(bool is_gzip, const struct http_request *request)
{
    return (is_gzip ? 4u : 0u) + (request->is_secure ? 2u : 0u) + (request->keeps ? 1u : 0u);
}

/* Only whole pages are kept. */
static bool is_shared(const struct reply *reply, const struct http_request *request)
{
    return reply->code == 200 && request->method == WEB_GET;
}

/* -- the embedded ones -- */

static const struct asset *find_asset(const struct pages *pages, const char *rest, bool *is_folder)
{
    char path[HTTP_PATH_BYTES + sizeof("/index.html")];
    size_t length = strlen(rest);
    const struct asset *asset = asset_find(pages->assets, rest);

    *is_folder = false;
    if (asset)
        return asset;
    *is_folder = length > 0 && rest[length - 1] != '/';
    snprintf(path, sizeof(path), "%s%s%s", rest, *is_folder ? "/" : "", index_name);
    return asset_find(pages->assets, path);
}

int pages_asset(struct pages *pages, const char *rest, const struct http_request *request,
                int64_t now_s, struct msg **msg)
{
    bool is_folder;
    const struct asset *asset = find_asset(pages, rest, &is_folder);

    if (!asset)
        return say(pages, reply_error(404, "there is no such page"), request, now_s, msg);
    if (is_folder)
        return redirect(pages, request, now_s, msg);
    bool is_gzip = asset->gzip.bytes && request->accepts_gzip;
    const struct asset_form *form = is_gzip ? &asset->gzip : &asset->plain;
    struct reply reply = {.code = 200,
                          .cache = REPLY_REVALIDATE,
                          .is_gzip = is_gzip,
                          .varies = asset->gzip.bytes != NULL,
                          .type = asset->type,
                          .etag = form->etag,
                          .body = span_of(form->bytes, form->bytes_count)};

    reply_revalidate(&reply, request);
    if (!is_shared(&reply, request))
        return say(pages, reply, request, now_s, msg);
    struct kept_asset *kept = &pages->kept_assets[asset - pages->assets->at];
    uint32_t index = form_of(is_gzip, request);

    if (kept->msgs[index] && now_s - kept->made_s[index] >= ANSWER_AGE_S) {
        msg_unref(pages->mem, kept->msgs[index]);
        kept->msgs[index] = NULL;
    }
    if (!kept->msgs[index]) {
        kept->msgs[index] = reply_message(pages->mem, &reply, request, now_s);
        kept->made_s[index] = now_s;
    }
    *msg = kept->msgs[index] ? msg_ref(kept->msgs[index]) : NULL;
    return reply.code;
}

/* -- files -- */

static bool is_same_file(const struct file_facts *a, const struct file_facts *b)
{
    return a->mtime_ns == b->mtime_ns && a->bytes_count == b->bytes_count && a->inode == b->inode;
}

static struct kept_file *find_kept(struct pages *pages, const char *path, uint8_t form)
{
    for (uint32_t i = 0; i < KEPT_FILES_MAX; i++)
        if (pages->kept_files[i].form == form && strcmp(pages->kept_files[i].path, path) == 0)
            return &pages->kept_files[i];
    return NULL;
}

/* Make room: a free place, and so many bytes. */
static struct kept_file *room_for(struct pages *pages, size_t bytes_count)
{
    for (;;) {
        struct kept_file *place = NULL;
        struct kept_file *oldest = NULL;

        for (uint32_t i = 0; i < KEPT_FILES_MAX; i++) {
            struct kept_file *kept = &pages->kept_files[i];

            if (kept->path[0] == '\0')
                place = kept;
            else if (!oldest || kept->used_at < oldest->used_at)
                oldest = kept;
        }
        if (place && pages->kept_bytes + bytes_count <= KEPT_BYTES_MAX)
            return place;
        must(oldest); /* nothing kept, and still no room: KEPT_FILE_BYTES is less than the whole */
        forget_file(pages, oldest);
    }
}
static_assert(KEPT_FILE_BYTES + BODY_HEAD_BYTES_MAX <= KEPT_BYTES_MAX, "one file always fits");

static void keep(struct pages *pages, const char *path, uint8_t form,
                 const struct file_facts *facts, struct msg *msg, int64_t now_s)
{
    struct kept_file *place = room_for(pages, msg->bytes_count);

    must(strlen(path) < sizeof(place->path));
    *place = (struct kept_file){.form = form,
                                .facts = *facts,
                                .msg = msg_ref(msg),
                                .made_s = now_s,
                                .used_at = ++pages->kept_clock};
    strcpy(place->path, path);
    pages->kept_bytes += msg->bytes_count;
}

/* The kept message, if it still is this very file. */
static struct msg *take_kept(struct pages *pages, const char *path, uint8_t form,
                             const struct file_facts *facts, int64_t now_s)
{
    struct kept_file *kept = find_kept(pages, path, form);

    if (!kept)
        return NULL;
    if (!is_same_file(&kept->facts, facts) || now_s - kept->made_s >= ANSWER_AGE_S) {
        forget_file(pages, kept);
        return NULL;
    }
    kept->used_at = ++pages->kept_clock;
    return msg_ref(kept->msg);
}

/* The response, with the file's bytes behind its head. */
static int read_whole(struct pages *pages, int fd, const struct file_facts *facts,
                      struct reply *reply, const struct http_request *request, int64_t now_s,
                      struct msg **msg)
{
    struct body body = body_of(pages->mem);
    uint8_t *room = body_reserve(&body, facts->bytes_count);

    if (!room) {
        body_drop(&body);
        *msg = NULL;
        return 503;
    }
    if (!file_read(fd, room, facts->bytes_count)) {
        body_drop(&body);
        return say(pages, reply_error(503, "the file is being changed; ask again"), request, now_s,
                   msg);
    }
    *msg = reply_finish(&body, reply, request, now_s);
    return reply->code;
}

static int serve_file(struct pages *pages, const char *path, int fd, const struct file_facts *facts,
                      const struct http_request *request, int64_t now_s, struct msg **msg)
{
    char etag[FILE_ETAG_BYTES];
    struct reply reply = {.code = 200,
                          .cache = REPLY_REVALIDATE,
                          .trust = REPLY_USERS,
                          .type = file_type(path),
                          .etag = etag};
    uint8_t form = (uint8_t)form_of(false, request);

    file_etag(facts, etag);
    reply_revalidate(&reply, request);
    if (reply.code == 304)
        return say(pages, reply, request, now_s, msg);
    if (request->method == WEB_HEAD) {
        reply.body = span_of(NULL, facts->bytes_count); /* for its length */
        return say(pages, reply, request, now_s, msg);
    }
    *msg = take_kept(pages, path, form, facts, now_s);
    if (*msg)
        return reply.code;
    int code = read_whole(pages, fd, facts, &reply, request, now_s, msg);

    if (code == 200 && *msg && facts->bytes_count <= KEPT_FILE_BYTES)
        keep(pages, path, form, facts, *msg, now_s);
    return code;
}

int pages_file(struct pages *pages, const char *rest, const struct http_request *request,
               int64_t now_s, struct msg **msg)
{
    char path[HTTP_PATH_BYTES + sizeof(index_name)];
    size_t length = strlen(rest);
    bool is_folder = length == 0 || rest[length - 1] == '/';
    struct file_facts facts;
    int fd = -1;

    snprintf(path, sizeof(path), "%s%s", rest, is_folder ? index_name : "");
    if (strlen(path) >= HTTP_PATH_BYTES)
        return say(pages, reply_error(404, "there is no such page"), request, now_s, msg);
    switch (file_open(pages->root_fd, path, &fd, &facts)) {
    case FILE_FOUND: {
        int code = serve_file(pages, path, fd, &facts, request, now_s, msg);

        close(fd);
        return code;
    }
    case FILE_IS_FOLDER:
        if (!is_folder)
            return redirect(pages, request, now_s, msg);
        break;
    case FILE_NONE:
        break;
    case FILE_TOO_LARGE:
        log_event(LOG_LEVEL_WARNING, "web.file_too_large", "path=%s", path);
        return say(pages, reply_error(500, "this file is too large to be served here"), request,
                   now_s, msg);
    case FILE_FAILED:
        log_event(LOG_LEVEL_WARNING, "web.file_failed", "path=%s error=%s", path, strerror(errno));
        return say(pages, reply_error(500, "this file cannot be read"), request, now_s, msg);
    }
    return say(pages, reply_error(404, "there is no such page"), request, now_s, msg);
}
