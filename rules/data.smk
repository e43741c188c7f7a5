# MultiNLI from the hub, from files or made up, and the splits drawn from it.


def source_files(wildcards):
    """The user's own files, so that a changed file is read again; nothing for the other sources."""
    if STUDY.data.source != "files":
        return []
    from nli.data import input_files

    try:
        return input_files(STUDY.data.path)
    except StudyError as error:
        stop(error)


def fetch_arguments():
    """The arguments of fetch_data.py that this source takes."""
    data = STUDY.data
    if data.source == "hub":
        return ["--name", data.name, "--revision", data.revision]
    if data.source == "files":
        return ["--path", data.path]
    return ["--sizes", as_json(data.synthetic.model_dump())]


def sampling_arguments():
    """The arguments of sample_data.py; a cap that is null is left out."""
    data = STUDY.data
    options = {
        "--train-fraction": data.train_fraction,
        "--tune-examples": data.tune_examples,
        "--train-examples": data.train_examples,
        "--evaluation-examples": data.evaluation_examples,
    }
    return [str(part) for option, value in options.items() if value is not None for part in (option, value)]


localrules:
    fetch_data,


rule fetch_data:
    input:
        source_files,
    output:
        raw=directory("<study>/data/raw"),
    params:
        source=STUDY.data.source,
        arguments=fetch_arguments(),
        seed=STUDY.data.seed,
    log:
        "<study>/logs/fetch_data.log",
    message:
        "fetch MultiNLI ({params.source})"
    shell:
        "python scripts/fetch_data.py --source {params.source} {params.arguments:q}"
        " --seed {params.seed} --output-dir {output.raw} > {log} 2>&1"


rule sample_data:
    input:
        raw="<study>/data/raw",
    output:
        splits=expand(
            "<study>/data/{split}.parquet",
            split=["train", "tune", "matched", "mismatched", "corpus"],
        ),
        description="<study>/data/description.json",
    params:
        arguments=sampling_arguments(),
        seed=STUDY.data.seed,
        folder=subpath(output.description, parent=True),
    log:
        "<study>/logs/sample_data.log",
    benchmark:
        "<study>/benchmarks/sample_data.tsv"
    resources:
        mem_mb=resource("mem_mb", "cpu"),
        runtime=resource("runtime", "cpu"),
    message:
        "draw train, tune, matched and mismatched"
    shell:
        "python scripts/sample_data.py --raw-dir {input.raw} {params.arguments:q}"
        " --seed {params.seed} --output-dir {params.folder} > {log} 2>&1"
