#!/bin/sh
# Copies what the console's pages take from others, with the licences, out of npm's packages to static/vendor.
# The lock file names a digest of each package, and npm refuses one that differs.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$work"
npm ci --prefix "$work" --no-audit --no-fund --ignore-scripts
into="$here/../static/vendor"
rm -rf "$into"
mkdir -p "$into"
take() { cp "$work/node_modules/$1" "$into/$2"; }
take htmx.org/dist/htmx.min.js htmx.min.js
take htmx.org/LICENSE htmx.LICENSE
take htmx-ext-sse/sse.js htmx-sse.js
take htmx-ext-sse/LICENSE htmx-sse.LICENSE
take uplot/dist/uPlot.iife.min.js uPlot.iife.min.js
take uplot/dist/uPlot.min.css uPlot.min.css
take uplot/LICENSE uPlot.LICENSE
take @picocss/pico/css/pico.min.css pico.min.css
take @picocss/pico/LICENSE.md pico.LICENSE
