"""Reading MultiNLI: every format gives the same rows, and every bad file gives one clear message."""

import csv
import gzip
import hashlib
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from nli.base.errors import StudyError
from nli.data.raw import input_files, load_files
from nli.data.splits import read_split, write_split

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("NLI_SHARED_DATA", ROOT / "../shared/data")) / "multinli"

PAIRS = [
    {"premise": "A dog \u2028sleeps.", "hypothesis": 'It "rests", quietly.', "label": 0},
    {"premise": "Two men talk. ", "hypothesis": "n/a", "label": 1},
    {"premise": "Nobody came.", "hypothesis": "Zoë came.", "label": 2},
]
NAMES = ["entailment", "neutral", "contradiction"]
SPLITS = ["train", "validation_matched", "validation_mismatched"]
GLUE_NAMES = ["train", "dev_matched", "dev_mismatched"]
OFFICIAL_NAMES = [f"multinli_1.0_{name}" for name in GLUE_NAMES]


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_folder(folder, write=write_jsonl, names=SPLITS, ending=".jsonl", rows=PAIRS):
    for name in names:
        write(folder / (name + ending), rows)
    return folder


def official(row, i):
    return {
        "annotator_labels": [NAMES[row["label"]]],
        "genre": "fiction",
        "gold_label": NAMES[row["label"]],
        "pairID": f"{i}n",
        "sentence1": row["premise"],
        "sentence2": row["hypothesis"],
    }


def write_glue_tsv(path, rows):
    columns = ["index", "pairID", "genre", "sentence1", "sentence2", "label1", "gold_label"]
    lines = ["\t".join(columns)]
    for i, row in enumerate(rows):
        name = NAMES[row["label"]]
        fields = [str(i), f"{i}n", "fiction", row["premise"], row["hypothesis"], "neutral", name]
        lines.append("\t".join(fields))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path, rows):
    pd.DataFrame(rows).to_parquet(path)


def write_official(path, rows):
    write_jsonl(path, [official(row, i) for i, row in enumerate(rows)])


def gzipped(write):
    def write_gzipped(path, rows):
        write(path, rows)
        path.write_bytes(gzip.compress(path.read_bytes()))

    return write_gzipped


FORMATS = {
    "jsonl": (write_jsonl, SPLITS, ".jsonl"),
    "official jsonl": (write_official, OFFICIAL_NAMES, ".jsonl"),
    "glue tsv": (write_glue_tsv, GLUE_NAMES, ".tsv"),
    "csv": (write_csv, SPLITS, ".csv"),
    "parquet": (write_parquet, SPLITS, ".parquet"),
}
FORMATS |= {
    f"{name}, gzipped": (gzipped(write), names, f"{ending}.gz") for name, (write, names, ending) in FORMATS.items()
}


@pytest.mark.parametrize(("write", "names", "ending"), FORMATS.values(), ids=FORMATS.keys())
def test_every_format_gives_the_same_pairs_untouched(tmp_path, write, names, ending):
    raw = load_files(write_folder(tmp_path, write, names, ending))
    for split in SPLITS:
        frame = raw.frames[split]
        assert list(frame.columns) == ["pair_id", "genre", "premise_id", "premise", "hypothesis", "label"]
        assert frame[["premise", "hypothesis", "label"]].to_dict("records") == PAIRS
        assert frame["label"].dtype == "int8"


def test_identifier_and_genre_are_kept_or_filled_in(tmp_path):
    write_official(tmp_path / "train.jsonl", PAIRS)
    write_jsonl(tmp_path / "dev_matched.jsonl", [{**PAIRS[0], "label": "-"}, PAIRS[1]])
    write_csv(tmp_path / "dev_mismatched.csv", [{**PAIRS[0], "pair_id": 17, "genre": "verbatim"}])
    frames = load_files(tmp_path).frames
    assert frames["train"]["pair_id"].tolist() == ["0n", "1n", "2n"]
    assert frames["train"]["genre"].tolist() == ["fiction"] * 3
    assert frames["validation_matched"]["pair_id"].tolist() == ["validation_matched-1"]
    assert frames["validation_matched"]["genre"].tolist() == [""]
    assert frames["validation_mismatched"]["pair_id"].tolist() == ["17"]
    assert frames["validation_mismatched"]["genre"].tolist() == ["verbatim"]


