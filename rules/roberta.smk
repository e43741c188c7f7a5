# The encoder: fine-tuning with one of several methods, then classifying the validation splits.


rule finetune_roberta:
    input:
        spec="<study>/specs/roberta/{name}/train.json",
        model=model_folder("encoder"),
        train="<study>/data/train.parquet",
        validation="<study>/data/matched.parquet",
        image=STUDY_FILE,
    output:
        trained=directory("<study>/roberta/{name}/seed{seed}/model"),
        history="<study>/roberta/{name}/seed{seed}/history.json",
        record="<study>/roberta/{name}/seed{seed}/training.json",
    log:
        "<study>/logs/finetune_roberta/{name}.seed{seed}.log",
    benchmark:
        "<study>/benchmarks/finetune_roberta/{name}.seed{seed}.tsv"
    priority: LONG_JOBS_FIRST
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("gpu_small"),
    params:
        checkpoints=checkpoint_folder("roberta"),
        base=base_arguments("encoder"),
    message:
        gpu_job("fine-tune roberta/{wildcards.name}, seed {wildcards.seed}")
    shell:
        "python scripts/finetune_roberta.py --spec {input.spec} --model {input.model}"
        " --train {input.train} --validation {input.validation} --checkpoints {params.checkpoints} {params.base:q}"
        " --seed {wildcards.seed} --threads {threads}"
        " --output-dir {output.trained} --history {output.history} --record {output.record} > {log} 2>&1"


rule predict_roberta:
    input:
        spec="<study>/specs/roberta/{name}/predict.json",
        model=model_folder("encoder"),
        trained=trained_files("model"),
        record=trained_files("training.json"),
        splits=evaluation_splits("roberta"),
        image=STUDY_FILE,
    output:
        predictions="<study>/roberta/{name}/seed{seed}/predictions.parquet",
        run="<study>/roberta/{name}/seed{seed}/run.json",
    log:
        "<study>/logs/predict_roberta/{name}.seed{seed}.log",
    benchmark:
        "<study>/benchmarks/predict_roberta/{name}.seed{seed}.tsv"
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("gpu_small"),
    params:
        trained=trained_arguments,
        splits=split_arguments,
    message:
        gpu_job("classify with roberta/{wildcards.name}, seed {wildcards.seed}")
    shell:
        "python scripts/predict_roberta.py --spec {input.spec} --model {input.model}"
        " {params.trained} {params.splits}"
        " --seed {wildcards.seed} --threads {threads}"
        " --predictions {output.predictions} --run {output.run} > {log} 2>&1"
