"""What the scripts that make the report's tables and figures share."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from nli.base.atomic import whole_folder
from nli.provenance import git_commit
from nli.reporting.addresses import Maker
from nli.reporting.results import Results, add_fragment_arguments, load_results


def make_fragments(
    description: str,
    rule: str,
    every: Callable[[Results, Path, Maker], Sequence[Path]],
    one: Callable[[Results, str, Path], None],
) -> None:
    """Make every fragment of a kind, or the one that `--only` names, from the command line's arguments.

    Args:
        rule: the rule that makes them with the script of its name, as their addresses say.
        every: writes all of them into a folder and returns their paths.
        one: writes the one with a label.
    """
    parser = argparse.ArgumentParser(description=description)
    add_fragment_arguments(parser)
    args = parser.parse_args()
    results = load_results(args.results, args.study, args.reported, args.data, args.ladders)
    if args.only:
        one(results, args.only, args.output_dir)
        print(f"{args.only} in {args.output_dir}")
        return
    with whole_folder(args.output_dir) as folder:
        made = every(results, folder, Maker(rule, f"scripts/{rule}.py", git_commit(), args.command))
    print(f"{len(made)} fragments in {args.output_dir}")