@pytest.mark.parametrize("label", [1, "1", "neutral", 1.0])
def test_label_may_be_a_number_or_a_name(tmp_path, label):
    write_folder(tmp_path, rows=[{**PAIRS[0], "label": label}])
    assert load_files(tmp_path).frames["train"]["label"].tolist() == [1]


@pytest.mark.parametrize("label", ["-", -1, "-1"])
def test_unlabelled_rows_are_dropped_and_counted(tmp_path, label):
    write_folder(tmp_path, rows=[*PAIRS, {**PAIRS[0], "label": label}])
    raw = load_files(tmp_path)
    assert raw.dropped == dict.fromkeys(SPLITS, 1)
    assert len(raw.frames["train"]) == 3


def test_source_files_are_listed_and_hashed(tmp_path):
    write_folder(tmp_path)
    assert [path.name for path in input_files(tmp_path)] == [f"{s}.jsonl" for s in SPLITS]
    expected = hashlib.sha256((tmp_path / "train.jsonl").read_bytes()).hexdigest()
    assert load_files(tmp_path).sha256["train.jsonl"] == expected


def spoil(tmp_path, text, name="train.jsonl"):
    """A valid folder whose train split is `text` (or bytes)."""
    write_folder(tmp_path)
    (tmp_path / "train.jsonl").unlink()
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path / name


