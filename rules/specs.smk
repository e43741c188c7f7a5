# What each job depends on, in one small file per experiment and stage: a changed hyperparameter reruns only the jobs
# that read it. A file that no longer matches the config is rewritten, whatever Snakemake has recorded about it.


localrules:
    write_spec,
    write_model_spec,
    write_data_spec,
    write_set_spec,
    write_study,


rule write_spec:
    input:
        rewritten_where_it_differs("specs/{family}/{name}/{stage}.json", spec_of_run),
        image=STUDY_FILE,
    output:
        "<study>/specs/{family}/{name}/{stage}.json",
    log:
        "<study>/logs/write_spec/{family}.{name}.{stage}.log",
    container:
        STUDY_IMAGE
    params:
        spec=spec_of_run,
    message:
        "spec of {wildcards.family}/{wildcards.name}, {wildcards.stage}"
    shell:
        "printf '%s\n' {params.spec:q} > {output} 2> {log}"


rule write_model_spec:
    input:
        rewritten_where_it_differs("specs/models/{role}.json", spec_of_model),
        image=STUDY_FILE,
    output:
        "<study>/specs/models/{role}.json",
    log:
        "<study>/logs/write_spec/{role}.log",
    container:
        STUDY_IMAGE
    params:
        spec=spec_of_model,
    message:
        "spec of the {wildcards.role}"
    shell:
        "printf '%s\n' {params.spec:q} > {output} 2> {log}"


rule write_data_spec:
    input:
        rewritten_where_it_differs("specs/data/{step}.json", spec_of_data),
        image=STUDY_FILE,
    output:
        "<study>/specs/data/{step}.json",
    log:
        "<study>/logs/write_spec/data.{step}.log",
    container:
        STUDY_IMAGE
    params:
        spec=spec_of_data,
    message:
        "spec of the data: {wildcards.step}"
    shell:
        "printf '%s\n' {params.spec:q} > {output} 2> {log}"


rule write_set_spec:
    input:
        rewritten_where_it_differs("specs/sets/{set}.json", spec_of_set),
        image=STUDY_FILE,
    output:
        "<study>/specs/sets/{set}.json",
    log:
        "<study>/logs/write_spec/set.{set}.log",
    container:
        STUDY_IMAGE
    params:
        spec=spec_of_set,
    message:
        "spec of the evaluation set {wildcards.set}"
    shell:
        "printf '%s\n' {params.spec:q} > {output} 2> {log}"


rule write_study:  # preflight reads it, before any image is built
    input:
        rewritten_where_it_differs("study.json", study_as_json),
    output:
        "<study>/study.json",
    log:
        "<study>/logs/write_study.log",
    priority: LONG_JOBS_FIRST + 1  # `make status` reads it
    container:
        image_unless_in_use(STUDY_IMAGE)
    params:
        study=study_as_json,
    message:
        "the resolved study"
    shell:
        "printf '%s\n' {params.study:q} > {output} 2> {log}"
