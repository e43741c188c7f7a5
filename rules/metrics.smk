# From predictions to metrics, in the same way for every family.


rule score:
    input:
        predictions="<study>/{family}/{name}/seed{seed}/predictions.parquet",
        run="<study>/{family}/{name}/seed{seed}/run.json",
        spec="<study>/specs/{family}/{name}/predict.json",
        splits=splits_of_run,
        code=[*SCORING_CODE, *CARD_CODE, "scripts/score.py"],
        image=STUDY_FILE,
    output:
        metrics=in_reports("<study>/{family}/{name}/seed{seed}/metrics.json", "scores"),
        card=in_reports("<study>/{family}/{name}/seed{seed}/README.md", "card"),
    log:
        "<study>/logs/score/{family}.{name}.seed{seed}.log",
    benchmark:
        "<study>/benchmarks/score/{family}.{name}.seed{seed}.tsv"
    container:
        STUDY_IMAGE
    resources:
        **job_class("cpu"),
    params:
        splits=split_arguments,
        licence=licence_argument,
    message:
        cpu_job("score {wildcards.family}/{wildcards.name}, seed {wildcards.seed}")
    shell:
        "python scripts/score.py --spec {input.spec} --seed {wildcards.seed} {params.splits}"
        " --predictions {input.predictions} --run {input.run}"
        " --output {output.metrics} --card {output.card} {params.licence:q} > {log} 2>&1"
