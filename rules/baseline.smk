# Chance baselines: the most frequent class, and a linear model that never sees the premise.


rule predict_baseline:
    input:
        spec="<study>/specs/baseline/{name}/predict.json",
        train="<study>/data/train.parquet",
        tune="<study>/data/tune.parquet",
        splits=evaluation_splits("baseline"),
        image=STUDY_FILE,
    output:
        predictions="<study>/baseline/{name}/seed{seed}/predictions.parquet",
        run="<study>/baseline/{name}/seed{seed}/run.json",
    log:
        "<study>/logs/predict_baseline/{name}.seed{seed}.log",
    benchmark:
        "<study>/benchmarks/predict_baseline/{name}.seed{seed}.tsv"
    container:
        STUDY_IMAGE
    resources:
        **job_class("cpu"),
    params:
        splits=split_arguments,
    message:
        cpu_job("classify with baseline/{wildcards.name}, seed {wildcards.seed}")
    shell:
        "python scripts/predict_baseline.py --spec {input.spec} --train {input.train} --tune {input.tune}"
        " {params.splits} --seed {wildcards.seed}"
        " --predictions {output.predictions} --run {output.run} > {log} 2>&1"
