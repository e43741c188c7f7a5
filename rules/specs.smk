# What each job depends on, one small file per experiment and stage: a changed hyperparameter re-runs
# the jobs that read it and no other.


localrules:
    write_spec,
    write_model_spec,
    write_study,


rule write_spec:
    input:
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


rule write_study:  # preflight reads it, before any image is built
    output:
        "<study>/study.json",
    log:
        "<study>/logs/write_study.log",
    container:
        image_unless_in_use(STUDY_IMAGE)
    params:
        study=study_as_json,
    message:
        "the study as resolved"
    shell:
        "printf '%s\n' {params.study:q} > {output} 2> {log}"
