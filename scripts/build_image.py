r"""Build one container image: definition and lock -> containers/NAME.sif.

By hand, in the repository:
    python scripts/build_image.py --image study --output containers/study.sif --log build.log
"""

import argparse
from pathlib import Path

from nli.base.errors import StudyError, run_main
from nli.launch.containers import IMAGES
from nli.launch.image_build import append, build_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", choices=IMAGES, required=True, help="which definition to build")
    parser.add_argument("--output", type=Path, required=True, help="image file to write")
    parser.add_argument("--base", help="base image: directory, SIF file or address; default: the definition's")
    parser.add_argument("--torch", choices=("auto", "cpu", "cuda"), default="auto", help="which build of torch")
    parser.add_argument("--log", type=Path, required=True, help="file for everything that the build says")
    arguments = parser.parse_args()

    arguments.log.unlink(missing_ok=True)
    try:
        build_image(arguments.image, arguments.output, arguments.base, arguments.torch, arguments.log)
    except StudyError as error:
        append(arguments.log, f"error: {error}")
        raise


if __name__ == "__main__":
    run_main(main)
