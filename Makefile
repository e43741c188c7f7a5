# The study's commands. `make demo` needs Python >= 3.11, make and git, and nothing else.

PYTHON ?= python3
CORES ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 8))')
LOCKS := containers/study.lock containers/report.lock containers/workflow.lock containers/dev.lock
SNAKEFILES := Snakefile $(wildcard rules/*.smk)

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo demo-models study status containers test test-system bench cluster-demo cluster-stop lint format schema lock clean

help:
	@echo "make demo     the whole study on a laptop: synthetic pairs, tiny models, minutes"
	@echo "make demo-models  the tiny models that ship in models/, from scratch: about an hour"
	@echo "make study    the reported study at paper scale: one GPU of 16 GB, days"
	@echo "make status   which of the demo's results were made by code that has changed since"
	@echo "make test     the linters and the test suite"
	@echo "make test-system  the study in containers, with a real Apptainer (installed if run on Debian as root)"
	@echo "make containers   the container images, which snakemake --use-singularity also builds"
	@echo "make bench    how long planning takes, and how much time a job's settings save"
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

study: .venv/installed
	snakemake --cores $(CORES) --config scale=paper

status: .venv/installed
	@snakemake --cores 1 status --quiet all

containers: .venv/installed
	snakemake --cores $(CORES) --use-singularity containers

test: lint
	python -m pytest

test-system: .venv/installed
	tests/system/install_apptainer.sh
	python -m pytest tests/system

bench: .venv/installed
	python tests/bench_plan.py
	python tests/bench_jobs.py

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
