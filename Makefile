# `make` alone lists the targets.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# Quoted for the shell, whatever it holds: spaces, brackets, quotes.
quote = '$(subst ','\'',$(1))'

# What a user sets, on the command line or in the environment: taken as it was written, since a path may hold $(...), and
# not passed on to commands, for which make would expand it. A line break would begin another command.
GIVEN := SOURCE PRESET SEEDS PROFILE ROUNDS REPEATS ARMS TARGETS REMOTE VERIFY REPAIR REV DATASET TESTS UPGRADE KILLS KILL_SEED INPUTS SEED DECIDED PORT
unexport $(GIVEN)
define LINE_BREAK


endef
$(foreach name,$(GIVEN),$(if $(findstring $(LINE_BREAK),$(value $(name))),$(error $(name) must not hold a line break)))
# $(call option,NAME,--option): the option with the value of NAME, quoted; nothing where NAME is not set.
option = $(if $(value $(1)),$(2)=$(call quote,$(value $(1))))
flag = $(if $(value $(1)),$(2))

.DEFAULT_GOAL := help
.PHONY: help install run apply reproduce tour docs review compare push pull fsck remote-demo engine-demo test test-all check coverage hooks lock faults fuzz fidelity results bench scale clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

# Every package at its pinned version, checked against its hash; then the project itself, which stays where it is.
INSTALL := $(RUN) -m pip install --quiet --require-hashes --requirement
RIGHT_PYTHON := import sys; sys.version_info[:2] == (3, 11) or sys.exit("Winnow needs Python 3.11; name one: make PYTHON=PATH")

# DVC's own is in a folder that everybody may write to; this names one in .dvc/config.local, for whoever types dvc too.
OWN_SITE_CACHE := $(RUN) -m winnow.commands.site_cache

$(VENV)/.installed: requirements.txt pyproject.toml
	@test -x $(RUN) || { $(PYTHON) -c $(call quote,$(RIGHT_PYTHON)) && $(PYTHON) -m venv $(VENV); }
	$(INSTALL) requirements.txt
	$(RUN) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(OWN_SITE_CACHE)
	@touch $@

$(VENV)/.installed-%: requirements-%.txt $(VENV)/.installed
	$(INSTALL) $<
	@touch $@

install: $(VENV)/.installed ## the environment alone

run: $(VENV)/.installed ## the whole pipeline and its table [SOURCE=PATH] [PRESET=published] [DECIDED=1: from your decisions]
	@$(RUN) -m winnow run $(call option,SOURCE,--source) $(call option,PRESET,--preset) $(call flag,DECIDED,--decided)

apply: $(VENV)/.installed ## the decisions of overrides.csv into the refined dataset and its export, in seconds
	@$(RUN) -m winnow apply

reproduce: $(VENV)/.installed ## the exact table, resumable [SOURCE=PATH] [PRESET=published] [SEEDS=5] [PROFILE=competition] [ROUNDS=1] [REPEATS=1] [ARMS=all: with controls]
	@$(RUN) -m winnow reproduce $(call option,SOURCE,--source) $(call option,PRESET,--preset) $(call option,SEEDS,--seeds) \
		$(call option,PROFILE,--profile) $(call option,ROUNDS,--rounds) $(call option,REPEATS,--repeats) $(call option,ARMS,--arms)

tour: $(VENV)/.installed ## a finished dataset in build/tour: report, review, dvc metrics diff
	@$(RUN) -m winnow tour

docs: $(VENV)/.installed ## regenerate docs/formats.md
	@$(RUN) -m bench.formats

compare: $(VENV)/.installed-remote ## metrics and samples here against another revision [REV=main] [DATASET=data/refined]
	@$(OWN_SITE_CACHE)
	@echo 'metrics that differ:'
	@$(RUN) -m dvc metrics diff --precision 4 -- $(call quote,$(or $(value REV),main))
	@echo && $(RUN) -m winnow diff $(call option,DATASET,--dataset) -- $(call quote,$(or $(value REV),main)) || test $$? -eq 1

review: $(VENV)/.installed ## look at images in the browser and decide with a key each [PORT=8000]
	@$(RUN) -m winnow review $(call option,PORT,--port)

