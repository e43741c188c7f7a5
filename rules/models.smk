# The base models, each in models/{source}/{role} with its source.json: fetched from the hub into the cache and linked,
# linked from a user's folder, with random weights, or tiny ones that the workflow pretrains on the data's texts.


localrules:
    demo_models,
    fetch_model,
    link_model,


rule demo_models:
    input:
        expand("<study>/models/described/{role}", role=["encoder", "decoder"]),


rule fetch_model:
    input:
        spec="<study>/specs/models/{role}.json",
        image=STUDY_FILE,
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
        "python scripts/fetch_model.py --role {wildcards.role} {params.arguments:q}"
        " --output-dir {output.model} > {log} 2>&1"


rule link_model:
    input:
        files=user_model_files,
        spec="<study>/specs/models/{role}.json",
        image=STUDY_FILE,
    output:
        model=directory("<study>/models/path/{role}"),
    log:
        "<study>/logs/link_model/{role}.log",
    container:
        STUDY_IMAGE
    params:
        folder=user_model,
    message:
        "hash and link the {wildcards.role}"
    shell:
        "python scripts/link_model.py --folder {params.folder:q} --output-dir {output.model} > {log} 2>&1"


rule make_model:
    input:
        corpus="<study>/data/corpus.parquet",
        spec="<study>/specs/models/{role}.json",
        image=STUDY_FILE,
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
        **job_class("cpu"),
    params:
        seed=STUDY.data.seed,
    message:
        cpu_job("pretrain the tiny {wildcards.role}")
    shell:
        "python scripts/make_model.py --role {wildcards.role} --corpus {input.corpus} --spec {input.spec}"
        " --seed {params.seed} --threads {threads} --output-dir {output.model} > {log} 2>&1"


rule describe_model:
    input:
        model="<study>/models/made/{role}",
        spec="<study>/specs/models/{role}.json",
        matched="<study>/data/matched.parquet",
        mismatched="<study>/data/mismatched.parquet",
        image=STUDY_FILE,
    output:
        model=directory("<study>/models/described/{role}"),
    log:
        "<study>/logs/describe_model/{role}.log",
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("cpu"),
    params:
        seed=STUDY.data.seed,
    message:
        cpu_job("score and describe the tiny {wildcards.role}")
    shell:
        "python scripts/describe_model.py --role {wildcards.role} --model {input.model} --spec {input.spec}"
        " --split matched={input.matched} --split mismatched={input.mismatched}"
        " --seed {params.seed} --threads {threads} --output-dir {output.model} > {log} 2>&1"


rule make_random_model:
    input:
        corpus="<study>/data/corpus.parquet",
        architecture=architecture_of_role,
        spec="<study>/specs/models/{role}.json",
        image=STUDY_FILE,
    output:
        model=directory("<study>/models/random/{role}"),
    log:
        "<study>/logs/make_random_model/{role}.log",
    benchmark:
        "<study>/benchmarks/make_random_model/{role}.tsv"
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        mem_mb=resource("mem_mb", "gpu_large"),
        runtime=resource("runtime", "cpu"),
    params:
        seed=STUDY.data.seed,
    message:
        cpu_job("make a {wildcards.role} with random weights")
    shell:
        "python scripts/make_random_model.py --role {wildcards.role} --architecture {input.architecture}"
        " --corpus {input.corpus} --seed {params.seed} --threads {threads}"
        " --output-dir {output.model} > {log} 2>&1"
