/* server/program_pages.c — see server/program_pages.h. */
#include "server/program_pages.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Segments that can be written hold what was changed since they were read, also where relocation
 * made them read-only afterwards: those stay. */
static int forget_object(struct dl_phdr_info *object, size_t info_bytes, void *context)
{
    const uintptr_t page_mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;

    (void)info_bytes;
    (void)context;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W)
            continue;
        uintptr_t first = (object->dlpi_addr + segment->p_vaddr) & ~page_mask;
        uintptr_t end =
            (object->dlpi_addr + segment->p_vaddr + segment->p_filesz + page_mask) & ~page_mask;

        /* Best effort: the kernel's own object (vDSO), or locked pages, may refuse. */
        (void)madvise((void *)first, end - first, MADV_DONTNEED);
    }
    return 0;
}

void program_pages_forget(void)
{
    (void)dl_iterate_phdr(forget_object, NULL);
}
