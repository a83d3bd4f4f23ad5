#!/usr/bin/env python3
"""Does the simulation find bugs? Put known ones into the broker, one at a time, and see.

    tests/sim/mutants.py              all of them, a few minutes
    tests/sim/mutants.py kick spill   those with one of these words in their name
    tests/sim/mutants.py --check      is none of them stale? (a moment; `make test` does this)

Works on a copy of the source tree. Each mutant is one small edit, of the kind people make: a line
left out, a condition the wrong way round. The simulation must end with a failure within SEEDS runs.
A mutant whose text is no longer in the source is stale: bring it up to date. Exit code 1 when one
survives or is stale.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SEEDS, STEPS, LIMIT_S = 400, 5000, 300

# (name, file, text in it, what stands there instead)
MUTANTS = [
    ("no Change on subscribe", "core/shard.c",
     "        tell_topic_changed(shard, topic);\n    }", "    }"),
    ("no Change on unsubscribe", "core/shard.c", "    tell_topic_changed(shard, topic);\n}", "}"),
    ("an older connection is not told of the takeover", "core/shard.c",
     "    port_push(shard->port, client->conn.host_index, kick);", "    (void)kick;"),
    ("a takeover keeps the ETID's observers", "core/shard.c",
     "    end_client_observations(shard, client);\n    msg_unref", "    msg_unref"),
    ("the end of an older connection ends the newer one", "core/shard.c",
     "        return; /* taken over meanwhile: the ETID lives on */", "        ;"),
    ("a reference too many for each fan-out", "core/shard.c",
     "(uint32_t)__builtin_popcountll(mask) - 1)", "(uint32_t)__builtin_popcountll(mask))"),
    ("a subscription's quota is not given back", "core/shard.c",
     "    give_subscription_quota(shard, topic->instance_index);\n    count(", "    count("),
    ("leaving keeps the observation", "core/shard.c",
     "    (void)remove_observer(shard, envelope, entity); /* first", "    /* first"),
    ("observing an ETID is answered", "core/shard.c",
     "        reply.flags |= ENVELOPE_SILENT; /* an ETID", "        (void)0; /* an ETID"),
    ("giving a grant back takes a later one", "core/shard.c",
     "    return envelope->grant == 0 ||", "    return true || envelope->grant == 0 ||"),
    ("a client's limit does not stop new topics", "core/shard.c",
     "    if (envelope->flags & ENVELOPE_AT_LIMIT || ", "    if ("),
    ("unobserving does not forget the topic", "core/shard.c",
     "    if (entity.topic)\n        topic_forget_if_unheld(shard, entity.topic);\n}", "}"),
    ("an identity is not given back", "core/shard_state.c",
     "    msg_unref(&shard->mem, client->identity);\n    client->identity = NULL;\n    pool_put",
     "    client->identity = NULL;\n    pool_put"),
    ("a member is lost when another goes", "core/members.c",
     "((at - home) & mask) >= ((at - hole) & mask)", "((at - home) & mask) > ((at - hole) & mask)"),
    ("a spill loses an envelope", "core/lane.c",
     "        lane->spill_count--;\n    }",
     "        lane->spill_count -= lane->spill_count > 2 ? 2 : 1;\n    }"),
    ("nobody is woken", "core/mesh.c",
     "            parker_wake(mesh->parkers[to]);\n    }\n    port->touched_count",
     "            ;\n    }\n    port->touched_count"),
    ("nobody is woken when a spill moves on", "core/mesh.c",
     "                port->backlog_count--;\n            parker_wake(mesh->parkers[to]);",
     "                port->backlog_count--;"),
    ("settling counts the same bytes again", "core/mem.c",
     "    mem->unsettled_bytes = 0;\n}", "}"),
    ("a hold for a connection that has gone stays", "net/session_answers.c",
     "        if (is_new)\n            reply(io, envelope, ENVELOPE_LEAVE, 0);\n        return;\n    }\n"
     "    bool granted", "        return;\n    }\n    bool granted"),
    ("an ETID for a connection that has gone stays", "net/session_answers.c",
     "            reply(io, envelope, ENVELOPE_GONE, 0);", "            ;"),
    ("a hold refused is granted to the next request", "net/session_answers.c",
     "is_new ? take_hold(io, conn, envelope) : still_holds(conn, envelope)",
     "!is_new || take_hold(io, conn, envelope)"),
    ("an observation that has ended is kept", "net/session_answers.c",
     "        holds_unobserve(io, conn, envelope->id);", "        ;"),
    ("anybody's PTID will do", "net/session_frames.c",
     "    if (publisher != conn->etid) { /* (9) */", "    if (publisher == 0) { /* (9) */"),
    ("all numbers are looked up in the first instance", "net/session_frames.c",
     "    envelope.instance_index = conn->instance_index;", "    envelope.instance_index = 0;"),
    ("fragments grow without limit", "net/session_frames.c",
     "piece.payload.bytes_count > SMQ_PAYLOAD_BYTES_MAX)", "piece.payload.bytes_count > 0xffffff)"),
    ("everything is given back twice", "net/session.c", "    conn->flags |= CONN_RELEASED;\n", ""),
    ("a client's quota is given back as a handshake's", "net/session.c",
     "conn->flags & CONN_ADMITTED ? &io->quotas->connections\n", "false ? &io->quotas->connections\n"),
    ("a silent client is kept for ever", "net/session.c",
     "conn->wait_tick + ticks_of(times.answer_ms)", "conn->wait_tick + 100000"),
    ("a frame may take for ever", "net/session.c",
     "        return frame_tick;\n    return tick;", "        return tick;\n    return tick;"),
    ("a frame may take half its time", "net/session.c",
     "parts[i]->since_tick + timeout_ticks;", "parts[i]->since_tick + timeout_ticks / 2;"),
    ("a message in pieces may take for ever", "net/session.c",
     "    for (size_t i = 0; i < COUNT_OF(parts); i++) {\n        uint32_t end_tick",
     "    for (size_t i = 0; i < 1; i++) {\n        uint32_t end_tick"),
    ("each byte of a frame gives it all its time", "net/input.c",
     "    if (part->used_bytes == 0)\n        part->since_tick", "    part->since_tick"),
    ("input is no sign of life", "net/session.c",
     "    conn->last_input_tick = io->now_tick;\n    conn->flags", "    conn->flags"),
    ("the wheel sleeps over a deadline", "net/wheel.c",
     "        ahead += 64 - slot % 64;", "        ahead += 128 - slot % 64;"),
    ("what is being sent is dropped", "net/outq.c",
     "passed_bytes >= out->in_flight_bytes && ", ""),
    ("a frame sent in part is dropped", "net/outq.c", " && !chunk->is_cut", ""),
    ("a message too large for the queue is taken", "net/conn.c",
     "        if (end + frame_bytes > room_bytes)", "        if (end > room_bytes)"),
    ("dropped messages are counted too often", "net/conn.c",
     "    drop(io, conn, IO_STAT_DROPPED_NEW, frame_count - fitting_count);",
     "    drop(io, conn, IO_STAT_DROPPED_NEW, frame_count);"),
    ("messages follow a goodbye", "net/conn.c", "    if (conn->state != CONN_LIVE) {",
     "    if (conn->state > CONN_LEAVING) {"),
    ("a subscriber that moves is lost", "net/holds.c", ".held_index = index;", ".held_index = 0;"),
]


def run(command, directory, limit_s=None):
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, errors="replace",
                          timeout=limit_s, stdin=subprocess.DEVNULL)


def build(tree):
    return run(["ninja", "-C", "build-mutants", "tests/sim/sim"], tree)


def first_complaint(text):
    marks = ("disagree", "smqd bug", "ended itself", "does not come out")
    return next((line for line in text.splitlines() if any(m in line for m in marks)), "")


def try_mutant(tree, name, path, old, new):
    """Returns True when the simulation found it."""
    file = tree / path
    original = file.read_text()
    if old not in original:
        print(f"STALE     {name}: its text is no longer in {path}", flush=True)
        return False
    file.write_text(original.replace(old, new, 1))
    try:
        result = build(tree)
        if result.returncode != 0:
            print(f"STALE     {name}: does not build\n{result.stdout[-600:]}", flush=True)
            return False
        result = run([tree / "build-mutants/tests/sim/sim", "--seed", "1", "--seeds", str(SEEDS),
                      "--steps", str(STEPS)], tree, LIMIT_S)
    finally:
        file.write_text(original)
    if result.returncode == 0:
        print(f"SURVIVED  {name}", flush=True)
        return False
    seeds = sum(line.startswith("seed ") for line in result.stdout.splitlines())
    print(f"found     {name} (in run {seeds + 1}: {first_complaint(result.stderr)})", flush=True)
    return True


def check():
    stale = [(name, path) for name, path, old, _ in MUTANTS if old not in (SOURCE / path).read_text()]
    for name, path in stale:
        print(f"STALE     {name}: its text is no longer in {path}")
    print(f"{len(MUTANTS) - len(stale)} passed, {len(stale)} failed")
    return 1 if stale else 0


def main(words):
    if words == ["--check"]:
        return check()
    chosen = [m for m in MUTANTS if not words or any(word in m[0] for word in words)]
    with tempfile.TemporaryDirectory(prefix="smqd-mutants-") as directory:
        tree = pathlib.Path(directory) / "tree"
        shutil.copytree(SOURCE, tree, ignore=shutil.ignore_patterns(".git", "build*", "node_modules"))
        for command in (["meson", "setup", "build-mutants", "-Dwerror=false"],
                        ["ninja", "-C", "build-mutants", "tests/sim/sim"]):
            result = run(command, tree)
            if result.returncode != 0:
                sys.exit(f"the tree itself does not build:\n{result.stdout[-2000:]}")
        missed = [m[0] for m in chosen if not try_mutant(tree, *m)]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} mutants were found")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
