#!/bin/sh
# Installs Debian's Prometheus with promtool, for the tests of the page of metrics. Needs root; does nothing if it is there.
set -eu
command -v promtool >/dev/null && command -v prometheus >/dev/null && exit 0
[ "$(id -u)" = 0 ] || { echo 'run this as root, or install prometheus with promtool yourself' >&2; exit 1; }
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus
