/*
 * tls/signer.c — the workers that make RSA signatures. See tls/signer.h.
 *
 * Thread: submit, take and abandon run in I/O threads; work() is the workers' loop. All of a
 *         job's state changes under signer->lock, except that a running job's input and output
 *         belong to its worker alone.
 * Owns:   the jobs until they are taken or abandoned.
 *
 *      QUEUED --worker--> RUNNING --worker--> DONE --take--> freed
 *         \--abandon--> freed  \--abandon--> ABANDONED --worker--> freed
 */
#include "tls/signer.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tls/limits.h"

enum job_state { JOB_QUEUED = 0, JOB_RUNNING, JOB_DONE, JOB_ABANDONED };

struct tls_sign_job {
    struct tls_signer *signer;
    struct tls_sign_job *next;     /* in the queue */
    struct tls_sign_job *previous; /* so that abandoning needs no search */
    EVP_PKEY *key;
    uint64_t token;
    enum job_state state;
    bool failed;
    uint16_t algorithm;
    uint16_t input_bytes;
    uint16_t signature_bytes;
    uint8_t input[TLS_SIGN_INPUT_BYTES_MAX];
    uint8_t signature[TLS_SIGNATURE_BYTES_MAX];
};

struct tls_signer {
    struct tls_signer_options options; /* constant */
    pthread_t workers[TLS_SIGNER_WORKERS_MAX];
    struct worker {
        struct tls_signer *signer;
        uint32_t index;
    } arguments[TLS_SIGNER_WORKERS_MAX];

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t wake;
    struct tls_sign_job *first;
    struct tls_sign_job *last;
    uint32_t job_count; /* queued, running, done and not yet taken */
    bool stop;
};

bool tls_sign(EVP_PKEY *key, uint16_t algorithm, struct span input, uint8_t *out,
              size_t out_bytes_max, size_t *out_bytes)
{
    EVP_MD_CTX digest;
    EVP_PKEY_CTX *key_context = NULL;
    bool done = false;

    *out_bytes = out_bytes_max;
    EVP_MD_CTX_init(&digest);
    if (EVP_DigestSignInit(&digest, &key_context, SSL_get_signature_algorithm_digest(algorithm),
                           NULL, key) == 1) {
        done = true;
        if (SSL_is_signature_algorithm_rsa_pss(algorithm))
            done = EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
                   EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, -1) == 1;
        done = done && EVP_DigestSign(&digest, out, out_bytes, input.data, input.bytes_count) == 1;
    }
    EVP_MD_CTX_cleanup(&digest);
    if (!done)
        ERR_clear_error(); /* the caller says what failed; a stale error would confuse the next */
    return done;
}

/* -- under the lock -- */

static void queue_push(struct tls_signer *signer, struct tls_sign_job *job)
{
    job->next = NULL;
    job->previous = signer->last;
    if (signer->last)
        signer->last->next = job;
    else
        signer->first = job;
    signer->last = job;
}

static void queue_remove(struct tls_signer *signer, struct tls_sign_job *job)
{
    if (job->previous)
        job->previous->next = job->next;
    else
        signer->first = job->next;
    if (job->next)
        job->next->previous = job->previous;
    else
        signer->last = job->previous;
}

static void job_free(struct tls_sign_job *job)
{
    must(job->signer->job_count > 0);
    job->signer->job_count--;
    EVP_PKEY_free(job->key);
    OPENSSL_cleanse(job, sizeof(*job));
    free(job);
}

/* -- the workers -- */

/* Take one job, sign, put it back as done. Called and returns with the lock held. */
static void work_once(struct tls_signer *signer, uint32_t worker_index)
{
    struct tls_sign_job *job = signer->first;
    size_t signature_bytes = 0;

    queue_remove(signer, job);
    job->state = JOB_RUNNING;
    pthread_mutex_unlock(&signer->lock);

    bool done = tls_sign(job->key, job->algorithm, span_of(job->input, job->input_bytes),
                         job->signature, sizeof(job->signature), &signature_bytes);

    pthread_mutex_lock(&signer->lock);
    if (job->state == JOB_ABANDONED) {
        job_free(job);
        return;
    }
    job->failed = !done;
    job->signature_bytes = (uint16_t)signature_bytes;
    job->state = JOB_DONE;
    uint64_t token = job->token;
    pthread_mutex_unlock(&signer->lock);
    signer->options.done(signer->options.context, worker_index, token);
    pthread_mutex_lock(&signer->lock);
}

static void *work(void *argument)
{
    const struct worker *worker = argument;
    struct tls_signer *signer = worker->signer;

    pthread_mutex_lock(&signer->lock);
    for (;;) {
        while (!signer->first && !signer->stop)
            pthread_cond_wait(&signer->wake, &signer->lock);
        if (signer->stop)
            break;
        work_once(signer, worker->index);
    }
    pthread_mutex_unlock(&signer->lock);
    return NULL;
}

