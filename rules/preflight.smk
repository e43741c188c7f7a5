# Checks before a launch: `snakemake --cores 1 preflight --config scale=paper`. A paper-scale run does the same checks
# before its first job (onstart in the Snakefile). They concern the machine that starts Snakemake, so no container.


localrules:
    preflight,


rule preflight:
    input:
        study="<study>/study.json",
    log:
        "<study>/logs/preflight.log",
    container:
        image_unless_in_use(STUDY_IMAGE)
    params:
        arguments=preflight_arguments,
    message:
        "check what the {STUDY.scale} scale needs"
    shell:
        "python scripts/preflight.py --study {input.study} {params.arguments} 2> {log}"
