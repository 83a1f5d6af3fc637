#!/usr/bin/env bash
# Runs a server until standard input ends, which it also does when the test
# that started it dies: no server is left behind.
set -m # the server and what it starts are a process group
"$@" </dev/null &
cat >/dev/null
kill -KILL -- "-$!"
wait "$!" 2>/dev/null
