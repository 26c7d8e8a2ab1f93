#!/bin/sh
# Continue to choose where it was stopped: one draw of every sweep file in turn, so that all sets grow alike.
#   PYTHON=.venv/bin/python sh benchmarks/strength/queue.sh
# Run it from a copy of the source that nobody edits (git worktree add --detach ../measuring COMMIT).
set -eu
export OMP_NUM_THREADS=1
python=${PYTHON:-python}

draw() { # sweep file, reference, rounds, least gain, other options
    nice -n 15 "$python" benchmarks/strength/choose.py "benchmarks/strength/choose/$1.yaml" --reference "$2" \
        --rounds "$3" --gain "$4" ${5:-} --out "work/choose-$1"
}

# Rounds go through the seeds of the first length, then of the next. A file that has fewer has then nothing left to do.
for round in $(seq 1 32); do
    for set in hippocampus lgg acdc; do
        draw "rivals-$set" default "$round" 0 --validation
        draw "prior-$set" drawn-head "$round" 0 --validation
    done
done
