# Every verb a contributor needs. `make help` lists them.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A bare environment (a container, a service account) still gets a home, and so
# a build cache, and finds a Go that was unpacked in its usual place.
ifeq ($(strip $(HOME)),)
export HOME := $(shell getent passwd "$$(id -u)" | cut -d: -f6)
endif
export PATH := $(PATH):/usr/local/go/bin:$(HOME)/go/bin

# The version comes from the tags; outside a git checkout it is "dev".
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TAGS := duckdb_arrow
E2E_TAGS := e2e duckdb_arrow
BUILD_FLAGS := -buildvcs=false
LDFLAGS := -X main.version=$(VERSION)

FUZZTIME ?= 30s
BENCH ?= .
BENCHCOUNT ?= 10
# For what hangs: a machine that does other things takes several times as long as one that does not.
E2E_TIMEOUT := 80m
UNIT_TIMEOUT := 20m
RACE_TIMEOUT := 30m

# What the race detector looks at. With cgo, `make test` runs these tests under it alone, and the rest without it.
RACED := ./changelog/... ./sources/... ./sinks ./sinks/kafka ./sinks/envelope

STEP := scripts/step.sh

.PHONY: help setup build demo demo-kafka test unit unit-rest unit-nocgo race e2e readers bench bench-compare fuzz lint fmt check generate

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing to build and test (safe to repeat)
	@$(STEP) 'setup' scripts/setup.sh

build: ## build bin/cdc
	@$(STEP) 'build bin/cdc $(VERSION)' env CGO_ENABLED=1 \
		go build $(BUILD_FLAGS) -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/cdc ./cmd/cdc

demo: setup build ## show the product on a real, busy database
	@bin/cdc demo

demo-kafka: setup build ## feed topics of a real Kafka, and show them beside the log
	@bin/cdc demo --kafka

test: export CDC_TEST_REQUIRE := 1
test: ## everything CI runs; a missing server is a failure
	@start=$$SECONDS; \
	for target in setup build lint unit-rest unit-nocgo race e2e; do $(MAKE) $$target; done; \
	echo "all passed in $$((SECONDS - start)) s"

unit: ## unit tests with SQL; fuzz seeds run with them
	@$(STEP) 'unit tests' go test -tags '$(TAGS)' -timeout $(UNIT_TIMEOUT) ./...

unit-rest: ## unit tests of what `make race` leaves out
	@$(STEP) 'unit tests' go test -tags '$(TAGS)' -timeout $(UNIT_TIMEOUT) \
		$$(comm -23 <(go list ./... | sort) <(go list $(RACED) | sort))

unit-nocgo: ## the build without SQL, and unit tests of what differs in it or is below it
	@$(STEP) 'build without cgo' env CGO_ENABLED=0 go build $(BUILD_FLAGS) ./...
	@$(STEP) 'unit tests without cgo' env CGO_ENABLED=0 go test -timeout $(UNIT_TIMEOUT) . ./schema/... ./changelog/... ./materialize/... ./cmd/...

race: ## the log, the sources and the sinks under the race detector
	@$(STEP) 'race detector' env CGO_ENABLED=1 go test -race -timeout $(RACE_TIMEOUT) $(RACED)

e2e: ## the built binary against real servers
	@$(STEP) 'end to end' env CDC_TEST_REQUIRE=1 \
		go test -tags '$(E2E_TAGS)' -timeout $(E2E_TIMEOUT) ./e2e/...

readers: setup ## other people's readers of our topics, and Debezium's topics; the first time downloads 1 GB
	@$(STEP) 'setup of the readers' scripts/setup-readers.sh
	@$(STEP) 'readers' env CDC_TEST_REQUIRE=1 \
		go test -tags '$(E2E_TAGS) readers' -timeout $(E2E_TIMEOUT) -run '^TestReader' -count 1 ./e2e

bench: build ## benchmarks; BENCH=pattern narrows them
	@$(STEP) 'micro benchmarks' go test -tags '$(TAGS)' -run '^$$' -bench '$(BENCH)' -benchmem ./...
	@$(STEP) 'end to end benchmarks' env CDC_TEST_REQUIRE=1 \
		go test -tags '$(E2E_TAGS)' -timeout $(E2E_TIMEOUT) -run '^$$' -bench '$(BENCH)' -benchtime 1x ./e2e/...

bench-compare: ## compare with another revision: make bench-compare REF=main
	@TAGS='$(TAGS)' BENCH='$(BENCH)' COUNT=$(BENCHCOUNT) scripts/bench-compare.sh '$(REF)'

fuzz: ## each fuzz target for FUZZTIME (30s)
	@TAGS='$(TAGS)' FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

lint: ## format, vet and static analysis
	@$(STEP) 'lint' scripts/lint.sh

fmt: ## rewrite Go files in the one format
	@go -C tools build -buildvcs=false -o ../bin/tools/ tool
	@find . -name '*.go' -not -path './bin/*' -not -path '*/testdata/*' -exec bin/tools/gofumpt -w {} +

generate: ## rewrite what is generated from the code
	@go generate ./...
	@go test . -run '^TestGuaranteeProofs$$' -count 1 -rewrite

check: generate ## fail when generated files or go.mod are not up to date
	@go mod tidy
	@go -C tools mod tidy
	@git diff --exit-code
