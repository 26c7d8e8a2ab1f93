#!/usr/bin/env bash
# Start the container, unless a tmux session lives in it, which may hold a training that a new start would end.
# Usage: docker/up.sh COMPOSE COMMAND WITH OPTIONS; NVIDIA_VISIBLE_DEVICES names the GPUs, nothing means any.
set -euo pipefail

if "$@" exec -T equireg tmux has-session >/dev/null 2>&1; then
    has=$("$@" exec -T equireg printenv NVIDIA_VISIBLE_DEVICES)
    wanted=${NVIDIA_VISIBLE_DEVICES:-$has}
    if [ "$wanted" != "$has" ]; then
        echo "error: the container runs on NVIDIA_VISIBLE_DEVICES=$has, not $wanted, and its tmux session may hold" \
            "work. Connect with $has, or end it with \`make down\` first." >&2
        exit 1
    fi
else
    exec "$@" up --detach
fi
