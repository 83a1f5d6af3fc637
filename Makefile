# Every check has a target here. CI (.ci/run) only installs missing packages and calls `make ci`.

# Overridable: make fuzz FUZZTIME=1m, make microbench BENCH=Scan, make test ARGS='-run TestMatch -v'.
FUZZTIME ?= 10s
BENCH ?= .
PKG ?= ./...
ARGS ?=
# How long the soak test runs writers, deleters and matchers at the same time, under the race detector.
SOAK ?= 30s

LINT_VERSION := v2.15.0
DEADCODE_VERSION := v0.45.0
LINT := $(shell go env GOPATH)/bin/golangci-lint

# The product and the tests are built without cgo. Only the race detector needs a C compiler.
export CGO_ENABLED := 0
export GOFLAGS := -mod=readonly

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo run build test lua51 race fuzz bench bench-gates bench-large bench-table peers microbench lint fmt vet deadcode kernels generate vuln ci clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## import real descriptors, match them, check every figure (less than a minute after the download of modules)
	go run ./bench/demo

run: build ## a server to play with on 127.0.0.1:5110 (data in ./data)
	bin/nearside serve --config bench/data/nearside.yaml

build: ## the static binary bin/nearside
	go build -trimpath -o bin/nearside ./cmd/nearside

test: ## every test, about 6 minutes; lists the skipped ones (PKG=./matcher/... ARGS=-v to narrow)
	@go run ./internal/testkit/gotest $(ARGS) $(PKG)

race: ## every test under the race detector, in random order (needs gcc)
	CGO_ENABLED=1 SOAK_TIME=$(SOAK) go test -race -shuffle=on -timeout 40m $(ARGS) $(PKG)

# `make test` runs the same test with these defaults.
N ?= 20000
SEED ?= 1
lua51: ## compare random Lua programs with lua5.1 (N=5000000 SEED=2: more programs, another seed)
	LUA51_N=$(N) LUA51_SEED=$(SEED) go test ./lua/vm/lua51 -run '^TestRandomPrograms$$' -count=1 -v -timeout 0 $(ARGS)

fuzz: ## every fuzz target for FUZZTIME (10s)
	@grep -rEo --include='*_test.go' --exclude-dir=_gen '^func Fuzz[A-Za-z0-9_]+' . | sort | \
	while IFS=: read -r file func; do \
		name=$${func#func }; \
		echo "fuzz $$name in $${file%/*} for $(FUZZTIME)"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$${file%/*}" || exit 1; \
	done

bench: build peers ## measure this machine: bench/results/<class>.md, ratios.md (about 15 minutes; ARGS=-short: 2 to 3)
	go run ./bench $(ARGS)

bench-gates: build peers ## measure the bars for speed; fails if one is missed (ARGS=-short)
	go run ./bench -gates $(ARGS)

bench-large: build ## measure a server with 10 million rows (about 10 minutes, 13 GB of disk; ARGS='-large-rows 2000000')
	go run ./bench -gates -only large $(ARGS)

bench-table: ## write bench/results/ratios.md, the bars on all machine classes, from the results there
	go run ./bench -table

peers: ## build other libraries to compare with, into bin/peers (as root, it installs missing packages)
	bench/peers/build.sh

microbench: ## every Go benchmark (BENCH=regexp to narrow)
	go test -run '^$$' -bench '$(BENCH)' -benchmem $(ARGS) $(PKG)

lint: $(LINT) ## golangci-lint, including the format
	@$(LINT) version | grep -qF 'version $(LINT_VERSION:v%=%) ' || $(MAKE) --always-make $(LINT)
	$(LINT) run

fmt: $(LINT) ## format the sources
	$(LINT) fmt

$(LINT):
	go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

vet: ## go vet as amd64, as arm64 and without assembly
	go vet ./...
	GOARCH=arm64 go vet ./...
	go vet -tags purego ./...

deadcode: ## find functions that no program reaches; fails if there are any
	@dead=$$(go run golang.org/x/tools/cmd/deadcode@$(DEADCODE_VERSION) ./cmd/... ./bench/...) || exit 1; \
	if [ -n "$$dead" ]; then echo "$$dead"; exit 1; fi

# Emulated CPUs for arm64, each with the kernel that it must get.
ARM_CPUS := cortex-a57:neon neoverse-n1:neon-dotprod max:neon-i8mm

# An emulated CPU with AVX2 and nothing above it: kernels for AVX2 must not need more.
# The skipped test puts numbers before a page that cannot be read. qemu 7.2 reads more than
# the four bytes that scalar instructions in vek need, and so reads that page.
AVX2_CPU := Haswell
QEMU_SKIP := ^TestRowMajorStaysInsideArguments$$

kernels: ## tests without assembly, with and without fused multiply-add, and with every kernel of this CPU; those for AVX2 and arm64 under qemu
	go test -tags purego ./simd/... ./matcher ./matcher/memory/...
	@if grep -qw fma /proc/cpuinfo && grep -qw avx2 /proc/cpuinfo; then \
		GOAMD64=v3 go test ./matcher ./internal/exp -run '^(TestBitsOfEveryCPU|TestNearest)$$' && GODEBUG=cpu.fma=off go test ./matcher -run '^TestBitsOfEveryCPU$$'; \
	fi
	@levels=; \
	for pair in avx2:avx2 avx_vnni:avxvnni avx512_vnni:avx512 amx_int8:amx; do \
		if grep -qw "$${pair%:*}" /proc/cpuinfo; then levels=$$levels,$${pair#*:}; \
		else echo "this CPU has no $${pair%:*}: its kernel is not tested"; fi; \
	done; \
	SIMD_STRICT=$$levels go test ./simd/...
	@if command -v qemu-aarch64 >/dev/null; then \
		go build -o bin/gotest ./internal/testkit/gotest || exit 1; \
		for cpu in $(ARM_CPUS); do \
			echo "kernels for arm64 on $${cpu%:*}"; \
			GOARCH=arm64 SIMD_EXPECT=$${cpu#*:} bin/gotest -short -exec "qemu-aarch64 -cpu $${cpu%:*}" ./simd || exit 1; \
		done; \
	else \
		echo 'qemu-aarch64 (qemu-user) is missing: the kernels for arm64 were not tested'; \
		test -z "$$PEERS_STRICT"; \
	fi
	@if command -v qemu-x86_64 >/dev/null; then \
		echo "kernels for AVX2 on $(AVX2_CPU)"; \
		GOARCH=amd64 SIMD_EXPECT=avx2 go test -short -skip '$(QEMU_SKIP)' -exec "qemu-x86_64 -cpu $(AVX2_CPU)" ./simd; \
	else \
		echo 'qemu-x86_64 (qemu-user) is missing: the kernels for AVX2 were not tested on a CPU without AVX-512'; \
		test -z "$$PEERS_STRICT"; \
	fi

generate: ## write the generated files again; fails if a file changes
	go -C simd/_gen generate ./...
	go test ./internal/server -run '^TestGenerated$$' -update
	git diff --exit-code -- simd internal/server/openapi.yaml internal/server/openapi.json internal/server/ui

vuln: ## known vulnerabilities (needs the network; not part of ci)
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

ci: test vet lint deadcode kernels race fuzz generate demo ## all checks, as CI runs them

clean: ## remove bin/
	rm -rf bin
