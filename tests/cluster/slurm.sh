#!/usr/bin/env bash
# A Slurm of two virtual nodes, n1 and n2, on this machine: slurm.sh up | node n1 | down
#
# Needs root and Debian's slurmctld, slurmd, slurm-client and munge. It writes /etc/slurm/slurm.conf, because srun inside
# a job reads no other, and refuses to where another cluster has one.
set -euo pipefail

conf=/etc/slurm/slurm.conf
dir=/var/tmp/sidewinder-slurm
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
logs="$dir/*.log"
. "$here/wait_for.sh"

up() {
    down
    mkdir -p "$dir/state" /run/munge
    sed "s|@HOST@|$(hostname -s)|; s|@DIR@|$dir|" "$here/slurm.conf" > "$conf"
    chown munge /run/munge
    munge -n > /dev/null 2>&1 || runuser -u munge -- munged
    wait_for munge "munge -n"
    slurmctld
    node n1
    node n2
    wait_for "idle nodes" '[ "$(sinfo --noheader --Node --states=idle | wc -l)" = 2 ]'
}

node() {
    mkdir -p "$dir/spool-$1"
    slurmd -N "$1"
}

down() {
    if [ -e "$conf" ] && ! grep -q "^ClusterName=sidewinder-tests" "$conf"; then
        echo "slurm.sh: $conf belongs to another cluster" >&2
        exit 1
    fi
    for daemon in slurmctld slurmd slurmstepd; do
        pkill -KILL -x "$daemon" || true
        while pgrep -x "$daemon" > /dev/null; do sleep 0.1; done
    done
    rm -rf "$dir" "$conf"
}

"$@"
