# Two commands for a fresh machine with Python >= 3.10: `make demo` and `make test`. `make` alone lists all.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
RUNTIME = $(VENV)/.runtime-installed
DEV = $(VENV)/.dev-installed
export NO_MKDOCS_2_WARNING = 1  # Material's announcement of its successor, at every build

.PHONY: help demo test test-slow lint docs train-demo clip tables clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(RUNTIME)  ## the example clip by all three paths, with the runtime alone
	$(BIN)/vavl-run examples/astronaut.mp4
	$(BIN)/vavl-run examples/astronaut.mp4 --audio-only
	$(BIN)/vavl-run examples/astronaut.mp4 --visual-only

test: $(DEV)  ## the fast tests, builds by TensorRT-RTX among them
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not gpu"

test-slow: $(DEV)  ## paper-sized models, long media, a fresh installation
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

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

tables: $(DEV)  ## docs/benchmarks.md, the model card and the README's tables from the results
	$(BIN)/python -m benchmarks.tables
	$(BIN)/python -m benchmarks.model_card
	$(BIN)/python -m benchmarks.front_page

clean:  ## removes the environment and what was built
	rm -rf $(VENV) .train-demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV):
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): pyproject.toml | $(VENV)
	@echo "Installing the runtime with ONNX Runtime for the CPU into $(VENV): about 95 MB to download"
	$(BIN)/pip install --editable ".[cpu]"
	touch $@

# Without --no-compile pip compiles every module, most of which nobody imports: that takes more than a minute.
$(DEV): pyproject.toml | $(VENV)
	@echo "Installing the development tools and PyTorch into $(VENV): some GB to download, several minutes"
	$(BIN)/pip install --no-compile --editable ".[dev]"
	touch $@ $(RUNTIME)
