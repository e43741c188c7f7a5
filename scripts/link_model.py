"""Hash a model in a user's folder, once, and make a folder of links to it.

By hand: python scripts/link_model.py --folder FOLDER --output-dir DIR
"""

import argparse
from pathlib import Path

from nli.base.atomic import whole_folder
from nli.base.errors import run_main
from nli.hub.model_files import link_user_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", required=True, help="folder with the configuration, tokenizer and safetensors")
    parser.add_argument("--output-dir", type=Path, required=True)
    args = parser.parse_args()
    with whole_folder(args.output_dir) as folder:
        link_user_model(args.folder, folder)


if __name__ == "__main__":
    run_main(main)
