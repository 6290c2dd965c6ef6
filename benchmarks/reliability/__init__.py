"""Reliability measured: kills, mutated files, tampered models, faults of the system, long runs.

    python -m benchmarks.reliability NAME [--count N] [--seed N] [--work FOLDER]

with NAME of kill, kill_real, kill_training, fuzz_images, fuzz_masks, fuzz_config, tamper, faults
and soak.

Each prints one JSON line and ends with 1 when something was wrong, which `wrong` lists. What is
tried runs in forked processes with limits of time and memory, so a POSIX system is needed; `faults`
mounts small disks where it may (as root on Linux) and says where it may not. Only processes that
were started here are ever killed.
"""
