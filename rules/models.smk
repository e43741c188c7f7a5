# The base models: fetched from the hub, or tiny ones that the workflow pretrains on the data's own texts.


localrules:
    fetch_model,


rule fetch_model:
    output:
        model=directory("<study>/models/hub/{role}"),
    log:
        "<study>/logs/fetch_model/{role}.log",
    container:
        STUDY_IMAGE
    params:
        arguments=hub_arguments,
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
    log:
        "<study>/logs/make_model/{role}.log",
    benchmark:
        "<study>/benchmarks/make_model/{role}.tsv"
    priority: 100  # most of the study waits for these two
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        mem_mb=resource("mem_mb", "cpu"),
        runtime=resource("runtime", "cpu"),
    params:
        seed=STUDY.data.seed,
    message:
        "pretrain the tiny {wildcards.role}"
    shell:
        "python scripts/make_model.py --role {wildcards.role} --corpus {input.corpus} --spec {input.spec}"
        " --seed {params.seed} --threads {threads} --output-dir {output.model} > {log} 2>&1"
