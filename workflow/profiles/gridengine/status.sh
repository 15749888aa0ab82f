#!/bin/sh
# Prints the state of job $1: success, failed or running. qacct is not used: it lags behind and reads a large file.
last_line() {
    tail -n 1 ".snakemake/gridengine/$1" 2> /dev/null
}

case "$(last_line "$1")" in
success) echo success; exit ;;
failed) echo failed; exit ;;
esac
case "$(qstat -j "$1" 2>&1)" in
*"do not exist"*) [ "$(last_line "$1")" = success ] && echo success || echo failed ;;
*"error reason"*) echo failed ;;
*) echo running ;;
esac
