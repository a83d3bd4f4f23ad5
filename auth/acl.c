/*
 * auth/acl.c — access lists: read, and asked. See auth/acl.h.
 *
 * A list is one block: the rules, then the compiled patterns they point into. Thread: any.
 */
#include "auth/acl.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/pattern.h"
#include "core/suggest.h"

#define WORDS_MAX    6u /* on a line: verdict, who, whose, actions, pattern; and one too many */
#define PHRASE_BYTES 80u
#define ACTIONS_ANY  ((1u << ACL_ACTION_COUNT) - 1u)

/* Whom a rule is about: a login's words, and those without a login to prove. */
enum who { WHO_ANYONE = LOGIN_COUNT, WHO_UID, WHO_COUNT };

static const char *const who_words[WHO_COUNT] = {
#define X(name, text) [LOGIN_##name] = text,
    LOGINS(X)
#undef X
        [WHO_ANYONE] = "anyone",
    [WHO_UID] = "uid",
};

static const char *const action_words[ACL_ACTION_COUNT] = {
#define X(name, word, help) [ACL_##name] = word,
    ACL_ACTIONS(X)
#undef X
};

struct rule {
    uint32_t line;
    uint32_t whose_at; /* the compiled pattern of user, cert, key, web and uid */
    uint32_t topic_at;
    uint16_t whose_bytes;
    uint16_t topic_bytes;
    uint8_t who; /* enum who, or enum login */
    uint8_t actions;
    bool allows;
};
static_assert(ACL_ACTION_COUNT <= 8, "a rule's actions are a byte of bits");

struct acl {
    _Atomic uint32_t ref_count;
    uint32_t rule_count;
    uint32_t default_line; /* 0: not stated, so deny */
    bool default_allows;
    uint32_t bytes_count; /* of patterns */
    struct rule rules[];  /* [rule_count], and then the patterns */
};

static const uint8_t *patterns_of(const struct acl *acl)
{
    return (const uint8_t *)&acl->rules[acl->rule_count];
}

/* -- words -- */

struct word {
    char text[PATTERN_TEXT_BYTES_MAX + 1];
    size_t bytes_count; /* PATTERN_TEXT_BYTES_MAX + 1: too long */
};

struct reader {
    const char *path;
    char *error;
    uint32_t line;
    struct word words[WORDS_MAX];
    uint32_t word_count;

    struct rule *rules;
    uint32_t rule_count;
    uint8_t *patterns;
    uint32_t patterns_bytes;
    uint32_t patterns_room;
    uint32_t default_line;
    bool default_allows;
};

static void word_put(struct word *word, uint8_t byte)
{
    if (word->bytes_count < PATTERN_TEXT_BYTES_MAX)
        word->text[word->bytes_count] = (char)byte;
    if (word->bytes_count <= PATTERN_TEXT_BYTES_MAX)
        word->bytes_count++;
}

/* One word from the front of *line. Quotes keep what is between them as it is. */
static bool read_word(struct reader *reader, struct span *line, struct word *word)
{
    bool is_quoted = false;

    word->bytes_count = 0;
    while (line->bytes_count > 0) {
        uint8_t byte = line->data[0];

        if (!is_quoted && (byte == ' ' || byte == '\t'))
            break;
        *line = span_skip(*line, 1);
        if (byte == '"')
            is_quoted = !is_quoted;
        else
            word_put(word, byte);
    }
    word->text[min_size(word->bytes_count, PATTERN_TEXT_BYTES_MAX)] = '\0';
    if (is_quoted)
        return auth_error_at(reader->error, reader->path, reader->line,
                             "a quote is opened and not closed");
    if (word->bytes_count > PATTERN_TEXT_BYTES_MAX)
        return auth_error_at(reader->error, reader->path, reader->line,
                             "a word has at most %u bytes", PATTERN_TEXT_BYTES_MAX);
    return true;
}

/* All words of a line, up to a '#' that begins one. */
static bool read_words(struct reader *reader, struct span line)
{
    reader->word_count = 0;
    for (;;) {
        line = text_trim(line);
        if (line.bytes_count == 0 || line.data[0] == '#')
            return true;
        if (reader->word_count == WORDS_MAX - 1)
            return auth_error_at(reader->error, reader->path, reader->line,
                                 "more words than a rule has; put quotes around blanks");
        if (!read_word(reader, &line, &reader->words[reader->word_count++]))
            return false;
    }
}

/* "expected WHAT, not "WORD"; did you mean "NEAR"?" Returns false. */
static bool refuse_word(struct reader *reader, const char *what, const char *word,
                        const char *const *known, uint32_t known_count)
{
    const char *near = suggest_nearest(word, known, known_count);

    if (near)
        return auth_error_at(reader->error, reader->path, reader->line,
                             "expected %s, not \"%.60s\"; did you mean \"%s\"?", what, word, near);
    return auth_error_at(reader->error, reader->path, reader->line, "expected %s, not \"%.60s\"",
                         what, word);
}

