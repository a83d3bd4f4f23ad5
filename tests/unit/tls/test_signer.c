/*
 * tests/unit/tls/test_signer.c — mirrors tls/signer.c. Meaningful under ThreadSanitizer too.
 *
 * Method: several submitting threads against several workers, some jobs taken, some abandoned at
 *         whatever point they have reached; then every job must be gone.
 */
#include "tls/signer.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/unit/tls/check.h"
#include "tls/ca_cert.h"
#include "tls/limits.h"

static EVP_PKEY *key;
static _Atomic uint32_t done_count;
static const uint8_t input[] = "what a server signs in a handshake";

static void on_done(void *context, uint32_t worker_index, uint64_t token)
{
    (void)context;
    CHECK(worker_index < 2);
    CHECK(token < 1000);
    atomic_fetch_add(&done_count, 1);
}

static bool verifies(uint16_t algorithm, const uint8_t *signature, size_t signature_bytes)
{
    EVP_MD_CTX digest;
    EVP_PKEY_CTX *key_context;

    EVP_MD_CTX_init(&digest);
    bool good = EVP_DigestVerifyInit(&digest, &key_context,
                                     SSL_get_signature_algorithm_digest(algorithm), NULL, key) == 1;
    if (SSL_is_signature_algorithm_rsa_pss(algorithm))
        good = good && EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, -1) == 1;
    good = good && EVP_DigestVerify(&digest, signature, signature_bytes, input, sizeof(input)) == 1;
    EVP_MD_CTX_cleanup(&digest);
    return good;
}

static struct tls_sign_job *submit(struct tls_signer *signer, uint64_t token)
{
    return tls_signer_submit(signer, key, SSL_SIGN_RSA_PSS_RSAE_SHA256,
                             span_of(input, sizeof(input)), token);
}

static void all_algorithms_make_signatures_that_verify(void)
{
    static const uint16_t algorithms[] = {
        SSL_SIGN_RSA_PKCS1_SHA256,    SSL_SIGN_RSA_PKCS1_SHA384,    SSL_SIGN_RSA_PKCS1_SHA512,
        SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA512,
    };
    uint8_t signature[TLS_SIGNATURE_BYTES_MAX];
    size_t signature_bytes;

    for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
        CHECK(tls_sign(key, algorithms[i], span_of(input, sizeof(input)), signature,
                       sizeof(signature), &signature_bytes));
        CHECK(verifies(algorithms[i], signature, signature_bytes));
        signature[0] ^= 1;
        CHECK(!verifies(algorithms[i], signature, signature_bytes));
    }
    CHECK(!tls_sign(key, SSL_SIGN_RSA_PKCS1_SHA256, span_of(input, sizeof(input)), signature, 16,
                    &signature_bytes));
    ERR_clear_error();
}

static void a_full_queue_refuses(void)
{
    struct tls_signer_options options = {0, 2, NULL, NULL};
    struct tls_signer *signer = tls_signer_open(&options);
    uint8_t signature[TLS_SIGNATURE_BYTES_MAX];
    size_t signature_bytes;

    struct tls_sign_job *one = submit(signer, 1);
    struct tls_sign_job *two = submit(signer, 2);
    CHECK(one && two);
    CHECK(submit(signer, 3) == NULL);
    CHECK_EQUAL(tls_sign_take(one, signature, sizeof(signature), &signature_bytes),
                TLS_SIGNED_DONE);
    CHECK(verifies(SSL_SIGN_RSA_PSS_RSAE_SHA256, signature, signature_bytes));
    one = submit(signer, 4);
    CHECK(one != NULL);
    tls_sign_abandon(one);
    tls_sign_abandon(two);
    CHECK_EQUAL(tls_signer_job_count(signer), 0);
    tls_signer_close(signer);
}

static void a_result_that_does_not_fit_is_a_failure_and_frees_the_job(void)
{
    struct tls_signer_options options = {0, 2, NULL, NULL};
    struct tls_signer *signer = tls_signer_open(&options);
    uint8_t signature[16];
    size_t signature_bytes;

    struct tls_sign_job *job = submit(signer, 1);
    CHECK_EQUAL(tls_sign_take(job, signature, sizeof(signature), &signature_bytes),
                TLS_SIGNED_FAILED);
    CHECK_EQUAL(tls_signer_job_count(signer), 0);
    tls_signer_close(signer);
}

static struct tls_signer *shared;

static void *submit_many(void *argument)
{
    uint32_t *taken_count = argument;

    for (uint32_t i = 0; i < 30; i++) {
        uint8_t signature[TLS_SIGNATURE_BYTES_MAX];
        size_t signature_bytes;
        struct tls_sign_job *job = submit(shared, i);

        if (!job) {
            usleep(2000);
            continue;
        }
        if (i % 3 == 0) {
            if (i % 2 == 0)
                usleep(500); /* so that some are running, or done */
            tls_sign_abandon(job);
            continue;
        }
        enum tls_signed result;
        while ((result = tls_sign_take(job, signature, sizeof(signature), &signature_bytes)) ==
               TLS_SIGNED_NOT_YET)
            usleep(200);
        CHECK_EQUAL(result, TLS_SIGNED_DONE);
        CHECK(verifies(SSL_SIGN_RSA_PSS_RSAE_SHA256, signature, signature_bytes));
        ++*taken_count;
    }
    return NULL;
}

static void many_threads_take_and_abandon_and_nothing_is_left(void)
{
    struct tls_signer_options options = {2, 8, on_done, NULL};
    pthread_t threads[3];
    uint32_t taken_counts[3] = {0};
    uint32_t taken = 0;

    atomic_store(&done_count, 0);
    shared = tls_signer_open(&options);
    for (size_t i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, submit_many, &taken_counts[i]), 0);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        taken += taken_counts[i];
    }
    CHECK(taken > 0);
    tls_signer_close(shared); /* asserts that no job is left */
    CHECK(atomic_load(&done_count) >= taken);
}

static void closing_with_abandoned_jobs_in_the_queue_is_fine(void)
{
    struct tls_signer_options options = {1, 8, on_done, NULL};
    struct tls_signer *signer = tls_signer_open(&options);

    for (uint64_t i = 0; i < 8; i++)
        tls_sign_abandon(submit(signer, i));
    tls_signer_close(signer);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(all_algorithms_make_signatures_that_verify),
        CHECK_TEST(a_full_queue_refuses),
        CHECK_TEST(a_result_that_does_not_fit_is_a_failure_and_frees_the_job),
        CHECK_TEST(many_threads_take_and_abandon_and_nothing_is_left),
        CHECK_TEST(closing_with_abandoned_jobs_in_the_queue_is_fine),
    };

    key = ca_key_rsa();
    int code = check_main(tests, COUNT_OF(tests), argc, argv);
    EVP_PKEY_free(key);
    return code;
}
