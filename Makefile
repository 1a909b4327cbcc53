# Everything a contributor runs. Tools are pinned in .tools/go.mod and built by
# the go command on first use: nothing is installed by hand.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

GO       ?= go
TOOL     := $(GO) tool -modfile=.tools/go.mod
OPA      := $(GO) tool opa
REGO     := rego/lib
FUZZTIME ?= 10s

# Real images, bundles and policies with measured verdicts. Tests skip what needs
# them when the variable is empty, as it is when the folder is not there.
override export ASSAY_CONFORMANCE_DATA := $(abspath $(wildcard $(or $(ASSAY_CONFORMANCE_DATA),../shared/data)))

.PHONY: help demo test check lint rego race e2e fuzz conformance bench golden cover fmt build clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## /{printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## see a signed image admitted and an unsigned one denied
	@$(GO) run ./cmd/assay demo

test: ## run every test
	$(GO) test -timeout=30m ./...

check: test lint rego race e2e $(if $(ASSAY_CONFORMANCE_DATA),conformance) ## all that a pull request must pass

lint: ## linters, formatting and the owners of imports
	$(GO) mod tidy -diff
	$(TOOL) golangci-lint run ./...
	$(GO) tool -modfile=.tools/workflows/go.mod actionlint cmd/assay/start/repository/.github/workflows/*.yaml
	cd e2e && $(GO) mod tidy -diff && $(GO) tool -modfile=../.tools/go.mod golangci-lint run ./...

# Rego's own tests, opa check --strict and the coverage bound are Go tests beside
# the rules: they need our builtins, which the stock opa does not know.
rego: ## format, lint and test the hand-written Rego
	@unformatted=$$($(OPA) fmt --list $(REGO)); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run make fmt: $$unformatted"; exit 1; fi
	$(TOOL) regal lint $(REGO)
	$(GO) test ./$(REGO)/...

race: ## run the tests under the race detector, in random order
	ASSAY_CONFORMANCE_DATA= CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout=40m ./...

# Never from the cache: what is tested are binaries, which it does not know.
e2e: ## tell the stories of e2e/testdata on a real control plane
	cd e2e && $(GO) test -count=1 -timeout=45m ./...

fuzz: ## run each fuzz target for FUZZTIME (10s)
	@$(GO) test -list '^Fuzz' ./... | awk '/^Fuzz/{f[n++]=$$1} /^ok/{for(i=0;i<n;i++)print $$2, f[i]; n=0}' | \
	while read -r package target; do echo "$$package $$target"; \
		$(GO) test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) "$$package"; done

# A case is a subtest of a test that has Conformance in its name, or such a test
# logs "N of M right". What such tests say besides is about a wrong case.
conformance: ## judge the real input, print right/total and every wrong case
	@test -n "$(ASSAY_CONFORMANCE_DATA)" || { echo "no conformance data: set ASSAY_CONFORMANCE_DATA to its folder"; exit 1; }
	@$(GO) test -count=1 -timeout=30m -v -run=Conformance ./... | awk '/^(=== |PASS|ok |testing: |\?|--- PASS)/{next} \
		/^    --- PASS/{right++; total++} /^    --- FAIL/{total++} /^ +--- (PASS|SKIP)/{next} \
		match($$0, /[0-9]+ of [0-9]+ right/){split(substr($$0, RSTART), n, " "); right+=n[1]; total+=n[3]} \
		{print} END{printf "%d/%d right\n", right, total; exit !total || right < total}'

bench: ## run the benchmarks
	$(GO) test -run='^$$' -bench=. -benchmem ./...

golden: ## write the golden files anew; read the diff before you commit it
	@packages=$$(grep -rl --include='*_test.go' --exclude-dir=e2e '"update"' . | xargs -n1 dirname | sort -u); \
	$(GO) test $$packages -update
	cd e2e && $(GO) test ./chart -update

cover: ## print the coverage of the Go code
	$(GO) test -coverprofile=cover.out -coverpkg=./... ./...
	@$(GO) tool cover -func=cover.out | tail -1

fmt: ## format the Go and the Rego
	$(TOOL) golangci-lint fmt
	$(OPA) fmt --write $(REGO) examples

build: ## build bin/assay, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/assay ./cmd/assay

clean: ## remove what the other targets wrote
	rm -rf bin cover.out e2e/.[a-z]*/bin
