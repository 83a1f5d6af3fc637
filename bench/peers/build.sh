#!/bin/sh
# Builds the programs that measure other libraries into bin/peers at the root of
# the repository, and prints a line of JSON for each.
#
# If run as root on Debian, it installs missing packages (g++, libfaiss-dev,
# libopenblas-dev). It does not install node 20 and npm, which USearch needs. A
# program that cannot be built is reported as absent. This is not a failure: the
# comparison reports it, too.
set -u
cd "$(dirname "$0")" || exit 1
out=../../bin/peers
mkdir -p "$out"

absent() { printf '{"program": "%s", "absent": "%s"}\n' "$1" "$2"; }

missing=
for package in g++ libfaiss-dev libopenblas-dev; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # $missing has several words
	{ apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$out/apt.log" 2>&1
fi

version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo unknown; }
if ! command -v g++ >/dev/null; then
	absent faiss "g++ is not installed"
elif g++ -O3 -std=c++17 -fopenmp -Wall -o "$out/faiss" faiss.cpp \
	-DFAISS_PACKAGE="\"$(version libfaiss-dev)\"" -DOPENBLAS_PACKAGE="\"$(version libopenblas-dev)\"" \
	-lfaiss -lopenblas -lpthread 2>"$out/faiss.log"; then
	printf '{"program": "faiss", "libfaiss-dev": "%s", "libopenblas-dev": "%s", "g++": "%s"}\n' \
		"$(version libfaiss-dev)" "$(version libopenblas-dev)" "$(g++ -dumpfullversion)"
else
	rm -f "$out/faiss"
	absent faiss "the build failed; missing packages:${missing:- none}, see bin/peers/faiss.log"
fi

if CGO_ENABLED=0 go -C _go build -o "../$out/go" . 2>"$out/go.log"; then
	printf '{"program": "go", "go": "%s"}\n' "$(go env GOVERSION)"
else
	rm -f "$out/go"
	absent go "the build failed, see bin/peers/go.log"
fi

# The npm package has binaries for Linux on x64 and arm64. Its install script would
# compile USearch on other systems, and is not run. The folder is hidden from the tests
# of documents, which would follow the links in its documents.
rm -rf "$out/usearch" "$out/.usearch"
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	absent usearch "node or npm is not installed"
elif mkdir "$out/.usearch" && cp _node/package.json _node/package-lock.json _node/usearch.mjs "$out/.usearch" &&
	npm ci --prefix "$out/.usearch" --ignore-scripts --no-audit --no-fund >"$out/usearch.log" 2>&1 &&
	found=$(node "$out/.usearch/usearch.mjs" --check 2>>"$out/usearch.log"); then
	printf '#!/bin/sh\nexec node "$(dirname "$0")/.usearch/usearch.mjs" "$@"\n' >"$out/usearch" && chmod +x "$out/usearch"
	printf '{"program": "usearch", "usearch": "%s", "node": "%s"}\n' "$found" "$(node --version)"
else
	rm -rf "$out/.usearch"
	absent usearch "the installation failed, see bin/peers/usearch.log"
fi
