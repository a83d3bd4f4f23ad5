/* net/uring.c — see net/uring.h. Thread: the I/O thread that owns the uring. */
#include "net/uring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#define BUFFER_GROUP_ID 0

/* What /proc says about io_uring: 0 allowed, 1 for members of a group, 2 never; -1 unknown. */
static int read_disabled_sysctl(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int value = -1;

    if (!file)
        return -1;
    if (fscanf(file, "%d", &value) != 1)
        value = -1;
    fclose(file);
    return value;
}

static void explain_setup(int error_number, char error[URING_ERROR_BYTES])
{
    struct utsname name;
    int disabled = read_disabled_sysctl();

    (void)uname(&name);
    if (error_number == ENOSYS)
        snprintf(error, URING_ERROR_BYTES,
                 "kernel %s has no io_uring, or a container's seccomp profile hides it; smqd needs "
                 "Linux 6.1 or newer with io_uring_setup allowed",
                 name.release);
    else if (error_number == EPERM && disabled == 2)
        snprintf(
            error, URING_ERROR_BYTES,
            "io_uring is switched off on this host; as root: sysctl kernel.io_uring_disabled=0");
    else if (error_number == EPERM && disabled == 1)
        snprintf(error, URING_ERROR_BYTES,
                 "io_uring is reserved for a group on this host; add smqd's user to the group in "
                 "sysctl kernel.io_uring_group, or as root: sysctl kernel.io_uring_disabled=0");
    else if (error_number == EPERM)
        snprintf(error, URING_ERROR_BYTES,
                 "io_uring is forbidden, most likely by a container's seccomp profile; allow "
                 "io_uring_setup, io_uring_enter and io_uring_register in it");
    else if (error_number == EINVAL)
        snprintf(error, URING_ERROR_BYTES,
                 "the io_uring of kernel %s is too old; smqd needs Linux 6.1 or newer",
                 name.release);
    else if (error_number == ENOMEM)
        snprintf(error, URING_ERROR_BYTES,
                 "no memory for io_uring; raise RLIMIT_MEMLOCK (ulimit -l) or free some memory");
    else
        snprintf(error, URING_ERROR_BYTES, "io_uring_setup: %s", strerror(error_number));
}

static enum status bufgroup_init(struct uring *uring, const struct uring_options *options)
{
    struct bufgroup *buffers = &uring->buffers;
    size_t shared_bytes = sizeof(struct io_uring_buf) * options->buffer_count;
    size_t bytes = (size_t)options->buffer_count * options->buffer_bytes;
    void *mapped = mmap(NULL, shared_bytes + bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (mapped == MAP_FAILED)
        return STATUS_SYSTEM;
    *buffers = (struct bufgroup){.shared = mapped,
                                 .bytes = (uint8_t *)mapped + shared_bytes,
                                 .mapped_bytes = shared_bytes + bytes,
                                 .buffer_count = options->buffer_count,
                                 .buffer_bytes = options->buffer_bytes};
    struct io_uring_buf_reg registration = {.ring_addr = (uintptr_t)mapped,
                                            .ring_entries = options->buffer_count,
                                            .bgid = BUFFER_GROUP_ID};
    int result = io_uring_register_buf_ring(&uring->kernel, &registration, 0);

    if (result < 0) {
        munmap(mapped, buffers->mapped_bytes);
        errno = -result;
        return STATUS_SYSTEM;
    }
    io_uring_buf_ring_init(buffers->shared);
    for (uint32_t i = 0; i < options->buffer_count; i++)
        bufgroup_return(buffers, i);
    bufgroup_publish(buffers);
    return STATUS_OK;
}

void bufgroup_return(struct bufgroup *buffers, uint32_t buffer_index)
{
    must(buffer_index < buffers->buffer_count);
    io_uring_buf_ring_add(buffers->shared, bufgroup_at(buffers, buffer_index),
                          buffers->buffer_bytes, (unsigned short)buffer_index,
                          io_uring_buf_ring_mask(buffers->buffer_count),
                          (int)buffers->returned_count);
    buffers->returned_count++;
}

void bufgroup_publish(struct bufgroup *buffers)
{
    if (buffers->returned_count > 0)
        io_uring_buf_ring_advance(buffers->shared, (int)buffers->returned_count);
    buffers->returned_count = 0;
}

enum status uring_init(struct uring *uring, const struct uring_options *options,
                       char error[URING_ERROR_BYTES])
{
    /* Never NO_SQARRAY: liburing 2.3's init would corrupt the uring. No SQPOLL: a busy core. */
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN |
                                              IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                                              IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
                                     .cq_entries = options->cqe_count};
    int result = io_uring_queue_init_params(options->sqe_count, &uring->kernel, &params);

    if (result < 0) {
        explain_setup(-result, error);
        return STATUS_SYSTEM;
    }
    result = io_uring_register_files_sparse(&uring->kernel, options->file_count);
    if (result < 0) {
        snprintf(error, URING_ERROR_BYTES,
                 "no table of %u direct descriptors: %s; lower limits.connections, or raise "
                 "RLIMIT_NOFILE (ulimit -n)",
                 options->file_count, strerror(-result));
        goto undo_uring;
    }
    uring->file_count = options->file_count;
    if (bufgroup_init(uring, options) != STATUS_OK) {
        snprintf(error, URING_ERROR_BYTES,
                 "no %u receive buffers of %u bytes: %s; lower receive.buffers",
                 options->buffer_count, options->buffer_bytes, strerror(errno));
        goto undo_uring;
    }
    /* Half-closing runs on the kernel's workers; a flood of refusals must not breed threads. */
    unsigned int workers_max[2] = {2, 2};
    (void)io_uring_register_iowq_max_workers(&uring->kernel, workers_max);
    return STATUS_OK;

undo_uring:
    io_uring_queue_exit(&uring->kernel);
    return STATUS_SYSTEM;
}

void uring_deinit(struct uring *uring)
{
    io_uring_queue_exit(&uring->kernel);
    munmap(uring->buffers.shared, uring->buffers.mapped_bytes);
}
