"""Write the JSON schema of config.yaml, for editors, and the reference table of its keys, for people."""

import argparse
from pathlib import Path

from nli.base.atomic import write_json, write_text
from nli.base.errors import run_main
from nli.study.reference import file_schema, reference_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schema", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    args = parser.parse_args()
    write_json(args.schema, file_schema())
    write_text(args.reference, reference_table())


if __name__ == "__main__":
    run_main(main)
