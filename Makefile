# Everything runs over all modules of go.work. Needed: Go, git, make; for the race detector a C compiler.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GOLANGCI_LINT := v2.15.0
STATICCHECK   := v0.8.2
GOFUMPT       := v0.12.0
TOOLS := $(CURDIR)/.bin/golangci-lint-$(GOLANGCI_LINT) $(CURDIR)/.bin/staticcheck-$(STATICCHECK) $(CURDIR)/.bin/gofumpt-$(GOFUMPT)

FUZZTIME ?= 1m
CRASHES  ?= 200
ROUNDS   ?= 10
KILLS    ?= 1000
ARGS     ?=

modules  = $(shell go list -m -f '{{.Dir}}')
packages = $(addsuffix /...,$(modules))

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Compile everything; the program is .bin/refrain
	go build $(packages)
	go build -o .bin/refrain ./cmd/refrain

.PHONY: cross
cross: ## Compile everything for macOS and Windows, where the tests do not run
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 go build $(packages)
	GOOS=windows GOARCH=amd64 CGO_ENABLED=0 go build $(packages)

.PHONY: test
test: cc ## The whole test suite of all modules, with the race detector
	go run ./test/suite -race $(ARGS)

.PHONY: lint
lint: tools ## gofumpt, go vet, staticcheck and golangci-lint
	@unformatted=$$(git ls-files -z '*.go' | xargs -0 .bin/gofumpt-$(GOFUMPT) -l); \
	  [ -z "$$unformatted" ] || { echo "not formatted (make format):"; echo "$$unformatted"; exit 1; }
	go vet $(packages)
	@for dir in $(modules); do \
	  echo "lint $${dir#$(CURDIR)/}"; \
	  (cd $$dir && $(CURDIR)/.bin/staticcheck-$(STATICCHECK) ./... && \
	    $(CURDIR)/.bin/golangci-lint-$(GOLANGCI_LINT) run --allow-parallel-runners ./...); \
	done

.PHONY: format
format: tools ## Format all Go files
	git ls-files -z '*.go' | xargs -0 .bin/gofumpt-$(GOFUMPT) -w

.PHONY: tidy
tidy: ## go mod tidy in every module
	@modules=$$(go list -m -f '{{.Path}}={{.Dir}}'); \
	for module in $$modules; do \
	  echo "tidy $${module%%=*}"; cd "$${module#*=}"; \
	  go mod edit $$(printf -- '-replace=%s\n' $$modules); \
	  status=0; GOWORK=off go mod tidy || status=1; \
	  go mod edit $$(printf -- '-dropreplace=%s\n' $$(cut -d= -f1 <<< "$$modules")); \
	  sed -i.old 's/v0.0.0-00010101000000-000000000000/v0.0.0/' go.mod; rm go.mod.old; \
	  [ $$status = 0 ]; \
	done

.PHONY: bench
bench: ## Compare with nginx, Restate, Fiber and the disk; writes bench/RESULTS.md
	go run ./bench $(ARGS)

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (1m)
	@git grep -l '^func Fuzz' -- '*_test.go' | xargs -rn1 dirname | sort -u | while read -r dir; do \
	  for target in $$(git grep -ho '^func Fuzz[A-Za-z0-9_]*' -- "$$dir/*_test.go" | cut -c6- | sort -u); do \
	    echo "fuzz $$dir $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1000x "./$$dir"; \
	  done; \
	done

.PHONY: crash
crash: ## Kill the real program with SIGKILL again and again (CRASHES, 200)
	REFRAIN_CRASH_CYCLES=$(CRASHES) go test -count=1 -v -timeout 60m ./cmd/refrain/internal/crashtest

.PHONY: chaos
chaos: ## Let servers and proxies die, stand still, fail over and be cut off (ROUNDS, 10, of each), and print a table
	REFRAIN_CHAOS_ROUNDS=$(ROUNDS) go test -count=1 -v -timeout 120m -run '^Test(Chaos|Partitions)$$' ./cmd/refrain/internal/crashtest

.PHONY: kill
kill: ## Kill a service that finishes operations in its own transactions (KILLS, 1000), on every SQL database
	REFRAIN_KILL_CYCLES=$(KILLS) go test -count=1 -v -timeout 120m ./test/exactlyonce

.PHONY: churn
churn: ## Weigh MariaDB's files after many hours of operations with small, awkward and large bodies
	REFRAIN_CHURN=all go test -count=1 -v -timeout 60m -run TestSizeUnderChurn ./mysqlstore

.PHONY: mutants
mutants: ## Plant known bugs, one at a time, and see a test fail for each
	go run ./test/mutants $(ARGS)

.PHONY: cover
cover: ## Statement coverage of all modules, in cover.out
	go test -coverprofile=cover.out -coverpkg=github.com/refrain-dev/refrain/... $(packages)
	@go tool cover -func=cover.out | tail -n 1

.PHONY: cc
cc:
	@compiler=$$(go env CC); command -v "$${compiler%% *}" >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends gcc libc6-dev; \
	} || { echo "The race detector needs a C compiler. Install gcc (Debian: apt install gcc libc6-dev), then try again."; exit 1; }

.PHONY: tools
tools: $(TOOLS)

$(CURDIR)/.bin/golangci-lint-%:
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$*)

$(CURDIR)/.bin/staticcheck-%:
	$(call install,honnef.co/go/tools/cmd/staticcheck@$*)

$(CURDIR)/.bin/gofumpt-%:
	$(call install,mvdan.cc/gofumpt@$*)

# The tools are built outside the workspace, so that their dependencies are nobody else's.
define install
	@echo "building $(1)"; mkdir -p $(CURDIR)/.bin
	@into=$$(mktemp -d $(CURDIR)/.bin/new-XXXXXX); \
	  GOWORK=off GOBIN=$$into go install $(1) && mv $$into/* $@ && rmdir $$into
endef
