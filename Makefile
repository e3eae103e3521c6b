PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python

.PHONY: demo test test-all test-monailabel check bundles bench

demo: $(VENV)/.demo  ## Train an ensemble, distil it and judge it, on made-up retinas
	$(RUN) -m monai.bundle run training --config_file bundles/end_kl/train.json

test: $(VENV)/.test  ## Run the tests, one file a processor
	$(RUN) -m pytest --numprocesses auto --dist loadfile -m "not slow and not monailabel"

test-all: $(VENV)/.test  ## Run those that take long, too, and plant the faults that must be seen
	$(RUN) -m pytest --numprocesses auto --dist loadfile
	$(RUN) tests/planted_faults.py

test-monailabel: $(VENV)/.test $(VENV)/.monailabel  ## Run the real MONAI Label server on a student
	MEDKD_MONAILABEL_PYTHON=$(abspath $(VENV)/monailabel/bin/python) $(RUN) -m pytest -m monailabel

check: $(VENV)/.check  ## Lint, types, import contracts
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

bundles: $(VENV)/.demo  ## Write the files of all bundles from bundles/source
	$(RUN) -c "from medkd.planning import write_bundles; write_bundles('bundles')"

bench: $(VENV)/.test  ## The tables of cost and exactness: no data set is needed
	$(RUN) benchmarks/step_cost.py
	$(RUN) benchmarks/batched_members.py
	$(RUN) benchmarks/calibration.py

# MONAI Label needs older packages than medkd is tested with, so it has an environment of its own.
# --no-deps: it asks for torchvision and SAM 2, gigabytes that nothing here calls.
$(VENV)/.monailabel: tests/export/monailabel_requirements.txt setup.cfg
	$(PYTHON) -m venv $(VENV)/monailabel
	$(VENV)/monailabel/bin/python -m pip install --quiet --requirement $< --editable .
	$(VENV)/monailabel/bin/python -m pip install --quiet --no-deps monailabel==0.8.5
	touch $@

# One stamp an extra: present and newer than what it was installed from means nothing to do.
$(VENV)/.%: setup.cfg setup.py pyproject.toml constraints.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".$(if $(filter test check,$*),[$*])"
	touch $@
