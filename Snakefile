"""The study's table of contents. `snakemake --cores 2` makes the report of the scale in config.yaml."""

from snakemake.utils import min_version

min_version("9.20")


include: "rules/config_files.smk"


configfile: "config.yaml"


report: "rules/captions/workflow.rst"


include: "rules/common.smk"
include: "rules/launch.smk"
include: "rules/specs.smk"
include: "rules/preflight.smk"
include: "rules/data.smk"
include: "rules/models.smk"


# With `finished_only` no rule can start a run: those that finished are taken as they are.
if not STUDY.finished_only:

    include: "rules/baseline.smk"
    include: "rules/roberta.smk"
    include: "rules/icl.smk"
    include: "rules/qlora.smk"
    include: "rules/linear_head.smk"
    include: "rules/tasks.smk"
    include: "rules/metrics.smk"


include: "rules/parameters.smk"
include: "rules/rehearsal.smk"
include: "rules/report.smk"
include: "rules/containers.smk"


drop_benchmarks()


localrules:
    all,
    metrics,


rule all:
    default_target: True
    input:
        html="<study>/report.html",
        pdf="<study>/report.pdf",
        answers="<study>/answers.parquet",


rule metrics:
    input:
        metrics_of_selected_runs,


onstart:
    lock_folders()
    tidy_results()
    check_before_launch()
    check_before_submission()
    prepare_shells()


onsuccess:
    announce_report()


onerror:
    explain_failure()
