# Sourced by slurm.sh and gridengine.sh.

# wait_for <what> <command>: until the command succeeds; where it never does, $logs says where to look.
wait_for() {
    for _ in $(seq 100); do
        if eval "$2" > /dev/null 2>&1; then return; fi
        sleep 0.2
    done
    echo "$(basename "$0"): no $1 after 20 s; see $logs" >&2
    exit 1
}
