# Everything that people and the CI run. `make` alone lists it.

CARGO ?= cargo
ARGS ?=
ROUNDS ?= 20
MINUTES ?= 30
# The last commit before the conversations between nodes were moved to src/proto.
OLDER ?= 3f0904d
# How long each fuzz target is run.
SECONDS ?= 20
# The logs that GoAccess reads: those of the demo that runs.
LOGS ?= $(wildcard $(or $(TMPDIR),/tmp)/antiphon-demo-*/data-*/logs/access.log)
# How many tests run at a time. Those of whole meshes mostly wait for something, so more than there are processors.
THREADS ?= $(shell echo $$(( $$(nproc) * 3 / 2 + 1 )))
TARGET = $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help demo build check test simulate flash-crowd ladder chaos soak rolling clients fuzz crowd costs bench bench-redirect bench-tls settings compatibility loudness goaccess doc

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  ARGS="…" is passed on by demo, simulate and bench: make demo ARGS="--nodes 5"'

demo: ## Start a mesh of three nodes on this machine, with a radio on air
	$(CARGO) build --release --locked
	@$(TARGET)/release/antiphon demo $(ARGS)

build: ## Build the optimised program, target/release/antiphon
	$(CARGO) build --release --locked

check: ## Check format, lints, documentation and dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet
	@if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny --workspace --locked check; \
	else echo "cargo-deny is not installed: licences and advisories were not checked"; fi

test: ## Run every test: units, layers, real clients, 1,000 simulated clusters
	tests/install-tools.sh
	RUST_TEST_THREADS=$(THREADS) $(CARGO) test --locked --workspace

simulate: ## Run 10,000 simulated clusters, measure meshes up to 1,000 nodes: make simulate ARGS="--seeds 100000"
	$(CARGO) run --release --locked --package simulations -- $(or $(ARGS),--page docs/failover.md)
	$(if $(ARGS),,$(CARGO) run --release --locked --package simulations -- scale --page docs/failover.md)

flash-crowd: ## Compare the ways to choose a node in simulated flash crowds: make flash-crowd ARGS="--update docs/policy-figures.md"
	$(CARGO) run --release --locked --package simulations --bin flash-crowd -- $(ARGS)

ladder: ## Switch a hundred listeners a hundred times between a live source and its fallback
	RUST_TEST_THREADS=1 $(CARGO) test --release --locked --test whole -- --ignored --nocapture ladder $(ARGS)

chaos: ## Kill, freeze and part real nodes under 200 listeners, for half an hour: make chaos ROUNDS=5
	tests/install-tools.sh
	ROUNDS=$(ROUNDS) $(CARGO) test --release --locked --test whole -- --ignored --nocapture --test-threads 1 chaos $(ARGS)

soak: ## Let listeners, sources, edits and logins come and go, and see that no node grows: make soak MINUTES=5
	MINUTES=$(MINUTES) $(CARGO) test --release --locked --test whole -- --ignored --nocapture --test-threads 1 soak:: $(ARGS)

clients: ## Run real encoders and players, installed by apt, and write their tables: make clients CLIENTS=liquidsoap,VLC
	tests/install-clients.sh
	$(if $(CI),,ANTIPHON_WRITE_CLIENTS=1) $(if $(CLIENTS),CLIENTS="$(CLIENTS)") $(CARGO) test --locked --test whole -- --ignored --nocapture --test-threads 1 clients:: browser:: $(ARGS)

fuzz: ## Feed what comes from outside to each fuzz target for a short time: make fuzz SECONDS=60 TARGETS="ogg ebml"
	fuzz/run.sh "$(SECONDS)" $(TARGETS)

rolling: ## Run meshes of an older build and this one, and upgrade one node by node: make rolling OLDER=COMMIT
	tests/older-build.sh $(OLDER) $(TARGET)/older
	ANTIPHON_OLDER=$(abspath $(TARGET))/older/debug/antiphon $(CARGO) test --locked --test whole -- --ignored --nocapture --test-threads 1 rolling:: $(ARGS)

crowd: ## Let thousands of listeners come to five real nodes within seconds, measure how full these become
	$(CARGO) test --release --locked --test whole -- --ignored --nocapture --test-threads 1 crowd_of_thousands $(ARGS)

costs: ## Measure how much of a processor a listener costs, of MP3 and of Ogg
	$(CARGO) test --release --locked --test whole -- --ignored --nocapture --test-threads 1 costs:: $(ARGS)

bench: ## Measure what has to be fast
	$(CARGO) bench --locked --bench '*' -- $(ARGS)

bench-redirect: ## Count redirects per second against nginx, which has to be installed, as wrk has
	$(CARGO) build --release --locked
	benches/redirect-nginx.sh $(TARGET)/release/antiphon

bench-tls: ## Measure what TLS costs a listener and a handshake, beside plain ones and nginx's: make bench-tls LISTENERS=4000
	$(if $(LISTENERS),LISTENERS=$(LISTENERS)) $(CARGO) test --release --locked --test whole -- --ignored --nocapture --test-threads 1 costs::tls $(ARGS)

settings: ## Write the tables of settings into the pages again, from the tables in src/logic/records
	ANTIPHON_WRITE_SETTINGS=1 $(CARGO) test --locked --test docs -- settings::

goaccess: ## Make target/goaccess.html of access logs by GoAccess: make goaccess LOGS=/var/lib/antiphon/logs/access.log
	@command -v goaccess >/dev/null || { echo "goaccess is not installed: apt install goaccess"; exit 1; }
	@test -n "$(LOGS)" || { echo "no demo runs: start make demo, or name logs by LOGS=…"; exit 1; }
	@mkdir -p $(TARGET)
	goaccess --config-file share/goaccess.conf $(LOGS) --output $(TARGET)/goaccess.html

loudness: ## Measure the loudness of real encoders' streams without decoding them, and write the table into its page
	tests/install-tools.sh
	ANTIPHON_WRITE_LOUDNESS=1 $(CARGO) test --locked --test loudness

compatibility: ## Ask antiphon and a stock icecast2 for what programs expect of an Icecast, and write docs/compatibility.md
	ANTIPHON_WRITE_COMPATIBILITY=1 $(CARGO) test --locked --test icecast

doc: ## Build the documentation of the code, target/doc/antiphon/index.html
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
