# Tables and figures from the runs' files, and the report that includes them.


localrules:
    status,


rule make_ladders:
    input:
        study="<study>/study.json",
        data="<study>/data/description.json",
        sets=descriptions_of_sets(),
        reported="report/reported.yaml",
        runs=files_of_reported_runs,
        tasks=files_of_tasks,
        code=[*REPORT_CODE, "scripts/make_ladders.py"],
        image=REPORT_FILE,
    output:
        ladders="<study>/report/ladders.json",
        summary="<study>/summary.json",
        rows=report("<study>/summary.csv", caption="captions/summary.rst", category="Scores"),
    log:
        "<study>/logs/make_ladders.log",
    benchmark:
        "<study>/benchmarks/make_ladders.tsv"
    container:
        REPORT_IMAGE
    resources:
        **job_class("cpu"),
    params:
        results=subpath(input.study, parent=True),
    message:
        cpu_job("measure the ladders")
    shell:
        "python scripts/make_ladders.py --results {params.results} --study {input.study}"
        " --data {input.data} --reported {input.reported} --output {output.ladders} --summary {output.summary}"
        " > {log} 2>&1"


rule collect_answers:
    input:
        study="<study>/study.json",
        data="<study>/data/description.json",
        sets=descriptions_of_sets(),
        reported="report/reported.yaml",
        runs=files_of_reported_runs,
        code=[*SCORING_CODE, "scripts/nli/reporting/results.py", "scripts/collect_answers.py"],
        image=REPORT_FILE,
    output:
        answers="<study>/answers.parquet",
    log:
        "<study>/logs/collect_answers.log",
    benchmark:
        "<study>/benchmarks/collect_answers.tsv"
    container:
        REPORT_IMAGE
    resources:
        **job_class("cpu"),
    params:
        results=subpath(input.study, parent=True),
    message:
        cpu_job("collect the answers of all runs")
    shell:
        "python scripts/collect_answers.py --results {params.results} --study {input.study}"
        " --data {input.data} --reported {input.reported} --output {output.answers} > {log} 2>&1"


rule make_tables:
    input:
        study="<study>/study.json",
        data="<study>/data/description.json",
        sets=descriptions_of_sets(),
        reported="report/reported.yaml",
        ladders="<study>/report/ladders.json",
        runs=files_of_reported_runs,
        code=[*REPORT_CODE, "scripts/make_tables.py"],
        image=REPORT_FILE,
    output:
        tables=directory("<study>/report/tables"),
    log:
        "<study>/logs/make_tables.log",
    benchmark:
        "<study>/benchmarks/make_tables.tsv"
    container:
        REPORT_IMAGE
    resources:
        **job_class("cpu"),
    params:
        results=subpath(input.study, parent=True),
        command=command_of_a_part,
    message:
        cpu_job("tables of the report")
    shell:
        "python scripts/make_tables.py --results {params.results} --study {input.study}"
        " --data {input.data} --reported {input.reported} --ladders {input.ladders}"
        " --command {params.command:q} --output-dir {output.tables} > {log} 2>&1"


rule make_table:
    input:
        study="<study>/study.json",
        data="<study>/data/description.json",
        sets=descriptions_of_sets(),
        reported="report/reported.yaml",
        ladders="<study>/report/ladders.json",
        runs=files_of_reported_runs,
        code=[*REPORT_CODE, "scripts/make_tables.py"],
        image=REPORT_FILE,
    output:
        text="<study>/report/single/{label}.md",
        data="<study>/report/single/{label}.csv",
    log:
        "<study>/logs/make_table/{label}.log",
    benchmark:
        "<study>/benchmarks/make_table/{label}.tsv"
    wildcard_constraints:
        label=r"tbl-[\w-]+",
    container:
        REPORT_IMAGE
    resources:
        **job_class("cpu"),
    params:
        results=subpath(input.study, parent=True),
        folder=subpath(output.data, parent=True),
    message:
        cpu_job("make {wildcards.label} alone")
    shell:
        "python scripts/make_tables.py --results {params.results} --study {input.study}"
        " --data {input.data} --reported {input.reported} --ladders {input.ladders}"
        " --only {wildcards.label} --output-dir {params.folder} > {log} 2>&1"


