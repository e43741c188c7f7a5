# Tables and figures from the runs' files, and the report that includes them.


rule make_tables:
    input:
        study="<study>/study.json",
        data="<study>/data/description.json",
        reported="report/reported.yaml",
        runs=files_of_reported_runs,
    output:
        tables=directory("<study>/report/tables"),
    log:
        "<study>/logs/make_tables.log",
    container:
        STUDY_IMAGE
    resources:
        mem_mb=resource("mem_mb", "cpu"),
        runtime=resource("runtime", "cpu"),
    params:
        results=subpath(input.study, parent=True),
    message:
        "tables of the report"
    shell:
        "python scripts/make_tables.py --results {params.results} --study {input.study}"
        " --data {input.data} --reported {input.reported} --output-dir {output.tables} > {log} 2>&1"


rule make_figures:
    input:
        study="<study>/study.json",
        data="<study>/data/description.json",
        reported="report/reported.yaml",
        runs=files_of_reported_runs,
    output:
        figures=directory("<study>/report/figures"),
    log:
        "<study>/logs/make_figures.log",
    container:
        STUDY_IMAGE
    resources:
        mem_mb=resource("mem_mb", "cpu"),
        runtime=resource("runtime", "cpu"),
    params:
        results=subpath(input.study, parent=True),
    message:
        "figures of the report"
    shell:
        "python scripts/make_figures.py --results {params.results} --study {input.study}"
        " --data {input.data} --reported {input.reported} --output-dir {output.figures} > {log} 2>&1"


rule render_report:
    input:
        sources=report_sources(),
        tables="<study>/report/tables",
        figures="<study>/report/figures",
    output:
        html="<study>/report.html",
        pdf="<study>/report.pdf",
    log:
        "<study>/logs/render_report.log",
    container:
        REPORT_IMAGE
    resources:
        mem_mb=resource("mem_mb", "cpu"),
        runtime=resource("runtime", "cpu"),
    params:
        fragments=subpath(input.tables, parent=True),
    message:
        "render the report"
    shell:
        "python scripts/render_report.py --source report --fragments {params.fragments}"
        " --html {output.html} --pdf {output.pdf} --work-dir {params.fragments}/build > {log} 2>&1"
