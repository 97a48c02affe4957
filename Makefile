# Gregor: build, run, test. Everything needs Go, git and make; what else a target needs, it installs (Debian).

VERSION    := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GO_BUILD   := CGO_ENABLED=0 go build -trimpath -ldflags '-X main.release=$(VERSION)'
# The race detector needs a C compiler.
RACE       ?= $(shell command -v cc >/dev/null 2>&1 && echo -race)
FUZZTIME   ?= 30s
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
SHELL      := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help build run test lint fuzz campaign bench chaos generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/gregor, the broker, and bin/gregorctl, the tools
	@mkdir -p bin
	$(GO_BUILD) -o bin/gregor ./broker
	$(GO_BUILD) -o bin/gregorctl ./tools

run: build ## start ZooKeeper and one broker; Ctrl-C stops both. ZOOKEEPER=host:port uses one that runs
	@integration/dev/run

# Unit tests run under the race detector, and those of packages with tests that are skipped there once more without
# it; the integration tests run real processes, as users have them.
test: ## run all tests, on real ZooKeeper and real broker processes
	@integration/dev/need zookeeper kcat maven iproute2 e2fsprogs kafka-python
	go test $(RACE) -timeout 30m $$(go list ./... | grep -v /integration)
	go test -timeout 30m $$(git grep -l raceEnabled -- '*_test.go' | xargs -n 1 dirname | sort -u | sed 's|^|./|')
	go test -timeout 60m ./integration/...

lint: ## check format, go vet and staticcheck
	@unformatted=$$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 -r gofmt -l); \
	  if [ -n "$$unformatted" ]; then echo "not formatted (gofmt -w):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

fuzz: ## run every fuzz target for FUZZTIME, 30s unless set
	@integration/dev/fuzz $(FUZZTIME)

campaign: ## the random tests with ROUNDS seeds that nobody has tried, 5 unless set
	@integration/dev/need zookeeper kcat maven iproute2 e2fsprogs
	@integration/dev/campaign $(or $(ROUNDS),5)

bench: build ## compare with Apache Kafka and with a program that only copies
	@integration/dev/need zookeeper maven
	go run ./integration/bench $(BENCH)

chaos: ## random faults on a cluster for MINUTES, 5 unless set; SEED chooses them; KAFKA=n begins with n Kafka brokers. Root only
	@integration/dev/need zookeeper iproute2 e2fsprogs $(if $(KAFKA),maven)
	go run ./integration/chaos -minutes $(or $(MINUTES),5) -seed $(or $(SEED),0) -kafka $(or $(KAFKA),0)

generate: ## write config.toml anew from the table of properties
	go test ./broker/config -run TestConfigFile -update

clean: ## remove what was built and the data of make run
	rm -rf bin .gregor
