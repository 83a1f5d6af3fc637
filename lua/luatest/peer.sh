#!/usr/bin/env bash
# Runs a server until standard input is closed. The system closes it when the test
# process dies, so no server keeps running after the tests.
set -m # puts the server and its children into one process group
"$@" </dev/null &
cat >/dev/null
kill -KILL -- "-$!"
wait "$!" 2>/dev/null