GOOD = json.dumps(PAIRS[0])
BAD_FILES = {
    "broken JSON": ("train.jsonl", GOOD + '\n{"premise": "a" "b"}\n', "line 2: broken JSON"),
    "not an object": ("train.jsonl", GOOD + "\n[1, 2]\n", "line 2: not a JSON object"),
    "not UTF-8": ("train.jsonl", GOOD.encode() + b'\n\n{"premise": "\xff"}', "line 3: not UTF-8"),
    "half a surrogate": (
        "train.jsonl",
        '{"premise": "\\ud83d", "hypothesis": "b", "label": 0}',
        "line 1: half a surrogate pair in premise",
    ),
    "missing columns": (
        "train.jsonl",
        '{"text": "a", "sentence2": "b", "genre": "c"}',
        r"no column premise or sentence1, no column label or gold_label; .*text, sentence2, genre",
    ),
    "key missing in a later row": (
        "train.jsonl",
        GOOD + '\n{"label": 1}',
        "line 2: no text in pre",
    ),
    "unknown label": (
        "train.csv",
        "premise,hypothesis,label\na,b,neutral\na,b,maybe\n",
        "line 3: unknown label 'maybe'; use entailment, neutral, contradiction or 0, 1, 2",
    ),
    "boolean label": (
        "train.jsonl",
        '{"premise": "a", "hypothesis": "b", "label": true}',
        "line 1: unknown label True",
    ),
    "list label": (
        "train.jsonl",
        '{"premise": "a", "hypothesis": "b", "label": [0]}',
        r"line 1: unknown label \[0\]",
    ),
    "blank text": (
        "train.csv",
        "premise,hypothesis,label\na, ,0\n",
        "line 2: no text in hypothesis",
    ),
    "ragged CSV": (
        "train.csv",
        "premise,hypothesis,label\na,b\n",
        "line 2: 2 fields, but 3 in the",
    ),
    "open quote": ("train.csv", 'premise,hypothesis,label\n"a,b,0\n', "line 2: broken CSV"),
    "ragged TSV": ("train.tsv", "premise\thypothesis\tlabel\na\tb\t0\tc\n", "line 2: 4 fields"),
    "empty file": ("train.jsonl", "", r"the split train is empty \(0 unlabelled"),
    "header alone": ("train.tsv", "premise\thypothesis\tlabel\n", "the split train is empty"),
    "unlabelled alone": (
        "train.tsv",
        "premise\thypothesis\tlabel\na\tb\t-\n",
        r"the split train is empty \(1 unlabelled rows",
    ),
    "not Parquet": ("train.parquet", "PAR0", "not a readable Parquet file"),
    "not gzip": ("train.jsonl.gz", GOOD, "[Nn]ot a gzipped file"),
    "gzip cut short": (
        "train.csv.gz",
        gzip.compress(b"premise,hypothesis,label\na,b,0\n")[:-9],
        "ended before",
    ),
    "deep JSON": ("train.jsonl", GOOD + "\n" + "[" * 100_000, "line 2: JSON nested too deep"),
    "huge number": ("train.jsonl", '{"label": ' + "9" * 5000 + "}", "line 1: Exceeds the limit"),
    "key stated twice": ("train.jsonl", GOOD[:-1] + ', "label": 2}', "line 1: 'label' is stated twice"),
    "repeated header of a CSV": (
        "train.csv",
        "premise,hypothesis,label,label\na,b,0,2\n",
        "line 1: the header has 'label'",
    ),
    "repeated header of a TSV": ("train.tsv", "premise\tpremise\nab\tb\n", "line 1: the header has 'premise' twice"),
    "labels that disagree": (
        "train.jsonl",
        GOOD + "\n" + GOOD[:-1] + ', "gold_label": "neutral"}',
        "line 2: label and gold_label disagree; keep the right one",
    ),
    "texts that disagree": ("train.jsonl", GOOD[:-1] + ', "sentence1": "c"}', "line 1: premise and sentence1 disagree"),
    "empty pair id": ("train.csv", "pairID,premise,hypothesis,label\n ,a,b,0\n", "line 2: the pair_id is empty"),
    "repeated pair id": (
        "train.csv",
        "pairID,premise,hypothesis,label\n7,a,b,0\n8,a,b,1\n7,a,b,2\n",
        "line 4: the pair_id '7' is that of line 2; give each row its own",
    ),
    "pair id of a row without one": (
        "train.jsonl",
        GOOD[:-1] + ', "pair_id": "train-1"}\n' + GOOD[:-1] + ', "pair_id": null}',
        "line 2: the pair_id 'train-1' is that of line 1",
    ),
    "half a surrogate in a genre": (
        "train.jsonl",
        GOOD[:-1] + ', "genre": "\\ud83d"}',
        "half a surrogate pair in genre",
    ),
}


@pytest.mark.parametrize("gold", [2, "2", "contradiction"])
def test_two_columns_that_agree_are_read(tmp_path, gold):
    write_folder(tmp_path, rows=[{**PAIRS[2], "gold_label": gold, "sentence1": PAIRS[2]["premise"]}])
    assert load_files(tmp_path).frames["train"]["label"].tolist() == [2]


