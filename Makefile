# Two commands for a fresh machine with Python >= 3.10: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
RUNTIME = $(VENV)/.runtime-installed
DEV = $(VENV)/.dev-installed

.PHONY: demo test test-slow lint train-demo clip tables clean

demo: $(RUNTIME)  ## the example clip by all three paths, with the runtime alone
	$(BIN)/vavl-run examples/astronaut.mp4
	$(BIN)/vavl-run examples/astronaut.mp4 --audio-only
	$(BIN)/vavl-run examples/astronaut.mp4 --visual-only

test: $(DEV)  ## the fast tests, builds by TensorRT-RTX among them
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not gpu"

test-slow: $(DEV)  ## paper-sized models, long media, a fresh installation
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

lint: $(DEV)  ## style, types, imports, spelling, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m benchmarks.tables --check
	$(BIN)/python -m benchmarks.model_card --check

train-demo: $(DEV)  ## the packaged bundle, anew: trained, measured and exported; needs the corpora beside the checkout
	BIN=$(BIN) examples/train_demo.sh

clip: $(DEV)  ## the example clip, anew; needs espeak-ng
	$(BIN)/python examples/make_clip.py

tables: $(DEV)  ## docs/benchmarks.md and the model card from the results
	$(BIN)/python -m benchmarks.tables
	$(BIN)/python -m benchmarks.model_card

clean:
	rm -rf $(VENV) .train-demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV):
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): pyproject.toml | $(VENV)
	@echo "Installing the runtime with ONNX Runtime for the CPU into $(VENV): about 110 MB to download"
	$(BIN)/pip install --editable ".[cpu]"
	touch $@

# Without --no-compile pip compiles every module, most of which nobody imports: that takes more than a minute.
$(DEV): pyproject.toml | $(VENV)
	@echo "Installing the development tools and PyTorch into $(VENV): some GB to download, several minutes"
	$(BIN)/pip install --no-compile --editable ".[dev]"
	touch $@ $(RUNTIME)
