# The study's commands. `make demo` needs Python >= 3.11, make and git, and nothing else.

PYTHON ?= python3
MULTINLI ?= ../shared/data/multinli
CORES ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 8))')
LOCKS := containers/study.lock containers/report.lock containers/workflow.lock containers/dev.lock
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 4))')
PYTEST := python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
SNAKEFILES := Snakefile $(wildcard rules/*.smk)

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo demo-models small study status containers test test-system test-real bench cluster-demo cluster-stop lint format schema lock clean

help:
	@echo "make demo     the whole study on a laptop: synthetic pairs, tiny models, minutes"
	@echo "make demo-models  the tiny models that ship in models/, from nothing: about an hour"
	@echo "make small    real small models on MultiNLI, on a GPU or a CPU; 0.8 GB are fetched"
	@echo "make study    the reported study at paper scale: one GPU of 16 GB, days"
	@echo "make status   which of the demo's results were made by code that has changed since"
	@echo "make test     the linters and the test suite"
	@echo "make test-system  the study in containers and the report in a browser (on Debian as root: both are installed)"
	@echo "make test-real    the core study with two real models, from packages, on your MULTINLI=DIR; hours"
	@echo "make containers   the container images, which snakemake --use-singularity builds as well"
	@echo "make bench    how long planning takes, and what the settings of a job save"
	@echo "make cluster-demo, make cluster-stop  a throw-away SLURM cluster on one Debian machine, to try the profile"
	@echo "make lint     only the linters; make format fixes what it can"
	@echo "make schema   config.schema.json and docs/configuration.md from scripts/nli/study/"
	@echo "make lock     the lock files from pyproject.toml"
	@echo "make clean    delete the demo's results"

demo: .venv/installed
	@snakemake --cores $(CORES)
	@echo "results/demo/report.html"
	@echo "results/demo/report.pdf"

demo-models: .venv/installed
	snakemake demo_models --cores $(CORES) --configfile docs/demo_models.yaml --config results=results-models
	rm -rf models
	cp -r results-models/demo/models/described models
	rm -f models/*/.snakemake_timestamp

small: .venv/installed
	snakemake --cores $(CORES) --config scale=$(if $(shell command -v nvidia-smi),small,small_cpu)

study: .venv/installed
	snakemake --cores $(CORES) --config scale=paper

status: .venv/installed
	@snakemake --cores 1 status --quiet all

containers: .venv/installed
	snakemake --cores $(CORES) --use-singularity containers

test: lint
	$(PYTEST)

test-system: .venv/installed
	tests/system/install_apptainer.sh
	tests/system/install_browser.sh
	$(if $(NLI_SYSTEM_STUDY),$(PYTEST),python -m pytest) tests/system

test-real: .venv/installed
	python tests/real/fetch_models.py real
	python -m pytest tests/real
	snakemake --cores $(CORES) --configfile tests/real/real.yaml --config data='{source: files, path: $(MULTINLI)}'

bench: .venv/installed
	python tests/bench_plan.py
	python tests/bench_jobs.py
	PYTHONPATH=scripts:tests python tests/bench_training.py
	PYTHONPATH=scripts python tests/bench_scoring.py

cluster-demo:
	@profiles/slurm/cluster.sh start

cluster-stop:
	@profiles/slurm/cluster.sh stop

lint: .venv/installed
	ruff check .
	ruff format --check --quiet .
	snakefmt --check $(SNAKEFILES)
	snakemake --lint

format: .venv/installed
	ruff check --fix .
	ruff format .
	snakefmt $(SNAKEFILES)

schema: .venv/installed
	python scripts/describe_config.py --schema config.schema.json --reference docs/configuration.md

lock: .venv/installed
	pip install --quiet uv
	containers/lock.sh

clean:
	rm -rf results/demo

# The environment, rebuilt only when a lock changes.
.venv/installed: $(LOCKS) containers/install.sh
	PYTHON=$(PYTHON) containers/install.sh $(LOCKS)
	@touch $@
