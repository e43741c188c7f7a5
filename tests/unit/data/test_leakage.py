"""What training pairs and worked examples share with the answered pairs, counted on rows made for it."""

import hashlib

import pandas as pd

from nli.data.leakage import examples_record, hashes_of_pairs, overlap, overlaps, shown_among


def rows(*pairs: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["pair_id", "premise", "hypothesis"])


TRAIN = rows(("t1", "A dog runs.", "It moves."), ("t2", "A cat sleeps.", "It moves."), ("t3", "Rain.", "Wet."))


def test_ids_pairs_and_premises_are_counted_apart():
    answered = rows(
        ("t1", "Something else.", "It moves."),  # the identifier alone
        ("v2", "a dog RUNS. ", "It moves."),  # the pair, in another case and with a space
        ("v3", "A cat sleeps.", "It is awake."),  # the premise
        ("v4", "A dog runs.", "Wet."),  # the premise; its hypothesis is another pair's
        ("v5", "Snow.", "Wet."),  # nothing
    )
    assert overlap(answered, TRAIN) == {"ids": 1, "pairs": 1, "premises": 3}
    assert overlap(rows(), TRAIN) == {"ids": 0, "pairs": 0, "premises": 0}


def test_every_split_but_train_and_corpus_is_compared():
    splits = {"train": TRAIN, "tune": TRAIN[:1], "matched": TRAIN[1:], "corpus": TRAIN}
    found = overlaps(splits, TRAIN)
    assert {name: counts["pairs"] for name, counts in found.items()} == {"tune": 1, "matched": 2}


def test_example_is_found_even_with_its_premise_cut_short():
    example = {"premise": "A dog", "hypothesis": "It moves.", "answer": "Yes"}
    answered = rows(("1", "a dog runs.", "It moves."), ("2", "A dog runs.", "It sleeps."), ("3", "A cat.", "It moves."))
    assert shown_among([example], answered) == {"pairs": 1, "premises": 2}
    assert shown_among([], answered) == {"pairs": 0, "premises": 0}
    assert shown_among([{**example, "premise": "A (dog"}], answered) == {"pairs": 0, "premises": 0}  # no pattern


def test_record_of_examples_tells_other_examples_apart():
    first, second = ({"premise": text, "hypothesis": "B", "label": "neutral"} for text in ("A", "C"))
    records = [examples_record([example], {"matched": TRAIN})["examples"] for example in (first, first, second)]
    assert records[0] == records[1]
    assert records[0]["sha256"] != records[2]["sha256"]
    assert records[0]["among"].keys() == {"matched"}


def test_runs_on_the_same_pairs_have_the_same_hash_whatever_their_scorers_and_answers():
    one = pd.DataFrame({"split": "matched", "scorer": ["a", "a"], "pair_id": ["1", "2"], "pred": ["x", "y"]})
    two = pd.concat([one.assign(pred=None), one.assign(scorer="b")])
    expected = hashlib.sha256(b"1\n2").hexdigest()
    assert hashes_of_pairs(one) == hashes_of_pairs(two) == {"matched": expected}
    assert hashes_of_pairs(one[:1])["matched"] != expected
    assert hashes_of_pairs(one[::-1])["matched"] != expected
