"""Fetch a model at a pinned commit from the hub into the cache (safetensors only) and make a folder of links to it.

By hand: python scripts/fetch_model.py --role encoder --name FacebookAI/roberta-large --revision COMMIT --output-dir DIR
"""

import argparse
from pathlib import Path

from nli.base.atomic import whole_folder
from nli.base.errors import run_main
from nli.base.files import source_record
from nli.hub.cache import fetch
from nli.hub.errors import Repository
from nli.hub.model_files import check_shards, choose_files, fill_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--role", choices=["encoder", "decoder"], required=True, help="its key in models:")
    parser.add_argument("--name", required=True, help="model on the hub")
    parser.add_argument("--revision", required=True, help="its commit")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder for fetched files")
    parser.add_argument("--output-dir", type=Path, required=True)
    args = parser.parse_args()

    model = Repository("model", args.name, args.revision, f"models.{args.role}")
    snapshot = fetch(model, args.cache, lambda names: choose_files(names, str(model)))
    check_shards(snapshot.folder, snapshot.files, str(model))
    files = {name: snapshot.folder / name for name in snapshot.files}
    with whole_folder(args.output_dir) as folder:
        fill_folder(folder, files, source_record(args.name, args.revision, snapshot.files))


if __name__ == "__main__":
    run_main(main)
