# Checks the config files before Snakemake reads them, which merges a key that is stated twice without a word and fails
# without a clear one at an alias within its own anchor.

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from nli.base.errors import StudyError
from nli.study.repeated import refuse_repeated_keys

try:
    refuse_repeated_keys(["config.yaml", *workflow.config_settings.configfiles])
except StudyError as error:
    sys.exit(f"error: {error}")
