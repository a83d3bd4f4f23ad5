/*
 * auth/workers.c — threads for password checks. See auth/workers.h.
 *
 * Thread: submit runs in the askers' threads, work() in the workers'. The queue changes under
 *         workers->lock; a job that is being checked has been copied out of it.
 */
#include "auth/workers.h"

#include <errno.h>
#include <openssl/mem.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One byte more than an account can have: longer ones are cut to that, and stay wrong. */
#define USER_BYTES     (PASSWD_USER_BYTES_MAX + 1)
#define PASSWORD_BYTES (PASSWD_PASSWORD_BYTES_MAX + 1)

struct job {
    struct passwd_set *set; /* a reference */
    uint64_t token;
    uint8_t user_bytes;
    uint8_t password_bytes;
    uint8_t user[USER_BYTES];
    uint8_t password[PASSWORD_BYTES];
};

struct auth_workers {
    struct auth_workers_options options; /* constant */
    pthread_t threads[AUTH_WORKERS_MAX];
    struct worker {
        struct auth_workers *workers;
        uint32_t index;
    } arguments[AUTH_WORKERS_MAX];

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t wake;
    bool stop;
    uint32_t first;     /* index of the job that waits longest */
    uint32_t job_count; /* that wait, from there on and around */
    struct job jobs[];  /* [options.queue_count_max] */
};

/* -- the workers -- */

static void job_end(struct job *job)
{
    passwd_unref(job->set);
    OPENSSL_cleanse(job, sizeof(*job));
}

static enum passwd_verdict check(const struct job *job, struct mem *mem)
{
    struct span user = span_of(job->user, job->user_bytes);
    int64_t bytes = (int64_t)passwd_check_bytes(job->set);

    if (mem)
        mem_count(mem, MEM_OTHER, bytes);
    enum passwd_verdict verdict =
        passwd_check(job->set, user, span_of(job->password, job->password_bytes));
    if (mem)
        mem_count(mem, MEM_OTHER, -bytes);
    return verdict;
}

/* Take one job, check it, say so. Called and returns with the lock held. */
static void work_once(struct auth_workers *workers, uint32_t worker_index)
{
    struct mem *mems = workers->options.mems;
    struct job *slot = &workers->jobs[workers->first];
    struct job job = *slot;

    OPENSSL_cleanse(slot, sizeof(*slot));
    workers->first = (workers->first + 1) % workers->options.queue_count_max;
    workers->job_count--;
    pthread_mutex_unlock(&workers->lock);

    enum passwd_verdict verdict = check(&job, mems ? &mems[worker_index] : NULL);
    uint64_t token = job.token;
    job_end(&job);
    workers->options.done(workers->options.context, worker_index, token, verdict);
    pthread_mutex_lock(&workers->lock);
}

static void *work(void *argument)
{
    const struct worker *worker = argument;
    struct auth_workers *workers = worker->workers;

    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (workers->job_count == 0 && !workers->stop)
            pthread_cond_wait(&workers->wake, &workers->lock);
        if (workers->stop)
            break;
        work_once(workers, worker->index);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

static void stop_threads(struct auth_workers *workers, uint32_t count)
{
    pthread_mutex_lock(&workers->lock);
    workers->stop = true;
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < count; i++)
        pthread_join(workers->threads[i], NULL);
}

/* -- life -- */

static void workers_free(struct auth_workers *workers)
{
    for (; workers->job_count > 0; workers->job_count--) {
        job_end(&workers->jobs[workers->first]);
        workers->first = (workers->first + 1) % workers->options.queue_count_max;
    }
    pthread_cond_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}

struct auth_workers *auth_workers_open(const struct auth_workers_options *options)
{
    must(options->worker_count >= 1 && options->worker_count <= AUTH_WORKERS_MAX);
    must(options->queue_count_max >= 1 && options->done);

    struct auth_workers *workers =
        calloc(1, sizeof(*workers) + options->queue_count_max * sizeof(workers->jobs[0]));
    if (!workers)
        return NULL;
    workers->options = *options;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->wake, NULL);
    for (uint32_t i = 0; i < options->worker_count; i++) {
        workers->arguments[i] = (struct worker){workers, i};
        int error = pthread_create(&workers->threads[i], NULL, work, &workers->arguments[i]);
        if (error != 0) {
            stop_threads(workers, i);
            workers_free(workers);
            errno = error;
            return NULL;
        }
        (void)pthread_setname_np(workers->threads[i], "auth");
    }
    return workers;
}

void auth_workers_close(struct auth_workers *workers)
{
    if (!workers)
        return;
    stop_threads(workers, workers->options.worker_count);
    workers_free(workers);
}

/* -- jobs -- */

static uint8_t copy(uint8_t *to, size_t room, struct span bytes)
{
    size_t bytes_count = min_size(bytes.bytes_count, room);

    if (bytes_count > 0)
        memcpy(to, bytes.data, bytes_count);
    return (uint8_t)bytes_count;
}

bool auth_workers_submit(struct auth_workers *workers, struct passwd_set *set, struct span user,
                         struct span password, uint64_t token)
{
    uint32_t room = workers->options.queue_count_max;

    pthread_mutex_lock(&workers->lock);
    bool fits = workers->job_count < room;
    if (fits) {
        struct job *job = &workers->jobs[(workers->first + workers->job_count) % room];

        job->set = passwd_ref(set);
        job->token = token;
        job->user_bytes = copy(job->user, USER_BYTES, user);
        job->password_bytes = copy(job->password, PASSWORD_BYTES, password);
        workers->job_count++;
        pthread_cond_signal(&workers->wake);
    }
    pthread_mutex_unlock(&workers->lock);
    return fits;
}

uint32_t auth_workers_waiting(struct auth_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    uint32_t count = workers->job_count;
    pthread_mutex_unlock(&workers->lock);
    return count;
}
