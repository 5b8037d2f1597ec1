#!/bin/sh
# Installs Breakglass with the clients of all its backends, exactly as uv.lock says, into the folder $1.
# The Dockerfile runs this; so does CI, in an empty directory, because the image itself is not built there.
set -eu
target=${1:?usage: packaging/install.sh FOLDER}

python3 -m venv "$target"
"$target/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.8
# Compiled here: who runs it may not write beside the code, and would compile it anew at every start.
VIRTUAL_ENV=$target UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=$target \
  "$target/bin/uv" sync --frozen --quiet --no-dev --no-editable --inexact \
  --extra postgres --extra aws --extra ssh
"$target/bin/python" -m pip uninstall --quiet --yes uv
"$target/bin/breakglass" --version
(cd / && "$target/bin/python" -c 'from bot.backends import registry; [registry.load(k) for k in registry.BUILT_IN]')
