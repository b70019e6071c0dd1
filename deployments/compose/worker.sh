#!/bin/sh
# A worker that is asked to end kills its flows without a word. This asks them first, waits up to 40 s, then asks the
# worker: worker.sh COMMAND...
asked=
"$@" &
worker=$!
flows() { cat "/proc/$worker/task/$worker/children" 2>/dev/null; }
ending() {
  # shellcheck disable=SC2046  # a word a process
  kill -TERM $(flows) 2>/dev/null
  n=0
  while [ -n "$(flows)" ] && [ "$n" -lt 80 ]; do sleep 0.5; n=$((n + 1)); done
  kill -TERM "$worker" 2>/dev/null
}
trap 'asked=1; ending' TERM INT
wait "$worker"
code=$?
if [ -n "$asked" ]; then # the signal ended that wait, not the worker
  wait "$worker"
  code=$?
fi
exit "$code"
