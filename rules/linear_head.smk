# A linear head on one hidden state of the 4-bit decoder, trained with a QLoRA adapter.


rule finetune_linear_head:
    input:
        spec="<study>/specs/linear_head/{name}/train.json",
        model=model_folder("decoder"),
        train="<study>/data/train.parquet",
        image=STUDY_FILE,
    output:
        trained=directory("<study>/linear_head/{name}/seed{seed}/model"),
        history="<study>/linear_head/{name}/seed{seed}/history.json",
        record="<study>/linear_head/{name}/seed{seed}/training.json",
    log:
        "<study>/logs/finetune_linear_head/{name}.seed{seed}.log",
    benchmark:
        "<study>/benchmarks/finetune_linear_head/{name}.seed{seed}.tsv"
    priority: LONG_JOBS_FIRST
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("gpu_large"),
    params:
        checkpoints=checkpoint_folder("linear_head"),
    message:
        gpu_job("fine-tune linear_head/{wildcards.name}, seed {wildcards.seed}")
    shell:
        "python scripts/finetune_linear_head.py --spec {input.spec} --model {input.model}"
        " --train {input.train} --checkpoints {params.checkpoints}"
        " --seed {wildcards.seed} --threads {threads}"
        " --output-dir {output.trained} --history {output.history} --record {output.record} > {log} 2>&1"


rule predict_linear_head:
    input:
        spec="<study>/specs/linear_head/{name}/predict.json",
        model=model_folder("decoder"),
        trained="<study>/linear_head/{name}/seed{seed}/model",
        record="<study>/linear_head/{name}/seed{seed}/training.json",
        splits=evaluation_splits("linear_head"),
        image=STUDY_FILE,
    output:
        predictions="<study>/linear_head/{name}/seed{seed}/predictions.parquet",
        run="<study>/linear_head/{name}/seed{seed}/run.json",
    log:
        "<study>/logs/predict_linear_head/{name}.seed{seed}.log",
    benchmark:
        "<study>/benchmarks/predict_linear_head/{name}.seed{seed}.tsv"
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("gpu_large"),
    params:
        splits=split_arguments,
    message:
        gpu_job("classify with linear_head/{wildcards.name}, seed {wildcards.seed}")
    shell:
        "python scripts/predict_linear_head.py --spec {input.spec} --model {input.model}"
        " --trained {input.trained} --record {input.record} {params.splits}"
        " --seed {wildcards.seed} --threads {threads}"
        " --predictions {output.predictions} --run {output.run} > {log} 2>&1"
