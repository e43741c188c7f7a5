# The study's commands. `make demo` needs Python >= 3.11, make and git, and nothing else.

PYTHON ?= python3
MULTINLI ?= ../shared/data/multinli
REAL ?= results-real-models/small_cpu
FAMILIES = $(notdir $(wildcard $(addprefix $(REAL)/,baseline roberta icl qlora linear_head)))
CORES ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 8))')
LOCKS := containers/study.lock containers/report.lock containers/workflow.lock containers/dev.lock
INSTALLERS := $(addprefix containers/,install.sh install_locked.py install_quarto.py cuda.lock)
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 4))')
PYTEST := python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
SNAKEFILES := Snakefile $(wildcard rules/*.smk)

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo demo-models small study status compare containers test test-system test-weights test-real publish bench bench-gpu screenshots chaos cluster-demo cluster-stop lint format schema lock audit clean

help:
	@echo "make demo     the whole study on a laptop: synthetic pairs, tiny models, minutes"
	@echo "make demo-models  the tiny models that ship in models/, from nothing: about an hour"
	@echo "make small    real small models on MultiNLI, on a GPU or a CPU; 0.8 GB are fetched"
	@echo "make study    the reported study at paper scale: one GPU of 16 GB, days"
	@echo "make status   what the demo is doing, what failed, and which results other code has made (SCALE=paper)"
	@echo "make compare A=DIR B=DIR   two runs: accuracies with paired tests, verdicts, settings, versions"
	@echo "make test     the linters and the test suite"
	@echo "make test-system  the study in containers and the report in a browser (on Debian as root: both are installed)"
	@echo "make test-weights  one fine-tuning and one prompt with real weights, from packages, on MULTINLI=DIR; skipped without it"
	@echo "make test-real    the core study with two real models, from packages, on your MULTINLI=DIR; hours"
	@echo "make publish  docs/results.md from that run (REAL=DIR) and the demo's"
	@echo "make containers   the container images, which snakemake --use-singularity builds as well"
	@echo "make bench    what the fast paths save: the tables of docs/benchmarks.md"
	@echo "make bench-gpu  the same at true size with random weights, on a GPU"
	@echo "make screenshots  docs/report*.png from the demo's report; installs a browser as root"
	@echo "make chaos    a small study killed 100 times at random moments: the table of docs/reliability.md (Linux)"
	@echo "make cluster-demo, make cluster-stop  a throw-away SLURM cluster on one Debian machine, to try the profile"
	@echo "make lint     only the linters; make format fixes what it can"
	@echo "make schema   config.schema.json and docs/configuration.md from scripts/nli/study/"
	@echo "make lock     the lock files from pyproject.toml; locked versions stay, or UPGRADE=1"
	@echo "make audit    known vulnerabilities of the locked packages, where the network allows"
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
	@snakemake --cores 1 status --quiet all $(if $(SCALE),--config scale=$(SCALE))

compare: .venv/installed
	@python scripts/compare.py "$(A)" "$(B)" --split $(or $(SPLIT),matched) --html $(or $(HTML),results/compare.html)

containers: .venv/installed
	snakemake --cores $(CORES) --use-singularity containers

test: lint
	$(PYTEST)

test-system: .venv/installed
	tests/system/install_apptainer.sh
	tests/system/install_browser.sh
	$(if $(NLI_SYSTEM_STUDY),$(PYTEST),python -m pytest) tests/system

test-weights: .venv/installed
	python tests/real/fetch_models.py real
	MULTINLI=$(MULTINLI) python -m pytest tests/real

test-real: test-weights
	snakemake --cores $(CORES) --configfile tests/real/real.yaml --config data='{source: files, path: $(MULTINLI)}'

publish: .venv/installed
	cp $(REAL)/summary.json $(REAL)/report.html docs/results/
	cp results/demo/summary.json docs/results/demo.json
	tar --create --xz --file docs/results/runs.tar.xz --sort name --owner 0 --group 0 --mtime "2020-01-01 UTC" --directory $(REAL) \
	  --exclude model --exclude adapter --exclude merged --exclude README.md data/description.json $(FAMILIES)
	python scripts/publish_results.py --summary docs/results/summary.json --demo docs/results/demo.json \
	  --reported report/reported.yaml --others docs/results/other_runs.yaml docs/results.md

bench: .venv/installed
	pip install --quiet --require-hashes --no-deps --upgrade --target .venv/bench --requirement tests/bench_requirements.txt
	PYTHONPATH=scripts:tests:.venv/bench python tests/bench.py
	python tests/bench_jobs.py

bench-gpu: .venv/installed
	PYTHONPATH=scripts:tests python tests/bench_gpu.py

screenshots: .venv/installed
	tests/system/install_browser.sh
	python tests/system/screenshots.py results/demo/report.html docs

chaos: .venv/installed
	PYTHONPATH=scripts:tests python tests/chaos.py

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

lock: .venv/maintain/installed
	PATH=$(CURDIR)/.venv/maintain/bin:$$PATH containers/lock.sh $(if $(UPGRADE),--upgrade)

audit: .venv/maintain/installed
	PATH=$(CURDIR)/.venv/maintain/bin:$$PATH python containers/audit.py containers/*.lock

clean:
	rm -rf results/demo

# uv and pip-audit, apart from the environment.
.venv/maintain/installed: containers/maintain.lock .venv/installed
	python -m venv .venv/maintain
	.venv/maintain/bin/python containers/install_locked.py $<
	@touch $@

# The environment, rebuilt only when a lock changes.
.venv/installed: $(LOCKS) $(INSTALLERS)
	PYTHON=$(PYTHON) containers/install.sh $(LOCKS)
	@touch $@
