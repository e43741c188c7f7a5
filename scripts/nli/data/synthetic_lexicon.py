"""Words and frames of the synthetic data: one lexicon for train and matched, another for mismatched.

The two share only function words. Every noun belongs to one class and every city to one country.
"""

from dataclasses import dataclass


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@dataclass(frozen=True)
class Lexicon:
    """The words of one domain, and the frames of its sentences."""

    names: tuple[str, ...]
    verbs: tuple[str, ...]  # for events: somebody verbed some things
    classes: dict[str, tuple[str, ...]]  # hypernym: hyponyms, in the plural
    countries: dict[str, tuple[str, ...]]  # country: cities
    numbers: tuple[str, ...]
    times: tuple[str, ...]
    companions: tuple[str, ...]
    groups: tuple[str, ...]
    actions: tuple[str, ...]  # for groups
    moments: tuple[str, ...]
    quantifiers: dict[str, str]  # all, some, none: in words
    polarities: dict[bool, str]  # affirmed, denied: the adverb
    frames: dict[str, str]  # sentence frames: event, event_plain, group, habit
    details: dict[str, str]  # place, time, companion: as a phrase
    unspecified: str  # number of things if none is given


MATCHED = Lexicon(
    names=_words("Anna Tom Lucy Paul Mary John Emma Peter Sara David Julia Mark Alice Simon"),
    verbs=_words("bought sold found borrowed lost counted"),
    classes={
        "animals": _words("dogs cats horses"),
        "fruits": _words("pears plums cherries"),
        "tools": _words("hammers saws drills"),
        "garments": _words("shirts coats dresses"),
    },
    countries={
        "France": _words("Paris Lyon"),
        "Spain": _words("Madrid Seville"),
        "Italy": _words("Rome Milan"),
        "Germany": _words("Berlin Hamburg"),
    },
    numbers=_words("two three four five six seven"),
    times=_words("January February March April May June"),
    companions=_words("teacher driver cook student clerk nurse"),
    groups=_words("children guests pupils friends cousins neighbours tenants visitors"),
    actions=_words("danced laughed slept waited sang swam"),
    moments=_words("noon night dawn dusk midnight"),
    quantifiers={"all": "all", "some": "some", "none": "no"},
    polarities={True: "often", False: "never"},
    frames={
        "event": "{name} {verb} {things} {details}.",
        "event_plain": "{name} {verb} {things}.",
        "group": "{quantifier} {group} of {name} {action} at {moment}.",
        "habit": "{name} {adverb} {verb} {object}.",
    },
    details={"place": "in {}", "time": "during {}", "companion": "with a {}"},
    unspecified="some",
)

MISMATCHED = Lexicon(
    names=_words("Hugo Ida Leo Greta Felix Rosa Bruno Vera Carl Ella Irene Walter Olga Martin"),
    verbs=_words("painted drew filmed described admired sketched"),
    classes={
        "birds": _words("eagles owls crows"),
        "insects": _words("bees wasps beetles"),
        "trees": _words("oaks pines birches"),
        "buildings": _words("churches castles barns"),
    },
    countries={
        "Peru": _words("Lima Cusco"),
        "Canada": _words("Toronto Montreal"),
        "India": _words("Delhi Mumbai"),
        "Kenya": _words("Nairobi Mombasa"),
    },
    numbers=_words("twenty thirty forty fifty sixty seventy"),
    times=_words("Monday Tuesday Wednesday Thursday Friday Saturday"),
    companions=_words("pilot farmer miner sailor tourist soldier"),
    groups=_words("colleagues uncles aunts nephews rivals clients partners heirs"),
    actions=_words("voted prayed smoked cheered knelt argued"),
    moments=_words("breakfast lunch dinner sunrise sunset"),
    quantifiers={"all": "every one of the", "some": "one or more of the", "none": "not one of the"},
    polarities={True: "regularly", False: "at no time"},
    frames={
        "event": "{details}, {name} {verb} {things}.",
        "event_plain": "So {name} {verb} {things}.",
        "group": "During {moment} {quantifier} {group} of {name} {action}.",
        "habit": "It is known that {name} {adverb} {verb} {object}.",
    },
    details={"place": "around {}", "time": "last {}", "companion": "beside the {}"},
    unspecified="several",
)