rule make_figures:
    input:
        study="<study>/study.json",
        data="<study>/data/description.json",
        sets=descriptions_of_sets(),
        reported="report/reported.yaml",
        ladders="<study>/report/ladders.json",
        runs=files_of_reported_runs,
        code=[*REPORT_CODE, "scripts/make_figures.py"],
        image=REPORT_FILE,
    output:
        figures=report(
            directory("<study>/report/figures"),
            patterns=["{figure}.svg"],
            caption="captions/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "<study>/logs/make_figures.log",
    benchmark:
        "<study>/benchmarks/make_figures.tsv"
    container:
        REPORT_IMAGE
    resources:
        **job_class("cpu"),
    params:
        results=subpath(input.study, parent=True),
        command=command_of_a_part,
    message:
        cpu_job("figures of the report")
    shell:
        "python scripts/make_figures.py --results {params.results} --study {input.study}"
        " --data {input.data} --reported {input.reported} --ladders {input.ladders}"
        " --command {params.command:q} --output-dir {output.figures} > {log} 2>&1"


rule make_figure:
    input:
        study="<study>/study.json",
        data="<study>/data/description.json",
        sets=descriptions_of_sets(),
        reported="report/reported.yaml",
        ladders="<study>/report/ladders.json",
        runs=files_of_reported_runs,
        code=[*REPORT_CODE, "scripts/make_figures.py"],
        image=REPORT_FILE,
    output:
        picture="<study>/report/single/{label}.svg",
        data="<study>/report/single/{label}.csv",
    log:
        "<study>/logs/make_figure/{label}.log",
    benchmark:
        "<study>/benchmarks/make_figure/{label}.tsv"
    wildcard_constraints:
        label=r"fig-[\w-]+",
    container:
        REPORT_IMAGE
    resources:
        **job_class("cpu"),
    params:
        results=subpath(input.study, parent=True),
        folder=subpath(output.data, parent=True),
    message:
        cpu_job("make {wildcards.label} alone")
    shell:
        "python scripts/make_figures.py --results {params.results} --study {input.study}"
        " --data {input.data} --reported {input.reported} --ladders {input.ladders}"
        " --only {wildcards.label} --output-dir {params.folder} > {log} 2>&1"


rule render_report:
    input:
        sources=report_sources(),
        tables="<study>/report/tables",
        figures="<study>/report/figures",
        code="scripts/nli/reporting/render.py",
        image=REPORT_FILE,
    output:
        html=report("<study>/report.html", caption="captions/report.rst", category="Report"),
        pdf=report("<study>/report.pdf", caption="captions/report.rst", category="Report"),
    log:
        "<study>/logs/render_report.log",
    benchmark:
        "<study>/benchmarks/render_report.tsv"
    container:
        REPORT_IMAGE
    resources:
        **job_class("cpu"),
    params:
        fragments=subpath(input.tables, parent=True),
    message:
        cpu_job("render the report")
    shell:
        "python scripts/render_report.py --source report --fragments {params.fragments}"
        " --html {output.html} --pdf {output.pdf} --work-dir {params.fragments}/build > {log} 2>&1"


rule status:  # of the study as it was started, whatever the config says now
    log:
        "<study>/logs/status.log",
    container:
        image_unless_in_use(REPORT_IMAGE)
    params:
        results=study_path(),
        command=command_of_the_study,
    message:
        "what the study is doing, and results made by other code"
    shell:
        "python scripts/status.py --results {params.results} --study {params.results}/study.json"
        " --data {params.results}/data/description.json --reported report/reported.yaml"
        " --command {params.command:q} 2> >(tee {log} >&2)"
