#!/bin/sh
# Prints the state of job $1: success, failed or running.
case "$(squeue --noheader --states=all --format=%T --jobs="$1" 2> /dev/null)" in
COMPLETED) echo success ;;
CONFIGURING | COMPLETING | PENDING | RUNNING | RESIZING | SUSPENDED | REQUEUED) echo running ;;
*) echo failed ;;
esac