/* "a, b or c" */
static void list_words(const char *const *words, uint32_t count, char out[PHRASE_BYTES])
{
    size_t at = 0;

    for (uint32_t i = 0; i < count && at < PHRASE_BYTES; i++)
        at += (size_t)snprintf(out + at, PHRASE_BYTES - at, "%s%s",
                               i == 0           ? ""
                               : i + 1 == count ? " or "
                                                : ", ",
                               words[i]);
}

/* -- rules -- */

static bool is_word(const struct word *word, const char *text)
{
    return strcmp(word->text, text) == 0;
}

static bool read_verdict(struct reader *reader, const struct word *word, bool *allows)
{
    static const char *const known[] = {"allow", "deny"};

    *allows = is_word(word, "allow");
    return *allows || is_word(word, "deny") ||
           refuse_word(reader, "allow or deny", word->text, known, COUNT_OF(known));
}

static bool read_who(struct reader *reader, const struct word *word, uint8_t *who)
{
    char known[PHRASE_BYTES];

    for (uint32_t i = 0; i < WHO_COUNT; i++) {
        if (is_word(word, who_words[i])) {
            *who = (uint8_t)i;
            return true;
        }
    }
    list_words(who_words, WHO_COUNT, known);
    return refuse_word(reader, known, word->text, who_words, WHO_COUNT);
}

static bool has_whose(uint8_t who)
{
    return who != WHO_ANYONE && who != LOGIN_ANONYMOUS;
}

/* Words with commas between them. */
static bool read_actions(struct reader *reader, struct word *word, uint8_t *actions)
{
    const char *known[ACL_ACTION_COUNT + 1];
    char phrase[PHRASE_BYTES];
    char *rest = word->text;
    char *part;

    memcpy(known, action_words, sizeof(action_words));
    known[ACL_ACTION_COUNT] = "any";
    *actions = 0;
    while ((part = strsep(&rest, ",")) != NULL) {
        enum acl_action action;

        if (strcmp(part, "any") == 0) {
            *actions = ACTIONS_ANY;
        } else if (acl_action_find(part, &action)) {
            *actions |= (uint8_t)(1u << action);
        } else {
            list_words(known, COUNT_OF(known), phrase);
            return refuse_word(reader, phrase, part, known, COUNT_OF(known));
        }
    }
    return true;
}

/* Compile into the reader's patterns; *at and *bytes say where. */
static bool read_pattern(struct reader *reader, const struct word *word, bool may_name,
                         uint32_t *at, uint16_t *bytes)
{
    char reason[PATTERN_REASON_BYTES];

    if (reader->patterns_room - reader->patterns_bytes < PATTERN_BYTES_MAX) {
        reader->patterns_room += reader->patterns_room + PATTERN_BYTES_MAX;
        reader->patterns = realloc(reader->patterns, reader->patterns_room);
        must(reader->patterns);
    }
    size_t compiled_bytes = pattern_compile(span_of(word->text, word->bytes_count), may_name,
                                            reader->patterns + reader->patterns_bytes, reason);
    if (compiled_bytes == 0)
        return auth_error_at(reader->error, reader->path, reader->line, "%s", reason);
    *at = reader->patterns_bytes;
    *bytes = (uint16_t)compiled_bytes;
    reader->patterns_bytes += (uint32_t)compiled_bytes;
    return true;
}

static bool read_default(struct reader *reader)
{
    if (reader->word_count != 2)
        return auth_error_at(reader->error, reader->path, reader->line,
                             "expected default allow or default deny");
    if (!read_verdict(reader, &reader->words[1], &reader->default_allows))
        return false;
    reader->default_line = reader->line;
    return true;
}

static bool read_rule(struct reader *reader, struct rule *rule)
{
    struct word *words = reader->words;

    *rule = (struct rule){.line = reader->line};
    if (!read_verdict(reader, &words[0], &rule->allows))
        return false;
    if (reader->word_count < 2)
        return auth_error_at(reader->error, reader->path, reader->line,
                             "a rule is: allow|deny WHO ACTIONS PATTERN");
    if (!read_who(reader, &words[1], &rule->who))
        return false;
    uint32_t next = has_whose(rule->who) ? 3 : 2;
    if (reader->word_count != next + 2)
        return auth_error_at(reader->error, reader->path, reader->line,
                             "a rule about %s is: %s %s %sACTIONS PATTERN", who_words[rule->who],
                             words[0].text, who_words[rule->who], next == 3 ? "WHOSE " : "");
    return (next == 2 ||
            read_pattern(reader, &words[2], false, &rule->whose_at, &rule->whose_bytes)) &&
           read_actions(reader, &words[next], &rule->actions) &&
           read_pattern(reader, &words[next + 1], true, &rule->topic_at, &rule->topic_bytes);
}

