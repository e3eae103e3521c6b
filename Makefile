PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python

.PHONY: demo test check bench

demo: $(VENV)/.demo  ## Train an ensemble, distil it and judge it, on made-up retinas
	$(RUN) -m monai.bundle run training --config_file bundles/end_kl/train.json

test: $(VENV)/.test  ## Run every test
	$(RUN) -m pytest

check: $(VENV)/.check  ## Lint, types, import contracts
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/.test  ## The tables of cost and exactness: no data set is needed
	$(RUN) benchmarks/step_cost.py
	$(RUN) benchmarks/batched_members.py
	$(RUN) benchmarks/calibration.py

# One stamp an extra: present and newer than what it was installed from means nothing to do.
$(VENV)/.%: setup.cfg setup.py pyproject.toml constraints.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".$(if $(filter test check,$*),[$*])"
	touch $@
