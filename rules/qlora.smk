# QLoRA: training the attempts and their repairs, merging their adapters, and answering.


rule finetune_qlora:
    input:
        spec="<study>/specs/qlora/{name}/train.json",
        model=model_folder("decoder"),
        train="<study>/data/train.parquet",
        image=STUDY_FILE,
    output:
        adapter=directory("<study>/qlora/{name}/seed{seed}/adapter"),
        history="<study>/qlora/{name}/seed{seed}/history.json",
        record="<study>/qlora/{name}/seed{seed}/training.json",
        samples="<study>/qlora/{name}/seed{seed}/samples.json",
    log:
        "<study>/logs/finetune_qlora/{name}.seed{seed}.log",
    benchmark:
        "<study>/benchmarks/finetune_qlora/{name}.seed{seed}.tsv"
    priority: LONG_JOBS_FIRST
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("gpu_large"),
    params:
        checkpoints=checkpoint_folder("qlora"),
        base=base_arguments("decoder"),
    message:
        gpu_job("fine-tune qlora/{wildcards.name}, seed {wildcards.seed}")
    shell:
        "python scripts/finetune_qlora.py --spec {input.spec} --model {input.model}"
        " --train {input.train} --checkpoints {params.checkpoints} {params.base:q}"
        " --seed {wildcards.seed} --threads {threads} --output-dir {output.adapter}"
        " --history {output.history} --record {output.record} --samples {output.samples} > {log} 2>&1"


rule merge_adapter:
    input:
        spec="<study>/specs/qlora/{name}/predict.json",
        model=model_folder("decoder"),
        adapter=file_of_training("adapter"),
        splits=evaluation_splits("qlora"),
        image=STUDY_FILE,
    output:
        merged=directory("<study>/qlora/{name}/seed{seed}/merged"),
        error="<study>/qlora/{name}/seed{seed}/merge_error.json",
    log:
        "<study>/logs/merge_adapter/{name}.seed{seed}.log",
    benchmark:
        "<study>/benchmarks/merge_adapter/{name}.seed{seed}.tsv"
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("gpu_large"),
    params:
        splits=split_arguments,
    message:
        gpu_job("merge the adapter of qlora/{wildcards.name}, seed {wildcards.seed}")
    shell:
        "python scripts/merge_adapter.py --spec {input.spec} --model {input.model}"
        " --adapter {input.adapter} {params.splits} --seed {wildcards.seed} --threads {threads}"
        " --output-dir {output.merged} --error {output.error} > {log} 2>&1"


rule predict_qlora:
    input:
        spec="<study>/specs/qlora/{name}/predict.json",
        model=answering_model,
        adapter=answering_adapter,
        error=error_of_merge,
        record=file_of_training("training.json"),
        splits=evaluation_splits("qlora"),
        image=STUDY_FILE,
    output:
        predictions="<study>/qlora/{name}/seed{seed}/predictions.parquet",
        run="<study>/qlora/{name}/seed{seed}/run.json",
    log:
        "<study>/logs/predict_qlora/{name}.seed{seed}.log",
    benchmark:
        "<study>/benchmarks/predict_qlora/{name}.seed{seed}.tsv"
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("gpu_large"),
    params:
        adapter=adapter_argument,
        splits=split_arguments,
    message:
        gpu_job("answer with qlora/{wildcards.name}, seed {wildcards.seed}")
    shell:
        "python scripts/predict_qlora.py --spec {input.spec} --model {input.model} {params.adapter}"
        " --record {input.record} {params.splits} --seed {wildcards.seed} --threads {threads}"
        " --predictions {output.predictions} --run {output.run} > {log} 2>&1"
