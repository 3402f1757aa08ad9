# Headwater's tasks. `make help` lists them.

# The newest tag and the distance from it. Without a tag the Go command's own version stamp stands.
VERSION := $(shell git describe --tags --dirty 2>/dev/null)
LDFLAGS := -s -w $(if $(VERSION),-X main.version=$(VERSION))

# What `make run` adds to `headwater serve`, such as ARGS=--auth.publish=open.
ARGS ?=
# How long `make fuzz` spends on each target.
FUZZTIME ?= 60s
# A lalserver that `make figures` measures beside Headwater.
LAL ?=

GOLANGCI_VERSION := v2.15.0
GOLANGCI := .bin/golangci-lint-$(GOLANGCI_VERSION)
NFPM_VERSION := v2.44.0
NFPM := .bin/nfpm-$(NFPM_VERSION)

.DEFAULT_GOAL := help
.PHONY: help run build test test-deps race fuzz lint bench plot figures dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: build ## build and serve; ARGS="--key=value" for settings
	./bin/headwater serve $(ARGS)

build: ## build bin/headwater
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/headwater ./cmd/headwater

test: test-deps race ## install what the tests need (Debian, Ubuntu), then run all of them
	go test -race -count=1 -timeout 60m ./e2e

test-deps:
	@scripts/test-deps.sh

# The end-to-end tests play in real time and check times. They get the machine to themselves, after the rest.
race: ## run the tests that need no other programs, with the race detector
	go test -race $$(go list ./... | grep -v '/e2e$$')

fuzz: ## run every fuzz target for FUZZTIME (60s) each
	@scripts/fuzz.sh $(FUZZTIME)

lint: $(GOLANGCI) ## check format, vet, linters, import rules and go.mod
	@scripts/gofmt-check.sh
	go vet ./...
	$(GOLANGCI) run
	go mod tidy -diff
	go mod verify

bench: ## run all benchmarks; some load a server for minutes, and nginx beside it where there is one
	go test -run '^$$' -bench . -benchmem -timeout 60m -p 1 ./...

plot: build ## measure how cost grows and draw docs/growth-*.svg
	go run ./scripts/plot-growth

figures: build ## measure what docs/performance.md says, in 11 minutes; LAL=path measures that lalserver, too
	go run ./scripts/measure -seconds 12 -lal "$(LAL)"
	go run ./scripts/plot-growth -seconds 12

dist: $(NFPM) ## build what is released into dist/: archives, Debian packages, checksums
	@NFPM="$(CURDIR)/$(NFPM)" scripts/dist.sh

clean: ## remove what was built
	rm -rf bin .bin dist

$(GOLANGCI):
	GOBIN=$(CURDIR)/.bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .bin/golangci-lint $@

$(NFPM):
	GOBIN=$(CURDIR)/.bin go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	mv .bin/nfpm $@