@pytest.fixture
def another_user(tmp_path):
    """The test runs as a user who owns nothing, and may look into `tmp_path`."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_file_and_folder_that_may_not_be_read_are_named(tmp_path, request):
    write_folder(tmp_path)
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "dev_matched.jsonl").touch()
    (tmp_path / "validation_matched.jsonl").rename(tmp_path / "dev_matched.jsonl")
    (tmp_path / "dev_matched.jsonl").chmod(0)
    request.getfixturevalue("another_user")
    with pytest.raises(StudyError, match=r"dev_matched\.jsonl: Permission denied; give a file that you may read"):
        input_files(tmp_path)
    with pytest.raises(StudyError, match=r"closed: Permission denied; give a folder that you may read"):
        input_files(tmp_path / "closed")


@pytest.mark.parametrize(("name", "text", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_file_is_named_with_the_reason(tmp_path, name, text, message):
    path = spoil(tmp_path, text, name)
    with pytest.raises(StudyError, match=message) as error:
        load_files(tmp_path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_bad_parquet_row_is_named(tmp_path):
    write_folder(tmp_path, write_parquet, ending=".parquet", rows=[PAIRS[0], {**PAIRS[1], "label": 3}])
    with pytest.raises(StudyError, match=r"train\.parquet: row 2: unknown label 3"):
        load_files(tmp_path)


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(StudyError, match="nowhere: no such folder"):
        input_files(tmp_path / "nowhere")


def test_missing_split_is_an_error_that_lists_the_names(tmp_path):
    write_folder(tmp_path, names=SPLITS[:2])
    with pytest.raises(StudyError, match=r"split validation_mismatched; .*dev_mismatched.*\.tsv"):
        input_files(tmp_path)


def test_two_files_for_one_split_are_an_error(tmp_path):
    write_folder(tmp_path)
    write_glue_tsv(tmp_path / "dev_matched.tsv", PAIRS)
    with pytest.raises(StudyError, match=r"validation_matched\.jsonl, dev_matched\.tsv; keep one"):
        input_files(tmp_path)


def test_split_comes_back_as_written_with_the_same_bytes(tmp_path):
    frame = load_files(write_folder(tmp_path)).frames["train"]
    for name in ("a.parquet", "b.parquet"):
        write_split(frame, tmp_path / name)
    pd.testing.assert_frame_equal(read_split(tmp_path / "a.parquet"), frame)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_foreign_parquet_is_not_taken_for_a_split(tmp_path):
    write_parquet(tmp_path / "foreign.parquet", PAIRS)
    with pytest.raises(StudyError, match=r"not a split of the study \(premise "):
        read_split(tmp_path / "foreign.parquet")
    with pytest.raises(StudyError, match="cannot be read as Parquet"):
        read_split(tmp_path / "absent.parquet")


def test_split_from_before_premises_were_named_is_refused(tmp_path):
    frame = load_files(write_folder(tmp_path)).frames["train"].drop(columns="premise_id")
    frame.to_parquet(tmp_path / "train.parquet", index=False)
    with pytest.raises(StudyError, match=r"not a split of the study \(pair_id .*, genre .*, premise "):
        read_split(tmp_path / "train.parquet")


def test_premise_is_named_by_its_text_without_the_white_space_around_it(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [{**PAIRS[0], "premise": premise} for premise in ("abc", " abc\n", "Abc")])
    write_official(tmp_path / "dev_matched.jsonl", [{**PAIRS[2], "premise": "abc"}])
    write_csv(tmp_path / "dev_mismatched.csv", [{**PAIRS[0], "premise": "Zoë"}])
    frames = load_files(tmp_path).frames
    abc = "ba7816bf8f01cfea"  # SHA-256 of "abc": the first example of FIPS 180-2
    assert frames["train"]["premise_id"].tolist()[:2] == [abc, abc]
    assert frames["train"]["premise_id"].tolist()[2] != abc
    assert frames["validation_matched"]["premise_id"].tolist() == [abc]
    assert frames["validation_mismatched"]["premise_id"].tolist() == [hashlib.sha256(b"Zo\xc3\xab").hexdigest()[:16]]


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real MultiNLI rows next to the repository")
def test_real_matched_set_has_its_published_size_and_labels():
    frame = load_files(SHARED).frames["validation_matched"]
    assert len(frame) == 9815
    assert frame["label"].value_counts().to_dict() == {0: 3479, 1: 3123, 2: 3213}


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real MultiNLI rows next to the repository")
def test_nearly_every_real_matched_row_shares_its_premise_with_another():
    sizes = load_files(SHARED).frames["validation_matched"]["premise_id"].value_counts()
    assert len(sizes) == 3334
    assert sizes[sizes > 1].sum() == 9807
