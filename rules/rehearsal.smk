# Rehearsal before a launch: every experiment at its true size for a few steps, with random weights and no data.


localrules:
    rehearse,
    tabulate_rehearsal,


rule rehearse:
    input:
        costs="<study>/rehearsal.json",
        table="<study>/rehearsal.md",


rule rehearse_experiment:
    input:
        spec="<study>/specs/{family}/{name}/rehearse.json",
        architecture=architecture_of_run,
        image=STUDY_FILE,
    output:
        "<study>/rehearsals/{family}/{name}.json",
    log:
        "<study>/logs/rehearse/{family}.{name}.log",
    container:
        STUDY_IMAGE
    threads: JOB_THREADS
    resources:
        mem_mb=resource("mem_mb", "gpu_large"),
        runtime=resource("runtime", "gpu_small"),
        gpu=resource("gpu", "gpu_large"),
    params:
        seed=STUDY.seeds[0],
    message:
        gpu_job("rehearse {wildcards.family}/{wildcards.name}")
    shell:
        "python scripts/rehearse.py --spec {input.spec} --architecture {input.architecture}"
        " --seed {params.seed} --threads {threads} --output {output} > {log} 2>&1"


rule tabulate_rehearsal:
    input:
        study="<study>/study.json",
        rehearsals=rehearsals,
        image=STUDY_FILE,
    output:
        costs="<study>/rehearsal.json",
        table="<study>/rehearsal.md",
    log:
        "<study>/logs/tabulate_rehearsal.log",
    container:
        STUDY_IMAGE
    params:
        folder=subpath(output.costs, parent=True),
    message:
        "what the study will cost"
    shell:
        "python scripts/tabulate_rehearsal.py --study {input.study} --rehearsals {params.folder}/rehearsals"
        " --output {output.costs} --table {output.table} > {log} 2>&1 && cat {output.table}"
