/*
 * bench/process.c — reading /proc.
 *
 * CPU time comes from /proc/PID/task/TID/schedstat (nanoseconds), because the ticks of
 * /proc/PID/stat are 10 ms: 6 % of what a quiet run costs. Where the kernel keeps no schedstat,
 * the ticks have to do. Time of threads that ended between two samples is only in the ticks; no
 * broker measured here ends threads under load.
 */
#include "bench/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/clock.h"

bool process_list_parse(struct process_list *list, const char *text)
{
    list->count = 0;
    while (*text != '\0') {
        char *end = NULL;
        long pid = strtol(text, &end, 10);

        if (end == text || pid <= 0 || pid > INT32_MAX || list->count == PROCESS_PIDS_MAX)
            return false;
        if (*end != ',' && *end != '\0')
            return false;
        list->pids[list->count++] = (int)pid;
        text = *end == ',' ? end + 1 : end;
    }
    return list->count > 0;
}

/* The first line of a file under /proc; false when it cannot be read. */
MUST_CHECK static bool line_read(const char *path, char *line, size_t room_bytes)
{
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return false;
    bool is_read = fgets(line, (int)room_bytes, file) != NULL;
    fclose(file);
    return is_read;
}

/* Time on a CPU of all threads of @pid, ns; 0 when the kernel keeps no schedstat. */
static uint64_t schedstat_cpu_ns(int pid)
{
    char path[64];
    uint64_t cpu_ns = 0;
    struct dirent *entry;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        return 0;
    while ((entry = readdir(tasks)) != NULL) {
        char task_path[sizeof(path) + sizeof(entry->d_name) + 16];
        char line[128];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(task_path, sizeof(task_path), "%s/%s/schedstat", path, entry->d_name);
        if (line_read(task_path, line, sizeof(line)))
            cpu_ns += strtoull(line, NULL, 10);
    }
    closedir(tasks);
    return cpu_ns;
}

/* utime + stime of /proc/PID/stat, ns. */
MUST_CHECK static bool stat_cpu_ns(int pid, uint64_t *cpu_ns)
{
    char path[64];
    char line[1024];
    unsigned long long user_ticks;
    unsigned long long system_ticks;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (!line_read(path, line, sizeof(line)))
        return false;
    const char *after_name = strrchr(line, ')'); /* the name may hold blanks */
    if (after_name == NULL ||
        sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
               &user_ticks, &system_ticks) != 2)
        return false;
    *cpu_ns = (user_ticks + system_ticks) * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
    return true;
}

/* A "Name:   123 kB" line of a /proc file, bytes; false without one. */
MUST_CHECK static bool kilobytes_read(const char *path, const char *name, uint64_t *bytes)
{
    char line[256];
    bool is_found = false;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return false;
    while (!is_found && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            *bytes = strtoull(line + strlen(name), NULL, 10) * 1024;
            is_found = true;
        }
    }
    fclose(file);
    return is_found;
}

bool process_sample(const struct process_list *list, struct process_sample *sample)
{
    *sample = (struct process_sample){0};
    for (uint32_t i = 0; i < list->count; i++) {
        char path[64];
        uint64_t ticks_ns = 0;
        uint64_t rss_bytes = 0;

        if (!stat_cpu_ns(list->pids[i], &ticks_ns))
            return false;
        uint64_t exact_ns = schedstat_cpu_ns(list->pids[i]);
        snprintf(path, sizeof(path), "/proc/%d/status", list->pids[i]);
        if (!kilobytes_read(path, "VmRSS:", &rss_bytes))
            return false;
        sample->cpu_ns += exact_ns > 0 ? exact_ns : ticks_ns;
        sample->rss_bytes += rss_bytes;
    }
    return true;
}

uint64_t process_own_cpu_ns(void)
{
    struct timespec spent;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (uint64_t)spent.tv_sec * NS_PER_S + (uint64_t)spent.tv_nsec;
}

uint64_t process_slab_bytes(void)
{
    uint64_t bytes = 0;

    return kilobytes_read("/proc/meminfo", "Slab:", &bytes) ? bytes : 0;
}