push: $(VENV)/.installed-remote ## dvc push, every checksum verified [TARGETS=...] [REMOTE=NAME] [VERIFY=1: read back]
	@$(RUN) -m winnow push $(call option,REMOTE,--remote) $(call option,TARGETS,--targets) $(call flag,VERIFY,--verify)

pull: $(VENV)/.installed-remote ## dvc pull, every checksum verified [TARGETS=...] [REMOTE=NAME]
	@$(RUN) -m winnow pull $(call option,REMOTE,--remote) $(call option,TARGETS,--targets)

fsck: $(VENV)/.installed-remote ## hash workspace, cache and a remote against dvc.lock [REMOTE=NAME] [VERIFY=1] [REPAIR=1]
	@$(RUN) -m winnow fsck $(call option,REMOTE,--remote) $(call flag,VERIFY,--verify) $(call flag,REPAIR,--repair)

remote-demo: $(VENV)/.installed-remote ## push to an S3 server on this machine, clone, pull, change a param
	@$(RUN) -m bench.remote_demo

engine-demo: $(VENV)/.installed-engine ## the judge on two local workers, a Ray cluster and a Slurm of this machine [SEEDS=N]
	@$(RUN) -m bench.engine_demo $(call option,SEEDS,--seeds)

check: $(VENV)/.installed-dev $(VENV)/.installed-engine ## format, lint, types, the levels of the packages
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-logo

SHARED := --numprocesses 2 --dist loadfile --no-loadscope-reorder
CAMPAIGN := WINNOW_KILLS=$(call quote,$(or $(value KILLS),32)) WINNOW_KILL_SEED=$(call quote,$(or $(value KILL_SEED),0)) $(RUN) -m pytest --timeout 0 -m ''

test: check $(VENV)/.installed-remote ## every check, and the tests that guard every change
	$(RUN) -m pytest $(SHARED)

test-all: check $(VENV)/.installed-remote ## every check and every test, the long campaigns as well [KILLS=32] [KILL_SEED=0]
	$(CAMPAIGN) $(SHARED)

coverage: $(VENV)/.installed-dev $(VENV)/.installed-remote $(VENV)/.installed-engine ## the tests with the lines that none of them reaches [TESTS=tests/influence]
	$(RUN) -m pytest --cov --cov-report=term-missing $(if $(value TESTS),-- $(call quote,$(value TESTS)))

hooks: $(VENV)/.installed-dev $(VENV)/.installed-engine ## the checks before every commit of this clone
	$(RUN) -m pre_commit install

# One resolution of everything, so that the four files agree; each then takes its own part of it.
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock'

lock: $(VENV)/.installed-dev ## requirements*.txt from requirements*.in; their pins stay where they can [UPGRADE=1]
	@mkdir -p build && cat requirements*.txt > build/requirements.txt
	$(COMPILE) $(if $(value UPGRADE),--upgrade) requirements*.in --output-file build/requirements.txt
	@for part in '' -dev -remote -engine -bench; do \
		cp build/requirements.txt requirements$$part.txt && \
		$(COMPILE) requirements$$part.in --output-file requirements$$part.txt || exit; \
	done

faults: $(VENV)/.installed-dev ## kill every stage, fill the disk, spoil files, let calls fail, at random [KILLS=32] [KILL_SEED=0]
	$(CAMPAIGN) -s tests/runs/test_kills.py tests/runs/test_crashes.py tests/runs/test_faults.py \
		tests/runs/test_injected_faults.py

fuzz: $(VENV)/.installed ## spoilt images, containers and tables through all that reads them, resumable [INPUTS=100000] [SEED=0]
	@$(RUN) -m bench.fuzz $(call option,INPUTS,--inputs) $(call option,SEED,--seed)

fidelity: $(VENV)/.installed ## predicted against measured leave-k-out retraining
	$(RUN) -m bench.studies.fidelity

results: $(VENV)/.installed ## docs/results.md and the table in README.md, from committed metrics
	$(RUN) -m bench.results

bench: $(VENV)/.installed-bench $(VENV)/.installed-remote ## speed and memory, as ratios in one run; `make bench scale`: of every stage, by images
	$(if $(filter scale,$(MAKECMDGOALS)),$(RUN) -m bench.scale && $(RUN) -m bench.scale record,$(RUN) -m bench.run)

scale: bench
	@:

clean: ## remove the virtual environment and the caches of the tools
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* *.egg-info build/requirements.txt
