/*
 * core/tsan.h — what ThreadSanitizer cannot see, told to it. Nothing in every other build.
 *
 * CK's ring orders its two sides with inline assembly: under the sanitizer all it hands over would
 * look like a race. So the pusher releases before it enqueues, the popper acquires after it
 * dequeued, and the accesses to the slots themselves, which are CK's own affair, are not looked at.
 */
#pragma once

#if defined(__SANITIZE_THREAD__) /* gcc */
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) /* clang */
#define UNDER_TSAN 1
#endif
#endif

#ifdef UNDER_TSAN
/* The sanitizer's run time has these, but no header that both compilers know. */
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#endif

/* All this thread did so far happens before what follows a tsan_acquire of the same address. */
static inline void tsan_release(void *address)
{
#ifdef UNDER_TSAN
    __tsan_release(address);
#else
    (void)address;
#endif
}

static inline void tsan_acquire(void *address)
{
#ifdef UNDER_TSAN
    __tsan_acquire(address);
#else
    (void)address;
#endif
}

/* Between these two the sanitizer does not look at this thread's reads and writes. */
static inline void tsan_look_away(void)
{
#ifdef UNDER_TSAN
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
}

static inline void tsan_look_again(void)
{
#ifdef UNDER_TSAN
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
}
