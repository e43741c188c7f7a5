# The size and training length of every experiment, computed without weights, in seconds.


localrules:
    parameters,
    count_parameters,


rule parameters:
    input:
        counts="<study>/parameters.json",
        table="<study>/parameters.md",


rule count_parameters:
    input:
        study="<study>/study.json",
        encoder=architecture("encoder"),
        decoder=architecture("decoder"),
        reported="report/reported.yaml",
        image=STUDY_FILE,
    output:
        counts="<study>/parameters.json",
        table="<study>/parameters.md",
    log:
        "<study>/logs/count_parameters.log",
    container:
        STUDY_IMAGE
    message:
        "parameters, steps and operations of every experiment"
    shell:
        "python scripts/count_parameters.py --study {input.study}"
        " --encoder {input.encoder} --decoder {input.decoder} --reported {input.reported}"
        " --output {output.counts} --table {output.table} > {log} 2>&1"