static bool read_line(struct reader *reader, struct span line)
{
    if (!read_words(reader, line))
        return false;
    if (reader->default_line > 0)
        return auth_error_at(reader->error, reader->path, reader->line,
                             "a rule after the default on line %u would never be asked",
                             reader->default_line);
    if (is_word(&reader->words[0], "default"))
        return read_default(reader);
    if (reader->rule_count == ACL_RULE_COUNT_MAX)
        return auth_error_at(reader->error, reader->path, reader->line, "more than %u rules",
                             ACL_RULE_COUNT_MAX);
    if ((reader->rule_count & (reader->rule_count - 1)) == 0) { /* grown by doubling */
        size_t room = reader->rule_count > 0 ? 2u * reader->rule_count : 1;

        reader->rules = realloc(reader->rules, room * sizeof(*reader->rules));
        must(reader->rules);
    }
    return read_rule(reader, &reader->rules[reader->rule_count++]);
}

static struct acl *acl_new(const struct reader *reader)
{
    size_t rules_bytes = reader->rule_count * sizeof(struct rule);
    struct acl *acl = malloc(sizeof(*acl) + rules_bytes + reader->patterns_bytes);

    must(acl);
    *acl = (struct acl){.rule_count = reader->rule_count,
                        .default_line = reader->default_line,
                        .default_allows = reader->default_allows,
                        .bytes_count = reader->patterns_bytes};
    atomic_init(&acl->ref_count, 1);
    if (rules_bytes > 0)
        memcpy(acl->rules, reader->rules, rules_bytes);
    if (reader->patterns_bytes > 0)
        memcpy(&acl->rules[acl->rule_count], reader->patterns, reader->patterns_bytes);
    return acl;
}

struct acl *acl_parse(struct span text, const char *path, char *error)
{
    struct text_lines lines = text_lines_of(text);
    struct reader *reader = calloc(1, sizeof(*reader));
    struct acl *acl = NULL;
    struct span line;
    bool good = true;

    must(reader);
    reader->path = path;
    reader->error = error;
    while (good && text_lines_next(&lines, &line)) {
        reader->line = lines.line;
        good = read_line(reader, line);
    }
    if (good)
        acl = acl_new(reader);
    free(reader->rules);
    free(reader->patterns);
    free(reader);
    return acl;
}

struct acl *acl_load(const char *path, char *error)
{
    char *text;
    size_t bytes_count;

    if (!text_file_read(path, &text, &bytes_count, error))
        return NULL;
    struct acl *acl = acl_parse(span_of(text, bytes_count), path, error);
    free(text);
    return acl;
}

struct acl *acl_ref(struct acl *acl)
{
    atomic_fetch_add_explicit(&acl->ref_count, 1, memory_order_relaxed);
    return acl;
}

void acl_unref(struct acl *acl)
{
    if (acl && atomic_fetch_sub_explicit(&acl->ref_count, 1, memory_order_acq_rel) == 1)
        free(acl);
}

/* -- asking -- */

static bool is_about(const struct acl *acl, const struct rule *rule, const struct identity *who)
{
    struct span whose = span_of(patterns_of(acl) + rule->whose_at, rule->whose_bytes);

    if (rule->who == WHO_ANYONE)
        return true;
    if (rule->who == WHO_UID)
        return pattern_match(whose, NULL, who->uid);
    if (rule->who != (uint8_t)who->login)
        return false;
    return who->login == LOGIN_ANONYMOUS || pattern_match(whose, NULL, who->name);
}

struct acl_verdict acl_decide(const struct acl *acl, const struct identity *who,
                              enum acl_action action, struct span name)
{
    for (uint32_t i = 0; i < acl->rule_count; i++) {
        const struct rule *rule = &acl->rules[i];

        if ((rule->actions & 1u << action) == 0 || !is_about(acl, rule, who))
            continue;
        if (pattern_match(span_of(patterns_of(acl) + rule->topic_at, rule->topic_bytes), who, name))
            return (struct acl_verdict){.allowed = rule->allows, .line = rule->line};
    }
    return (struct acl_verdict){.allowed = acl->default_allows, .line = acl->default_line};
}

/* Patterns lie in the order of their rules, so that equal rules have equal places. */
bool acl_is_same(const struct acl *a, const struct acl *b)
{
    if (a->rule_count != b->rule_count || a->bytes_count != b->bytes_count ||
        a->default_allows != b->default_allows ||
        memcmp(patterns_of(a), patterns_of(b), a->bytes_count) != 0)
        return false;
    for (uint32_t i = 0; i < a->rule_count; i++) {
        const struct rule *one = &a->rules[i];
        const struct rule *two = &b->rules[i];

        if (one->who != two->who || one->actions != two->actions || one->allows != two->allows ||
            one->whose_at != two->whose_at || one->topic_at != two->topic_at ||
            one->whose_bytes != two->whose_bytes || one->topic_bytes != two->topic_bytes)
            return false;
    }
    return true;
}

uint32_t acl_rule_count(const struct acl *acl)
{
    return acl->rule_count;
}

const char *acl_action_word(enum acl_action action)
{
    must(action < ACL_ACTION_COUNT);
    return action_words[action];
}

bool acl_action_find(const char *word, enum acl_action *action)
{
    for (uint32_t i = 0; i < ACL_ACTION_COUNT; i++) {
        if (strcmp(word, action_words[i]) == 0) {
            *action = (enum acl_action)i;
            return true;
        }
    }
    return false;
}
