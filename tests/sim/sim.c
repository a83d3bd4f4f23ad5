/*
 * tests/sim/sim.c — the deterministic simulation of the broker: runs seeds, prints what failed.
 *
 *      sim --seed N --steps N [--seeds K] [--verbose]
 *
 * A run is made of storms and calms (tests/sim/sim.h). The same seed plays the same run on every
 * machine, so a failure is repeated by the command that is printed with it.
 */
#include "tests/sim/sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "tests/sim/coverage.h"
#include "tests/sim/journal.h"

static const char usage[] =
    "Usage: sim [OPTION]...\n"
    "Run the broker's actors on one thread, in random order, against a model of the protocol.\n"
    "\n"
    "  --seed N     the first run's seed (default 1)\n"
    "  --seeds N    how many runs, with consecutive seeds (default 1)\n"
    "  --steps N    actions in a run (default 20000)\n"
    "  --verbose    print each action\n"
    "  --coverage   print at the end how often each of the broker's counters was counted\n"
    "  --help       print this\n"
    "\n"
    "Exit code 0: all agreed. 1: not; the seed and the last 50 actions are printed.\n";

struct options {
    uint64_t seed;
    uint64_t seed_count;
    uint64_t step_count;
    bool verbose;
    bool coverage;
};

/* Rest often enough that what went wrong is still in the journal. */
#define STORM_STEPS_MAX 400u
#define CALM_STEPS_MAX  60u

static void begin(struct sim *sim, uint64_t seed)
{
    memset(sim, 0, sizeof(*sim));
    sim->dice.state = seed;
    scenario_draw(&sim->scenario, &sim->dice);
    world_init(&sim->world, &sim->scenario, &sim->dice);
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        sim->links[i].index = (uint8_t)i;
    for (uint32_t i = 0; i < sim->scenario.config.instance_count; i++)
        for (uint32_t pin = 0; pin < sim->scenario.instances[i].topic_count; pin++)
            sim->model.tids[i][pin] = sim->scenario.instances[i].topics[pin].id;
}

static void end(struct sim *sim)
{
    quiet_end(sim);
    coverage_add(sim);
    world_deinit(&sim->world);
    model_free(&sim->model);
    for (uint32_t i = 0; i < LINKS_MAX; i++)
        link_free(&sim->links[i]);
}

static void stop_failing(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->world.mesh.actor_count; i++)
        sim->world.mems[i]->fail_at = 0;
}

/* Storm and calm in turns, each followed by a rest. */
static void play(struct sim *sim, uint64_t step_count)
{
    for (uint64_t step = 0; step < step_count;) {
        uint64_t storm_end = step + dice_between(&sim->dice, 1, STORM_STEPS_MAX);
        uint64_t calm_end = dice_between(&sim->dice, 0, CALM_STEPS_MAX);

        if (sim->scenario.little_memory) /* who knows what is refused next */
            calm_end = 0;

        for (; step < storm_end && step < step_count; step++) {
            journal_step(step);
            storm_step(sim);
        }
        stop_failing(sim);
        quiet_settle(sim);
        quiet_check(sim);
        for (calm_end += step; step < calm_end && step < step_count; step++) {
            journal_step(step);
            calm_step(sim);
        }
    }
}

static void run_seed(uint64_t seed, const struct options *options)
{
    struct sim *sim = aligned_alloc(CACHE_LINE, sizeof(*sim));
    char text[256];

    must(sim);
    journal_begin(seed, options->step_count, options->verbose);
    begin(sim, seed);
    scenario_describe(&sim->scenario, text, sizeof(text));
    journal_note("seed %" PRIu64 ": %s", seed, text);
    play(sim, options->step_count);
    end(sim);
    printf("seed %" PRIu64 ": %s\n", seed, text);
    free(sim);
}

/* -- the command line -- */

static bool parse_count(const char *text, uint64_t *value)
{
    char *rest;

    *value = strtoull(text, &rest, 10);
    return *text >= '0' && *text <= '9' && *rest == '\0';
}

static bool parse_options(int argument_count, char **arguments, struct options *options)
{
    static const struct option names[] = {
        {"seed", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'n'},
        {"steps", required_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'},
        {"coverage", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    bool is_good = true;
    int option;

    while ((option = getopt_long(argument_count, arguments, "", names, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (option == 'v')
            options->verbose = true;
        else if (option == 'c')
            options->coverage = true;
        else if (option == 's')
            is_good &= parse_count(optarg, &options->seed);
        else if (option == 'n')
            is_good &= parse_count(optarg, &options->seed_count);
        else if (option == 't')
            is_good &= parse_count(optarg, &options->step_count);
        else
            is_good = false;
    }
    return is_good && optind == argument_count;
}

int main(int argument_count, char **arguments)
{
    struct options options = {.seed = 1, .seed_count = 1, .step_count = 20000};

    if (!parse_options(argument_count, arguments, &options)) {
        fputs("sim: --seed, --seeds and --steps want a whole number; see sim --help\n", stderr);
        return 64;
    }
    log_set_level(LOG_LEVEL_ERROR); /* refusals and slow clients are what we are here for */
    for (uint64_t i = 0; i < options.seed_count; i++)
        run_seed(options.seed + i, &options);
    coverage_print(options.coverage);
    return 0;
}
