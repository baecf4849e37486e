#!/bin/sh
# Fetch the npm packages of packaging/web into .cache/web, at the versions and with the hashes of package-lock.json.
set -eu
cd "$(dirname "$0")/../.."
command -v npm >/dev/null || { echo "fetch.sh: npm is not here; install Node.js" >&2 && exit 1; }
mkdir -p .cache/web
cp packaging/web/package.json packaging/web/package-lock.json packaging/web/.npmrc .cache/web/
cd .cache/web
exec npm ci --silent
