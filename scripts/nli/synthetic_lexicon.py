"""Words and sentence frames of the synthetic data: one lexicon for train and matched, another for mismatched.

The two lexicons share function words only. Every noun belongs to one class, every city to one country, and
the two adjectives of a pair exclude each other and leave nothing between them, so that the label of a pair
follows from the forms that `nli.synthetic` chooses and from nothing else.
"""

from dataclasses import dataclass


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@dataclass(frozen=True)
class Lexicon:
    """What one domain is made of.

    `fillers` maps a slot of the frames to its words; `frames` maps a phenomenon to synonymous sentence frames
    (premise and hypothesis never share one); `topics` maps it to what a sentence can be about: facts about
    different topics are independent of each other.
    """

    fillers: dict[str, tuple[str, ...]]
    classes: dict[str, tuple[str, ...]]  # hypernym: hyponyms
    countries: dict[str, tuple[str, ...]]  # country: cities
    attributes: tuple[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], ...]  # things, topics
    quantifiers: dict[str, tuple[str, ...]]  # two synonyms each
    numbers: tuple[str, ...]  # ascending
    comparators: dict[str, str]
    topics: dict[str, tuple[str, ...]]
    frames: dict[str, tuple[str, ...]]


MATCHED = Lexicon(
    fillers={
        "name": _words("Anna Tom Lucy Paul Mary John Emma Peter Sara David Julia Mark Alice Simon"),
        "group": _words("children guests players singers visitors nurses waiters tenants"),
        "container": _words("basket drawer bag bucket crate cupboard box chest"),
        "day": _words("Monday Tuesday Wednesday Thursday"),
        "month": _words("January February March April May June"),
    },
    classes={
        "animal": _words("dog cat horse sheep"),
        "fruit": _words("pear plum cherry melon"),
        "tool": _words("hammer saw drill spade"),
        "vehicle": _words("car bus truck van"),
        "garment": _words("shirt coat dress scarf"),
    },
    countries={
        "France": _words("Paris Lyon"),
        "Spain": _words("Madrid Seville"),
        "Italy": _words("Rome Milan"),
        "Germany": _words("Berlin Hamburg"),
        "Japan": _words("Tokyo Osaka"),
    },
    attributes=(
        (
            _words("door window gate shop shed"),
            (("open", "closed"), ("clean", "dirty"), ("broken", "intact")),
        ),
        (
            _words("teacher driver cook student clerk"),
            (("awake", "asleep"), ("married", "single"), ("present", "absent")),
        ),
        (
            _words("story report claim message"),
            (("true", "false"), ("public", "secret"), ("complete", "unfinished")),
        ),
    ),
    quantifiers={
        "all": ("all of the", "every one of the"),
        "some": ("some of the", "one or more of the"),
        "none": ("none of the", "not a single one of the"),
        "not all": ("not all of the", "not every one of the"),
    },
    numbers=_words("two three four five six seven"),
    comparators={"exactly": "exactly {}", "above": "more than {}", "below": "fewer than {}"},
    topics={
        "quantifiers": _words("danced laughed slept waited"),
        "hypernyms": _words("bought sold found"),
        "numbers": _words("books cups plates coins"),
        "places": _words("lives works studies"),
    },
    frames={
        "quantifiers": (
            "{quantifier} {group} {topic} on {day}.",
            "On {day} {quantifier} {group} {topic}.",
        ),
        "hypernyms": (
            "{name} {topic} only one thing in {month}, {core}.",
            "The only thing that {name} {topic} in {month} was {core}.",
        ),
        "negation": (
            "The {thing} of {name} is {core}.",
            "The {thing} that {name} has is {core}.",
        ),
        "numbers": (
            "The {container} of {name} holds {core} {topic}.",
            "{core} {topic} are in the {container} of {name}.",
        ),
        "places": (
            "{name} {topic} in {core} since {month}.",
            "Since {month} {name} {topic} in {core}.",
        ),
    },
)

MISMATCHED = Lexicon(
    fillers={
        "name": _words("Hugo Ida Leo Greta Felix Rosa Bruno Vera Carl Ella Irene Walter Olga Martin"),
        "group": _words("pilots farmers miners sailors tourists soldiers priests lawyers"),
        "container": _words("wagon warehouse stable tent cabin cellar garage attic"),
        "day": _words("Friday Saturday Sunday Christmas"),
        "month": _words("July August September October November December"),
    },
    classes={
        "bird": _words("eagle owl crow swan"),
        "fish": _words("trout salmon shark tuna"),
        "insect": _words("bee wasp beetle moth"),
        "tree": _words("oak pine birch maple"),
        "building": _words("church castle barn tower"),
    },
    countries={
        "Peru": _words("Lima Cusco"),
        "Canada": _words("Toronto Montreal"),
        "India": _words("Delhi Mumbai"),
        "Kenya": _words("Nairobi Mombasa"),
        "Norway": _words("Oslo Bergen"),
    },
    attributes=(
        (
            _words("engine radio heater pump printer"),
            (("running", "idle"), ("safe", "dangerous"), ("rented", "owned")),
        ),
        (
            _words("tiger wolf bear fox rabbit"),
            (("male", "female"), ("wild", "tame"), ("alive", "dead")),
        ),
        (
            _words("law treaty contract permit"),
            (("valid", "void"), ("written", "unwritten"), ("fair", "unfair")),
        ),
    ),
    quantifiers={
        "all": ("each of the", "without exception the"),
        "some": ("at least one of the", "a number of the"),
        "none": ("not one of the", "no member of the"),
        "not all": ("not each of the", "not without exception the"),
    },
    numbers=_words("twenty thirty forty fifty sixty seventy"),
    comparators={"exactly": "just {}", "above": "over {}", "below": "under {}"},
    topics={
        "quantifiers": _words("voted prayed smoked cheered"),
        "hypernyms": _words("painted drew printed"),
        "numbers": _words("barrels ropes sacks lamps"),
        "places": ("was born", "died", "retired"),
    },
    frames={
        "quantifiers": (
            "According to {name}, {quantifier} {group} {topic} last {day}.",
            "Last {day}, {name} says, {quantifier} {group} {topic}.",
        ),
        "hypernyms": (
            "The first picture that {name} {topic} in {month} shows {core}.",
            "What {name} {topic} first in {month} is a picture of {core}.",
        ),
        "negation": (
            "It is known that the {thing} near {name} is {core}.",
            "The {thing} near {name} is known to be {core}.",
        ),
        "numbers": (
            "{name} stored {core} {topic} inside the {container}.",
            "Inside the {container}, {name} stored {core} {topic}.",
        ),
        "places": (
            "Last {month} {name} {topic} in {core}.",
            "{name} {topic} in {core} last {month}.",
        ),
    },
)
