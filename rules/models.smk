# The base models: fetched from the hub, or tiny ones that the workflow pretrains on the data's own texts.


def hub_arguments(wildcards):
    """Name and revision of a model on the hub."""
    model = getattr(STUDY.models, wildcards.role)
    return ["--name", model.name, "--revision", model.revision]


localrules:
    fetch_model,


rule fetch_model:
    output:
        model=directory("<study>/models/hub/{role}"),
    params:
        arguments=hub_arguments,
    log:
        "<study>/logs/fetch_model/{role}.log",
    message:
        "fetch the {wildcards.role}"
    shell:
        "python scripts/fetch_model.py {params.arguments:q} --output-dir {output.model} > {log} 2>&1"


rule make_model:
    input:
        corpus="<study>/data/corpus.parquet",
        spec="<study>/specs/models/{role}.json",
    output:
        model=directory("<study>/models/made/{role}"),
    params:
        seed=STUDY.data.seed,
    log:
        "<study>/logs/make_model/{role}.log",
    benchmark:
        "<study>/benchmarks/make_model/{role}.tsv"
    threads: JOB_THREADS
    priority: 100  # most of the study waits for these two
    resources:
        mem_mb=resource("mem_mb", "cpu"),
        runtime=resource("runtime", "cpu"),
    message:
        "pretrain the tiny {wildcards.role}"
    shell:
        "python scripts/make_{wildcards.role}.py --corpus {input.corpus} --spec {input.spec}"
        " --seed {params.seed} --threads {threads} --output-dir {output.model} > {log} 2>&1"
