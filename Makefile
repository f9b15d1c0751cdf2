# Two commands for a fresh machine with Python >= 3.10: `make demo` and `make test`. `make` alone lists all.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
RUNTIME = $(VENV)/.runtime-installed
DEV = $(VENV)/.dev-installed
export NO_MKDOCS_2_WARNING = 1  # Material's announcement of its successor, at every build

.PHONY: help demo test test-slow test-long test-standin fuzz lint docs train-demo clip tables lock audit dist clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(RUNTIME)  ## the example clip by all three paths, with the runtime alone
	$(BIN)/vavl-run examples/astronaut.mp4
	$(BIN)/vavl-run examples/astronaut.mp4 --audio-only
	$(BIN)/vavl-run examples/astronaut.mp4 --visual-only

test: $(DEV)  ## the fast tests, builds by TensorRT-RTX among them
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not gpu and not cuda_standin"

test-slow: $(DEV)  ## long media, exports, fresh installations, every command of the pages
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not long"

test-long: $(DEV)  ## paper-sized models, aarch64 under emulation, the GPU program's rehearsal: 15 minutes, before a release
	$(BIN)/python -m pytest -n 2 --dist loadfile -m long

test-standin: $(DEV)  ## onnxruntime-gpu without a GPU, on a stand-in for CUDA; downloads 250 MB once
	$(BIN)/python -m pytest tests/gpu_standin -n 2 --dist worksteal -m "cuda_standin and not slow"

fuzz: $(DEV)  ## damaged media, bundles, caches, corpora and checkpoints by the thousand, and the record of what held
	$(BIN)/python -m tests.fuzz

lint: $(DEV)  ## style, types, imports, spelling, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m benchmarks.tables --check
	$(BIN)/python -m benchmarks.model_card --check
	$(BIN)/python -m benchmarks.front_page --check
	$(BIN)/python docs/commands/generate.py --check
	$(BIN)/mkdocs build --strict --quiet

docs: $(DEV)  ## the documentation as a site in build/site, its command reference made again
	$(BIN)/python docs/commands/generate.py
	$(BIN)/mkdocs build --strict

train-demo: $(DEV)  ## the packaged bundle, anew: trained, measured and exported; needs the corpora beside the checkout
	BIN=$(BIN) examples/train_demo.sh

clip: $(DEV)  ## the example clip, anew; needs espeak-ng
	$(BIN)/python examples/make_clip.py

tables: $(DEV)  ## docs/benchmarks.md, docs/reliability.md, the model card and the README's tables from the results
	$(BIN)/python -m benchmarks.tables
	$(BIN)/python -m benchmarks.model_card
	$(BIN)/python -m benchmarks.front_page

lock: $(DEV)  ## requirements/dev.lock from pyproject.toml; UPGRADE=--upgrade takes the newest versions
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --universal --python-version 3.10 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" --output-file requirements/dev.lock $(UPGRADE)

audit: $(DEV)  ## known vulnerabilities of what requirements/dev.lock names; needs the network
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/dev.lock

dist: $(DEV)  ## wheel, source distribution, SBOM and hashes of the last commit in dist/
	$(BIN)/python -m release.build

clean:  ## removes the environment and what was built
	rm -rf $(VENV) .train-demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV):
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): pyproject.toml | $(VENV)
	@echo "Installing the runtime with ONNX Runtime for the CPU into $(VENV): about 95 MB to download"
	$(BIN)/pip install --editable ".[cpu]"
	touch $@

# Without --no-compile pip compiles every module, most of which nobody imports: that takes more than a minute.
$(DEV): pyproject.toml requirements/dev.lock | $(VENV)
	@echo "Installing the development tools and PyTorch into $(VENV): some GB to download, several minutes"
	$(BIN)/pip install --no-compile --require-hashes --requirement requirements/dev.lock
	$(BIN)/pip install --no-compile --no-deps --no-build-isolation --editable .
	touch $@ $(RUNTIME)
