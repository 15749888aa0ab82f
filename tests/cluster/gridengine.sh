#!/usr/bin/env bash
# A Grid Engine of one node with two slots on this machine: gridengine.sh up | execd | down
#
# Needs root and Debian's gridengine-master and gridengine-exec. All is in a directory of its own, on ports of its own,
# and so it touches no other cell. `up` says what qsub and the like need in their environment.
set -euo pipefail

dir=/var/tmp/sidewinder-gridengine
settings=(SGE_ROOT=$dir SGE_CELL=sidewinder-tests SGE_QMASTER_PORT=16820 SGE_EXECD_PORT=16821)
export "${settings[@]}"
common=$dir/$SGE_CELL/common
host=$(hostname -s)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
logs="$dir/spool/*/messages and /tmp/*_messages.*"
. "$here/wait_for.sh"

up() {
    down
    mkdir -p "$common" "$dir/spool/qmaster/job_scripts" "$dir/spool/execd"
    ln -s /var/lib/gridengine/{bin,lib,util,utilbin} "$dir/"
    echo "$host" > "$common/act_qmaster"
    # Where /etc/hosts has this machine's name at 127.0.0.1, its address has another name first.
    echo "$host localhost" > "$common/host_aliases"
    cat > "$common/bootstrap" << END
admin_user              none
default_domain          none
ignore_fqdn             true
spooling_method         classic
spooling_lib            libspoolc
spooling_params         $common;$dir/spool/qmaster
binary_path             $dir/bin
qmaster_spool_dir       $dir/spool/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
END
    # Root may have jobs, and these have groups that no other cell's have.
    sed "s|^execd_spool_dir .*|execd_spool_dir $dir/spool/execd|; s/^\(min_.id\) .*/\1 0/
        s/^gid_range .*/gid_range 64400-64500/" /usr/share/gridengine/default-configuration > "$dir/configuration"
    local defaults=/usr/lib/gridengine/spooldefaults resources=/usr/share/gridengine/util/resources
    /usr/lib/gridengine/spoolinit classic libspoolc "$common;$dir/spool/qmaster" init
    $defaults configuration "$dir/configuration"
    $defaults complexes $resources/centry
    $defaults usersets $resources/usersets
    $defaults managers root
    sge_qmaster
    wait_for qmaster "qconf -sh"
    # Jobs start and end within a second.
    qconf -ssconf | sed "s/^\(schedule_interval\) .*/\1 0:0:1/; s/^\(flush_.*_sec\) .*/\1 1/" > "$dir/scheduler"
    qconf -sq | sed "s/^qname .*/qname main.q/; s/^hostlist .*/hostlist $host/; s/^pe_list .*/pe_list smp/
        s/^slots .*/slots 2/; s/^load_thresholds .*/load_thresholds NONE/" > "$dir/queue"
    {
        qconf -as "$host"
        qconf -Msconf "$dir/scheduler"
        qconf -Ap $resources/pe/smp
        execd
        qconf -Aq "$dir/queue"
    } >&2
    wait_for node "qstat -f | grep -E 'main.q@.* lx-\S+ *$'"
    printf "%s\n" "${settings[@]}"
}

execd() {
    sge_execd
    wait_for "node that reports" "qhost | grep -E '^$host +lx'"
}

down() {
    if [ -e "$dir" ] && [ ! -e "$common" ]; then
        echo "gridengine.sh: $dir is somebody else's" >&2
        exit 1
    fi
    for process in /proc/[0-9]*; do
        # Daemons, their shepherds, and jobs.
        if [[ $(readlink "$process/exe") == /usr/lib/gridengine/sge_* ]] && has "$process" "SGE_ROOT=$dir\$" ||
            has "$process" "SGE_JOB_SPOOL_DIR=$dir/"; then
            kill -KILL "${process#/proc/}" || true
        fi
    done
    rm -rf "$dir"
}

has() {
    grep --quiet --null-data --regexp="^$2" "$1/environ" 2> /dev/null
}

"$@"
