#!/bin/sh
# properties = {properties}

# Grid Engine starts login shells, and these change PATH.
PATH=$SGE_O_PATH

# A minute before it kills a job, Grid Engine sends SIGUSR2 to all of its processes. A training writes a checkpoint at
# SIGTERM, and may take five seconds; without this shell Grid Engine would kill it at once.
trap "" USR1 USR2
(trap : TERM; {exec_job}) &
trap : TERM
trap "kill -TERM 0; sleep 6" USR2

# The last line is for status.sh. A signal ends the first wait.
if wait $! || wait $!; then
    echo success
else
    echo failed
    exit 1
fi
