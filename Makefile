# `make` alone lists the targets.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# Quoted for the shell whatever it holds: spaces, brackets, quotes.
quote = '$(subst ','\'',$(1))'

.DEFAULT_GOAL := help
.PHONY: help run reproduce docs compare push pull remote-demo test check faults fidelity results bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

$(VENV)/.installed: requirements.txt
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --requirement requirements.txt
	@# `python -m stages.x` then works from any directory.
	@echo $(call quote,$(CURDIR)) > "$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/winnow.pth"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(RUN) -m pip install --quiet --requirement requirements-dev.txt
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed requirements-bench.txt
	$(RUN) -m pip install --quiet --requirement requirements-bench.txt
	@touch $@

$(VENV)/.installed-remote: $(VENV)/.installed requirements-remote.txt
	$(RUN) -m pip install --quiet --requirement requirements-remote.txt
	@touch $@

run: $(VENV)/.installed ## the whole pipeline and its table [SOURCE=PATH]
	@$(RUN) -m winnow run $(if $(SOURCE),--source $(call quote,$(SOURCE)))

reproduce: $(VENV)/.installed ## the exact table, resumable [SOURCE=PATH] [SEEDS=5] [PROFILE=competition] [ROUNDS=2]
	@$(RUN) -m winnow reproduce $(if $(SOURCE),--source $(call quote,$(SOURCE))) \
		$(if $(SEEDS),--seeds $(SEEDS)) $(if $(PROFILE),--profile $(PROFILE)) $(if $(ROUNDS),--rounds $(ROUNDS))

docs: $(VENV)/.installed ## regenerate docs/formats.md
	@$(RUN) -m bench.formats

compare: $(VENV)/.installed-remote ## metrics and samples here against another revision [REV=main] [DATASET=data/refined]
	@echo 'metrics that differ:'
	@$(RUN) -m dvc metrics diff --precision 4 $(call quote,$(or $(REV),main))
	@echo && $(RUN) -m winnow diff $(call quote,$(or $(REV),main)) $(if $(DATASET),--dataset $(call quote,$(DATASET))) || test $$? -eq 1

push: $(VENV)/.installed-remote ## dvc push, every object held against its hash [TARGETS=...] [REMOTE=NAME]
	@$(RUN) -m winnow push $(TARGETS) $(if $(REMOTE),--remote $(REMOTE))

pull: $(VENV)/.installed-remote ## dvc pull, every object held against its hash [TARGETS=...] [REMOTE=NAME]
	@$(RUN) -m winnow pull $(TARGETS) $(if $(REMOTE),--remote $(REMOTE))

remote-demo: $(VENV)/.installed-remote ## push to an S3 server on this machine, clone, pull, change a param
	@$(RUN) -m bench.remote_demo

check: $(VENV)/.installed-dev ## format, lint, types
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy winnow stages

test: check $(VENV)/.installed-remote ## every check and every test
	$(RUN) -m pytest

faults: $(VENV)/.installed-dev ## kill every stage at random moments, fill the disk, spoil files [KILLS=32] [KILL_SEED=0]
	WINNOW_KILLS=$(or $(KILLS),32) WINNOW_KILL_SEED=$(or $(KILL_SEED),0) $(RUN) -m pytest -s tests/runs/test_kills.py tests/runs/test_faults.py

fidelity: $(VENV)/.installed ## predicted against measured leave-k-out retraining
	$(RUN) -m bench.studies.fidelity

results: $(VENV)/.installed ## docs/results.md and the table in README.md, from committed metrics
	$(RUN) -m bench.results

bench: $(VENV)/.installed-bench $(VENV)/.installed-remote ## speed and memory, as ratios in one run
	$(RUN) -m bench.run

clean: ## remove the virtual environment and the caches of the tools
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
