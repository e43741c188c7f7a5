# MultiNLI from the hub or from files, or synthetic pairs, and the splits drawn from them.


localrules:
    fetch_data,
    fetch_set,


rule fetch_data:
    input:
        SOURCE_FILES,
        spec="<study>/specs/data/fetch.json",
        image=STUDY_FILE,
    output:
        raw=directory("<study>/data/raw"),
    log:
        "<study>/logs/fetch_data.log",
    benchmark:
        "<study>/benchmarks/fetch_data.tsv"
    container:
        STUDY_IMAGE
    params:
        source=STUDY.data.source,
        arguments=fetch_arguments(),
        seed=STUDY.data.seed,
    message:
        "fetch MultiNLI ({params.source})"
    shell:
        "python scripts/fetch_data.py --source {params.source} {params.arguments:q}"
        " --seed {params.seed} --output-dir {output.raw} > {log} 2>&1"


rule sample_data:
    input:
        raw="<study>/data/raw",
        spec="<study>/specs/data/sample.json",
        image=STUDY_FILE,
    output:
        splits=expand(
            "<study>/data/{split}.parquet",
            split=["train", "tune", "matched", "mismatched", "corpus"],
        ),
        description="<study>/data/description.json",
    log:
        "<study>/logs/sample_data.log",
    benchmark:
        "<study>/benchmarks/sample_data.tsv"
    container:
        STUDY_IMAGE
    resources:
        **job_class("cpu"),
    params:
        arguments=sampling_arguments(),
        seed=STUDY.data.seed,
        folder=subpath(output.description, parent=True),
    message:
        cpu_job("draw train, tune, matched and mismatched")
    shell:
        "python scripts/sample_data.py --raw-dir {input.raw} {params.arguments:q}"
        " --seed {params.seed} --output-dir {params.folder} > {log} 2>&1"


rule fetch_set:
    input:
        file_of_set,
        spec="<study>/specs/sets/{set}.json",
        train="<study>/data/train.parquet",
        image=STUDY_FILE,
    output:
        rows="<study>/data/sets/{set}.parquet",
        description="<study>/data/sets/{set}.json",
    log:
        "<study>/logs/fetch_set/{set}.log",
    benchmark:
        "<study>/benchmarks/fetch_set/{set}.tsv"
    container:
        STUDY_IMAGE
    params:
        cache=STUDY.cache,
    message:
        "evaluation set {wildcards.set}"
    shell:
        "python scripts/fetch_set.py --name {wildcards.set} --spec {input.spec} --train {input.train}"
        " --cache {params.cache:q} --rows {output.rows} --description {output.description} > {log} 2>&1"
