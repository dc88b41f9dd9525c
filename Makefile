# The contract: `make up` runs the demo, `make test` passes all tests.
.PHONY: build up test fuzz lint fmt bench modules

CARGO ?= cargo
TOOLS := $(CURDIR)/target/tools
LOGS := $(CURDIR)/target/logs

# The dashboard, which the binary embeds.
WEB := web/dist/index.html
$(WEB): $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*')
	cd web && npm ci --no-audit --no-fund && npm run build

build: $(WEB)
	$(CARGO) build --release --locked -p peapod

up: build
	./target/release/peapod up --images modules/dist --apply manifests/hello.yaml

# One profile for all tests; the dependencies are optimised, the workspace is shared.
test: export PEAPOD_FUZZ_SECONDS ?= 30
test: export CARGO_INCREMENTAL = 0
test: export RUST_BACKTRACE = 0
test: $(WEB)
	@mkdir -p $(LOGS)
	bash tests/install/all.sh $(TOOLS)
	cd web && npm run check && npm test
	$(CARGO) fmt --all --check
	$(CARGO) build --workspace --all-targets --locked
	PEAPOD_TOOLS=$(TOOLS) $(CARGO) test --workspace --locked --no-fail-fast

# Each law and each kind of hostile request for ten minutes; `make test` has half a minute for each.
fuzz: export PEAPOD_FUZZ_SECONDS ?= 600
fuzz: export RUST_BACKTRACE = 0
fuzz: $(WEB)
	$(CARGO) test --workspace --locked --no-fail-fast --test laws --test hostile

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

fmt:
	$(CARGO) fmt --all

modules:
	bash modules/build.sh

bench: build
	$(CARGO) build --release --locked -p peapod -p peapod-orchestrator -p peapod-tests --examples
	RUST_BACKTRACE=0 bash tests/bench.sh
