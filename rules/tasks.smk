# Several tasks on one encoder: each with a head, an adapter or a copy of its own, and switching between the adapters.


localrules:
    write_task_spec,


rule write_task_spec:
    input:
        rewritten_where_it_differs("specs/tasks/{name}.{task}.json", spec_of_task),
        image=STUDY_FILE,
    output:
        "<study>/specs/tasks/{name}.{task}.json",
    log:
        "<study>/logs/write_spec/tasks.{name}.{task}.log",
    container:
        STUDY_IMAGE
    params:
        spec=spec_of_task,
    message:
        "spec of the task {wildcards.task} with {wildcards.name}"
    shell:
        "printf '%s\n' {params.spec:q} > {output} 2> {log}"


rule finetune_task:
    input:
        spec="<study>/specs/tasks/{name}.{task}.json",
        model=model_folder("encoder"),
        train="<study>/data/train.parquet",
        validation="<study>/data/matched.parquet",
        image=STUDY_FILE,
    output:
        trained=directory("<study>/tasks/{name}/{task}/model"),
        answers="<study>/tasks/{name}/{task}/answers.parquet",
        history="<study>/tasks/{name}/{task}/history.json",
        record="<study>/tasks/{name}/{task}/record.json",
    log:
        "<study>/logs/finetune_task/{name}.{task}.log",
    benchmark:
        "<study>/benchmarks/finetune_task/{name}.{task}.tsv"
    priority: LONG_JOBS_FIRST
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("gpu_small"),
    params:
        checkpoints=checkpoints_of_task,
        base=base_arguments("encoder"),
        seed=STUDY.seeds[0],
    message:
        gpu_job("fine-tune the task {wildcards.task} with {wildcards.name}")
    shell:
        "python scripts/finetune_task.py --spec {input.spec} --model {input.model}"
        " --train {input.train} --validation {input.validation} --checkpoints {params.checkpoints} {params.base:q}"
        " --seed {params.seed} --threads {threads} --output-dir {output.trained}"
        " --answers {output.answers} --history {output.history} --record {output.record} > {log} 2>&1"


rule switch_tasks:
    input:
        model=model_folder("encoder"),
        trained=tasks_of_adapter("model"),
        answers=tasks_of_adapter("answers.parquet"),
        records=tasks_of_adapter("record.json"),
        validation="<study>/data/matched.parquet",
        image=STUDY_FILE,
    output:
        "<study>/tasks/{name}/switching.json",
    log:
        "<study>/logs/switch_tasks/{name}.log",
    benchmark:
        "<study>/benchmarks/switch_tasks/{name}.tsv"
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        **job_class("gpu_small"),
    params:
        tasks=task_arguments,
        folder=subpath(output[0], parent=True),
        seed=STUDY.seeds[0],
    message:
        gpu_job("switch between the tasks of {wildcards.name}")
    shell:
        "python scripts/switch_tasks.py --model {input.model} --tasks {params.folder} {params.tasks}"
        " --validation {input.validation} --seed {params.seed} --threads {threads} --output {output} > {log} 2>&1"
