#!/bin/sh
# Start a learner's JupyterLab server, as that learner: a copy of the notebooks in the home folder,
# beside links to what lessons only read. The course and its .venv may be read-only.
set -e
course=$(cd "$(dirname "$0")/../.." && pwd)
mine="$HOME/metahpo_lite"
mkdir -p "$mine"
for name in README.md benchmarks course data docs metahpo_lite; do
  ln -sfn "$course/$name" "$mine/$name"
done
# What a learner has written is never overwritten
test -d "$mine/notebooks" || cp -R "$course/notebooks" "$mine/notebooks"
chmod -R u+w "$mine/notebooks"
cd "$mine"
exec "$course/.venv/bin/${METAHPO_SERVER:-jupyterhub-singleuser}" "$@"
