/*
 * tests/unit/auth/test_workers.c — mirrors auth/workers.c. Meaningful under ThreadSanitizer too.
 *
 * Method: several threads ask several workers; each question must be answered once, with its own
 *         verdict. A full queue is made certain by a worker that waits in done().
 */
#include "auth/workers.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "tests/unit/tls/check.h"

#define ASKER_COUNT 3u
#define ASKS_EACH   20u

/* "pa:ss", cheap */
static const char accounts[] =
    "bob:$scrypt$ln=10,r=4,p=2$MTIzNDU2Nzg$rdRT54uvNSPZ3T4lRygHEXsln7lHTcTAxlorM1zAlCE\n";

static struct passwd_set *set;
static struct auth_workers *shared;
static _Atomic uint32_t verdict_counts[ASKER_COUNT * ASKS_EACH][3];
static sem_t answered;

static struct span text_span(const char *text)
{
    return span_of(text, strlen(text));
}

static void on_done(void *context, uint32_t worker_index, uint64_t token,
                    enum passwd_verdict verdict)
{
    CHECK(context == &answered);
    CHECK(worker_index < 2);
    atomic_fetch_add(&verdict_counts[token][verdict], 1);
    sem_post(&answered);
}

/* Even tokens ask with the right password. */
static void *ask(void *argument)
{
    const uint32_t *first = argument;

    for (uint32_t token = *first; token < *first + ASKS_EACH; token++) {
        const char *password = token % 2 == 0 ? "pa:ss" : "wrong";

        CHECK(auth_workers_submit(shared, set, text_span("bob"), text_span(password), token));
    }
    return NULL;
}

static void each_question_has_one_answer_its_own(void)
{
    struct auth_workers_options options = {2, ASKER_COUNT * ASKS_EACH, on_done, &answered, NULL};
    pthread_t threads[ASKER_COUNT];
    uint32_t firsts[ASKER_COUNT];

    sem_init(&answered, 0, 0);
    shared = auth_workers_open(&options);
    CHECK(shared != NULL);
    for (uint32_t i = 0; i < ASKER_COUNT; i++) {
        firsts[i] = i * ASKS_EACH;
        CHECK_EQUAL(pthread_create(&threads[i], NULL, ask, &firsts[i]), 0);
    }
    for (uint32_t i = 0; i < ASKER_COUNT; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < ASKER_COUNT * ASKS_EACH; i++)
        sem_wait(&answered);
    auth_workers_close(shared);
    for (uint32_t token = 0; token < ASKER_COUNT * ASKS_EACH; token++) {
        CHECK_EQUAL(verdict_counts[token][PASSWD_RIGHT], token % 2 == 0);
        CHECK_EQUAL(verdict_counts[token][PASSWD_WRONG], token % 2 == 1);
        CHECK_EQUAL(verdict_counts[token][PASSWD_FAILED], 0);
    }
    sem_destroy(&answered);
}

/* -- a worker that is kept busy -- */

struct gate {
    sem_t reached;
    sem_t open;
    enum passwd_verdict verdict;
};

static void on_gate(void *context, uint32_t worker_index, uint64_t token,
                    enum passwd_verdict verdict)
{
    struct gate *gate = context;

    (void)worker_index;
    (void)token;
    gate->verdict = verdict;
    sem_post(&gate->reached);
    sem_wait(&gate->open);
}

static void a_full_queue_refuses_and_what_waits_at_the_end_is_dropped(void)
{
    struct gate gate;
    struct auth_workers_options options = {1, 2, on_gate, &gate, NULL};

    sem_init(&gate.reached, 0, 0);
    sem_init(&gate.open, 0, 0);
    struct auth_workers *workers = auth_workers_open(&options);
    CHECK(workers != NULL);
    CHECK(auth_workers_submit(workers, set, text_span("bob"), text_span("pa:ss"), 0));
    sem_wait(&gate.reached); /* from now on the worker waits for us */
    CHECK(auth_workers_submit(workers, set, text_span("bob"), text_span("pa:ss"), 1));
    CHECK(auth_workers_submit(workers, set, text_span("bob"), text_span("pa:ss"), 2));
    CHECK_EQUAL(auth_workers_waiting(workers), 2);
    CHECK(!auth_workers_submit(workers, set, text_span("bob"), text_span("pa:ss"), 3));
    for (int i = 0; i < 3; i++)
        sem_post(&gate.open);
    auth_workers_close(workers); /* the sanitizers would see a set or a job that is left */
    sem_destroy(&gate.reached);
    sem_destroy(&gate.open);
}

static void what_is_too_long_is_wrong(void)
{
    struct gate gate;
    struct auth_workers_options options = {1, 1, on_gate, &gate, NULL};
    char long_text[300];

    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    sem_init(&gate.reached, 0, 0);
    sem_init(&gate.open, 0, 2);
    struct auth_workers *workers = auth_workers_open(&options);
    CHECK(auth_workers_submit(workers, set, text_span(long_text), text_span("pa:ss"), 0));
    sem_wait(&gate.reached);
    CHECK_EQUAL(gate.verdict, PASSWD_WRONG);
    CHECK(auth_workers_submit(workers, set, text_span("bob"), text_span(long_text), 0));
    sem_wait(&gate.reached);
    CHECK_EQUAL(gate.verdict, PASSWD_WRONG);
    auth_workers_close(workers);
    sem_destroy(&gate.reached);
    sem_destroy(&gate.open);
}

static void memory_is_counted_while_it_is_used(void)
{
    struct mem_budget budget;
    struct mem mem;
    struct gate gate;
    struct auth_workers_options options = {1, 1, on_gate, &gate, &mem};

    mem_budget_init(&budget, 64u << 20);
    mem_init(&mem, &budget);
    sem_init(&gate.reached, 0, 0);
    sem_init(&gate.open, 0, 1);
    CHECK_EQUAL(passwd_check_bytes(set), 512u << 10);
    struct auth_workers *workers = auth_workers_open(&options);
    CHECK(auth_workers_submit(workers, set, text_span("bob"), text_span("pa:ss"), 0));
    sem_wait(&gate.reached);
    auth_workers_close(workers);
    CHECK_EQUAL(mem.kind_bytes[MEM_OTHER], 0);
    sem_destroy(&gate.reached);
    sem_destroy(&gate.open);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(each_question_has_one_answer_its_own),
        CHECK_TEST(a_full_queue_refuses_and_what_waits_at_the_end_is_dropped),
        CHECK_TEST(what_is_too_long_is_wrong),
        CHECK_TEST(memory_is_counted_while_it_is_used),
    };
    char error[AUTH_ERROR_BYTES];

    set = passwd_parse(span_of(accounts, sizeof(accounts) - 1), "users", error);
    if (!set)
        return 1;
    int code = check_main(tests, COUNT_OF(tests), argc, argv);
    passwd_unref(set);
    return code;
}
