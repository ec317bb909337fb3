#!/bin/sh
# Builds the addon for $TARGET in an image of manylinux or Alpine, in which neither Rust nor, in the
# former, Node is installed. The mounted folder gets the binary.
set -eu

if command -v apk >/dev/null; then
  apk add --no-cache build-base cmake curl perl linux-headers
  # An addon is loaded by a Node that links the C library dynamically.
  export RUSTFLAGS='-C target-feature=-crt-static'
else
  arch=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
  curl --proto '=https' --fail --silent --show-error --location \
    "https://nodejs.org/dist/latest-v20.x/SHASUMS256.txt" >/tmp/sums
  archive=$(grep -o "node-v[0-9.]*-linux-$arch.tar.gz" /tmp/sums | head -n 1)
  curl --proto '=https' --fail --silent --show-error --location \
    --output "/tmp/$archive" "https://nodejs.org/dist/latest-v20.x/$archive"
  (cd /tmp && grep " $archive\$" sums | sha256sum -c -)
  tar -xzf "/tmp/$archive" -C /usr/local --strip-components=1
fi

curl --proto '=https' --fail --silent --show-error --location https://sh.rustup.rs |
  sh -s -- -y --profile minimal --default-toolchain stable
. "$HOME/.cargo/env"

node scripts/build.mjs --target "$TARGET"