static void stop_workers(struct tls_signer *signer, uint32_t count)
{
    pthread_mutex_lock(&signer->lock);
    signer->stop = true;
    pthread_cond_broadcast(&signer->wake);
    pthread_mutex_unlock(&signer->lock);
    for (uint32_t i = 0; i < count; i++)
        pthread_join(signer->workers[i], NULL);
}

/* -- life -- */

static void signer_free(struct tls_signer *signer)
{
    pthread_cond_destroy(&signer->wake);
    pthread_mutex_destroy(&signer->lock);
    free(signer);
}

struct tls_signer *tls_signer_open(const struct tls_signer_options *options)
{
    must(options->worker_count <= TLS_SIGNER_WORKERS_MAX);
    must(options->worker_count == 0 || options->done);

    struct tls_signer *signer = calloc(1, sizeof(*signer));
    if (!signer)
        return NULL;
    signer->options = *options;
    pthread_mutex_init(&signer->lock, NULL);
    pthread_cond_init(&signer->wake, NULL);
    for (uint32_t i = 0; i < options->worker_count; i++) {
        signer->arguments[i] = (struct worker){signer, i};
        int error = pthread_create(&signer->workers[i], NULL, work, &signer->arguments[i]);
        if (error != 0) {
            stop_workers(signer, i);
            signer_free(signer);
            errno = error;
            return NULL;
        }
    }
    return signer;
}

void tls_signer_close(struct tls_signer *signer)
{
    if (!signer)
        return;
    stop_workers(signer, signer->options.worker_count);
    must(signer->job_count == 0);
    signer_free(signer);
}

/* -- jobs -- */

struct tls_sign_job *tls_signer_submit(struct tls_signer *signer, EVP_PKEY *key, uint16_t algorithm,
                                       struct span input, uint64_t token)
{
    must(input.bytes_count <= TLS_SIGN_INPUT_BYTES_MAX);

    pthread_mutex_lock(&signer->lock);
    bool room = signer->job_count < signer->options.queue_count_max;
    signer->job_count += room ? 1 : 0;
    pthread_mutex_unlock(&signer->lock);
    if (!room)
        return NULL;

    struct tls_sign_job *job = calloc(1, sizeof(*job));
    must(job); /* the machine itself is out of memory */
    EVP_PKEY_up_ref(key);
    job->signer = signer;
    job->key = key;
    job->token = token;
    job->algorithm = algorithm;
    job->input_bytes = (uint16_t)input.bytes_count;
    memcpy(job->input, input.data, input.bytes_count);

    if (signer->options.worker_count == 0) {
        size_t signature_bytes = 0;
        job->failed = !tls_sign(key, algorithm, input, job->signature, sizeof(job->signature),
                                &signature_bytes);
        job->signature_bytes = (uint16_t)signature_bytes;
        job->state = JOB_DONE;
        return job;
    }
    pthread_mutex_lock(&signer->lock);
    queue_push(signer, job);
    pthread_cond_signal(&signer->wake);
    pthread_mutex_unlock(&signer->lock);
    return job;
}

enum tls_signed tls_sign_take(struct tls_sign_job *job, uint8_t *out, size_t out_bytes_max,
                              size_t *out_bytes)
{
    struct tls_signer *signer = job->signer;
    enum tls_signed result = TLS_SIGNED_NOT_YET;

    pthread_mutex_lock(&signer->lock);
    must(job->state != JOB_ABANDONED);
    if (job->state == JOB_DONE) {
        result = TLS_SIGNED_FAILED;
        if (!job->failed && job->signature_bytes <= out_bytes_max) {
            memcpy(out, job->signature, job->signature_bytes);
            *out_bytes = job->signature_bytes;
            result = TLS_SIGNED_DONE;
        }
        job_free(job);
    }
    pthread_mutex_unlock(&signer->lock);
    return result;
}

void tls_sign_abandon(struct tls_sign_job *job)
{
    struct tls_signer *signer = job->signer;

    pthread_mutex_lock(&signer->lock);
    switch (job->state) {
    case JOB_QUEUED:
        queue_remove(signer, job);
        job_free(job);
        break;
    case JOB_RUNNING:
        job->state = JOB_ABANDONED;
        break;
    case JOB_DONE:
        job_free(job);
        break;
    case JOB_ABANDONED:
        must(false && "a job is abandoned once");
    }
    pthread_mutex_unlock(&signer->lock);
}

uint32_t tls_signer_job_count(struct tls_signer *signer)
{
    pthread_mutex_lock(&signer->lock);
    uint32_t count = signer->job_count;
    pthread_mutex_unlock(&signer->lock);
    return count;
}

size_t tls_signer_bytes(struct tls_signer *signer)
{
    return sizeof(*signer) + tls_signer_job_count(signer) * sizeof(struct tls_sign_job);
}
