# A thin front for people in a hurry: meson is the real build (see meson.build), scripts/ holds
# what is longer than a line. `make help` lists the targets.

.PHONY: all build run test bench soak fuzz deb format lint clean help
.DEFAULT_GOAL := build

# How long `make fuzz` (for each driver) and `make soak` run, in seconds; make fuzz TIME=3600
TIME ?=

all: build

build: ## build smqd, smq and smqbench into build/
	@scripts/apt-install.sh build
	@scripts/build.sh build

run: build ## build, then start the broker with configs/default.conf; it prints where to connect
	@exec build/smqd --config configs/default.conf

test: ## run all tests; some only: make test STAGES="unit wire" (scripts/test.sh --list)
	@scripts/apt-install.sh build test fuzz
	@scripts/test.sh $(STAGES)

deb: ## build a Debian package for other machines: build-deb/smqd_*.deb
	@scripts/apt-install.sh build package
	@scripts/deb.sh

bench: build ## measure smqd beside its peers (bench/run.sh)
	@scripts/apt-install.sh bench
	@bench/run.sh

soak: build ## simulate (make soak TIME=3600; default 600 s), fuzz two hours, then an hour of TLS devices
	@scripts/apt-install.sh fuzz
	@scripts/soak.sh $(TIME)

fuzz: ## fuzz each parser; make fuzz TIME=3600 (seconds for each, default 60); FAST=1: many more inputs
	@scripts/apt-install.sh build fuzz
	@scripts/fuzz.sh $(TIME)

format: ## let clang-format rewrite the sources
	@scripts/apt-install.sh lint
	@clang-format -i $$(scripts/sources.sh)

lint: ## clang-tidy over the sources (.clang-tidy says which checks)
	@scripts/apt-install.sh build lint
	@scripts/lint.sh

clean: ## remove all build directories
	@rm -rf build build-*

help: ## print this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
