#!/bin/sh
# properties = {properties}

# Grid Engine starts login shells, which change PATH.
PATH=$SGE_O_PATH

# A minute before it kills a job, Grid Engine sends SIGUSR2 to all processes of the job. This shell sends SIGTERM instead,
# at which a training writes a checkpoint; that may take five seconds. Without this shell the training would be killed at
# once.
trap "" USR1 USR2
(trap : TERM; {exec_job}) &
trap : TERM
trap "kill -TERM 0; sleep 6" USR2

# The last line of the output is read by status.sh. A signal ends the first `wait` early, so there is a second one.
if wait $! || wait $!; then
    echo success
else
    echo failed
    exit 1
fi
