# In-context learning: the 4-bit decoder with the original's five prompts and ours.


rule predict_icl:
    input:
        spec="<study>/specs/icl/{name}/predict.json",
        model=model_folder("decoder"),
        examples=examples_to_draw_from,
        splits=evaluation_splits("icl"),
        image=STUDY_FILE,
    output:
        predictions="<study>/icl/{name}/seed{seed}/predictions.parquet",
        run="<study>/icl/{name}/seed{seed}/run.json",
    log:
        "<study>/logs/predict_icl/{name}.seed{seed}.log",
    benchmark:
        "<study>/benchmarks/predict_icl/{name}.seed{seed}.tsv"
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("gpu_large"),
    params:
        examples=example_arguments,
        splits=split_arguments,
    message:
        gpu_job("prompt the decoder with icl/{wildcards.name}, seed {wildcards.seed}")
    shell:
        "python scripts/predict_icl.py --spec {input.spec} --model {input.model} {params.examples} {params.splits}"
        " --seed {wildcards.seed} --threads {threads}"
        " --predictions {output.predictions} --run {output.run} > {log} 2>&1"
