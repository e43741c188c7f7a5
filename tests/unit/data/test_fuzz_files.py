"""Random data files: clean rows come back as they were; others give whole rows, or one line that says why not."""

import csv
import gzip
import io
import json

import pytest

pytest.importorskip("hypothesis")

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import TEXTS, VALUES, cases, refused
from hypothesis import given
from hypothesis import strategies as st

from nli.base.labels import LABELS
from nli.data.raw import normalise
from nli.data.readers import read_rows, row_unit
from nli.data.splits import read_split, write_split

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
CLEAN = st.lists(st.tuples(WORDS, WORDS, st.sampled_from([0, 1, 2])), min_size=1, max_size=6)
COLUMNS = ("premise", "hypothesis", "label", "pair_id", "genre", "sentence1", "gold_label", "pairID")
ROWS = st.lists(st.dictionaries(st.sampled_from(COLUMNS) | TEXTS, VALUES, max_size=6) | VALUES, max_size=5)
LABEL = st.sampled_from([0, 1, 2, "0", -1, "-", *LABELS]) | VALUES
NEARLY = st.fixed_dictionaries(
    {"premise": TEXTS.map("a{}".format), "hypothesis": WORDS, "label": LABEL},
    optional={"pair_id": VALUES, "genre": VALUES, "gold_label": LABEL},
)


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def separated(rows, separator):
    out = io.StringIO(newline="")
    columns = list(rows[0]) if rows and isinstance(rows[0], dict) else ["premise"]
    if separator == "\t":
        lines = [columns, *([str(row.get(name)) for name in columns] for row in rows if isinstance(row, dict))]
        return "".join("\t".join(map(str, line)) + "\n" for line in lines).encode(errors="surrogatepass")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([row.get(name) for name in columns] for row in rows if isinstance(row, dict))
    return out.getvalue().encode(errors="surrogatepass")


def parquet(rows):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(pd.DataFrame(rows)), out)
    return out.getvalue()


WRITERS = {
    ".jsonl": jsonl,
    ".csv": lambda rows: separated(rows, ","),
    ".tsv": lambda rows: separated(rows, "\t"),
    ".parquet": parquet,
}


def read(path):
    return normalise(read_rows(path), "validation_matched", path, row_unit(path))


def check(path):
    """What is read is whole, and comes back from its split; what is not is refused in one line."""
    no, rows = refused(f"{path}: ", read, path)
    if no:
        return
    frame = rows[0]
    assert frame["pair_id"].is_unique
    assert frame["label"].isin([0, 1, 2]).all()
    assert all(text.strip() for name in ("pair_id", "premise", "hypothesis") for text in frame[name])
    write_split(frame, path.with_suffix(".split"))
    pd.testing.assert_frame_equal(read_split(path.with_suffix(".split")), frame)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@cases(40)
@given(CLEAN, st.sampled_from(sorted(WRITERS)), st.booleans(), st.booleans())
def test_fuzz_clean_rows_come_back_as_they_were(folder, rows, ending, zipped, named):
    written = [{"premise": p, "hypothesis": h, "label": LABELS[label] if named else label} for p, h, label in rows]
    content = WRITERS[ending](written)
    path = folder / f"clean{ending}{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(content) if zipped else content)
    frame, dropped = read(path)
    assert dropped == 0
    assert list(zip(frame["premise"], frame["hypothesis"], frame["label"], strict=True)) == rows


@cases(60)
@given(st.lists(NEARLY, min_size=1, max_size=4) | ROWS, st.sampled_from([".jsonl", ".csv", ".tsv"]))
def test_fuzz_rows_of_any_values(folder, rows, ending):
    path = folder / f"any{ending}"
    path.write_bytes(WRITERS[ending](rows))
    check(path)


@cases(60)
@given(
    CLEAN,
    st.sampled_from(sorted(WRITERS)),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["cut", "set", "insert", "repeat"]), st.binary(max_size=4))),
    st.booleans(),
)
def test_fuzz_damaged_files(folder, rows, ending, damages, zipped):
    content = WRITERS[ending]([{"premise": p, "hypothesis": h, "label": label} for p, h, label in rows])
    content = gzip.compress(content) if zipped else content
    for place, kind, more in damages:
        at = int(place * len(content))
        rest = {"cut": b"", "set": content[at + len(more) :], "insert": content[at:], "repeat": content[at // 2 :]}
        content = content[:at] + more + rest[kind]
    path = folder / f"damaged{ending}{'.gz' if zipped else ''}"
    path.write_bytes(content)
    check(path)
